"""Following the words of a rare verdict cures it, as in test_verdicts; no cause is left out."""

import asyncio
import errno
import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.openapi.world import world
from tests.patience import PATIENCE, until
from tests.unit.client import stage
from tests.unit.client.conftest import POST_API, Start, Webhook, locked, running
from tests.unit.client.stage import Stage
from tests.unit.client.test_verdicts import CURED, WORDS, arrives, cures, ended, looked_up, sent, told
from tests.unit.drivers.ilink_kit import quick, waiting_code
from tests.unit.durability.routes import FILEHELPER, PICTURE
from wxcontroller.client.login.permit import HostPermit
from wxcontroller.client.sends import queue
from wxcontroller.client.sends.rules import window
from wxcontroller.client.sends.rules.sendbackoff import SendBackoff
from wxcontroller.client.store.database import writer
from wxcontroller.client.store.tables.lostsends import LOST_ROW
from wxcontroller.core.condition.verdict import RULES, Cause, SendState
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.world.ilinkbots import SessionState

# Nothing of these is sent before the account stops.
SLOW = {"MOJO_WEIXIN_SEND_INTERVAL": "60", "WXCLIENT_STOP_DRAIN": "0"}

FRIEND = '"kind": "friend"'


async def found(one: Stage, words: str = "") -> str:
    """Look up a recipient, as the words say; return the id."""
    people = items((await one.client.get_v1("contacts"))["contacts"])
    return next(text(obj(person)["id"]) for person in people if words in json.dumps(person))


def cut_off(outage: pytest.MonkeyPatch, url: str) -> None:
    """Break the network to WeChat."""
    connect = aiohttp.TCPConnector.connect

    async def failing(self: aiohttp.TCPConnector, request: aiohttp.ClientRequest, *more: Any, **named: Any) -> Any:
        if request.url.port == URL(url).port:
            raise aiohttp.ClientConnectorError(request.connection_key, OSError(errno.ENETUNREACH, "unreachable"))
        return await connect(self, request, *more, **named)

    outage.setattr(aiohttp.TCPConnector, "connect", failing)


@cures(Cause.LEARNED)
async def test_limit_that_was_learned_ends_with_a_message_of_the_person(
    ilink: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "_ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(window, "_SILENCE_FIRST", 0.05)
    monkeypatch.setattr(queue, "_RELEASE_SECONDS", 0.0)
    await ilink.enter()
    await ilink.hear("hello")
    for number in range(4):
        assert (await sent(ilink, str(number)))["state"] == "delivered"
    end = ilink.wechat.fault("sendmessage", FaultKind.RETCODE, -2, None)
    limits: JsonObject = {}
    while not limits.get("limit_24h"):
        await ilink.hear("go on")
        await sent(ilink, "refused")
        limits = obj((await ilink.client.get_v1())["sending"])
    assert limits["limit_24h"] == 4
    answer = await sent(ilink)
    end()
    shown = await until(lambda: looked_up(ilink, answer), lambda shown: shown["reason"] == Cause.LEARNED)
    await told(ilink, {**answer, **shown}, Cause.LEARNED, SendState.HELD)
    await ilink.hear("go on")
    await arrives(ilink)


@cures(Cause.CONFIRMING)
async def test_send_during_a_check_of_the_session_goes_out_after_it(
    ilink: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "QUICK", quick(confirm_pause=2.0))
    await ilink.enter()
    await ilink.hear("hello")
    announced = ilink.ilink.requests("notifystart")
    ilink.ilink.bot.set_state(SessionState.ASLEEP)
    await until(lambda: ilink.ilink.requests("notifystart") > announced)
    await told(ilink, await sent(ilink), Cause.CONFIRMING, SendState.HELD)
    await arrives(ilink)


@cures(Cause.UNREACHABLE)
async def test_send_that_waits_for_wechat_goes_out_when_it_can_be_reached(
    ilink: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ilink.enter()
    await ilink.hear("hello")
    with monkeypatch.context() as outage:
        cut_off(outage, ilink.wechat.url)
        answer = await sent(ilink, wait=0)
        shown = await until(lambda: looked_up(ilink, answer), lambda shown: shown["reason"] == Cause.UNREACHABLE)
        assert shown["remedy"] == RULES[Cause.UNREACHABLE].remedy
    await arrives(ilink)
    assert ilink.sent() == [WORDS]


@cures(Cause.NO_PEER)
async def test_send_to_an_unknown_person_goes_out_with_the_current_id(web: Stage) -> None:
    await web.enter()
    status, answer = await web.client.v1("POST", "messages", {"to": "nobody", "text": WORDS})
    error = obj(answer["error"])
    assert (status, error["code"]) == (404, "no-such-peer")
    assert "GET …/contacts" in text(error["remedy"])
    _, answer = await web.client.v1("POST", "messages", {"to": await found(web, FRIEND), "text": WORDS})
    assert answer["state"] == "delivered"


@cures(Cause.MEDIA_REFUSED)
async def test_text_goes_out_instead_of_refused_media_and_media_when_they_are_accepted(
    ilink: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "QUICK", quick(media_retry=1.0))
    await ilink.enter()
    await ilink.hear("hello")
    ilink.ilink.user.settings.media_refused = True
    answer, again = [await ilink.send("", PICTURE) for _ in range(2)]
    for one in (answer, again):
        assert (one["code"], one["refusal"]) == (-1, Cause.MEDIA_REFUSED)
    await told(ilink, await looked_up(ilink, answer), Cause.MEDIA_REFUSED, SendState.REFUSED)
    assert (await sent(ilink))["state"] == "delivered"
    ilink.ilink.user.settings.media_refused = False
    await asyncio.sleep(1.0)
    assert (await ilink.send("", PICTURE))["state"] == "delivered"


@cures(Cause.OVERTAKEN)
async def test_progress_that_was_overtaken_needs_nothing(ilink: Stage) -> None:
    await ilink.enter()
    progress = await sent(ilink, "progress", interim=True)
    await sent(ilink)
    await ilink.hear("go on")
    await arrives(ilink)
    await told(ilink, await ended(ilink, progress), Cause.OVERTAKEN, SendState.REFUSED)
    assert ilink.sent() == [WORDS]


@cures(Cause.OTHER_USER)
async def test_send_to_a_user_who_is_not_logged_in_any_more_goes_out_with_the_current_id(ilink: Stage) -> None:
    await ilink.enter()
    answer = await sent(ilink)
    ilink.ilink.bot.set_state(SessionState.DEAD)
    await ilink.client.until_state("scaning")
    ilink.account = ilink.wechat.sandbox.add_account("Bob")
    phone.confirm(ilink.wechat.sandbox, await waiting_code(ilink.wechat.sandbox), ilink.account)
    await ilink.client.until_state("running")
    await told(ilink, await ended(ilink, answer), Cause.OTHER_USER, SendState.REFUSED)
    assert await found(ilink) == ilink.route.recipient(ilink)
    await ilink.hear("hello")
    assert (await sent(ilink))["state"] == "delivered"


@cures(Cause.OTHER_ROUTE)
async def test_send_of_another_route_goes_out_with_the_id_of_this_one(ilink: Stage) -> None:
    await ilink.enter()
    answer = await sent(ilink)
    assert await ilink.client.stop() == 0
    now = replace(ilink, route=FILEHELPER)
    await now.enter()
    await told(now, await ended(now, answer), Cause.OTHER_ROUTE, SendState.REFUSED)
    _, answer = await now.client.v1("POST", "messages", {"to": await found(now), "text": WORDS})
    assert answer["state"] == "delivered"
    await arrives(now)


@cures(Cause.MOVED)
async def test_send_goes_out_at_the_host_that_has_the_account_now(ilink: Stage) -> None:
    await ilink.enter()
    answer = await sent(ilink)
    assert await ilink.client.stop() == 0
    paths = ilink.client.paths
    paths.fleet_runtime.mkdir(parents=True)
    (paths.fleet_runtime / "permit").write_text(f"{time.clock_gettime(time.CLOCK_BOOTTIME) + 60:.3f}\n")
    environ = {POST_API: ilink.webhook.address, "WXCLIENT_DRIVER": "ilink"}
    left = ilink.start(permit=HostPermit(paths, 3, 8.0, "host-b"), **environ)
    async with asyncio.timeout(PATIENCE):
        assert await left.task == 0
    [report] = await ilink.webhook.until_sends(1)
    verdict = RULES[Cause.MOVED]
    assert (report["uid"], report["info"]) == (answer["id"], f"not sent: {verdict.text}")
    # The host that has it now.
    await ilink.restart()
    await ilink.hear("hello")
    assert (await sent(ilink))["state"] == "delivered"
    assert ilink.sent() == [WORDS]


@cures(Cause.WECHAT_FAILED)
async def test_send_goes_out_once_wechat_works_again(web: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SendBackoff, "next_pause", lambda *_: 0.01)
    await web.enter()
    repair = web.wechat.fault("webwxsendmsg", FaultKind.RETCODE, -1, None)
    await told(web, await sent(web), Cause.WECHAT_FAILED, SendState.REFUSED)
    repair()
    assert (await sent(web))["state"] == "delivered"
    assert web.sent() == [WORDS]


@cures(Cause.SESSION_OVER)
async def test_send_goes_out_after_another_login_with_the_current_id(web: Stage) -> None:
    await web.enter(**SLOW)
    before = await found(web, FRIEND)
    assert (await sent(web, "first"))["state"] == "delivered"
    _, answer = await web.client.v1("POST", "messages", {"to": before, "text": WORDS, "wait": 0})
    assert web.account.session is not None
    web.account.session.end(1101)
    await web.client.until_state("scaning")
    await told(web, await ended(web, answer), Cause.SESSION_OVER, SendState.REFUSED)
    assert await web.client.stop() == 0
    await web.enter()
    _, answer = await web.client.v1("POST", "messages", {"to": await found(web, FRIEND), "text": WORDS})
    assert answer["state"] == "delivered"
    await arrives(web)


@cures(Cause.NOT_LOGGED_IN)
async def test_refused_call_of_an_account_that_is_not_logged_in_can_be_made_after_the_login(
    web: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    web.begin()
    await web.client.until_state("scaning")
    status, answer = await web.client.v1("POST", "messages", {"to": "filehelper", "text": WORDS})
    error, remedy = obj(answer["error"]), RULES[Cause.NOT_LOGGED_IN].remedy
    assert (status, error["code"], error["remedy"]) == (409, Cause.NOT_LOGGED_IN, remedy)
    [line] = [each for each in caplog.messages if "send refused (cause=not-logged-in)" in each]
    assert line.endswith(remedy)
    await web.scan()
    assert (await sent(web))["state"] == "delivered"
    assert web.sent() == [WORDS]


@cures(Cause.STOPPING)
async def test_send_that_a_stop_ended_goes_out_after_the_start(ilink: Stage) -> None:
    await ilink.enter(WXCLIENT_SEND_KEEP_SECONDS="0")
    answer = await sent(ilink)
    await ilink.restart()
    await told(ilink, await ended(ilink, answer), Cause.STOPPING, SendState.REFUSED)
    await ilink.hear("hello")
    assert (await sent(ilink))["state"] == "delivered"
    assert ilink.sent() == [WORDS]


@cures(Cause.UNAVAILABLE)
async def test_send_goes_out_once_the_disk_takes_it(ilink: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BUSY_SECONDS", 0.05)
    client = await ilink.enter(WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="0.5")
    await ilink.hear("hello")
    with locked(client.paths.state("alice") / "events.db"):
        # The first finds it out.
        await sent(ilink, "first")
        _, answer = await client.v1("POST", "messages", {"to": ilink.route.recipient(ilink), "text": WORDS})
        error = obj(answer["error"])
        assert (error["code"], error["remedy"]) == (Cause.UNAVAILABLE, RULES[Cause.UNAVAILABLE].remedy)
    await arrives(ilink, "first")
    assert (await sent(ilink))["state"] == "delivered"


@cures(Cause.DAMAGED)
async def test_send_whose_record_was_damaged_can_be_sent_again(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address}, **SLOW)
    form = {"id": "@ann", "content": WORDS}
    await client.get("send_friend_message", **{**form, "content": "first"})
    await client.get("send_friend_message", **form, **{"async": "1"})
    assert await client.stop() == 0
    with closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db, db:
        db.execute("UPDATE sends SET attempts_left = ?", (LOST_ROW,))
    client = await running(start, **{POST_API: webhook.address})
    _, report = await webhook.until_sends(2)
    assert (report["code"], report["info"]) == (-5, f"not sent: {RULES[Cause.DAMAGED].text}")
    assert obj(await client.get("send_friend_message", **form))["code"] == 0
    assert [words for _, words, _ in client.driver.sends] == [WORDS]


@cures(Cause.UNSUPPORTED)
async def test_send_that_no_account_of_this_route_can_make_goes_out_in_another_form(ilink: Stage) -> None:
    await ilink.enter()
    await ilink.hear("hello")

    async def post(kind: str) -> tuple[int, JsonObject]:
        form = aiohttp.FormData({"to": ilink.route.recipient(ilink), "media_type": kind})
        form.add_field("file", b"ID3" + bytes(500), filename="a.mp3")
        return await ilink.client.v1("POST", "messages", form)

    status, answer = await post("voice")
    error = obj(answer["error"])
    assert (status, error["code"]) == (409, Cause.UNSUPPORTED)
    # No route sends voice, so another account is not enough.
    assert "another form" in text(error["remedy"])
    assert error["remedy"] == RULES[Cause.UNSUPPORTED].remedy
    status, answer = await post("file")
    assert (status, answer["state"]) == (200, "delivered")


@cures(Cause.NOT_RUNNING)
async def test_send_to_a_stopped_account_goes_out_once_it_is_started(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        person = await made.account("alice")
        await made.get("stop_client", client="alice")

        async def send() -> tuple[int, JsonObject]:
            body: JsonObject = {"to": "filehelper", "text": WORDS}
            return await made.v1("POST", "accounts/alice/messages", body, {"Content-Type": "application/json"})

        status, answer = await send()
        error = obj(answer["error"])
        assert (status, error["code"], error["remedy"]) == (409, Cause.NOT_RUNNING, "start it: wxctl start alice")
        await made.get("start_client", client="alice")
        await made.until_running("alice")
        status, answer = await send()
        assert (status, answer["state"]) == (200, "delivered")
        assert [one.text for one in person.sent] == [WORDS]


def test_every_cause_has_a_cure() -> None:
    assert {*Cause} == CURED
