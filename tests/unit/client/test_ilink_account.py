"""An account on the iLink route: its life above the driver is that of any other, with the sandbox as WeChat."""

import json
from dataclasses import replace

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook
from tests.unit.drivers.ilink_kit import QUICK, Bench
from tests.unit.sandbox.agent import waiting_code
from wxcontroller.drivers.base import Driver, DriverContext, DriverFactory, ReplyWindow
from wxcontroller.drivers.ilink.driver import ILinkDriver
from wxcontroller.drivers.ilink.timing import ILinkTiming
from wxcontroller.sandbox.ilink import phone


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
