"""/v1/deliveries and /v1/media at the account's port."""

import asyncio
import base64
import json
import time

import pytest

from tests.patience import PATIENCE
from tests.patience import until as patience
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import message
from wxcontroller.client import publishing
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.model import MessageKind, MessageMedia

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def until(client: RunningClient, **wanted: int) -> JsonObject:
    return await client.until_v1(lambda found: wanted.items() <= found.items(), "deliveries")


async def at_rest(client: RunningClient, webhook: Webhook) -> None:
    """Log in and wait until all reports of that are delivered."""
    await client.login()
    await webhook.until(lambda got: any(one.get("params") == ["updating", "running"] for one in got))
    await until(client, pending=0)


async def with_dead(start: Start, webhook: Webhook, *texts: str) -> RunningClient:
    """An account with dead letters of these texts."""
    client = start(**{POST_API: webhook.address})
    await at_rest(client, webhook)
    webhook.statuses = [410] * len(texts)
    client.driver.play([message(text) for text in texts])
    await until(client, dead=len(texts), pending=0)
    return client


async def test_message_shows_its_delivery_and_is_found_by_each_id(start: Start, webhook: Webhook) -> None:
    client = await with_dead(start, webhook, "one")
    client.driver.play([message("two")])
    await webhook.until(lambda got: any(report.get("content") == "two" for report in got))
    await until(client, dead=1, pending=0)
    one, two = (obj(shown) for shown in items((await client.get_v1("messages"))["messages"]))
    dead, delivered = obj(one["delivery"]), obj(two["delivery"])
    assert (dead["state"], dead["last_error"], dead["attempts"]) == ("dead", "the webhook returned 410", 1)
    assert (delivered["state"], delivered["last_status"]) == ("delivered", 200)
    assert abs(float(str(delivered["settled_at"])) - time.time()) < PATIENCE
    status, report = await client.v1("GET", f"deliveries/{one['id']}")
    assert (status, report["id"]) == (200, dead["id"])
    for identifier in (one["id"], dead["id"], report["delivery"]):
        assert await client.v1("GET", f"messages/{identifier}") == (200, one)
    status, changed = await client.v1("POST", "deliveries/replay", {"ids": [one["id"]]})
    assert (status, changed["replayed"]) == (200, 1)


async def test_dead_letters_are_listed_shown_and_replayed(start: Start, webhook: Webhook) -> None:
    client = await with_dead(start, webhook, "one", "two", "three")
    _, found = await client.v1("GET", "deliveries?state=dead")
    first, second, third = (obj(delivery) for delivery in items(found["deliveries"]))
    assert (first["type"], first["state"], first["attempts"], first["last_status"], first["last_error"]) == (
        *("friend_message", "dead", 1, 410),
        "the webhook returned 410",
    )
    answered = {"template": "the webhook returned {status}", "values": {"status": 410}}
    assert first["last_error_text"] == answered
    attempt = obj(found["last_attempt"])
    assert (attempt["status"], int(str(attempt["milliseconds"])) >= 0) == (410, True)
    assert abs(int(str(attempt["time"])) - time.time()) < PATIENCE
    _, shown = await client.v1("GET", f"deliveries/{second['id']}")
    report = obj(shown["report"])
    assert report["content"] == "two"
    assert (second["sender"], second["receiver"], second["group"]) == (report["sender"], report["receiver"], None)
    assert (second["direction"], bool(second["sender"])) == ("in", True)
    assert webhook.events("state_change")
    status, answer = await client.v1("POST", "deliveries/replay", {"ids": [third["id"], first["id"]]})
    assert (status, answer["replayed"]) == (200, 2)
    assert [message["content"] for message in await webhook.messages(2)] == ["one", "three"]
    _, answer = await client.v1("POST", "deliveries/replay", {"all": True})
    assert answer["replayed"] == 1
    ids = [f"{number:032x}" for number in range(1001)]
    assert [(await client.v1("POST", "deliveries/replay", {"ids": ids[at:]}))[0] for at in (0, 1)] == [400, 404]
    assert [message["content"] for message in await webhook.messages(3)] == ["one", "three", "two"]
    found = await until(client, dead=0, pending=0)
    assert found["deliveries"] == []
    _, found = await client.v1("GET", "deliveries?state=delivered&limit=2")
    assert len(items(found["deliveries"])) == 2
    _, rest = await client.v1("GET", f"deliveries?state=delivered&limit=1000&after={found['next']}")
    assert rest["next"] is None
    assert items(rest["deliveries"])


async def test_acknowledged_dead_letter_that_fails_again_is_new(start: Start, webhook: Webhook) -> None:
    client = await with_dead(start, webhook, "one", "two", "three")
    found = await until(client, dead=3, unacknowledged=3)
    first = obj(items(found["deliveries"])[0])["id"]
    _, answer = await client.v1("POST", "deliveries/ack", {"ids": [first]})
    assert (answer["acknowledged"], answer["dead"], answer["unacknowledged"]) == (1, 3, 2)
    _, answer = await client.v1("POST", "deliveries/ack", {"state": "dead"})
    assert (answer["acknowledged"], answer["dead"], answer["unacknowledged"]) == (2, 3, 0)
    status, _ = await client.v1("POST", "deliveries/ack")
    assert status == 400
    webhook.statuses = [410]
    await client.v1("POST", "deliveries/replay", {"ids": [first]})
    await until(client, dead=3, unacknowledged=1, pending=0)


async def test_deliveries_are_published(start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_PAUSE_SECONDS", 0.02)
    client = await with_dead(start, webhook, "one", "two")
    path = client.paths.status_file("alice")

    async def published_as(**wanted: object) -> JsonObject:
        def read() -> JsonObject:
            return obj(obj(json.loads(path.read_bytes()))["reports"]) if path.exists() else {}

        return await patience(read, lambda state: state and wanted.items() <= state.items())

    state = await published_as(dead=2, unacknowledged=2, dead_error="the webhook returned 410", waiting=0)
    assert path.stat().st_mode & 0o777 == 0o640
    assert state["dead_at"]
    assert obj(state["dead_error_text"])["template"] == "the webhook returned {status}"
    await client.v1("POST", "deliveries/ack", {"all": True})
    await published_as(dead=2, unacknowledged=0, dead_at=None)
    webhook.statuses = [503] * 1000
    client.driver.play([message("stuck")])
    assert (await published_as(waiting=1, last_error="the webhook returned 503"))["oldest_since"]


async def test_delivered_report_is_replayed_only_by_its_id(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    client.driver.play([message("once")])
    await webhook.messages(1)
    found = await until(client, pending=0)
    _, found = await client.v1("GET", "deliveries?state=delivered")
    last = obj(items(found["deliveries"])[-1])
    _, answer = await client.v1("POST", "deliveries/replay", {"all": True})
    assert answer["replayed"] == 0
    _, answer = await client.v1("POST", "deliveries/replay", {"ids": [last["id"]]})
    assert answer["replayed"] == 1
    assert [message["content"] for message in await webhook.messages(2)] == ["once", "once"]


async def test_waiting_report_can_be_purged(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, "WXCLIENT_WEBHOOK_RETRY_FIRST": "60"})
    await at_rest(client, webhook)
    webhook.statuses = [503]
    client.driver.play([message("stuck"), message("next")])
    async with asyncio.timeout(PATIENCE):
        # What is counted may be listed a moment later.
        while not (
            tried := [
                delivery
                for delivery in items((await until(client, pending=2))["deliveries"])
                if obj(delivery)["attempts"]
            ]
        ):
            await asyncio.sleep(0.01)
    stuck = obj(tried[0])
    assert float(str(stuck["next_at"])) > 0
    _, answer = await client.v1("POST", "deliveries/purge", {"ids": [stuck["id"]]})
    assert answer["purged"] == 1
    assert [message["content"] for message in await webhook.messages(1)] == ["next"]
    _, body = await client.v1("GET", "deliveries?state=purged")
    assert [obj(delivery)["id"] for delivery in items(body["deliveries"])] == [stuck["id"]]


async def test_media_by_reference_are_fetched_by_the_address_in_the_report(start: Start, webhook: Webhook) -> None:
    client = start(
        **{POST_API: webhook.address, "MOJO_WEIXIN_PLUGIN_OPENWX_POST_MEDIA_DATA": "0"},
        WXCLIENT_PUBLIC_URL="https://bots.example/wx/",
    )
    client.driver.contents["55"] = PNG
    await client.login()
    picture = MessageMedia(MessageKind.IMAGE, "55")
    client.driver.play([message("", kind=MessageKind.IMAGE, media=picture)])
    [report] = await webhook.messages(1)
    assert report["media_data"] == ""
    prefix = "https://bots.example/wx/v1/accounts/alice/media/"
    assert str(report["media_url"]).startswith(prefix)
    name = str(report["media_url"]).removeprefix(prefix)
    async with client.http.get(f"http://127.0.0.1:{client.port}/v1/media/{name}") as answer:
        assert (answer.status, await answer.read()) == (200, PNG)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"].startswith("attachment")
    for other in ("events.db", "..%2Fevents.db", "mojo_weixin_media_20260101000000_0123456789abcdef.png", "%2e%2e"):
        async with client.http.get(f"http://127.0.0.1:{client.port}/v1/media/{other}") as answer:
            assert answer.status == 404, other


async def test_media_that_wait_for_their_delivery_outlive_their_time(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, "WXCLIENT_MEDIA_KEEP_BYTES": "1"})
    client.driver.contents["55"] = PNG
    await at_rest(client, webhook)
    webhook.statuses = [500] * 1000
    client.driver.play([message("", kind=MessageKind.IMAGE, media=MessageMedia(MessageKind.IMAGE, "55"))])
    await until(client, pending=1)
    await client.stop()
    again = start(**{POST_API: webhook.address, "WXCLIENT_MEDIA_KEEP_BYTES": "1"})  # sweeps at its start
    await again.until_state("loading")
    webhook.statuses = []
    [report] = await webhook.messages(1)
    assert base64.b64decode(str(report["media_data"])) == PNG
