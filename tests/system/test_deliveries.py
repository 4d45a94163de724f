"""Reports of the installed product: signed by a credential of the unit, and held back by a full disk."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.patience import PATIENCE
from tests.system.actors import Caller, Phone, log_in, until, use_sandbox
from tests.system.host import Host

NAME = "mail"
SECRET = "key-of-the-webhook"


@dataclass
class Hook:
    """A webhook that keeps headers and bodies."""

    host: Host
    port: int = 8902
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
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
                with hook._news:
                    hook.got.append((dict(self.headers), body))
                    hook._news.notify_all()
                self.send_response(200)
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
