"""Events through the installed product: signed and identified reports, dead letters, media by address, the stream."""

import hashlib
import hmac
import json
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.patience import PATIENCE
from tests.system.actors import Caller, Json, Phone, log_in, until, use_sandbox
from tests.system.host import Host

NAME = "mail"
SECRET = "key-of-the-webhook"


@dataclass
class Hook:
    """A webhook that keeps headers and bodies, and refuses texts that say so."""

    host: Host
    port: int = 8902
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    accepts: bool = False
    _news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    def wait(self, text: str) -> tuple[dict[str, str], bytes]:
        """Return the report whose content is this, when it was taken."""

        def found() -> tuple[dict[str, str], bytes] | None:
            return next((one for one in self.got if json.loads(one[1]).get("content") == text), None)

        with self._news:
            assert self._news.wait_for(lambda: found() is not None, PATIENCE), text
        taken = found()
        assert taken is not None
        return taken

    @contextmanager
    def listening(self) -> Iterator["Hook"]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # the account was killed in the middle of it
                refused = b"refuse me" in body and not hook.accepts
                if not refused:
                    with hook._news:
                        hook.got.append((dict(self.headers), body))
                        hook._news.notify_all()
                self.send_response(410 if refused else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        with self.host.netns():
            server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone
    hook: Hook
    uin: str
    friend: str

    def write(self, text: str) -> None:
        self.phone.write(self.uin, self.friend, text)

    def wxctl(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        return self.host.run("wxctl", *arguments, check=False)


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    host.write("/etc/wxcontroller/credentials/webhook-secret", f"{SECRET}\nthe-old-one\n".encode(), 0o600)
    caller, phone = Caller(host), Phone(host)
    with Hook(host).listening() as hook:
        uin = phone.account("信")
        log_in(caller, phone, NAME, uin, post_api=hook.address, post_media_data="0")
        yield World(host, caller, phone, hook, uin, phone.friend(uin))


def test_reports_are_signed_by_the_credential_and_say_which_they_are(world: World) -> None:
    world.write("signed")
    headers, body = world.hook.wait("signed")
    stamped = headers["X-Wx-Timestamp"].encode() + b"." + body
    expected = [
        "sha256=" + hmac.new(secret, stamped, hashlib.sha256).hexdigest()
        for secret in (SECRET.encode(), b"the-old-one")
    ]
    assert headers["X-Wx-Signature"].split(", ") == expected
    assert headers["X-Wx-Attempt"] == "1"
    assert headers["X-Wx-Delivery"].endswith(f"-{headers['X-Wx-Sequence']}")
    told = world.host.journal("wxclient@mail.service", "wxcontroller.service") + world.host.text("ps", "axeww")
    assert SECRET not in told


def test_a_dead_letter_is_seen_and_sent_again_by_wxctl(world: World) -> None:
    world.write("refuse me")
    world.write("after it")
    world.hook.wait("after it")
    listed = until(lambda: _dead(world), "a dead letter")
    assert (listed["type"], listed["last_status"]) == ("friend_message", 410)
    shown = world.wxctl("deliveries", "show", NAME, listed["id"]).stdout.decode()
    assert "refuse me" in shown
    assert "410" in world.wxctl("deliveries", "list", NAME).stdout.decode()
    assert world.wxctl("deliveries", "list").stdout.decode().splitlines()[1].split()[:3] == [NAME, "0", "1"]
    assert "dead letter" in world.host.journal("wxclient@mail.service")
    assert "refuse me" not in world.host.journal("wxclient@mail.service")
    world.hook.accepts = True
    done = world.wxctl("deliveries", "replay", NAME, "--dead")
    assert done.stdout.decode().startswith(f"1 report of {NAME} will be sent again\n")
    headers, _ = world.hook.wait("refuse me")
    assert headers["X-Wx-Delivery"] == listed["id"]
    until(lambda: not _dead(world), "no dead letter")


def _dead(world: World) -> Json:
    status, found = world.caller.v1("GET", f"/accounts/{NAME}/deliveries?state=dead")
    assert status == 200
    return found["deliveries"][0] if found["deliveries"] else None


def test_media_are_fetched_by_the_address_in_the_report(world: World) -> None:
    world.phone.call("POST", f"/accounts/{world.uin}/receive", {"kind": "image", "from": world.friend})

    def picture() -> Json:
        reports = [json.loads(body) for _, body in world.hook.got]
        return next((one for one in reports if one.get("format") == "media"), None)

    report = until(picture, "a picture")
    assert report["media_data"] == ""
    address = urllib.parse.urlsplit(report["media_url"])
    assert address.netloc == "127.0.0.1:2000"
    status, headers, content = world.caller.get(address.path)
    assert (status, len(content)) == (200, report["media_size"])
    assert content.startswith(b"\xff\xd8")
    assert headers["Content-Disposition"].startswith("attachment")
    status, _, part = world.host.http("GET", report["media_url"], headers={"Range": "bytes=0-9"})
    assert (status, part) == (206, content[:10])


@dataclass
class Stream:
    """A reader of /v1/events that comes back with its cursor whenever the line breaks."""

    host: Host
    texts: list[str] = field(default_factory=list)
    cursor: str = ""
    breaks: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)
    _opened: threading.Event = field(default_factory=threading.Event)
    _connection: HTTPConnection | None = None

    @contextmanager
    def reading(self) -> Iterator["Stream"]:
        thread = threading.Thread(target=self._read_on, daemon=True)
        thread.start()
        assert self._opened.wait(20)
        try:
            yield self
        finally:
            self._ending.set()

    def _read_on(self) -> None:
        while not self._ending.is_set():
            with suppress(OSError):
                self._read()
            self.breaks += 1
            self._ending.wait(0.1)

    def _read(self) -> None:
        connection = self.host.connection(timeout=60)
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        connection.request("GET", "/v1/events?types=friend_message", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        cursor = ""
        for line in answer:
            if line.startswith(b"id: "):
                cursor = line[4:].decode().strip()
            elif line.startswith(b"data: "):
                event = json.loads(line[6:])
                if event:
                    self.texts.append(event["report"]["content"])
                self.cursor = cursor
                self._opened.set()


def test_the_stream_has_no_gap_whatever_is_restarted(world: World) -> None:
    with Stream(world.host).reading() as stream:
        texts = []
        for number, restarted in enumerate(
            ["", "wxcontroller.service", "wxclient@mail.service", "wxcontroller.service", ""]
        ):
            for part in "ab":
                texts.append(f"stream {number}{part}")
                world.write(texts[-1])
            if restarted:
                world.host.run("systemctl", "kill", "--signal=KILL", restarted)
            until(lambda: len(stream.texts) >= len(texts), "all messages in the stream")
        assert stream.texts == texts
        assert stream.breaks >= 2


def test_a_full_disk_holds_messages_back_at_wechat_and_is_told(world: World) -> None:
    place = f"/var/lib/private/wxclient/{NAME}"
    world.caller.openwx("stop_client", client=NAME)
    world.host.run("cp", "-a", place, "/root/kept")
    world.host.run("mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", place)
    try:
        world.host.run("sh", "-c", f"cp -a /root/kept/. {place}/")
        world.caller.openwx("start_client", client=NAME, post_api=world.hook.address)
        world.caller.until_state(NAME, "running")
        world.host.run("sh", "-c", f"dd if=/dev/zero of={place}/filler bs=4k 2>/dev/null; true")
        for number in range(20):
            world.write(f"full {number} " + "x" * 4000)
        until(lambda: "cannot store" in world.caller.account(NAME)["status"], "the trouble is told")
        assert world.caller.state(NAME) == "updating"
        assert "no space" in world.host.journal("wxclient@mail.service").lower() or "full" in world.host.journal(
            "wxclient@mail.service"
        )
        world.host.run("rm", f"{place}/filler")
        for number in range(20):
            world.hook.wait(f"full {number} " + "x" * 4000)
        world.caller.until_state(NAME, "running")
    finally:
        world.caller.openwx("stop_client", client=NAME)
        world.host.run("umount", place)
