"""The checks of the contract in each state, and of what is no call at all."""

from collections.abc import Callable, Iterable, Mapping

import pytest

from tests.contract.document import Row, covers
from tests.system.actors import Json, until
from tests.system.contract_arguments import arguments, strange
from tests.system.contract_checks import Request, documented, requests, succeeded, success
from tests.system.contract_errors import NOBODY, UNREADABLE, UPSTREAM
from tests.system.contract_world import (
    LOGGED_OUT,
    LONG_POLL,
    WITH_PROCESS,
    Account,
    Answer,
    Form,
    Pairs,
    State,
    Way,
    World,
    path_of,
)

NOT_RUNNING, NO_ANSWER, TOO_FREQUENT = -3, 7, 1205
_ALWAYS, _WAITS = "get_client_info", "check_event"
# What is remembered of the session before is told until the next one is there.
_FROM_MEMORY = ("get_user_info", "get_friend_info", "get_group_info", "get_group_basic_info")
_SEARCHES = {"search_friend": "get_friend_info", "search_group": "get_group_basic_info"}
# Of an answer or a request that the account has to hear of, and of a message that has to be sent first.
_NEEDS_NEWS = frozenset({"consult", "accept_friend_request", "revoke_message"})


def logged_out(world: World, state: State, request: Request) -> None:
    """Nobody is logged in: code -3, the state and the reason, at once."""
    row, account = request.row, world.accounts[state]
    if state is State.RELOGIN and row.call in (*_FROM_MEMORY, *_SEARCHES):
        _told_from_memory(world, account, request)
        return
    if state is State.RELOGIN and row.content_type:
        known = [("id", world.direct(account, "get_friend_info")[0]["id"])]
        answer = world.ask(account, request.way, request.form, row.path, known)
        assert (answer.status, answer.body) == (503, b"")
        return
    answer = world.ask(account, request.way, request.form, row.path, list(strange(row).items()))
    assert (answer.status, answer.content_type) == (200, "application/json"), answer
    if request.form is Form.HEAD:
        assert answer.body == b""
        return
    found = answer.json
    assert found["state"] == state.word
    if row.call == _ALWAYS:
        covers(found, row.example)
    else:
        assert found["code"] == NOT_RUNNING
        assert found["status"].startswith("client not running: "), found


def _told_from_memory(world: World, account: Account, request: Request) -> None:
    row, given = request.row, list[tuple[str, str]]()
    if row.call in _SEARCHES:
        given.append(("id", world.direct(account, _SEARCHES[row.call])[0]["id"]))
    answer = world.ask(account, request.way, request.form, row.path, given)
    succeeded(row, request.form, answer)
    if request.form is not Form.HEAD:
        covers(answer.json, row.example)


def sending(world: World, request: Request) -> None:
    """WeChat keeps a message of the account waiting: everything else goes on."""
    row, account = request.row, world.accounts[State.SENDING]
    if "async" in row.parameter_names:
        given = {**arguments(world, account, row), "async": "1"}
        answer = world.ask(account, request.way, request.form, row.path, list(given.items()))
        succeeded(row, request.form, answer)
    elif row.call in ("revoke_message", "consult"):  # of what is sent: with something that is not
        pairs = [*strange(row).items(), *([("id", "1:filehelper")] if row.call == "revoke_message" else [])]
        answer = world.ask(account, request.way, request.form, row.path, pairs)
        if request.form is not Form.HEAD:
            documented(row, answer)
            assert answer.code != 0
    else:
        success(world, account, request)


def offline(world: World, request: Request) -> None:
    """WeChat says "too frequent" to who asks for news: sends wait for better times, what needs no news works."""
    row, account = request.row, world.accounts[State.OFFLINE]
    if row.call in _NEEDS_NEWS:
        answer = world.ask(account, request.way, request.form, row.path, list(strange(row).items()))
        if request.form is not Form.HEAD:
            documented(row, answer)
            assert answer.code != 0
    elif "async" in row.parameter_names:
        given = {**arguments(world, account, row), "async": "1"}
        succeeded(row, request.form, world.ask(account, request.way, request.form, row.path, list(given.items())))
    else:
        success(world, account, request)


def held_back(world: World, row: Row) -> None:
    """The first send of an account that WeChat finds too frequent is refused, by WeChat's code, without a try."""
    account = world.accounts[State.OFFLINE]
    given = list(arguments(world, account, row).items())
    answer = world.ask(account, Way.CONTROLLER, Form.GET, row.path, given)
    assert (answer.code, answer.json["status"]) == (TOO_FREQUENT, "unknown error")
    assert "too frequent" in answer.json["reason"]


def without_process(world: World, state: State, request: Request, method: str = "") -> None:
    """Nobody is there: through the controller a clear word, at the port nothing."""
    account, row = world.accounts[state], request.row
    if request.way is Way.DIRECT:
        with pytest.raises(ConnectionRefusedError):
            world.ask(account, request.way, request.form, row.path, method=method)
        return
    pairs = list(strange(row).items())
    answer = world.ask(account, request.way, request.form, row.path, pairs, method=method)
    assert answer.content_type == "application/json"
    wanted = state in (State.INIT, State.DOWN)
    assert answer.status == (502 if wanted else 200)
    if request.form is Form.HEAD:
        assert answer.body == b""
    elif wanted:
        found = answer.json
        assert (found["code"], found["client"], found["state"]) == (NO_ANSWER, account.name, state.word)
    else:
        assert answer.json == {"code": 1, "status": "client not exists"}


def options(world: World, state: State, row: Row, way: Way, headers: Mapping[str, str]) -> None:
    """A preflight is answered by the account, in every state that has one, and lets no page in."""
    if state not in WITH_PROCESS:
        without_process(world, state, Request(row, way, Form.GET), method="OPTIONS")
        return
    answer = world.ask(world.accounts[state], way, Form.GET, path_of(row), method="OPTIONS")
    assert (answer.status, answer.body) == (200, b""), answer
    for name, value in headers.items():
        if name != "Access-Control-Allow-Origin":  # 5.3 no. 43
            assert answer.headers[name] == value


def no_such_method(world: World, row: Row, way: Way, method: str) -> None:
    """Methods that no call has."""
    answer = world.ask(world.running, way, Form.GET, row.path, method=method)
    assert (answer.status, answer.body) == (403, b"api not found")


def no_such_path(world: World, way: Way, method: str, path: str) -> None:
    """What is no call: outside of /openwx/ the controller says so, inside it the account."""
    inside = way is Way.DIRECT or (path.startswith("/openwx/") and path != "/openwx/")
    answer = world.ask(world.running if inside else NOBODY, way, Form.GET, path, method=method)
    if inside and method == "OPTIONS":
        assert (answer.status, answer.body) == (200, b"")
        return
    expected = b"api not found" if inside else b'{"code":-1,"status":"api not found"}'
    assert answer.status == 403
    assert answer.content_type == ("text/html;charset=UTF-8" if inside else "application/json")
    assert answer.body == (b"" if method == "HEAD" else expected)


def without_client(world: World, request: Request, name: str | None) -> None:
    """Through the controller, without a client or with one that nobody knows."""
    pairs: list[tuple[str, str]] = [] if name is None else [("client", name)]
    answer = world.ask(NOBODY, Way.CONTROLLER, request.form, request.row.path, pairs)
    assert (answer.status, answer.content_type) == (200, "application/json")
    if request.form is not Form.HEAD:
        status = "client not found" if name in (None, "", "0") else "client not exists"
        assert answer.json == {"code": 1, "status": status}


def begin_waiting(world: World, long_poll: Row, rows: Iterable[Row]) -> None:
    """Begin what takes its time, so that everything else is done meanwhile."""

    def ask(account: Account, way: Way, path: str, given: Pairs, form: Form = Form.GET) -> Callable[[], Answer]:
        return lambda: world.ask(account, way, form, f"/openwx/{path}", given, patience=LONG_POLL)

    for state in (*LOGGED_OUT, State.OFFLINE):
        for one in requests([long_poll]):
            work = ask(world.accounts[state], one.way, long_poll.call, (), one.form)
            world.waiting[f"{_WAITS} {state.label} {one}"] = world.later(work)
    for row in answered_with_garbage(rows):
        _send_to_garbage(world, row)
    quiet = world.friends(world.running)[-1]["username"]
    question = [("id", quiet), ("content", "are you there"), ("timeout", "16")]
    world.waiting["no reply"] = world.later(ask(world.running, Way.CONTROLLER, "consult", question))
    slow = world.accounts[State.SENDING]
    world.order("webwxsendmsg", "delay", 17, slow)
    message = [("id", "filehelper"), ("content", "slowly")]
    world.waiting["slow send"] = world.later(ask(slow, Way.CONTROLLER, "send_friend_message", message, Form.FORM))


def answered_with_garbage(rows: Iterable[Row]) -> list[Row]:
    """The rows that list it, each of which needs an account of its own."""
    return [row for row in rows if any(failure.when == UNREADABLE for failure in row.failures)]


def _send_to_garbage(world: World, row: Row) -> None:
    """By an account of its own: the queue rests for everybody who sends."""
    account = world.spare.pop()
    world.order(UPSTREAM.get(row.call, "webwxsendmsg"), "garbage", None, account)
    given = list(arguments(world, account, row).items())
    world.waiting[f"{UNREADABLE} {row.call}"] = world.later(
        lambda: world.ask(account, Way.CONTROLLER, Form.GET, row.path, given, patience=LONG_POLL)
    )


def no_event(world: World) -> None:
    """Without an event a long poll ends after 30 s."""
    polls = {name: waiting for name, waiting in world.waiting.items() if name.startswith(_WAITS)}
    assert polls
    for name, waiting in polls.items():
        answer = waiting.result(timeout=45)
        assert answer.status == 200
        assert answer.body == (b"" if "HEAD" in name else b"[]"), (name, answer)
        assert 29 < answer.seconds < 33, name


def stopped(world: World, state: State, request: Request) -> None:
    """An account's own stop: the answer, three seconds in which it goes on, and the end; it is still wanted."""
    account, row = world.accounts[state], request.row
    pid = world.caller.account(account.name)["pid"]
    answer = world.ask(account, request.way, request.form, row.path)
    succeeded(row, request.form, answer)
    if request.form is not Form.HEAD:
        covers(answer.json, row.example)
        assert (answer.json["account"], answer.json["pid"]) == (account.name, pid)
        assert answer.json["status"] == f"success, client({pid}) will stop in 3 seconds"
    assert world.direct(account, _ALWAYS)["pid"] == pid

    def ended() -> Json:
        found = world.caller.account(account.name)
        return found if found["pid"] != pid else None

    # What is queued goes out first, in 15 s at most (stop_drain).
    found = until(ended, 30, f"the end of {account.name}")
    assert (found["unit_state"] in ("inactive", "absent"), found["desired"]) == (True, "started"), found
    assert world.caller.state(account.name) == "stop"
