"""/v1: adding an account, its options, logging out."""

import json
from dataclasses import replace

from tests.unit.controller.machine import Machine
from wxcontroller.core.access import Scope
from wxcontroller.core.accountfiles import AccountFiles
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, obj
from wxcontroller.core.limits import LIMITS
from wxcontroller.core.messages import text_from
from wxcontroller.core.options import OPTIONS, Origin
from wxcontroller.core.states import Desired, LoginState
from wxcontroller.core.tokens import TokenFile, minted


async def test_an_account_is_added_and_does_not_run(host: Machine) -> None:
    status, account = await host.v1("POST", "accounts", {"name": "小店", "options": {"send_interval": 7}})
    assert (status, account["name"], account["desired"], account["unit_state"]) == (201, "小店", "stopped", "absent")
    assert host.units.calls == []
    known = AccountFiles(host.paths).load(str(account["instance"]))
    assert (known.desired, known.options["send_interval"]) == (Desired.STOPPED, "7")
    _, started = await host.v1("POST", "accounts/小店/start")
    assert started["port"] == account["port"]
    assert AccountFiles(host.paths).load(known.name.instance).options["send_interval"] == "7"


async def test_what_can_not_be_added(host: Machine) -> None:
    body: JsonObject = {"name": "alice"}
    assert (await host.v1("POST", "accounts", body))[0] == 201
    wrongs: list[tuple[JsonObject, str]] = [
        (body, "account-exists"),
        ({"name": ".x"}, "bad-name"),
        ({}, "bad-name"),
        ({"name": "bob", "options": ["lang"]}, "bad-request"),
        ({"name": "bob", "options": {"load": "x"}}, "bad-option"),
        ({"name": "bob", "port": 1}, "bad-request"),
        ({"name": "bob", "epoch": 0}, "bad-request"),
        ({"name": "bob", "epoch": "2"}, "bad-request"),
    ]
    for wrong, code in wrongs:
        status, answer = await host.v1("POST", "accounts", wrong)
        assert (status, field(answer["error"], "code")) == (409 if code == "account-exists" else 400, code)
    assert AccountFiles(host.paths).instances() == ["alice"]


async def test_options_are_shown_with_where_they_come_from(host: Machine) -> None:
    host.accounts.settings = replace(host.settings, client={"lang": "en_US"})
    url, proxy = "https://u:p@h.example/in?key=secret", "socks5://u:pass@127.0.0.1:1080"
    await host.v1(
        "POST", "accounts", {"name": "alice", "options": {"post_api": url, "proxy": proxy, "post_event": False}}
    )
    status, shown = await host.v1("GET", "accounts/alice/options")
    options = obj(shown["options"])
    assert (status, shown["account"]) == (200, "alice")
    assert set(options) == {option.name for option in OPTIONS.values() if option.origin is not Origin.IGNORED}
    rests = {"in_force": None, "default": ""}
    assert options["post_api"] == {"value": "https://h.example/in?key=…", "from": "request", **rests}
    assert options["proxy"] == {"value": "socks5://127.0.0.1:1080", "from": "request", **rests}
    assert options["lang"] == {"value": "en_US", "in_force": None, "default": "zh_CN", "from": "settings"}
    assert options["send_interval"] == {"value": "3", "in_force": None, "default": "3", "from": "default"}
    assert (shown["waiting"], shown["program"]) == ([], "it is not running")
    assert field(options["plugin_openwx_post_event"], "from") == "request"


async def test_what_a_program_runs_by_is_shown_beside_what_waits_for_its_next_start(host: Machine) -> None:
    host.paths.override_file("alice").parent.mkdir(parents=True, exist_ok=True)
    host.paths.override_file("alice").write_text("MOJO_WEIXIN_HTTP_DEBUG=true\n")
    process = await host.start("alice")
    await host.v1("PATCH", "accounts/alice/options", {"send_interval": 7, "proxy": "http://10.0.0.1:1"})
    process.options = json.dumps(
        {
            "instance": "alice",
            "options": {"send_interval": "3", "http_debug": "1", "proxy": "http://10.0.0.2:1", "lang": "zh_CN"},
            "credentials": ["proxy"],
        }
    ).encode()
    _, shown = await host.v1("GET", "accounts/alice/options")
    options = obj(shown["options"])
    assert shown["waiting"] == ["send_interval"]
    assert options["send_interval"] == {"value": "7", "in_force": "3", "default": "3", "from": "request"}
    assert options["http_debug"] == {"value": "1", "in_force": "1", "default": "0", "from": "settings"}
    assert options["proxy"] == {
        "value": "http://10.0.0.2:1",
        "in_force": "http://10.0.0.2:1",
        "default": "",
        "from": "credential",
    }
    assert field(options["lang"], "in_force") == "zh_CN"


async def test_limits_are_shown_and_no_request_sets_them(host: Machine) -> None:
    host.limit(contact_pages=20, watchers=5)
    host.paths.override_file("alice").parent.mkdir(parents=True, exist_ok=True)
    host.paths.override_file("alice").write_text("WXCLIENT_LIMIT_MEDIA_URL_SECONDS=7.5\nWXCLIENT_LIMIT_COOKIES=300\n")
    await host.v1("POST", "accounts", {"name": "alice"})
    _, shown = await host.v1("GET", "accounts/alice/options")
    limits = obj(shown["limits"])
    assert set(limits) == {limit.name for limit in LIMITS.values() if limit.for_accounts}
    assert limits["contact_pages"] == {"value": "20", "default": "16", "from": "settings"}
    assert limits["media_url_seconds"] == {"value": "7.5", "default": "60", "from": "settings"}
    assert limits["send_tries"] == {"value": "5", "default": "5", "from": "default"}
    for name in ("contact_pages", "limits", "limits.contact_pages"):
        assert (await host.v1("PATCH", "accounts/alice/options", {name: "400"}))[0] == 400


async def test_options_are_changed_one_by_one(host: Machine) -> None:
    await host.v1("POST", "accounts", {"name": "alice", "options": {"send_interval": 7, "post_event": 0}})
    status, answer = await host.v1(
        "PATCH", "accounts/alice/options", {"send_interval": None, "lang": "en_US", "plugin_openwx_post_event": 1}
    )
    assert (status, "note" in answer) == (200, False)
    known = AccountFiles(host.paths).load("alice")
    assert "send_interval" not in known.options
    assert (known.options["lang"], known.options["plugin_openwx_post_event"]) == ("en_US", "1")
    assert known.desired is Desired.STOPPED
    await host.v1("POST", "accounts/alice/start")
    assert AccountFiles(host.paths).load("alice").options == known.options
    _, answer = await host.v1("PATCH", "accounts/alice/options", {"send_interval": "9"})
    assert "next start" in str(answer["note"])
    assert AccountFiles(host.paths).load("alice").desired is Desired.STARTED


async def test_an_account_changes_its_driver_only_while_it_is_stopped(host: Machine) -> None:
    await host.start("alice")
    before = host.paths.account_file("alice").read_bytes()
    requests: list[tuple[str, str, JsonObject]] = [
        ("PATCH", "accounts/alice/options", {"driver": "ilink", "lang": "en_US"}),
        ("POST", "accounts/alice/start", {"driver": "ilink"}),
    ]
    for method, path, body in requests:
        status, answer = await host.v1(method, path, body)
        assert (status, field(answer["error"], "code")) == (409, "other-route")
        assert "wxctl stop alice" in str(field(answer["error"], "remedy"))
    assert (await host.get("start_client", client="alice", driver="ilink"))["code"] != 0
    assert host.paths.account_file("alice").read_bytes() == before
    assert (await host.v1("PATCH", "accounts/alice/options", {"driver": "web"}))[0] == 200
    # A default of the settings that is another one now counts from the next start.
    host.accounts.settings = replace(host.settings, client={"driver": "ilink"})
    assert (await host.v1("PATCH", "accounts/alice/options", {"driver": None}))[0] == 409
    assert (await host.v1("PATCH", "accounts/alice/options", {"lang": "en_US"}))[1]["driver"] == "web"
    host.accounts.settings = host.settings
    await host.v1("POST", "accounts/alice/stop")
    assert (await host.v1("PATCH", "accounts/alice/options", {"driver": "ilink"}))[1]["driver"] == "ilink"
    assert (await host.v1("POST", "accounts/alice/start", {"driver": "web"}))[1]["driver"] == "web"
    # One that has given up is stopped by its start.
    process = host.units.processes["alice"]
    process.say(LoginState.PARKED, reason="WeChat refuses this account")
    assert (await host.v1("POST", "accounts/alice/start", {"driver": "ilink"}))[1]["driver"] == "ilink"


async def test_a_wrong_option_changes_nothing(host: Machine) -> None:
    await host.v1("POST", "accounts", {"name": "alice", "options": {"send_interval": 7}})
    before = host.paths.account_file("alice").read_bytes()
    wrongs: list[JsonObject] = [
        {"lang": "xx"},
        {"nothing": None},
        {"server": "http://127.0.0.1:1"},
        {"lang": ["en_US"]},
    ]
    for wrong in wrongs:
        status, answer = await host.v1("PATCH", "accounts/alice/options", {"send_interval": "9", **wrong})
        assert (status, field(answer["error"], "code")) == (400, "bad-option")
    assert host.paths.account_file("alice").read_bytes() == before
    assert (await host.v1("PATCH", "accounts/bob/options", {}))[0] == 404
    assert (await host.v1("GET", "accounts/bob/options"))[0] == 404


async def test_a_logout_is_asked_of_the_account_which_then_stops(host: Machine) -> None:
    process = await host.start("alice")
    status, account = await host.v1("POST", "accounts/alice/logout")
    assert (status, account["desired"], account["unit_state"]) == (200, "stopped", "absent")
    assert "POST /v1/logout" in process.requests
    status, answer = await host.v1("POST", "accounts/alice/logout")
    assert (status, field(answer["error"], "code")) == (409, "not-running")


async def test_what_an_account_waits_for_is_shown_and_its_answer_passed_on(host: Machine) -> None:
    process = await host.start("alice")
    question: JsonObject = {"id": "allow", "kind": "consent", "prompt": "it is\na risk", "digits": None}
    process.say(LoginState.PARKED, reason="it is a risk", input=question)
    _, account = await host.v1("GET", "accounts/alice")
    asked = obj(account["input"])
    assert str(text_from(asked.pop("prompt_text"))) == "it is a risk"
    assert asked == {**question, "prompt": "it is a risk"}
    assert (await host.v1("POST", "accounts/alice/input", {"id": "allow", "value": "no"}))[0] == 400
    answer: JsonObject = {"id": "allow", "value": "yes"}
    assert await host.v1("POST", "accounts/alice/input", answer) == (
        200,
        {"account": "alice", "id": "allow", "answered": True},
    )
    assert process.answers == [answer]
    odd: list[JsonValue] = ["yes", {"kind": "consent", "digits": "x"}, {"id": "allow", "kind": "?"}, 7]
    for told in odd:
        process.say(LoginState.PARKED, input=told)
        assert (await host.v1("GET", "accounts/alice"))[0] == 200
    process.say(LoginState.SCANNING, input=None)
    assert (await host.v1("GET", "accounts/alice"))[1]["input"] is None


async def test_who_is_bound_to_an_account_can_add_no_other(host: Machine) -> None:
    shown, made = minted("bound", Scope.CONTROL, ("alice",), None)
    TokenFile(host.paths.tokens_file).add(made)
    headers = {"Authorization": f"Bearer {shown}"}
    for name, status in (("bob", 403), ("alice", 201)):
        async with host.http.post("/v1/accounts", json={"name": name}, headers=headers) as answer:
            assert answer.status == status
    assert AccountFiles(host.paths).instances() == ["alice"]


async def test_whether_systemd_does_what_it_is_asked_to_is_tried_on_nobody(host: Machine) -> None:
    await host.start("alice")
    assert await host.v1("GET", "health/units") == (200, {"may_act": True, "reason": None})
    assert host.units.calls[-1] == "stop wxclient@x-aaaaaaaaaaaaaaa.service"
    assert "alice" in host.units.processes
    host.units.forbidden = "Interactive authentication required"
    _, told = await host.v1("GET", "health/units")
    assert told == {"may_act": False, "reason": "a unit: stop failed: Interactive authentication required"}
