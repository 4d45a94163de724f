"""The checks of the contract, generated from its rows: what is asked, and what must be true of the answer."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import pytest

from tests.contract.document import Failure, Parameter, Row, covers
from tests.system import contract_errors as errors
from tests.system.contract_arguments import FILMS, Given, arguments, film, placeholder, strange
from tests.system.contract_effects import EFFECTS
from tests.system.contract_world import (
    LOGGED_OUT,
    LONG_POLL,
    PROMPT,
    Account,
    Answer,
    Form,
    Pairs,
    State,
    Way,
    World,
    path_of,
)

# Ends what all others need: the last checks.
LAST = "stop_client"
_ALWAYS = "get_client_info"
# A character of each length in UTF-8, and those that percent-encoding is for.
_AWKWARD = "é安🙂 &=+%/"
# Called required, but in truth repeated in the answer only (openwx-api 2.5).
_ONLY_ECHOED = frozenset({("accept_friend_request", "displayname")})
_HEARS_FIRST = frozenset({"consult", "accept_friend_request"})
_SIGNATURES = (b"\xff\xd8", b"\x89PNG", b"GIF8")
NOT_RUNNING = -3


class How(Enum):
    """How a parameter is sent."""

    GIVEN = "given"
    REPEATED = "repeated"
    EMPTY = "empty"
    NON_ASCII = "beyond ASCII"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Request:
    """One way to ask a row something."""

    row: Row
    way: Way
    form: Form

    def __str__(self) -> str:
        return f"{self.row.path} {self.form.value} {self.way.value}"


def own_calls(rows: Iterable[Row]) -> list[Row]:
    """The accounts' calls, without rules and without the one that ends them."""
    return [row for row in rows if row.scope == "client" and not row.is_rule and row.call != LAST]


def forms(row: Row) -> list[Form]:
    """Every form an account takes a call in: those of the row, and POST (5.1 no. 1)."""
    return [form for form in Form if form.method == "POST" or form.method in row.methods or "ANY" in row.methods]


def requests(rows: Iterable[Row]) -> Iterator[Request]:
    """Every call in every form, both ways."""
    for row in rows:
        for way in Way:
            for form in forms(row):
                yield Request(row, way, form)


def parameters(rows: Iterable[Row]) -> Iterator[tuple[Row, Parameter, How, str]]:
    """Every parameter in every manner; the last is the value where the row lists several."""
    for row in rows:
        for parameter in row.parameters:
            for how in How:
                if how is not How.LEFT_OUT or parameter.required:
                    yield row, parameter, how, ""
            if "|" in parameter.type:
                for value in parameter.type.split("|"):
                    yield row, parameter, How.GIVEN, value


def failures(rows: Iterable[Row]) -> Iterator[tuple[Row, Failure]]:
    """Every listed error that is not looked at elsewhere."""
    for row in rows:
        for failure in row.failures:
            if failure.when not in errors.ELSEWHERE:
                yield row, failure


def some(row: Row, ways: list[tuple[Way, Form]]) -> list[tuple[Way, Form]]:
    """Fewer of ``ways`` where the account has to hear of something first, which it does at its own pace."""
    return ways[::5] if row.call in _HEARS_FIRST else ways


def perform(world: World, account: Account, request: Request, given: Given, before: Pairs = ()) -> Answer:
    """Do a request, with the far side answering what is to be answered; ``before`` is in the query, first."""

    def ask() -> Answer:
        return world.ask(
            account, request.way, request.form, request.row.path, list(given.items()), query=before, patience=PROMPT
        )

    if request.row.call == "check_event":
        world.phone.write(account.uin, "filehelper", world.unique("news "))
    if request.row.call != "consult":
        return ask()
    over = threading.Event()
    replying = world.later(lambda: _reply(world, account, str(given.get("content", "")), over))
    try:
        return ask()
    finally:
        over.set()
        replying.result(timeout=10)


def _reply(world: World, account: Account, content: str, over: threading.Event) -> None:
    """Wait for a question and answer it, unless it is over before."""
    while not over.wait(0.02):
        for one in world.phone.sent(account.uin, account.sent, seconds=0):
            if content and one["text"] == content:
                body = {"from": one["to_username"], "text": f"re: {content}"}
                world.phone.call("POST", f"/accounts/{account.uin}/receive", body)
                return


def success(world: World, account: Account, request: Request) -> None:
    """The least that makes the call succeed: the example's fields and types, and the effect."""
    row = request.row
    given = arguments(world, account, row)
    if row.call == "check_event":
        events(world, account, request)
        return
    answer = perform(world, account, request, given)
    _succeeded(row, request.form, answer)
    if request.form is not Form.HEAD and not row.content_type:
        covers(answer.json, row.example)
    _took_effect(world, account, row, given, answer)


def _succeeded(row: Row, form: Form, answer: Answer) -> None:
    assert answer.status == 200, answer
    for header, value in row.headers.items():
        assert value.startswith("now") or answer.headers.get(header) == value, (header, answer.headers)
        assert header in answer.headers
    if row.content_type:
        assert answer.content_type.startswith("image/"), answer
        assert form is Form.HEAD or answer.body.startswith(_SIGNATURES), answer
        return
    assert answer.content_type == "application/json"
    if form is Form.HEAD:
        assert answer.body == b""
    else:
        assert answer.code == 0, answer


def _took_effect(world: World, account: Account, row: Row, given: Given, answer: Answer) -> None:
    if effect := EFFECTS.get(row.call):
        effect(world, account, given, answer)


def events(world: World, account: Account, request: Request) -> None:
    """An event of the example's kind comes, in the example's form."""
    name = world.unique("朋友")
    world.phone.call("POST", f"/accounts/{account.uin}/befriend", {"who": name})
    while True:
        answer = world.ask(account, request.way, request.form, request.row.path, patience=10)
        _succeeded(request.row, request.form, answer)
        if request.form is Form.HEAD:
            return
        assert answer.json, "an event is missing"
        for event in answer.json:
            if event.get("event") == "new_friend" and event["params"][0]["name"] == name:
                covers([event], request.row.example)
                return


def drain(world: World, account: Account) -> None:
    """Take all events that there are."""
    last = world.unique("the last news ")
    world.phone.write(account.uin, "filehelper", last)
    while last not in [event.get("content") for event in world.direct(account, "check_event")]:
        pass


def parameter(
    world: World, account: Account, request: Request, parameter: Parameter, how: How, value: str = ""
) -> None:
    """A parameter in some manner: it works, or the answer is a documented one."""
    row, name = request.row, parameter.name
    given = arguments(world, account, row, parameter)
    before: Pairs = [(name, "@nobody")] if how is How.REPEATED else ()
    match how:
        case How.GIVEN | How.REPEATED:
            given.setdefault(name, placeholder(parameter))
            given[name] = value or given[name]
            if value in FILMS:
                given["media_data"] = film(world)
        case How.EMPTY:
            given[name] = ""
        case How.NON_ASCII:
            given[name] = world.unique(_AWKWARD)
        case How.LEFT_OUT:
            del given[name]
    answer = perform(world, account, request, given, before)
    if how in (How.GIVEN, How.REPEATED):
        _succeeded(row, request.form, answer)
    documented(row, answer)
    if how is How.LEFT_OUT:
        assert (answer.code != 0) != ((row.call, name) in _ONLY_ECHOED), answer
    if answer.status == 200 and (row.content_type or answer.code == 0):
        _took_effect(world, account, row, given, answer)


def documented(row: Row, answer: Answer) -> None:
    """The answer's status and code are among the row's."""
    assert answer.status in row.statuses, answer
    if answer.status != 200 or answer.content_type.startswith("image/"):
        return
    assert answer.content_type == "application/json"
    codes = row.codes | {0, -1}
    # Media that WeChat does not take are refused with a code of its own.
    assert answer.code in codes or "media_id" in row.parameter_names, answer


def failure(world: World, request: Request, failure: Failure) -> None:
    """A listed error, as it is documented."""
    scene = errors.SCENES.get(failure.when)
    assert scene, f"nothing makes this happen, contract_errors.py has no scene for it: {failure.when}"
    errors.check(scene(world, request.row, request.way, request.form), failure)


def logged_out(world: World, state: State, request: Request) -> None:
    """Nobody is logged in: code -3, the state and the reason, at once."""
    row, account = request.row, world.accounts[state]
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


def sending(world: World, request: Request) -> None:
    """WeChat keeps a message of the account waiting: everything else goes on."""
    row, account = request.row, world.accounts[State.SENDING]
    if "async" in row.parameter_names:
        given = {**arguments(world, account, row), "async": "1"}
        answer = world.ask(account, request.way, request.form, row.path, list(given.items()))
        _succeeded(row, request.form, answer)
    elif row.call == "revoke_message":
        documented(row, world.ask(account, request.way, Form.GET, row.path, [("id", "1:filehelper")]))
    else:
        success(world, account, request)


def offline(world: World, request: Request) -> None:
    """WeChat says "too frequent": what is known is told, what it refuses is a documented error."""
    row, account = request.row, world.accounts[State.OFFLINE]
    if row.parameters:
        answer = world.ask(account, request.way, request.form, row.path, list(strange(row).items()))
        if request.form is not Form.HEAD:
            documented(row, answer)
    else:
        answer = world.ask(account, request.way, request.form, row.path)
        _succeeded(row, request.form, answer)
        if request.form is not Form.HEAD:
            covers(answer.json, row.example)


def without_process(world: World, state: State, request: Request) -> None:
    """Nobody is there: through the controller a clear word, at the port nothing."""
    account = world.accounts[state]
    if request.way is Way.DIRECT:
        with pytest.raises(ConnectionRefusedError):
            world.ask(account, request.way, request.form, request.row.path)
        return
    answer = world.ask(account, request.way, request.form, request.row.path, list(strange(request.row).items()))
    assert answer.content_type == "application/json"
    assert answer.status == (502 if state is State.DOWN else 200)
    if request.form is Form.HEAD:
        assert answer.body == b""
    elif state is State.DOWN:
        found = answer.json
        assert (found["code"], found["client"], found["state"]) == (7, account.name, "stop")
    else:
        assert answer.json == {"code": 1, "status": "client not exists"}


def jsonp(world: World, request: Request, account: Account) -> None:
    """``datatype=jsonp``: wrapped where the admin allows it, otherwise as if it were not there."""
    row, is_on = request.row, account is world.jsonp
    given = arguments(world, account, row)
    answer = perform(world, account, request, given, [("datatype", "jsonp"), ("callback", "got.it")])
    if row.content_type:
        _succeeded(row, request.form, answer)
        return
    content = answer.body
    if is_on:
        assert answer.content_type == "application/javascript"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if request.form is not Form.HEAD:
            assert content.startswith(b"got.it(")
            content = content.removeprefix(b"got.it(").removesuffix(b")")
    else:
        assert answer.content_type == "application/json"
    if request.form is not Form.HEAD:
        found = json.loads(content)
        if row.call != "check_event":
            covers(found, row.example)
        unwrapped = Answer(answer.status, answer.headers, content, answer.seconds)
        _took_effect(world, account, row, given, unwrapped)


def options(world: World, state: State, row: Row, way: Way, headers: Mapping[str, str]) -> None:
    """A preflight is answered by the account, in every state, and lets no page in."""
    answer = world.ask(world.accounts[state], way, Form.GET, path_of(row), method="OPTIONS")
    assert (answer.status, answer.body) == (200, b""), answer
    for name, value in headers.items():
        if name != "Access-Control-Allow-Origin":  # 5.3 no. 43
            assert answer.headers[name] == value


def no_such_method(world: World, row: Row, way: Way, method: str) -> None:
    """Methods that no call has."""
    answer = world.ask(world.running, way, Form.GET, row.path, method=method)
    assert (answer.status, answer.body) == (403, b"api not found")


def without_client(world: World, request: Request, name: str | None) -> None:
    """Through the controller, without a client or with one that nobody knows."""
    pairs: list[tuple[str, str]] = [] if name is None else [("client", name)]
    answer = world.ask(errors.NOBODY, Way.CONTROLLER, request.form, request.row.path, pairs)
    assert (answer.status, answer.content_type) == (200, "application/json")
    if request.form is not Form.HEAD:
        status = "client not found" if name in (None, "", "0") else "client not exists"
        assert answer.json == {"code": 1, "status": status}


def begin_waiting(world: World) -> None:
    """Begin what takes its time, so that everything else is done meanwhile."""

    def ask(account: Account, way: Way, path: str, given: Pairs, form: Form = Form.GET) -> Callable[[], Answer]:
        return lambda: world.ask(account, way, form, f"/openwx/{path}", given, patience=LONG_POLL)

    for state in (*LOGGED_OUT, State.OFFLINE):
        for way in Way:
            name = f"{state.label} {way.value}"
            world.waiting[name] = world.later(ask(world.accounts[state], way, "check_event", ()))
    quiet = world.friends(world.running)[-1]["username"]
    question = [("id", quiet), ("content", "are you there"), ("timeout", "16")]
    world.waiting["no reply"] = world.later(ask(world.running, Way.CONTROLLER, "consult", question))
    slow = world.accounts[State.SENDING]
    world.order("webwxsendmsg", "delay", 17, slow)
    message = [("id", "filehelper"), ("content", "slowly")]
    world.waiting["slow send"] = world.later(ask(slow, Way.CONTROLLER, "send_friend_message", message, Form.FORM))
