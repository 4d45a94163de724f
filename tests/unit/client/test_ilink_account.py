"""An account on the iLink route, with the sandbox as WeChat: its login, quotes, and a change of its driver."""

import json

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Webhook, running
from tests.unit.client.stage import Stage
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.items import QuoteForm, quote_of, text_item


async def test_a_restart_needs_no_scan(ilink: Stage) -> None:
    client = await ilink.enter()
    assert await client.stop() == 0
    missed = ilink.route.write(ilink, "meanwhile")
    await ilink.begin().until_state("running")
    assert (await ilink.report(missed))["content"] == "meanwhile"


async def test_session_of_another_stopped_account_is_not_used(ilink: Stage) -> None:
    client = await ilink.enter()
    marks = client.state()["login_marks"]
    assert ilink.ilink.bot.bot_id not in str(marks) and ilink.ilink.peer not in str(marks)
    await client.stop()
    polls = ilink.ilink.requests("getupdates")
    book = client.paths.logins
    book.parent.mkdir(parents=True)
    book.write_text(json.dumps({"bob": {"account": "bob", "marks": marks}}))
    client = ilink.begin()
    await until(lambda: client.state().get("ended") == "taken")
    state = client.state()
    assert "account bob has it" in str(state["reason"]) and state["login_state"] == "parked"
    assert ilink.ilink.requests("getupdates") == polls
    await client.stop()
    book.write_text(json.dumps({"alice": {"account": "alice", "marks": marks}}))
    await ilink.begin().until_state("running")


async def test_quote_of_a_part_is_resolved(ilink: Stage) -> None:
    await ilink.enter()
    quoted = await ilink.hear("one two one three two four")
    theirs = ilink.ilink.user.messages[text(quoted["id"])]
    item = {**text_item("part"), "ref_msg": quote_of(theirs, QuoteForm.ID, "one three two")}
    reply = phone.write(ilink.wechat.sandbox, ilink.account, ilink.ilink.bot, item, "part")
    report = await ilink.report(text(reply["message_id"]))
    assert (report["quote_id"], report["quote_content"]) == (quoted["id"], "one three two")
    assert report["quote_sender_id"] == ilink.ilink.peer


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
