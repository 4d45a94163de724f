"""Every listed error, made to happen. A row's error that is new here fails until it has a scene or an explanation."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tests.contract.document import Failure, Row, shape
from tests.system.actors import Json
from tests.system.contract_arguments import arguments
from tests.system.contract_world import Account, Answer, Form, Pairs, State, Way, World, path_of
from wxcontroller.core.jsontypes import JsonValue

Scene: TypeAlias = Callable[[World, Row, Way, Form], Answer]
SETTINGS = "/etc/wxcontroller/wxcontroller.toml.d/zz-limits.toml"
NOBODY = Account("", State.UNKNOWN)
# A value of the caller or of the moment, not of the contract.
_FREE = frozenset({"id", "displayname", "ticket", "pid", "port", "account", "client", "group_id", "media_id"})


@dataclass(frozen=True)
class Instead:
    """What is answered where we differ on purpose, and why (docs/compatibility.md)."""

    why: str
    status: int = 200
    body: JsonValue = None


INSTEAD: Mapping[str, Instead] = {
    "a parameter that is not an attribute (original)": Instead("no. 46: attributes only", body={"code": 102}),
    "neither content nor media, or media_data alone (original)": Instead("no. 25", body={"code": -1}),
    "text still queued after 15 s (original); the message is sent later": Instead(
        "no. 64: answered up to 100 s", body={"code": 0, "status": "success"}
    ),
    "no reply and timeout above 15 s (original)": Instead(
        "no. 73: the timeout holds", body={"code": 0, "reply": None, "reply_status": "reply timeout"}
    ),
    "media URL cannot be fetched (original)": Instead(
        "answered like any failure", body={"media_id": None, "code": -1, "status": "invaild media_path"}
    ),
    "id malformed or upstream refuses (code 0 in the original)": Instead(
        "no. 23: not 0", body={"code": -1, "status": "revoke failure"}
    ),
    "new_displayname missing or falsy: the original's process exits": Instead("no. 56", body={"code": -1}),
    "client process refuses, dies or times out (120 s)": Instead("no. 22", 502, {"code": 7, "state": "stop"}),
}
# What can't be made to happen, or is looked at elsewhere.
ELSEWHERE: Mapping[str, str] = {
    "auth hook refuses": "no functions in settings",
    "spawn failed (Windows)": "no Windows",
    "pid not numeric": "systemd starts the process",
    "signal could not be sent": "systemd stops units",
    "client blocked: loading, scaning, confirming, updating, re-login, or inside a blocking call": "checks of states",
    "POST or another method": "no. 1: POST is taken, a success; other methods have a check",
    "no event within 30 s": "the requests that wait",
    "a second waiter (original)": "no. 33: test_each_waiter_gets_the_event",
    "the path /": "no. 54: test_the_path_with_nothing",
}
# Five tries, and the queue rests between them.
UNREADABLE = "upstream answer unreadable"
# The endpoint of WeChat that a call ends in.
UPSTREAM = {
    "create_group": "webwxcreatechatroom",
    "invite_friend": "webwxupdatechatroom",
    "kick_group_member": "webwxupdatechatroom",
    "set_group_displayname": "webwxupdatechatroom",
    "stick": "webwxoplog",
    "set_markname": "webwxoplog",
    "set_friend_markname": "webwxoplog",
    "make_friend": "webwxverifyuser",
    "accept_friend_request": "webwxverifyuser",
    "revoke_message": "webwxrevokemsg",
    "send_friend_message": "webwxsendmsg",
    "send_group_message": "webwxsendmsg",
}


def check(answer: Answer, failure: Failure) -> None:
    """The answer is the documented one, or what stands in its place. Raises AssertionError."""
    instead = INSTEAD.get(failure.when)
    status, body = (instead.status, instead.body) if instead else (failure.status, failure.body)
    assert answer.status == status, answer
    if isinstance(body, str):
        assert answer.body.decode() == body
        return
    assert answer.content_type == "application/json"
    if not isinstance(body, dict):
        assert answer.json == body
        return
    alike(answer.json, body)


def alike(found: Json, body: JsonValue) -> None:
    """The fields of a documented body, with its values where they are the contract's. Raises AssertionError."""
    assert isinstance(body, dict)
    assert isinstance(found, dict)
    assert set(body) <= set(found), (found, body)
    for key, value in body.items():
        if key in _FREE:
            assert shape(found[key]) == shape(value), (key, found, body)
            assert not isinstance(value, str) or value.count(":") == found[key].count(":"), (key, found, body)
        elif isinstance(value, str) and "@x" in value:
            assert found[key] == value.replace("@x", "@nobody"), (key, found)
        else:
            assert found[key] == value, (key, found, body)


def plain(**values: str) -> Scene:
    """The call with some values replaced; "" leaves the parameter out."""

    def scene(world: World, row: Row, way: Way, form: Form) -> Answer:
        given = {**arguments(world, world.running, row), **values}
        pairs = [(name, value) for name, value in given.items() if value != ""]
        return world.ask(world.running, way, form, row.path, pairs)

    return scene


def bare(*pairs: tuple[str, str]) -> Scene:
    """The call with these parameters and no others."""
    return lambda world, row, way, form: world.ask(world.running, way, form, row.path, pairs)


def broken(kind: str, value: JsonValue = None) -> Scene:
    """The call while WeChat's side of it is broken."""

    def scene(world: World, row: Row, way: Way, form: Form) -> Answer:
        given = arguments(world, world.running, row)
        with world.fault(world.running, UPSTREAM[row.call], kind, value):
            return world.ask(world.running, way, form, row.path, list(given.items()), patience=20)

    return scene


def known(name: str) -> Scene:
    """make_friend with somebody who is known."""

    def scene(world: World, row: Row, way: Way, form: Form) -> Answer:
        person = (
            world.side(world.running)["username"] if name == "me" else world.friends(world.running)[0]["username"]
        )
        return world.ask(world.running, way, form, row.path, [("id", person)])

    return scene


def no_picture(world: World, row: Row, way: Way, form: Form) -> Answer:
    """WeChat keeps the picture back: the call gives up after 3 s."""
    given = arguments(world, world.running, row)
    with world.fault(world.running, "webwxgeticon", "drop", 600):
        return world.ask(world.running, way, form, row.path, list(given.items()))


def too_large(world: World, row: Row, way: Way, form: Form) -> Answer:
    given: Pairs = [("id", str(arguments(world, world.running, row)["id"])), ("media_data", bytes(20971521))]
    return world.ask(world.running, way, Form.MULTIPART, row.path, given, patience=20)


def waited(name: str) -> Scene:
    """One of the requests that were begun with the world."""
    return lambda world, row, way, form: world.waiting[name].result(timeout=60)


def waited_for_call(name: str) -> Scene:
    """The same, of the row's call."""
    return lambda world, row, way, form: world.waiting[f"{name} {row.call}"].result(timeout=60)


def to_controller(name: str | None) -> Scene:
    """A call of the controller, or through it, for some client, or without one."""

    def scene(world: World, row: Row, way: Way, form: Form) -> Answer:
        pairs = [] if name is None else [("client", name)]
        return world.ask(NOBODY, Way.CONTROLLER, form, path_of(row), pairs)

    return scene


def of_account(state: State) -> Scene:
    """The same for the account in some state."""
    return lambda world, row, way, form: to_controller(world.accounts[state].name)(world, row, way, form)


def with_settings(content: str, name: str) -> Scene:
    def scene(world: World, row: Row, way: Way, form: Form) -> Answer:
        with _settings(world, content):
            return to_controller(name)(world, row, way, form)

    return scene


def unreadable(world: World, row: Row, way: Way, form: Form) -> Answer:
    """The state file of an account that does not write it just now."""
    name = world.accounts[State.PARKED].name
    path = f"/run/wxclient/{name}/mojo_weixin_state_{name}.json"
    content = world.host.read(path)
    world.host.run("sh", "-c", f"printf '{{' > {path}")
    try:
        return of_account(State.PARKED)(world, row, way, form)
    finally:
        world.host.run("sh", "-c", f"cat > {path}", input=content)


@contextlib.contextmanager
def _settings(world: World, content: str) -> Iterator[None]:
    world.host.write(SETTINGS, content.encode())
    world.host.run("systemctl", "reload", "wxcontroller")
    try:
        yield
    finally:
        world.host.run("rm", "-f", SETTINGS)
        world.host.run("systemctl", "reload", "wxcontroller")


_UNKNOWN_MEMBER = plain(members="@nobody")
SCENES: Mapping[str, Scene] = {
    "nothing found or no attribute given": bare(),
    "a parameter that is not an attribute (original)": bare(("set_markname", "x")),
    "object not found": plain(id="@nobody"),
    "no avatar, upstream error, not an image, or slower than 3 s": no_picture,
    "target not found": plain(id="@nobody"),
    "upstream refuses after 5 attempts": broken("retcode", 1201),
    UNREADABLE: waited_for_call(UNREADABLE),
    "media file missing": plain(content="", media_path="/no/such/file"),
    "media too large": too_large,
    "neither content nor media, or media_data alone (original)": plain(content=""),
    "text still queued after 15 s (original); the message is sent later": waited("slow send"),
    "no reply in time": plain(timeout="0.2"),
    "no reply and timeout above 15 s (original)": waited("no reply"),
    "any failure": bare(("media_path", "/no/such/file")),
    "media URL cannot be fetched (original)": bare(("media_path", "http://127.0.0.1:1/a.gif")),
    "id missing": bare(),
    "id malformed or upstream refuses (code 0 in the original)": broken("retcode", -2),
    "no friend id": plain(friends=" , "),
    "unknown friend id": plain(friends="@nobody"),
    "upstream refuses": broken("retcode", 1),
    "group not found": plain(id="@@nobody", group_id="@@nobody"),
    "no member id": plain(members=" , "),
    "unknown member id": _UNKNOWN_MEMBER,
    "new_displayname missing or falsy: the original's process exits": plain(new_displayname=""),
    "not found": plain(id="@nobody"),
    "own id": known("me"),
    "already a friend": known("friend"),
    "not a known member": plain(id="@nobody"),
    "unknown path or wrong method": lambda world, row, way, form: world.ask(
        world.running, way, form, "/openwx/no_such_call"
    ),
    "client missing": to_controller(None),
    "client missing or falsy": to_controller("0"),
    "not registered": to_controller("nobody"),
    "client given and not registered": to_controller("nobody"),
    "already running (not an error)": of_account(State.RUNNING),
    "more clients registered than max_clients (tested before the duplicate check)": with_settings(
        "max_clients = 1\n", "one-more"
    ),
    "no free port": with_settings("backend_start_port = 3000\nbackend_end_port = 3000\n", "one-more"),
    "no QR file at the moment": of_account(State.RUNNING),
    "a state file cannot be read or parsed": unreadable,
    "client process refuses, dies or times out (120 s)": of_account(State.DOWN),
    "any other non-empty path": to_controller(None),
}
# One request is enough: they are slow, or change the settings.
ONCE = frozenset(
    {no_picture, too_large, unreadable, SCENES[UNREADABLE]}
    | {scene for when, scene in SCENES.items() if "max_clients" in when or "port" in when or "15 s" in when}
)
