"""The contract, row by row, against the installed product on real systemd, with the sandbox for WeChat.

Everything is generated from the contract: a new row, parameter, success or error is a new test. What is compared with
what, and which answers differ on purpose, is in contract_*.py beside this file. The last tests end the accounts.
"""

import re
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.conftest import TABLES
from tests.contract.document import CONTRACT, Failure, Parameter, Row, rows
from tests.system import contract_checks as checks
from tests.system import contract_controller as controller
from tests.system import contract_errors as errors
from tests.system import contract_states as states
from tests.system.contract_checks import How, Request
from tests.system.contract_tally import Asked
from tests.system.contract_world import LOGGED_OUT, WITH_PROCESS, WITHOUT_PROCESS, Form, State, Way, World, made
from tests.system.host import Host
from wxcontroller.core.jsontypes import JsonValue, items, obj, text

pytestmark = pytest.mark.system
ROWS = rows()
CALLS = checks.own_calls(ROWS)
REQUESTS = list(checks.requests(CALLS))
CONTROLLERS = [row for row in ROWS if row.scope == "controller" and not row.is_rule]
# For checks of one call each, that go through all its forms and ways.
EACH_CALL = pytest.mark.parametrize("row", CALLS, ids=lambda row: row.call)
FORMS = (Form.GET, Form.FORM, Form.MULTIPART)
[LONG_POLL] = [row for row in CALLS if row.call == "check_event"]
[OWN_STOP] = [row for row in ROWS if row.scope == "client" and row.call == checks.LAST]
# By GET the controller's own stop answers for it.
OWN_STOPS = [one for one in checks.requests([OWN_STOP]) if one.way is Way.DIRECT or one.form.method == "POST"]
# Each call in each form, both ways, in each state; nobody has the port of an account that is unknown.
COMBINATIONS = [
    Asked(one.row.path, one.form.value, one.way.value, state.label)
    for one in REQUESTS
    for state in State
    if state is not State.UNKNOWN or one.way is Way.CONTROLLER
]


@pytest.fixture(scope="module")
def world(host: Host, request: pytest.FixtureRequest) -> Iterator[World]:
    with made(host, spare=len(states.answered_with_garbage(CALLS))) as world:
        states.begin_waiting(world, LONG_POLL, CALLS)
        yield world
        lines = world.tally.lines([state.label for state in State], COMBINATIONS)
        request.config.stash.setdefault(TABLES, []).extend(lines)


def label(value: object) -> str:
    """Name a parameter of a test."""
    if isinstance(value, Row):
        return value.path
    if isinstance(value, Parameter):
        return value.name
    if isinstance(value, State):
        return value.label
    return str(getattr(value, "value", value) or "-")


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_each_call_succeeds_and_does_what_it_says(world: World, request_: Request) -> None:
    with world.tally.check():
        checks.success(world, world.running, request_)


@pytest.mark.parametrize(
    ("row", "case", "body"),
    [pytest.param(*each, id=f"{each[0].call}: {each[1]}") for each in checks.other_successes(CALLS)],
)
def test_each_other_success(world: World, row: Row, case: str, body: JsonValue) -> None:
    with world.tally.check():
        for request in checks.requests([row]):
            checks.other_success(world, world.running, request, case, body)


@pytest.mark.parametrize(("row", "parameter", "how", "value"), list(checks.parameters(CALLS)), ids=label)
def test_each_parameter(world: World, row: Row, parameter: Parameter, how: How, value: str) -> None:
    with world.tally.check():
        for way, form in checks.some(row, [(way, form) for way in Way for form in FORMS]):
            checks.parameter(world, world.running, Request(row, way, form), parameter, how, value)


@pytest.mark.parametrize(
    ("row", "failure"),
    [
        pytest.param(row, failure, id=f"{row.scope} {row.path}: {failure.when}")
        for row, failure in checks.failures(ROWS)
    ],
)
def test_each_listed_error(world: World, row: Row, failure: Failure) -> None:
    once = errors.SCENES.get(failure.when) in errors.ONCE
    forms = [form for form in FORMS if form.method in row.methods or "ANY" in row.methods]
    ways = list(Way) if row.scope == "client" else [Way.CONTROLLER]
    with world.tally.check():
        for way in ways[:1] if once else ways:
            for form in forms[:1] if once else forms:
                checks.failure(world, Request(row, way, form), failure)


@EACH_CALL
@pytest.mark.parametrize("state", LOGGED_OUT, ids=label)
def test_in_states_without_a_login_each_call_answers_at_once(world: World, state: State, row: Row) -> None:
    if row.call == "check_event":
        return  # waits, see test_without_an_event_a_long_poll_ends_after_30_s
    with world.tally.check():
        for request in checks.requests([row]):
            states.logged_out(world, state, request)


@EACH_CALL
def test_while_a_send_waits_each_call_answers_at_once(world: World, row: Row) -> None:
    with world.tally.check():
        for request in checks.requests([row]):
            states.sending(world, request)


def test_a_send_that_wechat_finds_too_frequent_is_refused_at_once(world: World) -> None:
    with world.tally.check():
        states.held_back(world, next(row for row in CALLS if row.call == "send_friend_message"))


@EACH_CALL
def test_while_wechat_does_not_let_it_hear_each_call_answers_at_once(world: World, row: Row) -> None:
    if row.call == "check_event":
        return
    with world.tally.check():
        for request in checks.requests([row]):
            states.offline(world, request)


@EACH_CALL
@pytest.mark.parametrize("state", WITHOUT_PROCESS, ids=label)
def test_without_a_process_each_call_says_so(world: World, state: State, row: Row) -> None:
    with world.tally.check():
        for request in checks.requests([row]):
            if state is not State.UNKNOWN or request.way is Way.CONTROLLER:
                states.without_process(world, state, request)


@EACH_CALL
@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not allowed"])
def test_jsonp(world: World, row: Row, allowed: bool) -> None:
    with world.tally.check():
        for request in checks.requests([row]):
            checks.jsonp(world, request, world.jsonp if allowed else world.running)


@pytest.mark.parametrize("callback", ["alert(1)", "", "a b", "安", "<script>", "x" * 65])
def test_a_callback_that_is_no_name_is_refused(world: World, callback: str) -> None:
    pairs = [("datatype", "jsonp"), ("callback", callback)]
    with world.tally.check():
        for way in Way:
            for form in FORMS:
                answer = world.ask(world.jsonp, way, form, "/openwx/get_user_info", pairs)
                assert (answer.status, answer.content_type, answer.code) == (400, "application/json", -1)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.is_rule and row.scope == "client"], ids=label)
@pytest.mark.parametrize("state", State, ids=label)
def test_options(world: World, state: State, row: Row) -> None:
    [rule] = [each for each in ROWS if each.methods == ("OPTIONS",)]
    with world.tally.check():
        for way in [Way.CONTROLLER] if state is State.UNKNOWN else Way:
            states.options(world, state, row, way, rule.headers)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.is_rule and row.scope == "client"], ids=label)
def test_other_methods_are_no_calls(world: World, row: Row) -> None:
    with world.tally.check():
        for way in Way:
            for method in ("PUT", "DELETE", "PATCH"):
                states.no_such_method(world, row, way, method)


@pytest.mark.parametrize(
    "path", ["/openwx/no_such_call", "/openwx/get_user_info/more", "/openwx/", "/openwx", "/foo/bar"]
)
def test_what_is_no_path(world: World, path: str) -> None:
    with world.tally.check():
        for way in Way:
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                states.no_such_path(world, way, method, path)


@pytest.mark.parametrize("row", [row for row in CALLS if row.parameters], ids=label)
def test_a_json_body_holds_the_parameters(world: World, row: Row) -> None:
    with world.tally.check():
        for way in Way:
            checks.json_holds_parameters(world, row, way)


@EACH_CALL
@pytest.mark.parametrize("name", [None, "", "0", "nobody", "没有人"], ids=str)
def test_without_a_known_client(world: World, row: Row, name: str | None) -> None:
    with world.tally.check():
        for request in checks.requests([row]):
            if request.way is Way.CONTROLLER:
                states.without_client(world, request, name)


def test_a_callback_has_a_name_of_the_moment(world: World) -> None:
    with world.tally.check():
        for way in Way:
            answer = world.ask(world.jsonp, way, Form.GET, "/openwx/get_client_info", [("datatype", "jsonp")])
            assert re.match(rb"jsoncallback[0-9]{10}\(\{.*\}\)$", answer.body), answer


def test_the_path_with_nothing(world: World) -> None:
    """No page that dumps a process (5.3 no. 54): the controller has its dashboard there, an account nothing."""
    with world.tally.check():
        answer = world.ask(errors.NOBODY, Way.CONTROLLER, Form.GET, "/")
        assert (answer.status, answer.content_type.partition(";")[0]) == (200, "text/html")
        answer = world.ask(world.running, Way.DIRECT, Form.GET, "/")
        assert (answer.status, answer.body) == (403, b"api not found")


def test_each_waiter_gets_the_event(world: World) -> None:
    """No ``[null]`` for the second (5.2 no. 33)."""
    account = world.jsonp
    with world.tally.check():
        checks.drain(world, account)
        waiters = [
            world.later(partial(world.ask, account, way, Form.GET, LONG_POLL.path, patience=20)) for way in Way
        ]
        time.sleep(0.3)  # until both are on their way; nothing tells from outside
        world.phone.write(account.uin, "filehelper", "news for all")
        for waiter in waiters:
            assert "news for all" in [event.get("content") for event in waiter.result(timeout=20).json]


@pytest.mark.parametrize("row", CONTROLLERS, ids=label)
@pytest.mark.parametrize("form", [Form.GET, Form.HEAD], ids=label)
def test_each_of_the_controllers_calls_succeeds(world: World, row: Row, form: Form) -> None:
    assert form.method in row.methods
    with world.tally.check():
        controller.success(world, row, form)


@pytest.mark.parametrize(
    ("row", "parameter", "how", "value"),
    [each for each in checks.parameters(CONTROLLERS) if not each[3]],
    ids=label,
)
def test_each_parameter_of_the_controllers(
    world: World, row: Row, parameter: Parameter, how: How, value: str
) -> None:
    with world.tally.check():
        controller.parameter(world, row, parameter, how)


def test_what_is_no_option_is_refused(world: World) -> None:
    with world.tally.check():
        controller.unknown_option(world, next(row for row in CONTROLLERS if row.call == "start_client"))


@pytest.mark.parametrize("row", [row for row in CONTROLLERS if row.call != "stop_client"], ids=label)
@pytest.mark.parametrize("state", State, ids=label)
def test_the_controllers_calls_in_each_state(world: World, state: State, row: Row) -> None:
    if row.call == "start_client" and state in (*WITHOUT_PROCESS, State.PARKED):
        return  # it would start, or try again
    with world.tally.check():
        controller.in_state(world, row, state)


@pytest.mark.parametrize("row", CONTROLLERS, ids=label)
def test_by_post_the_controllers_calls_are_the_accounts(world: World, row: Row) -> None:
    """openwx-api 1.2: only GET and HEAD are the controller's; stop_client is a call of accounts too."""
    if row.call == checks.LAST:
        return
    with world.tally.check():
        answer = world.ask(world.running, Way.CONTROLLER, Form.FORM, row.path)
        assert (answer.status, answer.body) == (403, b"api not found")


def test_without_an_event_a_long_poll_ends_after_30_s(world: World) -> None:
    with world.tally.check():
        states.no_event(world)


# A row and a parameter that nobody has thought of.
FLAVOUR: JsonValue = [{"name": "flavour", "required": True, "type": "sweet|sour", "meaning": "invented"}]
CLIENT_INFO = next(obj(one) for one in items(obj(CONTRACT)["endpoints"]) if "client_info" in text(obj(one)["path"]))
POKE_FRIEND: JsonValue = {
    "path": "/openwx/poke_friend",
    "scope": "client",
    "methods": ["GET", "POST"],
    "params": [{"name": "strength", "required": True, "type": "int", "meaning": "invented"}],
    "success_example": {"code": 0, "status": "success"},
    "errors": [{"when": "too weak", "http_status": 200, "body": {"code": 300, "status": "too weak"}}],
}
INVENTED: JsonValue = {"endpoints": [{**CLIENT_INFO, "params": FLAVOUR}, POKE_FRIEND]}


def test_a_new_row_is_a_new_test(world: World) -> None:
    """It is asked with values by type; what the product does as the row says passes, what it does not do fails."""
    with world.uncounted():
        _ask_what_is_invented(world)


def _ask_what_is_invented(world: World) -> None:
    known, unknown = checks.own_calls(rows(INVENTED))
    for request in checks.requests([known]):
        checks.success(world, world.running, request)
    for row, parameter, how, value in checks.parameters([known]):
        if how is not How.LEFT_OUT:
            checks.parameter(world, world.running, Request(row, Way.DIRECT, Form.GET), parameter, how, value)
    assert [(how, value) for _, _, how, value in checks.parameters([known]) if value] == [
        (How.GIVEN, "sweet"),
        (How.GIVEN, "sour"),
    ]
    for request in checks.requests([unknown]):
        with pytest.raises(AssertionError):
            checks.success(world, world.running, request)
        with pytest.raises(AssertionError):
            states.sending(world, request)
        if request.form is not Form.HEAD:
            with pytest.raises(AssertionError):
                states.logged_out(world, State.LOADING, request)
    for row, parameter, how, value in checks.parameters([unknown]):
        with pytest.raises(AssertionError):
            checks.parameter(world, world.running, Request(row, Way.DIRECT, Form.GET), parameter, how, value)
    [(row, failure)] = checks.failures([unknown])
    with pytest.raises(AssertionError, match="no scene for it: too weak"):
        checks.failure(world, Request(row, Way.DIRECT, Form.GET), failure)


def test_who_has_given_up_tries_again_when_it_is_started(world: World) -> None:
    account = world.accounts[State.PARKED]
    # As if the hour had passed for which a refusal holds.
    world.host.run("sh", "-c", f"rm /var/lib/private/wxclient/{account.name}*/decisions.json")
    with world.tally.check():
        answer = world.ask(account, Way.CONTROLLER, Form.GET, "/openwx/start_client")
        assert (answer.code, answer.json["status"]) == (0, "success")
        world.caller.until_state(account.name, "loading")


def test_an_accounts_own_stop_in_each_state(world: World) -> None:
    """At once, as each takes three seconds: another form or way for each."""
    with world.tally.check():
        ends = [
            world.later(partial(states.stopped, world, state, OWN_STOPS[number % len(OWN_STOPS)]))
            for number, state in enumerate(WITH_PROCESS)
        ]
        assert len(ends) > len(OWN_STOPS)
        for end in ends:
            end.result(timeout=45)


@pytest.mark.parametrize("state", [state for state in State if state is not State.UNKNOWN], ids=label)
def test_in_the_end_each_account_starts_and_stops(world: World, state: State) -> None:
    """Those that were stopped, that ended by themselves, and the one whose unit never came up."""
    account = world.accounts[state]
    with world.tally.check():
        if state is not State.INIT:
            answer = world.ask(account, Way.CONTROLLER, Form.GET, "/openwx/start_client", patience=10)
            assert (answer.code, answer.json["status"], answer.json["port"]) == (0, "success", account.port)
            assert world.caller.account(account.name)["unit_state"] == "active"
        answer = world.ask(account, Way.CONTROLLER, Form.GET, "/openwx/stop_client", patience=10)
        assert (answer.code, answer.json["status"], answer.json["port"]) == (0, "success", account.port)
        for call in ("stop_client", "check_client", "get_qrcode", "get_user_info"):
            answer = world.ask(account, Way.CONTROLLER, Form.GET, f"/openwx/{call}")
            assert (answer.status, answer.json) == (200, {"code": 1, "status": "client not exists"})


def test_wechat_saw_no_breach_of_the_protocol(world: World) -> None:
    uin = world.jsonp.uin
    assert world.phone.call("GET", f"/requests?uin={uin}")["violations"] == []
