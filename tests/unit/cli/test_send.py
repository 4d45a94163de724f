"""send: finding whom, and what is said when it does not work."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.standin import GONE, RUNNING, Controller
from wxcontroller.core.jsontypes import JsonObject, JsonValue


@pytest.fixture(autouse=True)
def contacts(server: Controller) -> None:
    server.add("小店", **RUNNING)
    server.friends = [
        {"id": "filehelper", "name": "文件传输助手", "displayname": "文件传输助手"},
        {"id": "@a", "name": "芳芳", "markname": "王芳", "displayname": "王芳"},
        {"id": "@b", "name": "王芳", "markname": "", "displayname": "王芳"},
        {"id": "@c", "name": "阿强", "markname": "强哥", "displayname": "强哥"},
        {"id": "@d", "name": "家人", "markname": "", "displayname": "家人"},
    ]
    server.groups = [
        {"id": "@@g", "name": "家人", "displayname": "家人"},
        {"id": "@@h", "name": "同事", "displayname": "同事"},
    ]


def _sent(server: Controller) -> list[tuple[str, object]]:
    return [(path, form) for _, path, form in server.asked if "/send_" in path]


@pytest.mark.parametrize("to", ["@c", "强哥", "阿强"])
def test_to_a_friend(wxctl: Wxctl, server: Controller, to: str) -> None:
    done = wxctl("send", "小店", to, "你好 & 再见")
    assert (done.returncode, done.stdout) == (0, "sent to friend 强哥\n")
    assert _sent(server) == [
        ("/openwx/send_friend_message", {"client": "小店", "id": "@c", "content": "你好 & 再见"})
    ]


def test_to_a_group(wxctl: Wxctl, server: Controller) -> None:
    assert wxctl("send", "小店", "同事", "到了").returncode == 0
    assert wxctl("send", "小店", "家人", "到了", "--group").stdout == "sent to group 家人\n"
    assert [form["id"] for _, form in _sent(server) if isinstance(form, dict)] == ["@@h", "@@g"]
    assert all(path == "/openwx/send_group_message" for path, _ in _sent(server))


def test_ambiguous(wxctl: Wxctl, server: Controller) -> None:
    assert "is more than one" in wxctl("send", "小店", "王芳", "x").stderr
    done = wxctl("send", "小店", "家人", "x")
    assert done.returncode == 1
    assert "@@g  group 家人" in done.stderr
    assert "@d  friend 家人" in done.stderr
    assert _sent(server) == []


def test_refused(wxctl: Wxctl, server: Controller) -> None:
    server.send_answer = {"code": 1, "status": "client not running", "state": "scaning"}
    done = wxctl("send", "小店", "@c", "x")
    assert done.returncode == 1
    assert "was not sent: client not running (state scaning)" in done.stderr
    server.send_answer = {"id": "1", "code": 1204, "status": "unknown error", "reason": "not a friend"}
    assert "was not sent: not a friend, code 1204" in wxctl("send", "小店", "@c", "x").stderr


def test_a_refusal_says_once_that_nothing_was_sent(wxctl: Wxctl, server: Controller) -> None:
    server.send_answer = {"id": None, "code": -5, "status": "not sent: stopping"}
    told = wxctl("send", "小店", "filehelper", "x").stderr
    assert (told.count("not sent"), "stopping" in told) == (1, True)


def test_from_an_account_that_is_stopped_or_not_there(wxctl: Wxctl, server: Controller) -> None:
    server.accounts["小店"].update(GONE)
    server.send_answer = {"code": 1, "status": "client not exists"}
    done = wxctl("send", "小店", "@c", "x")
    assert done.returncode == 1
    assert done.stderr == "wxctl: 小店 is stopped\n  start it: wxctl start 小店\n"
    del server.accounts["小店"]
    assert wxctl("send", "小店", "@c", "x").returncode == 4


def test_what_became_of_it_on_a_route_with_a_reply_window(wxctl: Wxctl, server: Controller) -> None:
    held: JsonObject = {"state": "held", "reason": "window", "held_until": 1, "position": 1}
    server.send_answer = {
        "id": "c1",
        "code": -7,
        "status": "held until the person writes: the window is closed",
        **held,
    }
    done = wxctl("send", "小店", "@c", "x")
    assert (done.returncode, done.stdout) == (
        *(0, "held: not sent to friend 强哥 yet, held until the person writes: the window is closed\n"),
    )
    server.send_answer = {"id": "c2", "code": 0, "status": "success", "state": "accepted", "reason": "without an id"}
    done = wxctl("send", "小店", "@c", "x")
    assert (done.returncode, done.stdout) == (0, "sent to friend 强哥: without an id\n")
    refused: JsonObject = {"state": "refused", "refusal": "not-wanted"}
    server.send_answer = {"id": "c3", "code": -5, "status": "not sent: the window is closed", **refused}
    done = wxctl("send", "小店", "@c", "x")
    assert (done.returncode, "was not sent: the window is closed, code -5" in done.stderr) == (1, True)


SILENT: tuple[int, JsonObject] = (502, {"code": 7, "status": "client 小店 broke off", "state": "loading"})
KEYS_HEEDED: JsonObject = {"waiting": 0, "held": False}
LOADING: tuple[int, JsonObject] = (200, {"code": -3, "status": "client not running: logging in", "id": None})


def test_every_send_has_a_key_of_its_own_or_the_one_given(wxctl: Wxctl, server: Controller) -> None:
    for arguments in ((), (), ("--key", "mine")):
        assert wxctl("send", "小店", "@c", "x", *arguments).returncode == 0
    first, second, given = server.keys
    assert (len(first), given) == (36, "mine")
    assert first != second


@pytest.mark.parametrize(
    ("v1", "troubles"), [(False, [None, SILENT, LOADING]), (True, [None])], ids=["old program", "v1"]
)
def test_a_send_without_an_answer_is_asked_for_again_under_its_key(
    wxctl: Wxctl, server: Controller, v1: bool, troubles: list[tuple[int, JsonObject] | None]
) -> None:
    server.messages = posted() if v1 else None
    server.accounts["小店"]["queue"] = KEYS_HEEDED
    server.send_trouble = [*troubles]
    done = wxctl("send", "小店", "@c", "x")
    assert (done.returncode, done.stdout) == (0, "sent to friend 强哥\n")
    assert len(server.keys) == len(troubles) + 1
    assert len(set(server.keys)) == 1


def test_what_is_refused_before_it_was_taken_is_not_asked_for_again(wxctl: Wxctl, server: Controller) -> None:
    server.send_trouble = [LOADING]
    done = wxctl("send", "小店", "@c", "x")
    assert done.returncode == 1
    assert "was not sent: client not running" in done.stderr
    assert len(server.keys) == 1


def test_when_no_answer_comes_it_says_that_it_does_not_know(wxctl: Wxctl, server: Controller) -> None:
    server.accounts["小店"]["queue"] = KEYS_HEEDED
    server.send_trouble = [SILENT] * 10
    done = wxctl("send", "小店", "@c", "x", "--timeout", "1", "--key", "mine")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the message to friend 强哥 may have been sent or not: client 小店 broke off" in done.stderr
    assert "repeat the command with --key mine: it is not sent twice then" in done.stderr
    server.send_trouble = []
    server.send_answer = {
        "id": "1",
        "code": -1,
        "status": "unknown data",
        "reason": "it may have arrived: webwxsendmsg: no answer in time",
    }
    done = wxctl("send", "小店", "@c", "x")
    assert done.returncode == 1
    assert "may have been sent or not: it may have arrived" in done.stderr


def test_a_program_that_does_not_know_keys_is_not_asked_again(wxctl: Wxctl, server: Controller) -> None:
    server.accounts["小店"]["queue"] = {"waiting": 0}
    server.send_trouble = [None]
    done = wxctl("send", "小店", "@c", "x", "--timeout", "2")
    assert done.returncode == 1
    assert "may have been sent or not: connection to the controller at" in done.stderr
    assert len(server.keys) == 1


def test_a_key_of_another_message_is_refused(wxctl: Wxctl, server: Controller) -> None:
    server.send_trouble = [
        (422, {"id": None, "code": -9, "status": "this Idempotency-Key came with another request"})
    ]
    done = wxctl("send", "小店", "@c", "x", "--key", "mine")
    assert done.returncode == 2
    assert "came with another request" in done.stderr


def test_a_file(wxctl: Wxctl, server: Controller, tmp_path: Path) -> None:
    file = tmp_path / '图"片.png'
    content = bytes(range(256)) * 3000
    file.write_bytes(content)
    done = wxctl("send", "小店", "@c", "--file", str(file), "--key", "mine")
    assert (done.returncode, done.stdout) == (0, "sent to friend 强哥\n")
    [body] = server.bodies
    boundary = body.split(b"\r\n", 1)[0]
    parts = [part.partition(b"\r\n\r\n") for part in body.split(boundary)[1:-1]]
    found = {
        head.split(b'name="')[1].split(b'"')[0].decode(): value.removesuffix(b"\r\n") for head, _, value in parts
    }
    assert found == {
        "id": b"@c",
        "idempotency_key": b"mine",
        "media_name": '图"片.png'.encode(),
        "media_data": content,
    }
    assert body.endswith(boundary + b"--\r\n")


@pytest.mark.parametrize(
    "arguments", [(), ("-",), ("hello", "--file", "f"), ("--file", "empty"), ("--file", "nowhere")]
)
def test_neither_or_both_or_nothing(
    wxctl: Wxctl, server: Controller, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "empty").touch()
    assert wxctl("send", "小店", "@c", *arguments).returncode == 2
    assert _sent(server) == []
    assert server.bodies == []


# -- by POST /v1/accounts/NAME/messages


def posted(**more: JsonValue) -> dict[str, JsonObject]:
    sent: JsonObject = {
        "id": "c1",
        "state": "delivered",
        "reason": None,
        "detail": None,
        "handle": "77:@c",
        "code": 0,
    }
    return {"POST": {**sent, **more}}


def test_a_program_of_this_version_is_asked_by_v1(wxctl: Wxctl, server: Controller, tmp_path: Path) -> None:
    server.messages = posted()
    done = wxctl("send", "小店", "强哥", "hi", "--key", "mine")
    assert (done.returncode, done.stdout) == (0, "sent to friend 强哥\n")
    method, path, body = server.asked[-1]
    assert (method, path.endswith("/messages"), body) == ("POST", True, {"to": "@c", "text": "hi"})
    assert server.keys == ["mine"]
    assert not any(path.startswith("/openwx/") for _, path, _ in server.asked)
    told = json.loads(wxctl("send", "小店", "@@g", "hi", "--json").stdout)
    assert (told["id"], told["code"], told["status"], told["message"]) == ("77:@c", 0, "success", "c1")
    file = tmp_path / "a.txt"
    file.write_bytes(b"content")
    assert wxctl("send", "小店", "@c", "--file", str(file)).returncode == 0
    assert b'name="file"; filename="a.txt"' in server.bodies[-1]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ({"state": "held", "code": -7, "reason": "window", "detail": "the reply window is closed"}, 0, "held: not"),
        ({"state": "waiting", "code": -7}, 0, "not sent yet, but it will be"),
        ({"state": "accepted", "detail": "without an id"}, 0, "sent to friend 强哥: without an id"),
        ({"state": "refused", "code": 1204, "detail": "not a friend"}, 1, "was not sent: not a friend"),
        ({"state": "unknown", "code": -1, "detail": "it may have arrived"}, 1, "may have been sent or not"),
    ],
)
def test_what_became_of_it(wxctl: Wxctl, server: Controller, answer: JsonObject, code: int, words: str) -> None:
    server.messages = posted(**answer)
    done = wxctl("send", "小店", "@c", "hi")
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), (done.stdout, done.stderr)


def test_the_history_is_shown_by_chats(wxctl: Wxctl, server: Controller) -> None:
    ann: JsonObject = {"chat": "5", "chat_name": "Ann", "is_group": False, "time": 1700000000, "kind": "text"}
    received: JsonObject = {**ann, "direction": "in", "text": "hi\x1b[31m", "state": None}
    held: JsonObject = {**ann, "direction": "out", "text": "", "kind": "image", "state": "held"}
    page: JsonObject = {"messages": [received], "pending": [held], "complete": True, "more": False}
    server.messages = {"GET": page}
    done = wxctl("messages", "小店", "--chat", "强哥", "-n", "5")
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.endswith(" Ann: hi [31m")
    assert second.endswith(" → Ann: [picture] (held)")
    assert json.loads(wxctl("messages", "小店", "--json").stdout) == page
    server.messages = None
    done = wxctl("messages", "小店")
    assert (done.returncode, "restart it" in done.stderr) == (1, True)
