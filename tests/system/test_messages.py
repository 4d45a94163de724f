"""Media through the installed product: from WeChat to the webhook, and from the API to WeChat."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system.actors import CONTROLLER, Caller, Json, Phone, Webhook, log_in, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone
    hook: Webhook
    uin: str
    friend: str

    def receive(self, kind: str, **fields: Any) -> Json:
        """A friend sends something; return the report the webhook got."""
        body = {"from": self.friend, "kind": kind, **fields}
        made = self.phone.call("POST", f"/accounts/{self.uin}/receive", body)
        return self.hook.wait_for(lambda report: report.get("id") == made["msg_id"], what=f"{kind} report")

    def sent(self, after: int) -> Json:
        return self.phone.sent(self.uin, after)[0]


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("各种")
    with Webhook(host) as hook:
        log_in(caller, phone, "kinds", uin, post_api=hook.address)
        yield World(host, caller, phone, hook, uin, phone.friend(uin))
    caller.openwx("stop_client", client="kinds")


@pytest.mark.parametrize("kind", ["image", "voice", "video", "microvideo", "file", "emoticon"])
def test_media_come_with_their_content_and_stay_private(world: World, kind: str) -> None:
    report = world.receive(kind, **({"name": "../../etc/报告.pdf"} if kind == "file" else {}))
    assert (report["format"], report["media_type"]) == ("media", kind)
    content = base64.b64decode(report["media_data"])
    assert len(content) == report["media_size"] > 0
    path = report["media_path"]
    assert path.startswith("/var/lib/wxclient/kinds/")
    stored = world.host.read(path.replace("/var/lib/wxclient/", "/var/lib/private/wxclient/"))
    assert stored == content
    denied = world.host.run("cat", path, user="wxcontroller", check=False)
    assert denied.returncode != 0
    if kind == "file":
        assert ".." not in path.removeprefix("/var/lib/wxclient/")
    # The id is short, and sends the media on: by reference, or by the content that is kept.
    media_id = report["media_id"]
    assert media_id.startswith("@" if kind == "file" else report["id"])
    before = len(world.phone.sent(world.uin, seconds=0))
    sent = world.caller.openwx("send_friend_message", client="kinds", id="filehelper", media_id=media_id)
    assert sent["code"] == 0, sent
    assert world.sent(before)["md5"] == hashlib.md5(content).hexdigest()


def test_a_broken_download_goes_on(world: World) -> None:
    order = {"endpoint": "webwxgetmedia", "kind": "truncate", "value": 100_000, "count": 2}
    world.phone.call("POST", "/faults", order)
    report = world.receive("file", name="a.bin", size=1_000_000)
    assert len(base64.b64decode(report["media_data"])) == 1_000_000
    world.phone.call("POST", "/faults", {**order, "value": 0, "count": 5})
    report = world.receive("file", name="b.bin", size=1_000_000)
    assert (report["media_path"], report["media_data"]) == ("", "")
    assert report["media_error"]


def test_a_file_is_sent_by_upload_through_the_controller_and_again_by_its_id(world: World) -> None:
    boundary = "----wx"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in (("id", "filehelper"), ("media_name", "点.gif"), ("media_path", "点.gif"))
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="media_data"; filename="x.gif"\r\n\r\n'
    body = b"".join(parts) + head.encode() + GIF + f"\r\n--{boundary}--\r\n".encode()
    before = len(world.phone.sent(world.uin, seconds=0))
    status, _, raw = world.host.http(
        "POST",
        f"{CONTROLLER}/openwx/send_friend_message?client=kinds",
        body=body,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    answer = json.loads(raw)
    assert (status, answer["code"]) == (200, 0), answer
    assert ":" in answer["media_id"]
    message = world.sent(before)
    assert message["md5"] == hashlib.md5(GIF).hexdigest()
    again = world.caller.openwx("send_friend_message", client="kinds", id="filehelper", media_id=answer["media_id"])
    assert again["code"] == 0, again
    assert world.sent(before + 1)["md5"] == message["md5"]


def test_local_files_and_private_addresses_are_not_sent(world: World) -> None:
    for path in ("/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:2100/", "http://169.254.169.254/"):
        answer = world.caller.openwx("send_friend_message", client="kinds", id="filehelper", media_path=path)
        assert answer["code"] == -1, (path, answer)
