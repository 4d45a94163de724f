"""The end of an account with sends in its queue, under the units as installed."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.system.actors import Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
NAME = "paced"


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
