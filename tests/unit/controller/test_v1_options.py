"""/v1: adding an account, its options, logging out."""

from dataclasses import replace

from tests.unit.controller.machine import Machine
from wxcontroller.core.access import Scope
from wxcontroller.core.accountfiles import AccountFiles
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, obj
from wxcontroller.core.messages import text_from
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


async def test_an_option_with_two_names_is_shown_alike_under_both(host: Machine) -> None:
    await host.v1("POST", "accounts", {"name": "alice", "options": {"post_event": False}})
    _, shown = await host.v1("GET", "accounts/alice/options")
    for name in ("post_event", "plugin_openwx_post_event"):
        assert obj(shown["options"])[name] == {"value": "0", "in_force": None, "default": "1", "from": "request"}
