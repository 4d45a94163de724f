"""A log that is too large: told loudly before anything of it is lost, and only then lost."""

import time
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, Start, running
from tests.unit.client.scripted import message
from wxcontroller.client import service
from wxcontroller.client.store import retention
from wxcontroller.core.jsontypes import integer


async def test_loss_is_announced_first(
    monkeypatch: pytest.MonkeyPatch, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    # Nobody listens there: all reports wait, and a stop does not try to deliver them.
    monkeypatch.setattr(service, "FLUSH_SECONDS", 0.01)
    unheard = {POST_API: "http://127.0.0.1:9/"}
    client = await running(start, **unheard)
    client.driver.play([message("x" * 40_000) for _ in range(40)])
    await client.until_told(lambda found: integer(found["pending"]) >= 40, "deliveries?limit=1")
    await client.stop()
    monkeypatch.setattr(retention, "SWEEP_PAUSE", 0.01)
    monkeypatch.setattr(retention, "SWEEP_SECONDS", 0.01)
    caplog.clear()
    # The first check finds the log too large.
    client = start(**unheard, WXCLIENT_EVENT_KEEP_BYTES=str(1 << 20))

    def looks() -> Iterator[str]:
        """Tell of each look that it warns, and of the one that loses."""
        for record in caplog.records:
            if "reports wait for" in record.msg:
                yield "warned"
            elif "that were never delivered are lost" in record.msg:
                yield "lost"

    await until(lambda: "lost" in looks())
    assert [*looks()][:3] == ["warned", "warned", "lost"]
    now = await client.told("deliveries?limit=1")
    assert now["dropped"]
    assert time.time() - PATIENCE <= integer(now["dropped_at"]) <= time.time()
