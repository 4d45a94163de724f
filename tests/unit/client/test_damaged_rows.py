"""Damaged rows of the event log do not stop an account: readable parts are shown, everything else works."""

import sqlite3
from contextlib import closing

import pytest

from tests.unit.client.conftest import POST_API, Start, Webhook, running
from tests.unit.client.scripted import message
from tests.unit.client.test_v1_deliveries import until
from wxcontroller.core.jsontypes import items, obj

DAMAGE = [
    "UPDATE events SET body = 'no json', attempts = 'often', status = x'00' WHERE type = 'friend_message'",
    "UPDATE events SET body = CAST(x'7bff7d' AS TEXT), error = CAST(x'ff' AS TEXT), time = 'then'",
    "UPDATE events SET size = 'large', settled_at = 'x', next_at = 'x', stamp = 'x'",
    "DELETE FROM meta WHERE name = 'dropped'",
    f"INSERT INTO meta VALUES ('dropped_at', '{'9' * 400}')",
    "UPDATE tally SET number = 'x', bytes = 'x'",
    "UPDATE sends SET parcel = 99, attempts_left = 'x', tried = 'x', time = 'x'",
    "UPDATE sends SET content = CAST(x'ff' AS TEXT), sides = 'no json'",
    "UPDATE requests SET text = '{}', media = 'no json', answer = 'no json', event = 'x'",
    "DROP TABLE tally",
    "ALTER TABLE requests DROP COLUMN answer",
]


@pytest.mark.parametrize("damage", DAMAGE)
async def test_an_account_continues_after_its_log_was_damaged(start: Start, webhook: Webhook, damage: str) -> None:
    client = await running(
        start, **{POST_API: webhook.address, "MOJO_WEIXIN_SEND_INTERVAL": "60", "WXCLIENT_STOP_DRAIN": "0"}
    )
    client.driver.play([message("before")])
    await webhook.messages(1)
    for content in ("sent", "waits"):
        key = {"idempotency_key": content, "async": "1"}
        assert obj(await client.get("send_friend_message", id="@ann", content=content, **key))["code"] == 0
    await webhook.messages(2)
    assert await client.stop() == 0
    with closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db, db:
        db.execute(damage)
    again = await running(start, **{POST_API: webhook.address})
    again.driver.play([message("after")])
    await webhook.until(lambda reports: any(report.get("content") == "after" for report in reports))
    assert obj(await again.get("send_friend_message", id="@ann", content="new"))["code"] == 0
    for page in ("deliveries?state=held,pending,delivered,dead,kept,purged", "events", "status"):
        assert (await again.v1("GET", page))[0] == 200
    for event in items((await again.v1("GET", "events"))[1]["events"]):
        assert (await again.v1("GET", f"deliveries/{obj(event)['id']}"))[0] == 200
    repeated = {"content": "sent", "idempotency_key": "sent", "async": "1"}
    # An unreadable outcome may be a success: the send is never repeated.
    assert obj(await again.get("send_friend_message", id="@ann", **repeated))["code"] in (0, -7)
    assert [text for _, text, _ in (*client.driver.sends, *again.driver.sends)].count("sent") == 1
    await until(again, pending=0)
    assert await again.stop() == 0
