"""Every kind of message through the installed product: from WeChat to the webhook, and from the API to WeChat."""

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


def test_every_article_of_a_push_is_told(world: World) -> None:
    articles = [{"title": f"第{n}", "url": f"http://example.invalid/{n}?a=1&b=2"} for n in (1, 2, 3)]
    report = world.receive("articles", articles=articles)
    assert [one["title"] for one in report["app_articles"]] == ["第1", "第2", "第3"]
    assert all(one["url"] in report["content"] for one in articles)


def test_a_broken_download_goes_on(world: World) -> None:
    order = {"endpoint": "webwxgetmedia", "kind": "truncate", "value": 100_000, "count": 2}
    world.phone.call("POST", "/faults", order)
    report = world.receive("file", name="a.bin", size=1_000_000)
    assert len(base64.b64decode(report["media_data"])) == 1_000_000
    world.phone.call("POST", "/faults", {**order, "value": 0, "count": 5})
    report = world.receive("file", name="b.bin", size=1_000_000)
    assert (report["media_path"], report["media_data"]) == ("", "")
    assert report["media_error"]


def test_links_transfers_cards_places_and_notices(world: World) -> None:
    link = world.receive("link", title="标题 & 题", url="http://example.invalid/?a=1&b=2", description="说明")
    assert (link["format"], link["app_title"], link["app_url"]) == (
        "app",
        "标题 & 题",
        "http://example.invalid/?a=1&b=2",
    )
    assert world.receive("transfer")["format"] == "payment"
    assert world.receive("card", who=world.friend)["format"] == "card"
    place = world.receive("location", title="科技园", latitude=22.540001, longitude=113.930001)
    assert "科技园" in place["content"]


def test_a_message_taken_back_is_reported_with_its_id(world: World) -> None:
    first = world.receive("text", text="oops")
    body = {"from": world.friend, "kind": "revoke", "msg_id": first["id"]}
    world.phone.call("POST", f"/accounts/{world.uin}/receive", body)
    revoke = world.hook.wait_for(lambda report: report.get("format") == "revoke", what="revoke report")
    assert revoke["revoke_id"] == first["id"]


def test_a_friend_request_is_an_event_and_can_be_accepted(world: World) -> None:
    body = {"from": "新朋友", "kind": "friend_request", "text": "你好"}
    world.phone.call("POST", f"/accounts/{world.uin}/receive", body)
    report = world.hook.wait_for(lambda report: report.get("event") == "friend_request", what="friend request")
    person, name, greeting, ticket = report["params"]
    assert (name, greeting) == ("新朋友", "你好")
    status, headers, _ = world.caller.get("/openwx/get_avatar", client="kinds", id=person)
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    answer = world.caller.openwx("accept_friend_request", client="kinds", id=person, displayname=name, ticket=ticket)
    assert (answer["code"], answer["status"]) == (0, "success")
    world.hook.wait_for(lambda report: report.get("event") == "new_friend", what="new friend")


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


def test_an_own_message_is_taken_back(world: World) -> None:
    sent = world.caller.openwx("send_friend_message", client="kinds", id="filehelper", content="nevermind")
    answer = world.caller.openwx("revoke_message", client="kinds", id=sent["id"])
    assert (answer["code"], answer["status"]) == (0, "revoke success")


def test_an_avatar_is_an_image(world: World) -> None:
    friends = world.caller.openwx("get_friend_info", client="kinds")
    person = next(one for one in friends if one["category"] == "好友")
    status, headers, body = world.caller.get("/openwx/get_avatar", client="kinds", id=person["id"])
    assert status == 200
    assert headers["Content-Type"].startswith("image/")
    assert body


def test_groups_are_made_and_changed(world: World) -> None:
    friends = [f for f in world.caller.openwx("get_friend_info", client="kinds") if f["category"] == "好友"]
    ids = ",".join(one["id"] for one in friends[:2])
    made = world.caller.openwx("create_group", client="kinds", friends=ids, displayname="新群")
    assert made["code"] == 0, made
    group = made["group_id"]
    world.hook.wait_for(
        lambda report: report.get("event") == "new_group" and report["params"][0]["id"] == group, what="new group"
    )
    more = world.caller.openwx("invite_friend", client="kinds", id=group, friends=friends[2]["id"])
    assert more["code"] == 0, more
    named = world.caller.openwx("set_group_displayname", client="kinds", id=group, new_displayname="改名")
    assert named["code"] == 0, named
    assert world.caller.openwx("send_group_message", client="kinds", id=group, content="大家好")["code"] == 0
