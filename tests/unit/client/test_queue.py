"""The queue of sends on bad days, and at its end."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, Start, Webhook, running
from tests.unit.client.test_status import send
from wxcontroller.core.jsontypes import obj

INTERVAL, DRAIN = "MOJO_WEIXIN_SEND_INTERVAL", "WXCLIENT_STOP_DRAIN"


# -- the end


async def test_stop_waits_for_sends_up_to_its_limit(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address, INTERVAL: "0.3", DRAIN: "1"})
    await send(client, 9)
    assert await client.stop() == 0
    sent = [text for _, text, _ in client.driver.sends]
    assert 0 < len(sent) < 9
    # The rest stays for the next start.
    assert [(r["content"], r["code"]) for r in await webhook.messages(len(sent))] == [(text, "") for text in sent]
    await running(start, **{POST_API: webhook.address})
    assert [(r["content"], r["code"]) for r in await webhook.messages(9)] == [(each, "") for each in "012345678"]


async def test_a_stopping_account_refuses_new_sends_with_the_reason(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address, INTERVAL: "0.5"})
    await send(client, 3)
    stopping = asyncio.create_task(client.stop())
    await until(lambda: str(client.state().get("status", "")).startswith("stopping: "))
    assert client.state()["status"] == "stopping: sending 2 queued messages first, for at most 15 s"
    answer = obj(await client.get("send_friend_message", id="@ann", content="one more"))
    assert (answer["code"], answer["status"]) == (-1, "the account is stopping, nothing more is sent")
    assert await stopping == 0
    assert [r["code"] for r in await webhook.messages(3)] == [""] * 3
    assert len(client.driver.sends) == 3


async def test_systemd_learns_that_a_stop_takes_longer(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        client = await running(start, **{INTERVAL: "0.5"})
        await send(client, 3)
        await client.stop()
        told: list[bytes] = []
        while b"STATUS=stopped: stopped" not in told:
            told.append(systemd.recv(4096))
    assert told.index(b"STOPPING=1") < told.index(b"EXTEND_TIMEOUT_USEC=10000000")


# -- bad days
