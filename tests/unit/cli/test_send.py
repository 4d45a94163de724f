"""wxctl send: recipients, repeats, and results."""

import json
from collections.abc import Callable

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import RUNNING, SCANNING, Host, State, up
from tests.unit.controller.machine import SENT, Process
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.states import LoginState

CONTACTS: list[JsonObject] = [
    {"id": "filehelper", "name": "文件传输助手", "displayname": "文件传输助手"},
    {"id": "@a", "name": "芳芳", "markname": "王芳", "displayname": "王芳"},
    {"id": "@b", "name": "王芳", "markname": "", "displayname": "王芳"},
    {"id": "@c", "name": "阿强", "markname": "强哥", "displayname": "强哥"},
    {"id": "@d", "name": "家人", "markname": "", "displayname": "家人"},
]
GROUPS: list[JsonObject] = [
    {"id": "@@g", "name": "家人", "displayname": "家人"},
]
DELIVERED: JsonObject = {
    **{"id": "c1", "state": "delivered", "reason": None, "detail": None, "handle": "77:@c", "code": 0}
}
SILENT: JsonObject = {}
LOADING_STATE = up(LoginState.LOADING, status="loading")
LOADING: JsonObject = {"code": -3, "status": "client not running: logging in", "id": None}


@pytest.fixture
def program(host: Host) -> Process:
    host.add("小店", RUNNING)
    process = host.process("小店")
    process.sends, process.friends, process.groups = [], [*CONTACTS], [*GROUPS]
    return process


def sent(program: Process) -> list[tuple[str, str]]:
    """The messages that were sent: to whom, and their texts."""
    return [(send["id"], send["content"]) for send in program.sends or []]


@pytest.mark.parametrize(("state", "code", "shown"), [(SCANNING, 6, "wxctl qr new"), (LOADING_STATE, 1, "wxctl ")])
def test_account_that_never_logged_in_says_so(wxctl: Wxctl, host: Host, state: State, code: int, shown: str) -> None:
    host.add("new", state)
    process = host.process("new")
    process.sends, process.friends, process.groups = [], [], []
    done = wxctl("send", "new", "filehelper", "hello")
    assert (done.returncode, "new is not logged in" in done.stderr, shown in done.stderr) == (code, True, True), (
        done.stderr
    )
    assert "no friend or group" not in done.stderr


def queue(program: Process, **facts: JsonValue) -> None:
    program.status = json.dumps({"account": "小店", "queue": {"waiting": 0, **facts}}).encode()


def troubled(program: Process, *answers: JsonObject | Callable[[], None]) -> list[str]:
    """Have a program answer its first sends like this, or call something instead; return the keys of all."""
    keys: list[str] = []
    left = [*answers]

    def answer(form: dict[str, str]) -> JsonObject:
        keys.append(form["idempotency_key"])
        found = left.pop(0) if left else SENT
        if isinstance(found, dict):
            return found
        found()
        return SILENT

    program.send_answer = answer  # type: ignore[assignment]
    return keys


@pytest.mark.parametrize("to", ["@c", "强哥", "阿强"])
def test_friend_is_found_by_id_or_name(wxctl: Wxctl, program: Process, to: str) -> None:
    done = wxctl("send", "小店", to, "你好 & 再见")
    assert (done.returncode, done.stdout) == (0, "sent to friend 强哥\n")
    assert sent(program) == [("@c", "你好 & 再见")]


def test_group_is_found_by_name(wxctl: Wxctl, program: Process) -> None:
    assert wxctl("send", "小店", "家人", "到了", "--group").stdout == "sent to group 家人\n"
    assert [send["id"] for send in program.sends or []] == ["@@g"]


def test_ambiguous_recipient_is_refused(wxctl: Wxctl, program: Process) -> None:
    assert "小店: '王芳' is more than one:" in wxctl("send", "小店", "王芳", "x").stderr
    assert "小店 has no friend or group 'x y'\n" in wxctl("send", "小店", "x y", "x").stderr
    done = wxctl("send", "小店", "家人", "x")
    assert done.returncode == 1
    assert {"@@g  group 家人", "@d  friend 家人"} <= {line.strip() for line in done.stderr.splitlines()}
    assert sent(program) == []


def test_each_send_has_a_new_key_unless_one_is_given(wxctl: Wxctl, program: Process) -> None:
    for arguments in ((), (), ("--key", "mine")):
        assert wxctl("send", "小店", "@c", "x", *arguments).returncode == 0
    first, second, third = (send["idempotency_key"] for send in program.sends or [])
    assert (len(first), third) == (36, "mine")
    assert first != second


def test_send_without_a_response_is_repeated_with_its_key(wxctl: Wxctl, host: Host, program: Process) -> None:
    queue(program, held=False)
    keys = troubled(program, host.break_off, SILENT, LOADING)
    done = wxctl("send", "小店", "@c", "x", "--key", "mine")
    assert (done.returncode, done.stdout) == (0, "sent to friend 强哥\n")
    assert keys == ["mine"] * 4


def test_a_send_without_an_answer_is_reported_as_unknown(wxctl: Wxctl, program: Process) -> None:
    queue(program, held=False)
    troubled(program, *[SILENT] * 100)
    done = wxctl("send", "小店", "@c", "x", "--timeout", "2", "--key", "mine")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the message to friend 强哥 may have been sent or not: account 小店: connection reset" in done.stderr
    assert "repeat the command with --key mine: it is not sent twice then" in done.stderr


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            {"state": "held", "code": -7, "reason": "window", "detail": "the reply window is closed"},
            0,
            "not yet sent",
        ),
        ({"state": "waiting", "code": -7}, 0, "not sent yet, but it will be"),
        ({"state": "refused", "code": 1204, "detail": "not a friend"}, 1, "was not sent: not a friend"),
        ({"state": "unknown", "code": -1, "detail": "it may have arrived"}, 1, "may have been sent or not"),
    ],
)
def test_output_and_exit_code_reflect_the_state_of_a_send(
    wxctl: Wxctl, program: Process, answer: JsonObject, code: int, words: str
) -> None:
    troubled(program, {**DELIVERED, **answer})
    done = wxctl("send", "小店", "@c", "hi")
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), (done.stdout, done.stderr)
