"""The checks of the contract, generated from its rows: what is asked, and what must be true of the answer."""

import json
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from enum import Enum

from tests.contract.document import Failure, Parameter, Row, covers
from tests.system import contract_errors as errors
from tests.system.contract_arguments import FILMS, Given, arguments, film, picture, placeholder
from tests.system.contract_effects import EFFECTS
from tests.system.contract_world import PROMPT, Account, Answer, Form, Pairs, Way, World
from wxcontroller.core.jsontypes import JsonValue, field, text

# Ends what all others need: the last checks.
LAST = "stop_client"
# A character of each length in UTF-8, and those that percent-encoding is for.
_AWKWARD = "é安🙂 &=+%/"
# Called required, but in truth repeated in the answer only (openwx-api 2.5).
_ONLY_ECHOED = frozenset({("accept_friend_request", "displayname")})
_HEARS_FIRST = frozenset({"consult", "accept_friend_request"})
_SIGNATURES = (b"\xff\xd8", b"\x89PNG", b"GIF8")


# What else WeChat's web makes of a GIF that is called a picture, of sound, of a short film (docs/messages.md).
_SENT_AS = {"image": "emoticon", "3": "47", "voice": "file", "34": "6", "microvideo": "video", "62": "43"}


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
    taken = [form for form in Form if form is not Form.JSON]
    return [form for form in taken if form.method == "POST" or form.method in row.methods or "ANY" in row.methods]


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
    succeeded(row, request.form, answer)
    if request.form is not Form.HEAD and not row.content_type:
        covers(answer.json, row.example)
        _says(answer.json, row.example)
    took_effect(world, account, row, given, answer)


def _says(found: JsonValue, example: JsonValue) -> None:
    """The words of a success: the example's; where it has null, a success's (5.1 no. 3)."""
    if isinstance(example, dict) and "status" in example:
        wanted = re.escape(text(example["status"]) or "success")
        assert re.fullmatch(re.sub(r"[0-9]+", "[0-9]+", wanted), text(field(found, "status"))), (found, example)


def other_successes(rows: Iterable[Row]) -> Iterator[tuple[Row, str, JsonValue]]:
    """Every other success that a row lists: its case and its body."""
    for row in rows:
        for case, body in row.others.items():
            yield row, case, body


def other_success(world: World, account: Account, request: Request, case: str, body: JsonValue) -> None:
    """A case is a parameter with its value, or what is sent."""
    row = request.row
    given = arguments(world, account, row)
    name, is_parameter, value = case.partition("=")
    if is_parameter:
        given[name] = value
    else:
        assert case == "media", f"nothing makes this happen: {case}"
        del given["content"]
        given["media_data"] = picture(world)
    answer = perform(world, account, request, given)
    succeeded(row, request.form, answer)
    if request.form is not Form.HEAD:
        errors.alike(answer.json, body)
    took_effect(world, account, row, given, answer)


def json_holds_parameters(world: World, row: Row, way: Way) -> None:
    """The members of a JSON object are parameters (compatibility.md). Content is none of JSON's: it is bytes."""
    given = arguments(world, world.running, row)
    if not any(isinstance(value, bytes) for value in given.values()):
        success(world, world.running, Request(row, way, Form.JSON))


def succeeded(row: Row, form: Form, answer: Answer) -> None:
    assert answer.status == 200, answer
    now = parsedate_to_datetime(answer.headers["Date"])
    for header, value in row.headers.items():
        if value.startswith("now"):
            later = timedelta(hours=1 if value == "now+1h" else 0)
            assert abs(parsedate_to_datetime(answer.headers[header]) - now - later) < timedelta(seconds=2)
        else:
            assert answer.headers.get(header) == value, (header, answer.headers)
    if row.content_type:
        assert answer.content_type.startswith("image/"), answer
        assert form is Form.HEAD or answer.body.startswith(_SIGNATURES), answer
        return
    assert answer.content_type == "application/json"
    if form is Form.HEAD:
        assert answer.body == b""
    else:
        assert answer.code == 0, answer


def took_effect(world: World, account: Account, row: Row, given: Given, answer: Answer) -> None:
    if effect := EFFECTS.get(row.call):
        effect(world, account, given, answer)


def events(world: World, account: Account, request: Request) -> None:
    """An event of the example's kind comes, in the example's form."""
    name = world.unique("朋友")
    world.phone.call("POST", f"/accounts/{account.uin}/befriend", {"who": name})
    while True:
        answer = world.ask(account, request.way, request.form, request.row.path, patience=10)
        succeeded(request.row, request.form, answer)
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
        succeeded(row, request.form, answer)
        _overrides(row, name, given, answer)
    documented(row, answer)
    if how is How.LEFT_OUT:
        assert (answer.code != 0) != ((row.call, name) in _ONLY_ECHOED), answer
    if answer.status == 200 and (row.content_type or answer.code == 0):
        took_effect(world, account, row, given, answer)


def _overrides(row: Row, name: str, given: Given, answer: Answer) -> None:
    """What is said of media is what the answer says of them, where it says it and WeChat lets it be so."""
    if name.startswith("media_") and isinstance(row.example, dict) and name in row.example and name != "media_size":
        wanted = given[name]
        assert str(answer.json[name]) == _SENT_AS.get(str(wanted), wanted), answer


def documented(row: Row, answer: Answer) -> None:
    """The answer's status and code are among the row's."""
    assert answer.status in row.statuses, answer
    if answer.status != 200 or answer.content_type.startswith("image/"):
        return
    assert answer.content_type == "application/json"
    codes = row.codes | {0, -1}
    # Media that WeChat does not take are refused with a code of its own.
    own = "media_id" in row.parameter_names and answer.json["status"] == "unknown error"
    assert answer.code in codes or own, answer


def failure(world: World, request: Request, failure: Failure) -> None:
    """A listed error, as it is documented."""
    scene = errors.SCENES.get(failure.when)
    assert scene, f"nothing makes this happen, contract_errors.py has no scene for it: {failure.when}"
    errors.check(scene(world, request.row, request.way, request.form), failure)


def jsonp(world: World, request: Request, account: Account) -> None:
    """``datatype=jsonp``: wrapped where the admin allows it, otherwise as if it were not there."""
    row, is_on = request.row, account is world.jsonp
    given = arguments(world, account, row)
    answer = perform(world, account, request, given, [("datatype", "jsonp"), ("callback", "got.it")])
    if row.content_type:
        succeeded(row, request.form, answer)
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
        took_effect(world, account, row, given, unwrapped)
