"""An account that changes its driver while it is stopped: what it keeps, and what ends."""

from tests.unit.client.conftest import POST_API, RunningClient, Webhook, running
from tests.unit.client.stage import Stage
from wxcontroller.core.jsontypes import JsonObject, items, obj


async def ended(webhook: Webhook, *contents: str) -> list[JsonObject]:
    """Wait for the reports of these sends, and return them in order."""

    def of(reports: list[JsonObject]) -> list[JsonObject]:
        return [one for one in reports if one["post_type"] == "send_message" and one["content"] in contents]

    return of(await webhook.until(lambda reports: len(of(reports)) >= len(contents)))


async def events_of(client: RunningClient) -> list[JsonObject]:
    return [obj(one) for one in items((await client.told("events"))["events"])]


async def test_held_and_queued_sends_end_and_other_data_is_kept(ilink: Stage) -> None:
    client = ilink.begin(WXCLIENT_BUDGET_PER_INBOUND="1")
    cookies = client.paths.cookie_file("alice")
    cookies.write_bytes(b"of the web route")
    await ilink.scan()
    await ilink.hear("hello")
    assert [(await ilink.send(one))["code"] for one in ("sent", "held 1", "held 2")] == [0, -7, -7]
    before = await events_of(client)
    await client.stop()
    assert cookies.read_bytes() == b"of the web route"

    web = {POST_API: ilink.webhook.address}
    client = ilink.start(**web)
    reports = await ended(ilink.webhook, "held 1", "held 2")
    assert [(one["content"], one["code"]) for one in reports] == [("held 1", -5), ("held 2", -5)]
    assert all("other-route" in str(one["info"]) for one in reports)
    assert (await events_of(client))[: len(before)] == before
    await client.stop()

    client = await running(ilink.start, **web, MOJO_WEIXIN_SEND_INTERVAL="60", WXCLIENT_STOP_DRAIN="0")
    assert obj(await client.post("send_friend_message", id="@ann", content="by web"))["code"] == 0
    await client.post("send_friend_message", id="@ann", content="to nobody", **{"async": "1"})
    await client.stop()

    await ilink.begin().until_state("running")  # without a scan
    [report] = await ended(ilink.webhook, "to nobody")
    assert "other-route" in str(report["info"])
    assert ilink.sent() == ["sent"]
    await ilink.hear("back again?")
    assert (await ilink.send("yes"))["code"] == 0
