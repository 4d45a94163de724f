"""An account in a fleet with etcd: it waits for its owner, and ends with the permit of the host."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client import test_kept_sends as kept
from tests.unit.client.conftest import POST_API, RunningClient, Webhook, running
from wxcontroller.client.config import read_config
from wxcontroller.client.login import permit as module
from wxcontroller.client.login import settling
from wxcontroller.client.login.permit import VARIABLE, HostPermit, NotOwned, permit_of
from wxcontroller.core.paths import Paths

ENVIRON = {"MOJO_WEIXIN_PLUGIN_OPENWX_PORT": "3000", VARIABLE: "8"}
LEASE = 7587899210609856005


@pytest.fixture
def host(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    for place in (paths.fleet_runtime, paths.owners):
        place.mkdir(parents=True)
    (paths.fleet_runtime / "lease").write_text(json.dumps({"host": "host-a", "lease": LEASE}))
    return paths


def own(paths: Paths, host: str, lease: int) -> None:
    paths.owner_file("alice").write_text(json.dumps({"host": host, "epoch": 3, "lease": lease}))


def allow(paths: Paths, seconds: float) -> None:
    (paths.fleet_runtime / "permit").write_text(f"{time.clock_gettime(time.CLOCK_BOOTTIME) + seconds:.3f}\n")


def wait(paths: Paths) -> HostPermit:
    return permit_of(read_config("alice", ENVIRON, paths), ENVIRON, paths)


def test_start_waits_for_a_claim_under_the_present_lease(host: Paths) -> None:
    own(host, "host-a", LEASE - 1)
    claimed = threading.Timer(0.2, own, (host, "host-a", LEASE))
    claimed.start()
    permit = wait(host)
    assert not claimed.is_alive()
    assert permit.epoch == 3
    assert permit.left() <= 0
    allow(host, 20.0)
    assert 10 < permit.left() < 20.01  # rounded to milliseconds


@pytest.mark.parametrize("content", ["", "{", "[]", '{"lease": "x"}', '{"host": "host-a", "lease": 1}'])
def test_unclaimed_account_does_not_start(host: Paths, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OWNER_SECONDS", 0.1)
    host.owner_file("alice").write_text(content)
    with pytest.raises(NotOwned, match="the controller of this host has not claimed it"):
        wait(host)
    (host.fleet_runtime / "lease").unlink()
    with pytest.raises(NotOwned):
        wait(host)


def test_account_of_another_host_names_the_ways_to_run_it(host: Paths) -> None:
    host.owner_file("alice").write_text('{"host": "host-b", "epoch": 3, "lease": 0}')
    with pytest.raises(NotOwned, match="account alice is owned by host-b") as refused:
        wait(host)
    assert "wxctl move alice host-a" in refused.value.remedy
    assert "wxctl claim alice" in refused.value.remedy


async def test_end_of_the_permit_keeps_the_queue(
    start: Callable[..., RunningClient], webhook: Webhook, host: Paths
) -> None:
    allow(host, 60.0)
    environ = {POST_API: webhook.address, kept.DRAIN: "300", **kept.SLOW}
    client = start(permit=HostPermit(host, 3, 8.0), **environ)
    await kept.first_of(client, "queued")
    allow(host, 0.5)
    async with asyncio.timeout(PATIENCE / 2):  # the next send is due in a minute
        assert await client.stop() in (0, 75)
    await running(start, **{**environ, "MOJO_WEIXIN_SEND_INTERVAL": "0"})
    await until(lambda: [send["content"] for send in webhook.sends()] == ["first", "queued"])


async def test_adoption_keeps_deliveries_and_drops_sends(
    start: Callable[..., RunningClient], webhook: Webhook, host: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(host, 60.0)
    monkeypatch.setattr(settling, "_SECONDS", 0.5)
    environ = {POST_API: webhook.address, kept.DRAIN: "0", **kept.SLOW}
    client = start(permit=HostPermit(host, 3, 8.0), **environ)
    await kept.first_of(client, "queued")
    webhook.statuses = [503] * 9
    await client.get("send_friend_message", id="@ben", content="second", **{"async": "1"})
    assert await client.stop() == 0
    host.owner_file("alice").write_text(json.dumps({"host": "host-b", "lease": 0, "settle": True}))
    permit = wait(host)
    assert permit.adopter == "host-b"
    webhook.statuses = [503] * 99
    client = start(permit=permit, **environ)
    async with asyncio.timeout(PATIENCE):
        assert await client.task == 75
    webhook.statuses = []
    client = start(permit=HostPermit(host, 3, 8.0, "host-b"), **environ)
    async with asyncio.timeout(PATIENCE):
        assert await client.task == 0
    assert kept.ended(webhook)[1:] == [
        (text, -5, "not sent: another host has taken the account over") for text in ("queued", "second")
    ]
    assert not client.driver.sends


async def test_account_stops_when_the_permit_ends(start: Callable[..., RunningClient], host: Paths) -> None:
    allow(host, 1.0)
    client = start(permit=HostPermit(host, 3, 8.0))
    await client.login()
    async with asyncio.timeout(PATIENCE):
        assert await client.task == 75
    assert client.driver.cancelled
