"""The contract on the installed product and real systemd, with the sandbox for WeChat: each call, once either way.

Parameters, errors, forms and methods are tried in process (tests/contract), over a scripted route to WeChat. Here are
what that leaves out: that each call does at WeChat what it says, through the controller and at the account's port.
"""

import json
import re
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from tests.contract.document import Row, covers, rows
from tests.system.contract_arguments import Given, arguments
from tests.system.contract_effects import EFFECTS
from tests.system.contract_world import Account, Answer, Way, World, made
from tests.system.host import Host
from wxcontroller.core.jsontypes import JsonValue, field, items, obj, text

pytestmark = pytest.mark.system
ROWS = [row for row in rows() if not row.is_rule]
CALLS = [row for row in ROWS if row.scope == "client" and row.call != "stop_client"]
EVERY_CALL = sorted({row.path for row in ROWS})
_SIGNATURES = (b"\xff\xd8", b"\x89PNG", b"GIF8")
# Options that are told as they are kept, as numbers or text (openwx-api 4.4).
_EITHER = frozenset({"log_console", "disable_color"})


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    with made(host) as world:
        yield world


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row.call)
def test_each_call_succeeds_and_does_what_it_says(world: World, row: Row) -> None:
    account = world.running
    for way in Way:
        given = arguments(world, account, row)
        answer = perform(world, account, row, way, given)
        assert answer.status == 200, answer
        if row.content_type:
            assert answer.content_type.startswith("image/")
            assert answer.body.startswith(_SIGNATURES)
        elif row.call == "check_event":
            covers([one for one in answer.json if one["post_type"] == "event"][:1], row.example)
        else:
            assert (answer.content_type, answer.code) == ("application/json", 0)
            covers(answer.json, row.example)
            _says(answer.json, row.example)
        if row.call in EFFECTS:
            EFFECTS[row.call](world, account, given, answer)


def perform(world: World, account: Account, row: Row, way: Way, given: Given) -> Answer:
    """Do a request, with the far side doing what is to be answered or told."""
    ask = partial(world.ask, account, way, row.path, list(given.items()))
    if row.call == "check_event":
        drain(world, account)
        waiting = world.later(ask)
        body = {"from": world.unique("新朋友"), "kind": "friend_request", "text": "你好"}
        world.phone.call("POST", f"/accounts/{account.uin}/receive", body)
        return waiting.result()
    if row.call != "consult":
        return ask()
    over = threading.Event()
    replying = world.later(partial(_reply, world, account, str(given["content"]), over))
    try:
        return ask()
    finally:
        over.set()
        replying.result()


def drain(world: World, account: Account) -> None:
    """Take all events that there are."""
    last = world.unique("the last news ")
    world.phone.write(account.uin, "filehelper", last)
    while last not in [event.get("content") for event in world.direct(account, "check_event")]:
        pass


def _reply(world: World, account: Account, content: str, over: threading.Event) -> None:
    """Wait for a question and answer it, unless it is over before."""
    while not over.wait(0.02):
        for one in world.phone.sent(account.uin, account.sent, seconds=0):
            if one["text"] == content:
                body = {"from": one["to_username"], "text": f"re: {content}"}
                world.phone.call("POST", f"/accounts/{account.uin}/receive", body)
                return


def _says(found: JsonValue, example: JsonValue) -> None:
    """The words of a success: the example's; where it has null, a success's (5.1 no. 3)."""
    if isinstance(example, dict) and "status" in example:
        wanted = re.escape(text(example["status"]) or "success")
        assert re.fullmatch(re.sub(r"[0-9]+", "[0-9]+", wanted), text(field(found, "status"))), (found, example)


def test_who_is_not_logged_in_is_told_so_by_each_call(world: World) -> None:
    account = Account("scans-never")
    account.port = world.caller.openwx("start_client", client=account.name)["port"]
    world.caller.until_state(account.name, "scaning")
    for row in CALLS:
        if row.call in ("get_client_info", "check_event"):
            continue
        required = {each.name for each in row.parameters if each.required}
        given = dict.fromkeys(required | row.parameter_names & {"id", "content", "media_data"}, "x")
        for way in Way:
            answer = world.ask(account, way, row.path, list(given.items()))
            assert (answer.status, answer.code, answer.json.get("state")) == (200, -3, "scaning"), (row.call, way)
    world.caller.openwx("stop_client", client=account.name)


@pytest.mark.parametrize("name", ["", "nobody", "没有人"])
def test_without_a_known_client(world: World, name: str) -> None:
    wanted = {"code": 1, "status": "client not exists"}
    for path in EVERY_CALL:
        if path == "/openwx/start_client" or (not name and path == "/openwx/check_client"):
            continue
        answer = world.ask(Account(name), Way.CONTROLLER, path)
        assert answer.status == 200
        assert answer.json["code"] == 1, (path, answer)
        assert name == "" or answer.json == wanted, (path, answer)


@pytest.mark.parametrize("way", Way, ids=lambda way: way.name.lower())
def test_a_page_may_ask_before_it_calls_but_reads_no_answer(world: World, way: Way) -> None:
    [rule] = [each for each in rows() if each.methods == ("OPTIONS",)]
    for row in CALLS:
        answer = world.ask(world.running, way, row.path, method="OPTIONS")
        assert (answer.status, answer.body.decode()) == (200, rule.example), row.call
        assert {name: answer.headers[name] for name in rule.headers if name != "Access-Control-Allow-Origin"} == {
            name: value for name, value in rule.headers.items() if name != "Access-Control-Allow-Origin"
        }


@pytest.mark.parametrize("way", Way, ids=lambda way: way.name.lower())
def test_what_is_no_path_or_method(world: World, way: Way) -> None:
    for path in ("/openwx/no_such_call", "/openwx/get_user_info/more"):
        answer = world.ask(world.running, way, path)
        assert (answer.status, answer.body) == (403, b"api not found"), path
    for method in ("PUT", "DELETE", "PATCH"):
        answer = world.ask(world.running, way, "/openwx/get_user_info", method=method)
        assert (answer.status, answer.body) == (403, b"api not found"), method


@pytest.mark.parametrize("way", Way, ids=lambda way: way.name.lower())
def test_jsonp_is_for_accounts_that_the_admin_allows_it(world: World, way: Way) -> None:
    given = [("datatype", "jsonp"), ("callback", "got.it")]
    answer = world.ask(world.jsonp, way, "/openwx/get_user_info", given)
    assert answer.content_type == "application/javascript"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(answer.body.removeprefix(b"got.it(").removesuffix(b")"))["name"] == world.jsonp.name
    assert world.ask(world.running, way, "/openwx/get_user_info", given).json["name"] == world.running.name


def test_the_controllers_own_calls_from_start_to_stop(world: World) -> None:
    own = {row.call: row for row in ROWS if row.scope == "controller"}
    account = Account("shop01")

    def ask(call: str, method: str = "") -> Answer:
        return world.ask(account, Way.CONTROLLER, f"/openwx/{call}", method=method)

    started = ask("start_client")
    covers(started.json, own["start_client"].example)
    assert (started.json["code"], started.json["status"]) == (0, "success")
    assert world.caller.account(account.name)["unit_state"] == "active"
    again = ask("start_client")
    assert (again.json["code"], again.json["status"]) == (0, "client already exists")
    world.caller.until_state(account.name, "scaning")
    checked = ask("check_client")
    covers(_told(checked.json), _told(own["check_client"].example))
    code = ask("get_qrcode")
    assert (code.content_type, code.body[:2]) == (own["get_qrcode"].content_type, b"\xff\xd8")
    for call in ("check_client", "get_qrcode"):
        head = ask(call, "HEAD")
        assert (head.status, head.content_type, head.body) == (200, ask(call).content_type, b"")
    stopped = ask("stop_client")
    covers(stopped.json, own["stop_client"].example)
    assert (stopped.json["code"], stopped.json["port"]) == (0, started.json["port"])
    for call in ("stop_client", "check_client", "get_qrcode", "get_user_info"):
        assert ask(call).json == {"code": 1, "status": "client not exists"}


def _told(value: JsonValue) -> JsonValue:
    """Return an answer of check_client without options that are numbers or text."""
    kept: list[JsonValue] = [
        {k: v for k, v in obj(one).items() if k not in _EITHER} for one in items(field(value, "client"))
    ]
    return {**obj(value), "client": kept}


def test_an_account_is_ended_by_its_own_stop(world: World) -> None:
    account = world.jsonp
    answer = world.ask(account, Way.DIRECT, "/openwx/stop_client")
    assert (answer.status, answer.code) == (200, 0)
    world.caller.until_state(account.name, "stop")


def test_wechat_saw_no_breach_of_the_protocol(world: World) -> None:
    for account in (world.running, world.jsonp):
        assert world.phone.call("GET", f"/requests?uin={account.uin}")["violations"] == []
