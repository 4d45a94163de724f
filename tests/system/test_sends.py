"""Sends of the installed product over kills and restarts: none lost, none twice, and what is said of them is true."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from tests.system.actors import CONTROLLER, Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
NAME = "sender"
UNIT = f"wxclient@{NAME}.service"


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone
    hook: Webhook
    uin: str

    def queue_words(self) -> Json:
        return self.caller.account(NAME)["queue"]

    def send(self, text: str, key: str = "", **more: str) -> tuple[int, Json]:
        """Send through the controller; status and answer."""
        form = urlencode({"client": NAME, "id": "filehelper", "content": text, **more}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, _, body = self.host.http(
            "POST",
            f"{CONTROLLER}/openwx/send_friend_message",
            body=form,
            headers={**headers, "Idempotency-Key": key} if key else headers,
            timeout=130,
        )
        return status, json.loads(body)

    def kill(self) -> None:
        """End the account's process as a lack of memory does; systemd starts it again."""
        before = self.caller.account(NAME)["pid"]
        self.host.run("systemctl", "kill", "--signal=KILL", UNIT)
        until(lambda: self.caller.account(NAME)["pid"] not in (None, before), "another process")
        self.caller.until_state(NAME, "running")

    def sent(self, beginning: str) -> list[Json]:
        """What is at WeChat of texts that begin so, in order."""
        return [one for one in self.phone.sent(self.uin, 0, 0.1) if one["text"].startswith(beginning)]

    def told(self, beginning: str) -> list[Json]:
        """The reports of them; one that came twice, with one id, counts once."""
        return list(
            {
                report["_delivery"]: report
                for report in self.hook.reports
                if report["post_type"] == "send_message" and str(report["content"]).startswith(beginning)
            }.values()
        )


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("发送")
    with Webhook(host) as hook:
        log_in(caller, phone, NAME, uin, post_api=hook.address, send_interval="0.2")
        yield World(host, caller, phone, hook, uin)
    caller.openwx("stop_client", client=NAME)


def test_a_kill_with_a_full_queue_and_one_on_its_way(world: World) -> None:
    texts = [f"kill {number}" for number in range(21)]
    with world.phone.fault("webwxsendmsg", "drop", "after", 1):
        for text in texts:
            assert world.send(text, **{"async": "1"})[1]["code"] == 0
        until(lambda: world.sent("kill "), "the first")
        queue = world.queue_words()
        assert (queue["in_flight"], queue["waiting"]) == (1, 20)
        world.kill()
    until(lambda: len(world.sent("kill ")) == 21, "all messages")
    until(lambda: len(world.told("kill ")) == 21, "all reports")
    sent, told = world.sent("kill "), world.told("kill ")
    assert [one["text"] for one in sent] == texts
    assert [(one["content"], one["code"], one["info"]) for one in told] == [(text, "", "success") for text in texts]
    # Each report is of the one message that there is.
    assert [(one["id"], one["uid"]) for one in told] == [
        (f"{one['msg_id']}:filehelper", one["client_msg_id"]) for one in sent
    ]
    assert "21 sends of the last run are queued again" in world.host.journal(UNIT)


def test_kills_in_a_row_lose_nothing_and_keep_the_order(world: World) -> None:
    texts = [f"row {number:02}" for number in range(40)]
    for text in texts:
        assert world.send(text, **{"async": "1"})[1]["code"] == 0
    for number in (5, 15, 25):
        until(lambda least=number: len(world.sent("row ")) >= least, "some")  # type: ignore[misc]
        world.kill()
    until(lambda: len(world.sent("row ")) == 40, "all messages")
    until(lambda: len(world.told("row ")) == 40, "all reports")
    assert [one["text"] for one in world.sent("row ")] == texts
    assert [one["content"] for one in world.told("row ")] == texts
    world.host.run("systemctl", "reset-failed", UNIT)


def test_a_repeated_request_is_one_message_over_a_kill(world: World) -> None:
    """The first caller loses its answer with the process; who asks again gets it, and so does everybody later."""
    with ThreadPoolExecutor(1) as pool, world.phone.fault("webwxsendmsg", "drop", "after", 1):
        first = pool.submit(world.send, "keyed", "key-1")
        until(lambda: world.sent("keyed"), "the message")
        world.kill()
        assert first.result(timeout=60)[0] == 502
    status, answer = world.send("keyed", "key-1")
    [one] = world.sent("keyed")
    assert (status, answer) == (200, {"id": f"{one['msg_id']}:filehelper", "code": 0, "status": "success"})
    world.host.run("systemctl", "restart", "wxcontroller")
    assert world.send("keyed", "key-1") == (200, answer)
    status, answer = world.send("another", "key-1")
    assert (status, answer["code"], answer["id"]) == (422, -9, None)
    assert len(world.sent("keyed")) == 1
    assert world.sent("another") == []


def test_wxctl_asks_again_by_itself(world: World) -> None:
    with ThreadPoolExecutor(1) as pool, world.phone.fault("webwxsendmsg", "drop", "after", 1):
        wxctl = pool.submit(world.host.text, "wxctl", "send", NAME, "filehelper", "from the shell")
        until(lambda: world.sent("from the shell"), "the message")
        world.kill()
        assert wxctl.result(timeout=90) == "sent to friend 文件传输助手\n"
    assert len(world.sent("from the shell")) == 1


def test_an_answer_that_never_comes_is_not_called_success(world: World) -> None:
    with world.phone.fault("webwxsendmsg", "reset", "after"):
        status, answer = world.send("no answer")
    assert (status, answer["code"], answer["status"]) == (200, -1, "unknown data")
    assert answer["reason"].startswith("it may have arrived: webwxsendmsg: ")
    assert len(world.sent("no answer")) == 1  # and so it has, once
    [told] = until(lambda: world.told("no answer"), "its report")
    assert (told["code"], told["info"]) == (-1, answer["reason"])


def test_what_waits_for_another_login_is_reported_as_not_sent(world: World) -> None:
    world.caller.openwx("stop_client", client=NAME)
    hook = world.hook.address
    world.caller.openwx("start_client", client=NAME, post_api=hook, send_interval="60")
    world.caller.until_state(NAME, "running")
    texts = ["before the scan 1", "before the scan 2", "before the scan 3"]
    for text in texts:
        assert world.send(text, **{"async": "1"})[1]["code"] == 0
    until(lambda: world.sent("before the scan"), "the first")
    world.caller.openwx("stop_client", client=NAME)
    world.phone.call("POST", f"/accounts/{world.uin}/logout", {"retcode": 1101, "forget": True})
    log_in(world.caller, world.phone, NAME, world.uin, post_api=hook, send_interval="0")
    until(lambda: len(world.told("before the scan")) == 3, "their reports")
    told = world.told("before the scan")
    assert [(one["content"], one["code"]) for one in told] == [(texts[0], ""), (texts[1], -5), (texts[2], -5)]
    assert {one["info"] for one in told[1:]} == {"not sent: the session is over, and ids change with the next one"}
    assert {one["receiver"] for one in told} == {"文件传输助手"}
    assert [one["text"] for one in world.sent("before the scan")] == texts[:1]
    assert world.send("after the scan")[1]["code"] == 0
