"""The checks of the controller's own four calls, generated from their rows."""

from collections.abc import Callable, Mapping

from tests.contract.document import Parameter, Row, covers
from tests.system.contract_arguments import argument
from tests.system.contract_checks import How
from tests.system.contract_errors import NOBODY
from tests.system.contract_world import Account, Answer, Form, Pairs, State, Way, World
from wxcontroller.core.jsontypes import JsonValue, items, obj

_AWKWARD = "é安_文"
# Options that a start takes, and what is no option: refused by name (no. 45).
_ANY = ("send_interval", "2")
_BAD_OPTION = 6
_EITHER = frozenset({"log_console", "disable_color"})


def ask(world: World, row: Row, form: Form, pairs: Pairs) -> Answer:
    answer = world.ask(NOBODY, Way.CONTROLLER, form, row.path, pairs)
    assert answer.status == 200, answer
    return answer


def success(world: World, row: Row, form: Form) -> None:
    """The example's fields and types, and the effect."""
    account = _ACCOUNTS[row.call](world)
    answer = ask(world, row, form, [("client", account)])
    for name, value in row.headers.items():
        assert answer.headers[name] == value
    if row.content_type:
        assert answer.content_type == row.content_type
        assert form is Form.HEAD or answer.body.startswith(b"\xff\xd8")
    else:
        assert answer.content_type == "application/json"
        if form is not Form.HEAD:
            covers(_told(answer.json), _told(row.example))
            assert answer.code == 0
    _EFFECTS.get(row.call, _nothing)(world, account)


def _told(value: JsonValue) -> JsonValue:
    """Without options that are told as they are kept, as numbers or text (openwx-api 4.4)."""
    states = [obj(one) for one in items(obj(value).get("client"))]
    if not states:
        return value
    kept: list[JsonValue] = [{k: v for k, v in one.items() if k not in _EITHER} for one in states]
    return {**obj(value), "client": kept}


def parameter(world: World, row: Row, parameter: Parameter, how: How) -> None:
    """A parameter in some manner: it works, or the answer is a documented one."""
    given = {"client": _ACCOUNTS[row.call](world)}
    name = parameter.name
    if name == "*":
        name, value = _ANY
    else:
        value = str(argument(world, Account(given["client"], State.STOPPED), parameter))
    given[name] = given.get(name, value)
    before: list[tuple[str, str]] = [(name, "nobody")] if how is How.REPEATED else []
    if how is How.EMPTY:
        given[name] = ""
    elif how is How.NON_ASCII:
        given[name] = world.unique(_AWKWARD)
    elif how is How.LEFT_OUT:
        del given[name]
    answer = ask(world, row, Form.GET, [*before, *given.items()])
    try:
        if row.content_type and answer.content_type == row.content_type:
            return
        assert answer.content_type == "application/json"
        assert answer.code in row.codes | {0, _BAD_OPTION}, answer
        if how in (How.GIVEN, How.REPEATED):
            assert answer.code == 0, answer
        if how is How.LEFT_OUT:
            assert answer.code != 0, answer
        if row.call == "start_client" and answer.code == 0:
            assert {key: answer.json[key] for key in given} == given
    finally:
        if row.call == "start_client" and answer.code == 0:
            world.caller.openwx("stop_client", client=given["client"])


def unknown_option(world: World, row: Row) -> None:
    """What is no option is refused by name, and nothing starts."""
    client = world.unique("refused")
    answer = ask(world, row, Form.GET, [("client", client), ("load", "ShowMsg")])
    assert answer.code == _BAD_OPTION
    assert "load" in answer.json["status"]
    assert world.caller.openwx("check_client", client=client)["code"] == 1


def in_state(world: World, row: Row, state: State) -> None:
    """What each of the calls that only look says of an account in some state."""
    account = world.accounts[state]
    answer = world.ask(account, Way.CONTROLLER, Form.GET, row.path)
    head = world.ask(account, Way.CONTROLLER, Form.HEAD, row.path)
    assert (head.status, head.content_type, head.body) == (answer.status, answer.content_type, b"")
    if state in (State.STOPPED, State.UNKNOWN):
        assert (answer.status, answer.json) == (200, {"code": 1, "status": "client not exists"})
    elif row.call == "check_client":
        [found] = answer.json["client"]
        assert (found["account"], found["state"], found["port"]) == (account.name, state.word, account.port)
        [example] = items(obj(_told(row.example))["client"])
        assert set(obj(example)) <= set(found)
        if found["pid"] is not None:
            covers(found, example)
    elif row.call == "get_qrcode":
        there = state in (State.SCANING, State.CONFIRMING, State.RELOGIN)
        assert (answer.status, bool(answer.body)) == ((200, True) if there else (404, False))
        assert answer.content_type == (row.content_type if there else "text/html;charset=UTF-8")
    else:
        assert (answer.json["code"], answer.json["status"]) == (0, "client already exists"), answer
        covers(answer.json, row.example)


def _started(world: World) -> str:
    name = world.unique("fresh")
    assert world.caller.openwx("start_client", client=name)["code"] == 0
    return name


def _is_up(world: World, name: str) -> None:
    assert world.caller.account(name)["unit_state"] == "active"
    world.caller.openwx("stop_client", client=name)


def _is_gone(world: World, name: str) -> None:
    assert world.caller.account(name)["unit_state"] in ("inactive", "absent")


def _nothing(world: World, name: str) -> None: ...


_ACCOUNTS: Mapping[str, Callable[[World], str]] = {
    "start_client": lambda world: world.unique("fresh"),
    "stop_client": _started,
    "get_qrcode": lambda world: world.accounts[State.SCANING].name,
    "check_client": lambda world: world.running.name,
}
_EFFECTS: Mapping[str, Callable[[World, str], None]] = {"start_client": _is_up, "stop_client": _is_gone}
