"""A log that is too large: told loudly before anything of it is lost, and only then lost."""

import asyncio
import json

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import RunningClient
from tests.unit.client.scripted import message
from tests.unit.client.test_status import POST_API, Start
from wxcontroller.client.store import retention
from wxcontroller.core.jsontypes import JsonObject, integer, obj


async def counts(client: RunningClient) -> JsonObject:
    async with client.http.get(f"http://127.0.0.1:{client.port}/v1/deliveries?limit=1") as answer:
        return obj(json.loads(await answer.read()))


async def test_a_loss_is_told_before_it_happens(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention, "SWEEP_PAUSE", 0.2)
    monkeypatch.setattr(retention, "SWEEP_SECONDS", 0.5)
    # Nobody listens there: everything waits.
    client = start(**{POST_API: "http://127.0.0.1:9/", "WXCLIENT_EVENT_KEEP_BYTES": str(1 << 20)})
    await client.login()
    client.driver.play([message("x" * 40_000) for _ in range(40)])
    async with asyncio.timeout(PATIENCE):
        while not (await counts(client))["dropped"]:
            await asyncio.sleep(0.02)
    first = {record.msg: record.created for record in reversed(caplog.records)}
    [warned] = [when for words, when in first.items() if "reports wait for" in words]
    [lost] = [when for words, when in first.items() if "that were never delivered are lost" in words]
    assert lost - warned >= 0.2  # a look earlier
    told = await counts(client)
    assert abs(integer(told["dropped_at"]) - lost) <= 1
