"""Which reports there are, what answers to them do, heartbeats, and media that are large or many: installed."""

import base64
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.actors import CONTROLLER, Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
NAME = "told"
EXTRA = "/etc/wxcontroller/wxcontroller.toml.d/zz.toml"
MB = 1024 * 1024


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone
    hook: Webhook
    uin: str
    friend: str

    def start(self, **options: str) -> None:
        """Start the account anew with other options; its login is kept."""
        self.caller.openwx("stop_client", client=NAME)
        self.hook.reports.clear()
        self.hook.reply = lambda _: None
        assert self.caller.openwx("start_client", client=NAME, post_api=self.hook.address, **options)["code"] == 0
        self.caller.until_state(NAME, "running")

    def receive(self, kind: str, **fields: Json) -> str:
        """A friend sends something; return the message's id."""
        body = {"from": self.friend, "kind": kind, **fields}
        return str(self.phone.call("POST", f"/accounts/{self.uin}/receive", body, timeout=120)["msg_id"])

    def report(self, message_id: str) -> Json:
        return self.hook.wait_for(lambda report: report.get("id") == message_id, f"report of {message_id}")

    def pid(self) -> int:
        return int(self.caller.account(NAME)["pid"])

    def peak(self, pid: int) -> int:
        """The most memory that a process has had, in bytes. MemoryMax of the unit, 512 MB, is not enforced here."""
        status = self.host.text("cat", f"/proc/{pid}/status")
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

    def media(self) -> list[str]:
        """The names of the received files on disk."""
        return self.host.text("ls", f"/var/lib/private/wxclient/{NAME}/media").split()


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("报告")
    with Webhook(host) as hook:
        log_in(caller, phone, NAME, uin, post_api=hook.address)
        yield World(host, caller, phone, hook, uin, phone.friend(uin))
    caller.openwx("stop_client", client=NAME)


def test_the_settings_choose_for_all_accounts_and_a_start_for_its_own(world: World) -> None:
    group = next(one for one in world.phone.world(world.uin)["groups"] if one["saved"])
    member = next(one["name"] for one in group["members"] if one["name"] != "报告")
    world.host.write(
        EXTRA,
        b'[client]\npost_event_list = "login,new_friend"\npost_message_filter = "type=friend_message"\n'
        b"post_media_data = false\ncheck_event_list_max_size = 2\n",
    )
    world.host.run("systemctl", "reload", "wxcontroller")
    try:
        world.start()
        world.phone.write(world.uin, member, "from a group", group["name"])
        texts = [world.phone.write(world.uin, world.friend, text) for text in ("one", "two")]
        picture = world.report(world.receive("image"))
        assert (picture["media_data"], picture["format"]) == ("", "media")
        assert {report["event"] for report in world.hook.reports if "event" in report} == {"login"}
        assert [one["id"] for one in world.hook.reports if "id" in one] == [*texts, picture["id"]]
        kept = world.caller.openwx("check_event", client=NAME)
        assert [one["id"] for one in kept] == [texts[1], picture["id"]]
        world.start(post_event="0", post_message_filter="", post_media_data="1", check_event_list_max_size="20")
        world.phone.write(world.uin, member, "from a group", group["name"])
        picture = world.report(world.receive("image"))
        assert base64.b64decode(picture["media_data"])
        assert [one["post_type"] for one in world.hook.reports] == ["receive_message"] * 2
        assert len(world.caller.openwx("check_event", client=NAME)) == 2
    finally:
        world.host.run("rm", EXTRA)
        world.host.run("systemctl", "reload", "wxcontroller")


def test_a_webhook_that_always_answers_is_heard_once_for_each_report(world: World) -> None:
    world.start()
    before = len(world.phone.sent(world.uin, seconds=0))
    world.hook.reply = lambda report: {"reply": f"re: {report.get('content')}"}
    world.phone.write(world.uin, world.friend, "hi")
    world.hook.wait_for(lambda report: report.get("content") == "re: hi", what="report of the reply")
    assert world.caller.openwx("send_friend_message", client=NAME, id="filehelper", content="out")["code"] == 0
    world.hook.wait_for(lambda report: report.get("content") == "re: out", what="report of the reply")
    world.hook.reply = lambda _: None
    assert world.caller.openwx("send_friend_message", client=NAME, id="filehelper", content="end")["code"] == 0
    sent = world.phone.sent(world.uin, seconds=0)[before:]
    assert [one["text"] for one in sent] == ["re: hi", "out", "re: out", "end"]
    replies = [report["from"] for report in world.hook.reports if str(report.get("content")).startswith("re: ")]
    assert replies == ["code", "code"]


def test_a_heartbeat_commands_this_account_and_nothing_else(world: World) -> None:
    port = world.caller.account(NAME)["port"]
    before = len(world.phone.sent(world.uin, seconds=0))
    world.hook.locations = [
        f"{CONTROLLER}/openwx/stop_client?client={NAME}",
        "http://127.0.0.1:2100/sandbox/accounts",
        f"http://127.0.0.1:{port}/openwx/send_friend_message?id=filehelper&content=beat",
    ]
    world.start(poll_api=f"http://127.0.0.1:{world.hook.port}/beat?a=1", poll_interval="0.2")
    assert world.phone.sent(world.uin, before)[0]["text"] == "beat"
    assert set(world.hook.beats) == {f"a=1&client={NAME}"}
    assert world.caller.state(NAME) == "running"
    world.start()


def test_too_many_received_files_go_the_oldest_first(world: World) -> None:
    world.start(media_keep_bytes=str(2 * MB + 1000))
    names = [
        Path(world.report(world.receive("file", name=name, size=MB))["media_path"]).name
        for name in ("a.bin", "b.bin", "c.bin")
    ]
    until(lambda: names[0] not in world.media(), "a tidy directory")
    assert names[2] in world.media()


def test_a_file_as_large_as_is_taken_goes_in_and_out_within_the_accounts_memory(world: World) -> None:
    world.start(media_size_max=str(128 * MB))
    pid = world.pid()
    report = world.report(world.receive("file", name="large.bin", size=100 * MB))
    assert (report["media_size"], report["media_data"], report["media_name"]) == (100 * MB, "", "large.bin")
    answer = world.caller.openwx("send_friend_message", client=NAME, id="filehelper", media_id=report["media_id"])
    assert answer["code"] == 0, answer
    sent = world.phone.sent(world.uin, seconds=0)[-1]
    assert (sent["kind"], sent["name"], sent["size"]) == ("file", "large.bin", 100 * MB)
    again = world.caller.openwx("send_friend_message", client=NAME, id="filehelper", media_id=answer["media_id"])
    assert (again["code"], again["media_id"]) == (0, answer["media_id"])
    assert world.pid() == pid
    assert world.peak(pid) < 120 * MB


def test_many_large_contents_at_once_are_sent_within_the_accounts_memory(world: World) -> None:
    """Each is in a request, in a file, in base64 in a report: together they would be more than a unit may have."""
    world.start(send_interval="0.5")
    pid, before = world.pid(), len(world.phone.sent(world.uin, seconds=0))
    content = os.urandom(9 * MB)
    head = '--b\r\nContent-Disposition: form-data; name="id"\r\n\r\nfilehelper\r\n--b\r\n'
    head += 'Content-Disposition: form-data; name="media_data"; filename="x.bin"\r\n\r\n'
    body = head.encode() + content + b"\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}

    def send(_: int) -> Json:
        url = f"{CONTROLLER}/openwx/send_friend_message?client={NAME}"
        status, _headers, answer = world.host.http("POST", url, body=body, headers=kind, timeout=120)
        assert status == 200, answer
        return json.loads(answer)

    with ThreadPoolExecutor(40) as callers:
        answers = list(callers.map(send, range(40)))
    assert [answer["code"] for answer in answers] == [0] * 40
    assert [one["size"] for one in world.phone.sent(world.uin, before, 0)] == [9 * MB] * 40
    assert world.pid() == pid
    assert world.peak(pid) < 400 * MB
