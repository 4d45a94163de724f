"""An account on the iLink route: its life above the driver is that of any other, with the sandbox as WeChat."""

import json
from dataclasses import replace

import pytest

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook
from tests.unit.drivers.ilink_kit import QUICK, Bench
from tests.unit.sandbox.agent import waiting_code
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.drivers.base import Driver, DriverContext, DriverFactory, ReplyWindow
from wxcontroller.drivers.ilink.driver import ILinkDriver
from wxcontroller.drivers.ilink.timing import ILinkTiming
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.items import QuoteForm, quote_of, text_item


def quickly(context: DriverContext, pace: float = 1.0, timing: ILinkTiming = QUICK) -> Driver:
    driver = ILinkDriver(context, timing)
    driver.capabilities = replace(driver.capabilities, window=ReplyWindow(pace=pace))
    return driver


def begin(
    start: Start, wechat: Bench, webhook: Webhook, make: DriverFactory = quickly, **environ: str
) -> RunningClient:
    route = {"WXCLIENT_DRIVER": "ilink", "WXCLIENT_SERVER": wechat.url, POST_API: webhook.address}
    return start(make=make, **route, **environ)


async def enter(client: RunningClient, wechat: Bench) -> None:
    await client.until_state("scaning")
    phone.confirm(wechat.sandbox, await waiting_code(wechat.sandbox), wechat.account)
    await client.until_state("running")


async def entered(
    start: Start, wechat: Bench, webhook: Webhook, make: DriverFactory = quickly, **environ: str
) -> RunningClient:
    client = begin(start, wechat, webhook, make, **environ)
    await enter(client, wechat)
    return client


async def test_a_restart_needs_no_scan(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = await entered(start, wechat, webhook)
    assert await client.stop() == 0
    phone.write_text(wechat.sandbox, wechat.account, "meanwhile")
    client = begin(start, wechat, webhook)
    await client.until_state("running")
    [report] = await webhook.messages()
    assert report["content"] == "meanwhile"


async def test_session_of_another_stopped_account_is_not_used(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = await entered(start, wechat, webhook)
    marks = client.state()["login_marks"]
    assert wechat.bot.bot_id not in str(marks) and wechat.peer not in str(marks)
    await client.stop()
    polls = wechat.requests("getupdates")
    book = client.paths.logins
    book.parent.mkdir(parents=True)
    book.write_text(json.dumps({"bob": {"account": "bob", "marks": marks}}))
    client = begin(start, wechat, webhook)
    await until(lambda: client.state().get("ended") == "taken")
    state = client.state()
    assert "account bob has it" in str(state["reason"]) and state["login_state"] == "parked"
    assert wechat.requests("getupdates") == polls
    await client.stop()
    book.write_text(json.dumps({"alice": {"account": "alice", "marks": marks}}))
    client = begin(start, wechat, webhook)
    await client.until_state("running")


@pytest.mark.parametrize("form", [*QuoteForm])
async def test_quotes_are_resolved(start: Start, wechat: Bench, webhook: Webhook, form: QuoteForm) -> None:
    client = await entered(start, wechat, webhook)
    theirs = phone.write_text(wechat.sandbox, wechat.account, "one two one three two four")
    await webhook.messages()
    answer = obj(await client.post("send_friend_message", id=wechat.peer, content='our "answer"'))
    ours = wechat.user.messages[text(answer["id"]).partition(":")[0]]

    def reply(words: str, quoted: JsonObject, part: str = "") -> None:
        item = {**text_item(words), "ref_msg": quote_of(quoted, form, part)}
        phone.write(wechat.sandbox, wechat.account, wechat.bot, item, words)

    reply("whole", theirs)
    reply("part", theirs, "one three two")
    reply("own", ours)
    reply("unknown", {**theirs, "message_id": 1, "item_list": [{"type": 0, "msg_id": "1"}]})
    reports = {one["content"]: one for one in await webhook.messages(6)}
    assert [reports[words]["quote_content"] for words in ("whole", "own")] == [
        "one two one three two four",
        'our "answer"',
    ]
    assert "quote_id" not in reports["one two one three two four"]
    if form is QuoteForm.ID:
        assert reports["part"]["quote_content"] == "one three two"
    if form is not QuoteForm.INLINE:
        assert [reports[words]["quote_sender_id"] for words in ("whole", "own")] == [wechat.peer, wechat.bot.bot_id]
        assert (reports["whole"]["quote_id"], reports["unknown"]["quote_content"]) == (text(theirs["message_id"]), "")


async def test_people_are_those_known_from_traffic(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = await entered(start, wechat, webhook)
    phone.write_text(wechat.sandbox, wechat.account, "hello")
    await webhook.messages()
    me = obj(await client.get("get_user_info"))
    assert (me["id"], me["account"], me["displayname"]) == (wechat.bot.bot_id, "", wechat.bot.bot_id)
    [friend] = items(await client.get("get_friend_info"))
    shown = [obj(friend)[name] for name in ("id", "name", "displayname", "category")]
    assert shown == [wechat.peer, "", wechat.peer, "好友"]
    assert obj(await client.post("set_markname", id=wechat.peer, new_markname="Ann"))["code"] == 0
    [found] = items(await client.get("search_friend", markname="Ann"))
    assert (obj(found)["id"], obj(found)["displayname"]) == (wechat.peer, "Ann")
    assert wechat.requests("sendmessage") == 0
