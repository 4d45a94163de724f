"""The end of an account with sends in its queue, under the units as installed; and what people see of trouble."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.system.actors import Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
NAME = "paced"
EXTRA = "/etc/wxcontroller/wxcontroller.toml.d/zz.toml"


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone
    hook: Webhook
    uin: str

    def account(self) -> Json:
        return self.caller.account(NAME)

    def start(self, **options: str) -> None:
        """Start the account anew with other options; its login is kept."""
        self.caller.openwx("stop_client", client=NAME)
        assert self.caller.openwx("start_client", client=NAME, post_api=self.hook.address, **options)["code"] == 0
        self.caller.until_state(NAME, "running")

    def queue(self, *texts: str) -> None:
        for text in texts:
            answer = self.caller.openwx(
                "send_friend_message", client=NAME, id="filehelper", content=text, **{"async": "1"}
            )
            assert answer["code"] == 0

    def arrived(self, *texts: str) -> list[str]:
        """Those of ``texts`` that are at WeChat, in their order there."""
        return [one["text"] for one in self.phone.sent(self.uin, 0, 0.1) if one["text"] in texts]


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("排队")
    with Webhook(host) as hook:
        log_in(caller, phone, NAME, uin, post_api=hook.address)
        yield World(host, caller, phone, hook, uin)
    caller.openwx("stop_client", client=NAME)


def test_a_stop_sends_what_is_queued_beyond_the_units_time_limit(world: World) -> None:
    world.start(send_interval="3")
    assert world.host.text("systemctl", "show", "-P", "TimeoutStopUSec", f"wxclient@{NAME}").strip() == "10s"
    texts = [f"goodbye {number}" for number in range(5)]
    begun = time.monotonic()
    world.queue(*texts)
    assert world.caller.openwx("stop_client", client=NAME)["code"] == 0
    assert time.monotonic() - begun > 11.9
    assert world.arrived(*texts) == texts
    assert "timed out" not in world.host.journal(f"wxclient@{NAME}.service")
    told = world.host.journal(f"wxclient@{NAME}.service")
    assert re.search(r"stopping: sending \d queued messages first, for at most 15 s", told)


def test_a_client_that_hangs_while_it_stops_is_ended(world: World) -> None:
    world.start(send_interval="3", stop_drain="300")
    texts = [f"hanging {number}" for number in range(20)]
    world.queue(*texts)
    pid = str(world.account()["pid"])
    world.host.run("systemctl", "stop", "--no-block", f"wxclient@{NAME}")
    until(lambda: world.account()["status"].startswith("stopping: "), "the stop")
    world.host.run("kill", "-STOP", pid)
    until(lambda: world.account()["unit_state"] == "failed", "its end")
    world.start()
    until(lambda: world.arrived(*texts) == texts, "all messages")


def test_a_stop_sends_what_it_can_and_the_next_start_the_rest(world: World) -> None:
    world.start(send_interval="0.6", stop_drain="2")
    texts = [f"drain {number}" for number in range(12)]
    world.queue(*texts)
    assert world.caller.openwx("stop_client", client=NAME)["code"] == 0
    arrived = world.arrived(*texts)
    assert 2 <= len(arrived) < 12
    assert arrived == texts[: len(arrived)]
    assert f"{12 - len(arrived)} sends stay queued for the next start" in world.host.journal(
        f"wxclient@{NAME}.service"
    )
    world.start()
    until(lambda: world.arrived(*texts) == texts, "the rest")
    for text in texts:
        world.hook.wait_for(lambda report, t=text: report.get("content") == t, text)  # type: ignore[misc]
    told = [report for report in world.hook.reports if report.get("content") in texts]
    assert [(report["content"], report["code"]) for report in told] == [(text, "") for text in texts]


def test_an_account_that_hangs_is_told_in_words(world: World) -> None:
    world.start()
    pid = str(world.account()["pid"])
    world.host.run("kill", "-STOP", pid)
    try:
        account = world.account()
        assert (account["client"], account["unit_state"]) == (None, "active")
        assert "no response" in account["client_reason"]
        assert len(world.caller.v1("GET", "/accounts")[1]["accounts"]) == 1
    finally:
        world.host.run("kill", "-CONT", pid)
    assert until(lambda: world.account()["client"], "the account's own word")


def test_a_reload_that_failed_is_seen(world: World) -> None:
    def settings() -> Json:
        return world.caller.v1("GET", "/health")[1]["settings"]

    assert settings()["error"] is None
    world.host.write(EXTRA, b"max_clients = 0\n", 0o644)
    world.host.run("systemctl", "reload", "wxcontroller", check=False)
    assert "max_clients" in until(lambda: settings()["error"], "the error")
    assert "the previous settings remain in use" in world.host.text("wxctl", "status")
    world.host.run("rm", EXTRA)
    world.host.run("systemctl", "reload", "wxcontroller")
    until(lambda: settings()["error"] is None, "no error")
    assert json.loads(world.host.text("wxctl", "status", "--json"))["health"]["settings"]["error"] is None
