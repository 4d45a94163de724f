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
