"""The iLink driver against the sandbox: logins, messages, sends, content, and the end of a session."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE, until
from tests.unit.drivers.ilink_kit import HURRY, OTHER_UIN, UIN, Bench, bench, quick, waiting_code
from tests.unit.drivers.kit import Store
from wxcontroller.core.errors import BadAnswer, FailureHandling, NotAsked, Unsupported, UploadFailed, WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers import base
from wxcontroller.drivers.ilink import polling
from wxcontroller.drivers.ilink.login import DIGITS, OTHER_USER
from wxcontroller.drivers.ilink.timing import ILinkTiming
from wxcontroller.drivers.ilink.wire import ApiBase, ILinkHosts
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.codes import HostChange
from wxcontroller.sandbox.ilink.items import text_item
from wxcontroller.sandbox.world.ilinkbots import RecordedCall, SessionState, TokenPolicy


@pytest.fixture
async def wechat() -> AsyncIterator[Bench]:
    async with bench() as found:
        yield found


def calls_of(wechat: Bench, endpoint: str) -> list[RecordedCall]:
    return [one for one in wechat.sandbox.ilink.exchanges if one.endpoint == endpoint]


def revived(times: int, state: base.ServiceState) -> bool:
    return state.revived == times


# -- logins


@pytest.mark.parametrize("stored", [0, 1, 2])
async def test_crash_within_a_batch_loses_no_message(wechat: Bench, stored: int) -> None:
    """WeChat never resends: a batch is on disk before its first message is reported."""
    async with wechat.drive() as drive:
        await wechat.enter(drive)
    for words in ("one", "two", "three"):
        phone.write_text(wechat.sandbox, wechat.account, words)
    async with wechat.drive() as drive:
        # As with kill -9: nothing after this many messages is stored.
        drive.hold = lambda event: isinstance(event, base.MessageArrived) and len(drive.texts()) == stored
        await drive.until(base.RosterLoaded)
        await drive.until(base.Checkpoint, lambda event: bool(event.carries))
        await until(lambda: len(drive.texts()) >= stored)
    async with wechat.drive() as drive:
        await drive.text("three")
        assert drive.texts() == ["one", "two", "three"]
        await wechat.hear(drive, "four")


async def test_batch_of_an_earlier_login_brings_no_context_token(wechat: Bench) -> None:
    """WeChat would accept a send with it, and never show the message."""
    async with wechat.online() as drive:
        await wechat.hear(drive, "hello")
    phone.write_text(wechat.sandbox, wechat.account, "how are you?")
    async with wechat.drive() as drive:
        drive.hold = lambda event: isinstance(event, base.MessageArrived)
        await drive.until(base.Checkpoint, lambda event: bool(event.carries))
    wechat.store.clear()
    async with wechat.online() as drive:
        assert drive.texts() == ["how are you?"]
        with pytest.raises(WeChatError):
            await drive.driver.send_text(wechat.peer, "fine", "c1")
        assert not wechat.requests("sendmessage")
        await wechat.hear(drive, "hello?")
        await drive.driver.send_text(wechat.peer, "fine", "c2")


async def test_crash_during_another_commit_loses_no_message(wechat: Bench) -> None:
    async with wechat.online() as drive:
        await wechat.hear(drive, "hello")
    for words in ("one", "two", "three"):
        phone.write_text(wechat.sandbox, wechat.account, words)
    async with wechat.drive() as drive:
        storing, disk = asyncio.Event(), asyncio.Event()

        def hold(event: base.DriverEvent) -> bool:
            if isinstance(event, base.Checkpoint) and event.carries:
                drive.disk = disk
                storing.set()
            return isinstance(event, base.MessageArrived) and event.message.text == "two"

        drive.hold = hold
        async with asyncio.timeout(PATIENCE):
            await storing.wait()
            naming = asyncio.create_task(drive.driver.set_remark(wechat.peer, "Ann"))
            await asyncio.sleep(0.05)  # its commit is next
            disk.set()
            await naming
        assert drive.texts() == ["one"]
    async with wechat.drive() as drive:
        await drive.text("two")
        await drive.text("three")


@pytest.mark.parametrize("uin", [UIN, OTHER_UIN])
async def test_position_of_an_earlier_login_is_not_used(wechat: Bench, uin: int) -> None:
    """The log is locked while a login is confirmed, until the account is stopped."""
    async with wechat.online() as drive:
        await wechat.hear(drive, "hello")
        earlier = drive.driver._memory.cursor  # type: ignore[attr-defined]
        assert drive.driver._memory.context_of(wechat.peer)  # type: ignore[attr-defined]
    wechat.store.clear()
    async with wechat.drive() as drive:
        await drive.until(base.QrReady)
        drive.hold = lambda event: isinstance(event, base.Checkpoint)
        phone.confirm(wechat.sandbox, await waiting_code(wechat.sandbox), wechat.sandbox.accounts[uin])
        await until(wechat.store.load)
    polled = len(wechat.sandbox.ilink.exchanges)
    async with wechat.drive() as drive:
        await drive.until(base.Online)
        assert not drive.driver._memory.context_of(wechat.peer)  # type: ignore[attr-defined]
        polls = [one for one in [*wechat.sandbox.ilink.exchanges][polled:] if one.endpoint == "getupdates"]
        assert polls[0].body["get_updates_buf"] != earlier


async def test_correct_digits_after_wrong_ones_succeed(wechat: Bench) -> None:
    async with wechat.drive() as drive:
        await drive.until(base.QrReady)
        login = await waiting_code(wechat.sandbox)
        phone.scan(wechat.sandbox, login, wechat.account, verify=True)
        asked = await drive.until(base.InputRequired)
        with pytest.raises(BadAnswer):
            await drive.driver.answer(asked.id, "abc")
        wrong = "000000" if login.digits != "000000" else "000001"
        await drive.driver.answer(asked.id, wrong)
        again = await drive.until(base.InputRequired)
        assert again.id == asked.id and again.prompt != asked.prompt  # so that people notice the new question
        await drive.driver.answer(again.id, login.digits)
        await drive.until(base.Scanned)
        phone.confirm(wechat.sandbox, login)
        await drive.until(base.Online)
        sent = ["verify_code=" in one.path for one in calls_of(wechat, "get_qrcode_status")]
        assert (sent[0], True in sent, sent[-1]) == (False, True, False)  # forgotten once they were accepted
        with pytest.raises(NotAsked):
            await drive.driver.answer(asked.id, "123456")


async def test_three_wrong_digits_replace_the_code(wechat: Bench) -> None:
    async with wechat.drive() as drive:
        await drive.until(base.QrReady)
        login = await waiting_code(wechat.sandbox)
        phone.scan(wechat.sandbox, login, wechat.account, verify=True)
        for _ in range(3):
            await drive.until(base.InputRequired)
            await drive.driver.answer(DIGITS, "000000" if login.digits != "000000" else "111111")
        await drive.until(base.QrReady)
        with pytest.raises(NotAsked):
            await drive.driver.answer(DIGITS, "123456")
        phone.confirm(wechat.sandbox, await waiting_code(wechat.sandbox), wechat.account)
        await drive.until(base.Online)


async def test_expired_codes_end_the_login(wechat: Bench) -> None:
    async with wechat.drive(timing=quick(code_refresh=60.0), qrcode_count_max="3") as drive:
        for _ in range(3):
            await drive.until(base.QrReady)
            wechat.sandbox.forward(121)
        assert (await drive.end()).reason is base.EndReason.QRCODES_USED_UP
    assert any("8.0.69" in str(event.reason) for event in drive.events if isinstance(event, base.LoginStalled))


# -- receiving


async def test_the_same_message_twice_is_reported_once(wechat: Bench) -> None:
    async with wechat.online() as drive:
        message = phone.write_text(wechat.sandbox, wechat.account, "once")
        await drive.text("once")
        phone.repeat(wechat.sandbox, wechat.bot, message, fresh=False)
        await wechat.hear(drive, "next")
        noted = drive.count(base.Checkpoint)
        repetition = phone.repeat(wechat.sandbox, wechat.bot, message, fresh=True)
        await until(lambda: drive.count(base.Checkpoint) >= noted + 2)  # it is stored, and then dealt with
        assert drive.texts() == ["once", "next"]
        # The repetition's token is the newer one.
        await drive.driver.send_text(wechat.peer, "yes", "c1")
    assert [(one.text, one.context_token) for one in wechat.sent()] == [("yes", repetition["context_token"])]


@pytest.mark.parametrize("named", [True, False])
async def test_equal_messages_of_one_answer_are_both_reported(wechat: Bench, named: bool) -> None:
    async with wechat.online() as drive:
        changes: JsonObject = {"create_time_ms": 1790000000000}
        if not named:
            changes |= {"message_id": None, "client_id": None, "item_list": [text_item("ok")]}
        messages = [
            phone.write(wechat.sandbox, wechat.account, wechat.bot, text_item("ok"), "ok", changes=changes)
            for _ in range(2)
        ]
        await wechat.hear(drive, "next")
        # One of them comes again, as it does now and then.
        phone.repeat(wechat.sandbox, wechat.bot, messages[0], fresh=named)
        await wechat.hear(drive, "last")
        assert drive.texts() == ["ok", "ok", "next", "last"]


async def test_login_elsewhere_ends_the_session_and_sends(wechat: Bench) -> None:
    """The second client of one user gets a new token; the first one's is no longer valid."""
    async with wechat.online() as drive, wechat.drive("bob", Bench(wechat.sandbox, wechat.url)) as other:
        await wechat.hear(drive, "hello")
        await other.until(base.QrReady)
        phone.confirm(wechat.sandbox, await waiting_code(wechat.sandbox), wechat.account)
        assert (await drive.until(base.SessionLost)).ret == -14
        await drive.until(base.QrReady)
        with pytest.raises(WeChatError) as refused:
            await drive.driver.send_text(wechat.peer, "too late", "c1")
        assert refused.value.handling is FailureHandling.RETRY_SAME_ID
        assert wechat.sent() == []


async def test_interrupted_polls_do_not_end_the_session(wechat: Bench) -> None:
    async with wechat.online(timing=quick(offline_after=0.2, hint_max=0.1, hint_extra=0.3)) as drive:
        wechat.sandbox.faults.add("getupdates", FaultKind.STATUS, 524, None, UIN)
        await drive.until(base.Offline)
        wechat.sandbox.faults.all.clear()
        await drive.until(base.Online)
        await wechat.hear(drive, "still here")
        assert drive.count(base.SessionLost) == 0


async def test_a_sleeping_session_is_revived_without_a_scan(wechat: Bench) -> None:
    async with wechat.online() as drive:
        wechat.bot.set_state(SessionState.ASLEEP)
        await wechat.hear(drive, "woken")
        assert drive.count(base.SessionLost) == 0
        assert drive.count(base.QrReady) == 1


async def test_session_that_needs_repeated_revival_is_ended(wechat: Bench) -> None:
    """Two clients probably poll for one user: neither would get all messages."""
    async with wechat.online() as drive:
        for count in range(1, 4):
            wechat.bot.set_state(SessionState.ASLEEP)
            await drive.until(base.ServiceState, partial(revived, count))
        wechat.bot.set_state(SessionState.ASLEEP)
        await drive.until(base.SessionLost)
        assert drive.count(base.QrReady) == 1
        await drive.until(base.QrReady)


async def test_a_dead_session_shows_a_new_code(wechat: Bench) -> None:
    async with wechat.online() as drive:
        await wechat.hear(drive, "hello")
        announced = wechat.requests("notifystart")
        wechat.bot.set_state(SessionState.DEAD)
        await drive.until(base.SessionLost)
        assert wechat.requests("notifystart") == announced + 1  # confirmed once: each -14 more is a useless request
        await wechat.enter(drive)
        # Tokens of the old login are worthless: the peer has to write first.
        with pytest.raises(WeChatError) as caught:
            await drive.driver.send_text(wechat.peer, "too early", "c1")
        assert caught.value.handling is FailureHandling.WAIT_FOR_PEER
        assert wechat.requests("sendmessage") == 0  # WeChat would accept it and never show it
        await wechat.hear(drive, "hello again")
        await drive.driver.send_text(wechat.peer, "hello", "c2")
    assert [one.text for one in wechat.sent()] == ["hello"]


async def test_an_answer_without_a_cursor_keeps_the_last_one(wechat: Bench) -> None:
    async with wechat.online() as drive:
        await wechat.hear(drive, "hello")
        cursor = wechat.bot.cursor
        wechat.sandbox.faults.add("getupdates", FaultKind.GARBAGE, '{"ret":0,"msgs":[]}', 2, UIN)
        before = wechat.requests("getupdates")
        await until(lambda: wechat.requests("getupdates") > before + 3)
    assert {poll.body["get_updates_buf"] for poll in calls_of(wechat, "getupdates")[before + 1 :]} == {cursor}


async def test_the_server_says_how_long_a_poll_may_take() -> None:
    async with bench(replace(HURRY, updates_hold=60.0)) as wechat:
        wechat.user.settings.timeout_hint = 100
        async with wechat.online(timing=quick(hint=60.0, hint_extra=0.1, offline_after=60.0)) as drive:
            await wechat.hear(drive, "hello")
            before = wechat.requests("getupdates")
            await until(lambda: wechat.requests("getupdates") > before + 2)  # each was held for too long


async def test_after_three_failed_polls_there_is_a_long_pause(wechat: Bench) -> None:
    async with wechat.online(timing=quick(poll_retry=0.01, poll_rest=60.0)) as drive:
        await wechat.hear(drive, "hello")
        wechat.sandbox.faults.add("getupdates", FaultKind.STATUS, 500, None, UIN)
        before = wechat.requests("getupdates")
        await until(lambda: wechat.requests("getupdates") >= before + 3)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await until(lambda: wechat.requests("getupdates") > before + 4)  # with the one that was under way


@pytest.mark.parametrize(
    ("held", "later", "seconds"),
    [
        ([], 0, 45),
        ([4], 0, 45),  # not an edge: it broke at once
        ([17], 0, 14),
        ([9], 0, 10),
        ([17, 15], 0, 10),
        ([17, 15], 86_401, 45),
    ],
)
def test_polls_are_shorter_behind_an_edge_that_cuts_them_off(
    monkeypatch: pytest.MonkeyPatch, held: list[float], later: float, seconds: float
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    nothing: Any = None
    poller = polling.Poller(nothing, nothing, nothing, nothing, ILinkTiming(), nothing)
    for each in held:
        now += each
        poller._cut_off(each)
    now += later
    assert poller._patience() == seconds


async def test_wechat_hears_of_start_and_stop(wechat: Bench) -> None:
    async with wechat.online() as drive:
        await wechat.hear(drive, "hello")
        calls = [one.endpoint for one in wechat.sandbox.ilink.exchanges]
        assert calls.index("notifystart") < calls.index("getupdates")
        assert "notifystop" not in calls
    assert wechat.requests("notifystop") == 1


# -- sends


async def test_a_send_and_typing_on_the_wire(wechat: Bench) -> None:
    async with wechat.online() as drive:
        await wechat.hear(drive, "hello")
        await drive.driver.send_text(wechat.peer, "A\nB <c> 😄", "c1")
        [sent] = calls_of(wechat, "sendmessage")
        assert sent.body["msg"] == {
            **{"from_user_id": "", "to_user_id": wechat.peer, "client_id": "c1", "message_type": 2},
            **{"message_state": 2, "context_token": wechat.bot.windows[wechat.peer].tokens[-1]},
            "item_list": [{"type": 1, "text_item": {"text": "A\nB <c> 😄"}}],
        }
        for on in (True, True, False):  # with one ticket
            await drive.driver.show_typing(wechat.peer, on)  # type: ignore[attr-defined]
        assert [call.body["status"] for call in calls_of(wechat, "sendtyping")] == [1, 1, 2]
        assert wechat.requests("getconfig") == 1
        wechat.sandbox.faults.add("sendtyping", FaultKind.RETCODE, -1, 1, UIN)
        with pytest.raises(WeChatError):
            await drive.driver.show_typing(wechat.peer, True)  # type: ignore[attr-defined]
        await drive.driver.show_typing(wechat.peer, True)  # type: ignore[attr-defined]
        assert wechat.requests("getconfig") == 2
        wechat.bot.set_state(SessionState.DEAD)
        await drive.until(base.SessionLost)
        await wechat.enter(drive)
        await wechat.hear(drive, "hello again")
        await drive.driver.show_typing(wechat.peer, True)  # type: ignore[attr-defined]
        assert wechat.requests("getconfig") == 3


async def test_media_that_are_refused_now_and_then_are_no_property_of_the_account(
    wechat: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"hello")
    async with wechat.online(timing=quick(media_refused_within=0.0)) as drive:
        wechat.user.settings.media_refused = True
        for number in range(1, 4):
            with pytest.raises(UploadFailed):
                await drive.driver.upload(base.Upload(path, "a.txt", "text/plain", 5))
            assert wechat.requests("getuploadurl") == number


async def test_spent_budget_does_not_end_the_session(wechat: Bench) -> None:
    async with wechat.online() as drive:
        await wechat.hear(drive, "hello")
        wechat.user.settings.budget = 1
        await drive.driver.send_text(wechat.peer, "one", "c1")
        with pytest.raises(WeChatError) as spent:
            await drive.driver.send_text(wechat.peer, "two", "c2")
        assert (spent.value.ret, spent.value.handling) == (-2, FailureHandling.WAIT)
        assert drive.count(base.SessionLost) == 0


async def test_each_operation_that_the_route_lacks_is_refused_with_its_name(wechat: Bench) -> None:
    async with wechat.online() as drive:
        driver, person, group = drive.driver, wechat.peer, "a@chatroom"
        for refused, operation in (
            (driver.avatar(person, "", io.BytesIO(), 1), "pictures of people"),
            (driver.revoke(message_id="1", to=person), "recalling messages"),
            (driver.create_group([person], "a name"), "groups"),
            (driver.invite(group, [person]), "groups"),
            (driver.kick(group, [person]), "groups"),
            (driver.rename_group(group, "a name"), "groups"),
            (driver.pin(person, on=True), "pinning chats"),
            (driver.ask_friend(person, "hello"), "friend requests"),
            (driver.accept_friend(person, "a ticket"), "friend requests"),
        ):
            with pytest.raises(Unsupported, match=f"^the iLink route does not support this: {operation};"):
                await refused


async def test_closed_window_is_tried_once_without_a_token_if_enabled(wechat: Bench) -> None:
    wechat.user.settings.tokens = TokenPolicy.IGNORED
    async with wechat.online(tokenless_retry="1") as drive:
        await wechat.hear(drive, "hello")
        wechat.bot.windows[wechat.peer].closed = True
        await drive.driver.send_text(wechat.peer, "late", "c1")
        assert [(one.text, one.context_token) for one in wechat.sent()] == [("late", "")]
        wechat.user.settings.tokens = TokenPolicy.NEEDED
        with pytest.raises(WeChatError) as refused:
            await drive.driver.send_text(wechat.peer, "later", "c2")
        assert (refused.value.ret, refused.value.handling) == (-14, FailureHandling.WAIT_FOR_PEER)
        assert wechat.requests("sendmessage") == 4
    async with wechat.drive() as drive:
        await drive.until(base.Online)
        with pytest.raises(WeChatError):
            await drive.driver.send_text(wechat.peer, "later", "c3")
        assert wechat.requests("sendmessage") == 5


# -- content


async def test_media_are_refused_at_once_if_the_account_may_not_send_them(wechat: Bench, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"hello")
    upload = base.Upload(path, "a.txt", "text/plain", 5)
    async with wechat.online() as drive:
        wechat.user.settings.media_refused = True
        for _ in range(4):
            with pytest.raises(UploadFailed):
                await drive.driver.upload(upload)
        assert wechat.requests("getuploadurl") == 2
        since = (await drive.until(base.ServiceState, lambda state: bool(state.media_refused))).media_refused
        # On disk at once: a kill does not make it try again.
        assert json.loads(wechat.state.position)["media_refused"] == since
        await wechat.hear(drive, "texts?")
        await drive.driver.send_text(wechat.peer, "still go", "c1")
    wechat.user.settings.media_refused = False
    async with wechat.drive() as drive:
        await drive.until(base.ServiceState, lambda state: state.media_refused == since)
        await drive.until(base.Online)
        with pytest.raises(UploadFailed):
            await drive.driver.upload(upload)
    async with wechat.drive(timing=quick(media_retry=0.0)) as drive:  # a day later
        await drive.until(base.Online)
        await drive.driver.upload(upload)
        await drive.until(base.ServiceState, lambda state: not state.media_refused)
    assert json.loads(wechat.state.position)["media_refused"] == 0


async def test_second_account_of_one_user_is_refused_and_names_the_first(wechat: Bench) -> None:
    async with wechat.online():
        copied = Store(wechat.store.content)  # as an export and import under another name does
        async with wechat.drive("bob", Bench(wechat.sandbox, wechat.url, copied)) as second:
            ended = await second.end()
            await second.driver.logout()  # it is parked
        assert (ended.reason, "account alice has it" in str(ended.words)) == (base.EndReason.TAKEN, True)
        assert copied.content is None
        async with wechat.drive("bob", Bench(wechat.sandbox, wechat.url)) as second:
            await second.until(base.QrReady)
            phone.confirm(wechat.sandbox, await waiting_code(wechat.sandbox), wechat.account)
            assert (await second.end()).reason is base.EndReason.TAKEN
            assert second.count(base.Accepted) == 0
    async with wechat.drive("bob", Bench(wechat.sandbox, wechat.url)) as second:  # alice is stopped
        await wechat.enter(second)


async def test_other_user_is_refused_if_the_login_is_reserved(wechat: Bench) -> None:
    async with wechat.online() as drive:
        wechat.bot.set_state(SessionState.DEAD)
        await drive.until(base.SessionLost)
        await drive.until(base.QrReady)
        assert isinstance(drive.driver, base.KeepsUser)
        assert drive.driver.keep_user()
        phone.confirm(wechat.sandbox, await waiting_code(wechat.sandbox), wechat.sandbox.accounts[OTHER_UIN])
        await drive.until(base.LoginStalled, lambda event: event.reason == Text(OTHER_USER))
        phone.confirm(wechat.sandbox, await waiting_code(wechat.sandbox), wechat.account)
        await drive.until(base.Online)
        assert [event.owner for event in drive.events if isinstance(event, base.Profile)] == [wechat.peer] * 2
    async with wechat.drive() as drive:  # nothing of the other user is stored
        await drive.until(base.Online)


async def test_any_user_may_log_in_first_and_after_a_logout(wechat: Bench) -> None:
    async with wechat.online() as drive:
        await drive.driver.logout()
    assert wechat.store.content is None
    async with wechat.drive() as drive:
        await drive.until(base.QrReady)
        assert isinstance(drive.driver, base.KeepsUser)
        assert not drive.driver.keep_user()


# -- hosts that may get tokens and requests

_FOREIGN = [
    *("evil.example", "weixin.qq.com.evil.example", "evilweixin.qq.com", "evil.example#.weixin.qq.com", ""),
    *(f"evil.example{mark}.weixin.qq.com" for mark in "?\\/"),
    *("user@evil.example", "weixin.qq.com@evil.example"),
]


@pytest.mark.parametrize("host", _FOREIGN)
def test_requests_go_only_to_wechats_hosts(host: str) -> None:
    for hosts in (ILinkHosts(""), ILinkHosts("http://127.0.0.1:2100")):
        assert not hosts.allowed(host)
        for url in (f"https://{host}/c2c?x=1", f"https://{host}"):
            assert hosts.place(url) is None
            assert hosts.content(url) is None


def test_wechats_hosts_are_reached_by_https_only() -> None:
    hosts = ILinkHosts("")
    assert hosts.place("https://ilinkai.weixin.qq.com/base/") == ApiBase("ilinkai.weixin.qq.com", "/base")
    assert hosts.content("https://novac2c.cdn.weixin.qq.com/c2c?a=%2B+/=") is not None
    assert hosts.place("http://ilinkai.weixin.qq.com") is None
    assert hosts.content("http://novac2c.cdn.weixin.qq.com/c2c") is None


def polled_hosts(wechat: Bench) -> list[str]:
    """Return the hosts that were asked about codes."""
    return [poll.host.partition(":")[0] for poll in calls_of(wechat, "get_qrcode_status")]


async def test_a_redirect_to_a_foreign_host_is_not_followed(wechat: Bench) -> None:
    async with wechat.drive() as drive:
        await drive.until(base.QrReady)
        login = await waiting_code(wechat.sandbox)
        # The real service has never done this; an impostor could.
        foreign = {"redirect": HostChange.OTHER_NAME, "redirect_host": "evil.example#.qq.com"}
        phone.scan(wechat.sandbox, login, wechat.account, **foreign)  # type: ignore[arg-type]
        await drive.until(base.Scanned)
        before = len(polled_hosts(wechat))
        await until(lambda: len(polled_hosts(wechat)) > before)
        assert set(polled_hosts(wechat)) == {"ilinkai.weixin.qq.com"}


async def test_a_redirected_login_goes_on_at_the_other_host_until_the_next_code(wechat: Bench) -> None:
    async with wechat.drive() as drive:
        await drive.until(base.QrReady)
        login = await waiting_code(wechat.sandbox)
        other = {"redirect": HostChange.OTHER_NAME, "redirect_host": "sz.ilinkai.weixin.qq.com"}
        phone.scan(wechat.sandbox, login, wechat.account, **other)  # type: ignore[arg-type]
        await until(lambda: "sz.ilinkai.weixin.qq.com" in polled_hosts(wechat))
        assert drive.count(base.QrReady) == 1
        wechat.sandbox.logins.expire(login)
        await drive.until(base.QrReady)
        before = len(polled_hosts(wechat))
        await until(lambda: len(polled_hosts(wechat)) > before + 1)
        assert polled_hosts(wechat)[-1] == "ilinkai.weixin.qq.com"


async def test_a_status_that_nobody_knows_ends_no_login(wechat: Bench) -> None:
    async with wechat.drive() as drive:
        await drive.until(base.QrReady)
        login = await waiting_code(wechat.sandbox)
        login.status = "needs_a_dance"
        before = len(polled_hosts(wechat))
        await until(lambda: len(polled_hosts(wechat)) > before + 2)
        login.status = ""
        phone.confirm(wechat.sandbox, login, wechat.account)
        await drive.until(base.Online)
        assert drive.count(base.QrReady) == 1


async def test_a_person_who_has_scanned_may_take_their_time(wechat: Bench) -> None:
    async with wechat.drive(timing=quick(code_refresh=0.3)) as drive:
        await drive.until(base.QrReady)
        login = await waiting_code(wechat.sandbox)
        phone.scan(wechat.sandbox, login, wechat.account)
        await drive.until(base.Scanned)
        shown = drive.count(base.QrReady)
        # The watchdog sees progress, although WeChat keeps answering the same; and the code is not replaced.
        before = len(polled_hosts(wechat))
        await until(lambda: len(polled_hosts(wechat)) > before + 3)
        await drive.progressed()
        assert drive.count(base.QrReady) == shown
        phone.confirm(wechat.sandbox, login)
        await drive.until(base.Online)


async def test_the_code_that_was_shown_before_can_still_be_scanned(wechat: Bench) -> None:
    async with wechat.drive(timing=quick(code_refresh=0.3)) as drive:
        await drive.until(base.QrReady)
        first = await waiting_code(wechat.sandbox)
        await drive.until(base.QrReady)
        phone.confirm(wechat.sandbox, first, wechat.account)
        await drive.until(base.Online)


async def test_a_code_that_expires_after_its_scan_names_the_version_that_the_phone_needs(wechat: Bench) -> None:
    async with wechat.drive() as drive:
        await drive.until(base.QrReady)
        login = await waiting_code(wechat.sandbox)
        phone.scan(wechat.sandbox, login, wechat.account)
        await drive.until(base.Scanned)
        wechat.sandbox.logins.expire(login)
        await drive.until(base.ScanCancelled)
        assert "8.0.69" in str((await drive.until(base.LoginStalled)).reason)
