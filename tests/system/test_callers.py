"""Callers with questions, callers that hang up, and files that nobody may have: in the installed product."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import pytest

from tests.system.actors import CONTROLLER, SANDBOX, Caller, Json, Phone, log_in, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
NAME = "asked"
GIF = b"GIF89a" + bytes(100)
MOST = 20971520
WAYS = pytest.mark.parametrize("way", ["controller", "direct"])
DROP_IN = f"/run/systemd/system/wxclient@{NAME}.service.d/files.conf"


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone
    pool: ThreadPoolExecutor
    uin: str
    port: int = 0
    friends: list[Json] = field(default_factory=list)

    def url(self, way: str, call: str, **given: str) -> str:
        base, given = (CONTROLLER, {**given, "client": NAME}) if way == "controller" else (self.direct, given)
        return f"{base}/openwx/{call}?{urlencode(given)}"

    @property
    def direct(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, way: str, call: str, **given: str) -> Json:
        status, _, body = self.host.http("GET", self.url(way, call, **given), timeout=60)
        assert status == 200, (call, status, body)
        return json.loads(body)

    def raw(self, **question: str) -> tuple[int, Json]:
        """Ask somebody through the controller, whatever comes of it."""
        status, _, body = self.host.http("GET", self.url("controller", "consult", **question), timeout=60)
        return status, json.loads(body)

    def later(self, way: str, call: str, **given: str) -> "Future[Json]":
        return self.pool.submit(self.ask, way, call, **given)

    def hang(self, way: str, call: str, **given: str) -> socket.socket:
        """Ask, and leave the answer to be waited for: closing it is hanging up."""
        port = 2000 if way == "controller" else self.port
        with self.host.netns():
            line = socket.create_connection(("127.0.0.1", port), timeout=60)
        target = self.url(way, call, **given).partition("://")[2].partition("/")[2]
        line.sendall(f"GET /{target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return line

    def answer(self, friend: Json, text: str) -> None:
        self.phone.write(self.uin, friend["username"], text)

    def arrived(self, text: str) -> Json:
        """What the account has sent, when it is at WeChat."""
        return until(lambda: next((one for one in self.phone.sent(self.uin, seconds=0) if one["text"] == text), None))

    def lines(self) -> int:
        """How many connections the account has: those that wait, and one or two that the controller keeps."""
        return len(self.host.text("ss", "-Htn", "state", "established", f"( sport = :{self.port} )").splitlines())

    def drain(self) -> None:
        """Take all events that there are."""
        self.answer(self.friends[-1], "the last news")
        while "the last news" not in [event.get("content") for event in self.ask("direct", "check_event")]:
            pass

    def restarted(self) -> None:
        """By the settings as they are now, still logged in."""
        self.caller.openwx("stop_client", client=NAME)
        assert self.caller.openwx("start_client", client=NAME)["code"] == 0
        self.caller.until_state(NAME, "running")


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("问", seed=3, friends=12)
    log_in(caller, phone, NAME, uin)
    with ThreadPoolExecutor(32) as pool:
        world = World(host, caller, phone, pool, uin, caller.account(NAME)["port"])
        world.friends = [one for one in phone.world(uin)["contacts"] if one["kind"] == "friend"]
        yield world


@WAYS
def test_a_question_without_an_answer(world: World, way: str) -> None:
    """Whatever comes from others meanwhile (openwx-api 5.5 no. 73)."""
    asked, other = world.friends[:2]
    waiting = world.later(way, "consult", id=asked["username"], content=f"well, {way}?", timeout="1.5")
    sent = world.arrived(f"well, {way}?")
    world.answer(other, "not from whom was asked")
    answer = waiting.result(timeout=60)
    assert answer == {
        "code": 0,
        "status": "success",
        "id": f"{sent['msg_id']}:{asked['username']}",
        "reply": None,
        "reply_status": "reply timeout",
    }


def test_two_questions_at_once(world: World) -> None:
    """To the same friend both hear the answer, wherever they came in; to another one nothing of it is heard."""
    asked, other = world.friends[2:4]
    both = [
        world.later(way, "consult", id=asked["username"], content=f"who, {way}?") for way in ("controller", "direct")
    ]
    neither = world.later("controller", "consult", id=other["username"], content="and you?", timeout="2")
    for text in ("who, controller?", "who, direct?", "and you?"):
        world.arrived(text)
    world.answer(asked, "me")
    answers = [one.result(timeout=60) for one in both]
    assert [one["reply"] for one in answers] == ["me", "me"]
    assert answers[0]["id"] == answers[1]["id"]
    assert neither.result(timeout=60)["reply_status"] == "reply timeout"


@WAYS
def test_who_hangs_up_on_a_question_leaves_the_next_one_alone(world: World, way: str) -> None:
    asked = world.friends[4]
    with world.hang(way, "consult", id=asked["username"], content=f"first, {way}?"):
        world.arrived(f"first, {way}?")
    waiting = world.later(way, "consult", id=asked["username"], content=f"second, {way}?")
    world.arrived(f"second, {way}?")
    world.answer(asked, f"to the second, {way}")
    assert waiting.result(timeout=60)["reply"] == f"to the second, {way}"


@WAYS
def test_who_hangs_up_on_the_long_poll_takes_no_event(world: World, way: str) -> None:
    """Neither one nor thirty of them (openwx-api 5.4 no. 61)."""
    world.drain()
    with ExitStack() as waiting:
        for _ in range(30):
            waiting.enter_context(world.hang(way, "check_event"))
        until(lambda: world.lines() >= 30, what="all wait")
    until(lambda: world.lines() < 15, what="all are gone")
    world.answer(world.friends[5], f"kept for whoever asks, {way}")
    events = world.ask(way, "check_event")
    assert [event["content"] for event in events] == [f"kept for whoever asks, {way}"]


@WAYS
def test_who_hangs_up_on_a_send_does_not_stop_it(world: World, way: str) -> None:
    with (
        world.phone.fault("webwxsendmsg", "delay", 3, count=1),
        world.hang(way, "send_friend_message", id="filehelper", content=f"all the same, {way}"),
    ):
        until(lambda: world.ask("direct", "get_client_info")["queued"] == 1, what="it is on its way")
    world.arrived(f"all the same, {way}")


@pytest.fixture(scope="module")
def files(world: World) -> Iterator[str]:
    """A directory that the settings allow, with a picture, 5 GB, and ways out of it; and one that units hide."""
    host, folder = world.host, "/opt/pictures"
    host.run("mkdir", "-p", folder, "/home/bot/pictures")
    for path in (f"{folder}/a.gif", "/home/bot/pictures/a.gif", "/opt/outside.gif"):
        host.write(path, GIF, 0o644)
    host.run("truncate", "--size=5G", f"{folder}/large.iso")
    host.run("ln", "-s", "/opt/outside.gif", f"{folder}/link.gif")
    host.run("mkfifo", "--mode=666", f"{folder}/pipe.gif")
    settings = f'[client]\nmedia_paths = "{folder}:/home/bot/pictures"\n'
    host.write("/etc/wxcontroller/wxcontroller.toml.d/files.toml", settings.encode(), 0o644)
    host.run("systemctl", "reload", "wxcontroller")
    world.restarted()
    yield folder


def both(world: World, path: str) -> tuple[Json, Json]:
    """A file or address, uploaded and sent."""
    given = {"media_path": path}
    return world.ask("direct", "upload_media", **given), world.ask(
        "controller", "send_friend_message", id="filehelper", **given
    )


def test_a_file_below_an_allowed_directory(world: World, files: str) -> None:
    uploaded, sent = both(world, f"{files}/a.gif")
    assert (uploaded["code"], uploaded["media_name"], uploaded["media_size"]) == (0, "a.gif", len(GIF))
    assert (sent["code"], sent["media_id"].endswith(":47")) == (0, True)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("{files}/link.gif", "no such file below media_paths"),
        ("{files}/../outside.gif", "no such file below media_paths"),
        ("/opt/outside.gif", "no such file below media_paths"),
        ("/proc/self/environ", "no such file below media_paths"),
        ("{files}/pipe.gif", "it is not a file"),
        ("{files}", "it is not a file"),
        ("{files}/nothing.gif", "media_paths in wxclient(8)"),
        ("/etc/shadow", "no such file below media_paths"),
        ("/home/bot/pictures/a.gif", "media_paths in wxclient(8)"),
        (f"{SANDBOX}/sandbox/health", "private network"),
        (f"{CONTROLLER}/openwx/check_client", "private network"),
        ("http://localhost:2000/", "private network"),
        ("http://[::1]:2000/", "private network"),
        ("http://169.254.169.254/latest/meta-data/", "private network"),
        ("http://10.0.0.1/a.gif", "private network"),
        ("file:///etc/passwd", "the path is not absolute"),
    ],
)
def test_a_file_or_address_that_nobody_may_have(world: World, files: str, path: str, reason: str) -> None:
    for answer in both(world, path.format(files=files)):
        assert (answer["code"], answer["status"]) == (-1, "invaild media_path"), answer
        assert reason in answer["reason"], answer
        assert not answer["media_id"]


def test_a_file_of_5_gb(world: World, files: str) -> None:
    pid = world.caller.account(NAME)["pid"]
    for answer in both(world, f"{files}/large.iso"):
        assert (answer["code"], answer["status"]) == (-1, f"media size exceed, maximum size is {MOST} bytes")
        assert not answer["media_id"]
    assert world.caller.account(NAME)["pid"] == pid


def test_a_directory_that_a_drop_in_shows(world: World, files: str) -> None:
    """As the operations guide has it."""
    content = b"[Service]\nProtectHome=tmpfs\nBindReadOnlyPaths=/home/bot/pictures\n"
    world.host.run("mkdir", "-p", DROP_IN.rpartition("/")[0])
    world.host.write(DROP_IN, content, 0o644)
    world.host.run("systemctl", "daemon-reload")
    world.restarted()
    uploaded, sent = both(world, "/home/bot/pictures/a.gif")
    assert (uploaded["code"], sent["code"]) == (0, 0)


def test_an_account_that_is_too_slow_and_one_that_dies_under_a_question(world: World) -> None:
    """Never an empty answer that looks like success (openwx-api 5.2 no. 22)."""
    settings = "/etc/wxcontroller/wxcontroller.toml.d/slow.toml"
    question = {"id": world.friends[6]["username"], "timeout": "30"}
    world.host.write(settings, b"ua_request_timeout = 1\n", 0o644)
    world.host.run("systemctl", "reload", "wxcontroller")
    try:
        status, answer = world.raw(content="too slow?", **question)
        assert (status, answer["code"], answer["client"], answer["state"]) == (504, 7, NAME, "running")
        assert world.ask("controller", "get_client_info")["code"] == 0
    finally:
        world.host.run("rm", settings)
        world.host.run("systemctl", "reload", "wxcontroller")
    waiting = world.pool.submit(world.raw, content="still there?", **question)
    world.arrived("still there?")
    world.host.run("systemctl", "kill", "--signal=KILL", f"wxclient@{NAME}")
    status, answer = waiting.result(timeout=60)
    assert (status, answer["code"], answer["client"]) == (502, 7, NAME)
    world.caller.until_state(NAME, "running")


def test_content_in_a_query_or_a_form_is_what_was_sent(world: World) -> None:
    """Raw bytes, percent-encoded: not base64 (openwx-api 2.4)."""
    content = bytes(range(256)) + b"a picture or not"
    for body in (b"", f"media_data={quote(content)}&id=filehelper&client={NAME}".encode()):
        query = "" if body else f"?media_data={quote(content)}&id=filehelper&client={NAME}"
        status, _, answer = world.host.http(
            "POST" if body else "GET",
            f"{CONTROLLER}/openwx/send_friend_message{query}",
            body or None,
            {"Content-Type": "application/x-www-form-urlencoded"} if body else {},
        )
        assert (status, json.loads(answer)["code"]) == (200, 0), answer
        sent = world.phone.sent(world.uin, seconds=0)[-1]
        assert sent["size"] == len(content)
