"""Sends on disk: those that are queued when an account ends, or whose outcome is unknown, and their content."""

import asyncio
import base64
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, locked, running
from tests.unit.client.scripted import ScriptedDriver, logged_in, message
from tests.unit.client.stage import Stage
from wxcontroller.client.sends.rules.sendbackoff import BackoffPolicy
from wxcontroller.client.store.database import writer
from wxcontroller.core.errors import FailureHandling, Unsupported, WeChatError
from wxcontroller.core.jsontypes import JsonValue, obj
from wxcontroller.core.model import Contact
from wxcontroller.drivers import base
from wxcontroller.drivers.web.driver import WebDriver

AGAIN = WebDriver.capabilities.repeat_seconds
SLOW = {"MOJO_WEIXIN_SEND_INTERVAL": "60"}
RETRY = FailureHandling.RETRY_SAME_ID
DRAIN, KEEP = "WXCLIENT_STOP_DRAIN", "WXCLIENT_SEND_KEEP_SECONDS"
# As a scan makes it: everybody has another id.
NEW_LOGIN: list[base.DriverEvent] = [
    base.Accepted(base.LoginWay.SCAN),
    base.Profile(Contact("@me2", "我", uid=4711)),
    base.RosterLoaded((Contact("@ann2", "Ann", markname="安", city="深圳"),), ()),
    base.Online(),
]


async def queue(client: RunningClient, *texts: str, to: str = "@ann") -> None:
    for text in texts:
        answer = obj(await client.get("send_friend_message", id=to, content=text, **{"async": "1"}))
        assert answer["code"] == 0


def ended(webhook: Webhook) -> list[tuple[JsonValue, JsonValue, JsonValue]]:
    return [(send["content"], send["code"], send["info"]) for send in webhook.sends()]


async def stored(client: RunningClient, statement: str) -> None:
    """Change the database of a stopped account."""
    with sqlite3.connect(client.paths.state("alice") / "events.db") as db:
        assert db.execute(statement).rowcount > 0


async def first_of(client: RunningClient, *texts: str) -> None:
    """Log in, send one, and queue others behind it."""
    await client.login()
    assert obj(await client.get("send_friend_message", id="@ben", content="first"))["code"] == 0
    await queue(client, *texts)


async def test_queued_sends_of_another_login_are_reported_as_not_sent(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address}, **SLOW)
    await first_of(client, "for Ann")
    await client.get("send_group_message", id="@@team", content="for the team", **{"async": "1"})
    await client.stop()
    again = start(**{POST_API: webhook.address})
    again.driver.play(NEW_LOGIN)
    _, ann, team = await webhook.messages(3)
    why = "not sent: the account has logged in again, and all ids have changed since"
    assert ended(webhook)[1:] == [("for Ann", -5, why), ("for the team", -5, why)]
    assert (ann["receiver_id"], ann["receiver"], ann["receiver_name"], ann["sender_id"]) == (
        "@ann",
        "安",
        "Ann",
        "@me",
    )
    assert (team["group_id"], team["group"], team["type"]) == ("@@team", "A、Cy", "group_message")
    assert again.driver.sends == []
    assert obj(await again.get("send_friend_message", id="@ann2", content="new"))["code"] == 0


@pytest.mark.parametrize("event", [base.SessionLost(base.LossReason.KICKED, 1101), base.QrReady("x", b"", 1, 10)])
async def test_end_of_the_session_ends_queued_sends(
    start: Start, webhook: Webhook, event: base.SessionLost | base.QrReady
) -> None:
    client = start(**{POST_API: webhook.address}, **SLOW)
    await first_of(client, "waits")
    caller = asyncio.create_task(client.get("send_friend_message", id="@ann", content="with a caller"))
    await client.until_queued(2)
    client.driver.play([event])
    answer = obj(await caller)
    assert (answer["code"], answer["status"]) == (
        (-5, "not sent: the session has ended, and ids change with the next one")
    )
    await webhook.messages(3)
    assert [(text, code) for text, code, _ in ended(webhook)] == [
        ("first", ""),
        ("waits", -5),
        ("with a caller", -5),
    ]
    assert [send["receiver"] for send in webhook.sends()] == ["Ben", "安", "安"]
    client.driver.play(NEW_LOGIN)
    await client.until_state("running")
    assert obj(await client.get("send_friend_message", id="@ann2", content="new", **{"async": "1"}))["code"] == 0
    assert len(client.driver.sends) <= 2


async def in_flight(start: Start, webhook: Webhook, text: str = "on its way") -> RunningClient:
    """Stop an account while WeChat's answer to a send is still to come."""
    client = start(**{POST_API: webhook.address, DRAIN: "0"})
    client.driver.send_gate = asyncio.Event()
    await client.login()
    await queue(client, text, "next")
    await client.stop()
    assert client.driver.sends == []
    return client


async def test_unanswered_send_is_not_repeated_too_late(start: Start, webhook: Webhook) -> None:
    client = await in_flight(start, webhook)
    await stored(client, f"UPDATE sends SET tried = tried - {AGAIN + 1} WHERE tried > 0")
    again = await running(start, **{POST_API: webhook.address})
    await webhook.messages(2)
    assert [text for _, text, _ in again.driver.sends] == ["next"]
    why = "it may have arrived: WeChat did not answer, and it is too late to try again"
    assert ended(webhook) == [("on its way", -1, why), ("next", "", "success")]


async def test_unanswered_send_of_another_login_may_have_arrived(start: Start, webhook: Webhook) -> None:
    await in_flight(start, webhook)
    again = start(**{POST_API: webhook.address})
    again.driver.play(NEW_LOGIN)
    await webhook.messages(2)
    other = "the account has logged in again, and all ids have changed since"
    assert ended(webhook) == [
        ("on its way", -1, f"it may have arrived: {other}"),
        ("next", -5, f"not sent: {other}"),
    ]
    assert again.driver.sends == []


async def test_send_that_wechat_refused_for_now_has_not_arrived(start: Start, webhook: Webhook) -> None:
    client = start(BackoffPolicy(60.0, 60.0), **{POST_API: webhook.address, DRAIN: "0"})
    client.driver.outcomes = [WeChatError("system error", ret=-1, handling=RETRY)]
    await client.login()
    await queue(client, "refused for now")
    await client.until_v1(lambda status: obj(status["queue"])["last_error"] == "system error")
    await client.stop()
    again = start(**{POST_API: webhook.address})
    again.driver.play(NEW_LOGIN)
    await webhook.messages(1)
    assert [(text, code) for text, code, _ in ended(webhook)] == [("refused for now", -5)]
    assert len(client.driver.sends) == 1


@pytest.mark.parametrize(
    ("outcomes", "answered", "info"),
    [
        ([WeChatError("no answer")] * 5, (-1, "unknown data"), "it may have arrived: no answer"),
        ([WeChatError("can't connect", unsure=False)] * 8, (0, "success"), "success"),
        (
            [WeChatError("no answer"), WeChatError("not a friend", ret=1204)],
            (-1, "unknown data"),
            "it may have arrived: not a friend",
        ),
        ([WeChatError("no answer"), Unsupported("no")], (-1, "unknown data"), "it may have arrived: no"),
        ([WeChatError("system error", ret=-1, handling=RETRY)] * 5, (-1, "unknown error"), "system error"),
        ([WeChatError("no answer"), None], (0, "success"), "success"),
    ],
)
async def test_answer_contains_only_the_known_outcome(
    start: Start, webhook: Webhook, outcomes: list[WeChatError | None], answered: tuple[int, str], info: str
) -> None:
    client = await running(start, **{POST_API: webhook.address})
    client.driver.outcomes = list(outcomes)
    answer = obj(await client.get("send_friend_message", id="@ann", content="x"))
    assert (answer["code"], answer["status"]) == answered
    assert answer.get("reason", answer["status"]) == info
    [report] = await webhook.messages()
    assert (report["code"], report["info"]) == (answered[0] or "", info)
    assert client.driver.outcomes == []


async def test_send_kept_too_long_is_reported_as_not_sent(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address}, **SLOW)
    await first_of(client, "too old")
    await client.stop()
    await stored(client, "UPDATE events SET time = time - 3601")
    await stored(client, "UPDATE sends SET time = time - 3601")
    again = start(**{POST_API: webhook.address})
    await webhook.messages(2)  # before it is logged in
    assert ended(webhook)[1:] == [("too old", -5, "not sent: the account was not logged in for 3600 s")]
    await again.login()
    assert again.driver.sends == []


async def test_stop_ends_sends_that_are_not_to_be_kept(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, KEEP: "0", DRAIN: "0"})
    client.driver.send_gate = asyncio.Event()
    await client.login()
    await queue(client, "on its way", "waits")
    await client.stop()
    await webhook.messages(2)
    assert ended(webhook) == [
        ("on its way", -1, "it may have arrived: stopped while sending"),
        ("waits", -5, "not sent: stopping"),
    ]


async def test_urgent_sends_go_first_in_their_order_also_after_a_restart(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, DRAIN: "0", **SLOW})
    await first_of(client, "1", "2")
    for content in ("urgent 1", "urgent 2"):
        await client.get("send_friend_message", id="@ben", content=content, urgent="1", **{"async": "1"})
    assert await client.stop() == 0
    await running(start, **{POST_API: webhook.address})
    assert [r["content"] for r in await webhook.messages(5)] == ["first", "urgent 1", "urgent 2", "1", "2"]


async def test_rest_of_a_message_that_has_begun_goes_first_after_a_restart(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, DRAIN: "0"}, **SLOW)
    await client.login()
    parts = [letter * 1500 + "\n" for letter in "ab"]
    await queue(client, "".join(parts), "other")
    await client.get("send_friend_message", id="@ben", content="urgent", urgent="1", **{"async": "1"})
    await webhook.until_sends(1)
    assert await client.stop() == 0
    again = start(**{POST_API: webhook.address})
    again.driver.outcomes = [WeChatError("system error", ret=-1, handling=RETRY)]
    await again.login()
    assert [r["content"] for r in await webhook.until_sends(4)] == [*parts, "urgent", "other"]


async def test_sends_end_when_the_account_changes_its_route(ilink: Stage) -> None:
    webhook = ilink.webhook
    client = await ilink.enter(WXCLIENT_BUDGET_PER_INBOUND="1")
    await ilink.hear("hello")
    assert [(await ilink.send(each))["code"] for each in ("sent", "held")] == [0, -7]
    await client.stop()
    web = ilink.start(**{POST_API: webhook.address})
    await webhook.until_sends(2)  # before it is logged in
    await web.stop()
    web = await running(ilink.start, **{POST_API: webhook.address, DRAIN: "0"}, **SLOW)
    await queue(web, "by web", "waits")
    await webhook.until_sends(3)
    await web.stop()
    ilink.begin()
    await ilink.client.until_state("running")  # without a scan
    await webhook.until_sends(4)
    ends = [(one["content"], one["code"]) for one in webhook.sends()]
    assert ends == [("sent", ""), ("held", -5), ("by web", ""), ("waits", -5)]
    assert all("other-route" in str(one["info"]) for one in webhook.sends()[1::2])
    assert (ilink.sent(), [text for _, text, _ in web.driver.sends]) == (["sent"], ["by web"])


async def test_send_remains_on_disk_until_its_report_is(start: Start) -> None:
    client = start()
    client.driver.send_gate = asyncio.Event()
    await client.login()
    await queue(client, "a")
    with sqlite3.connect(client.paths.state("alice") / "events.db") as db:
        await until(lambda: db.execute("SELECT content, tried > 0 FROM sends").fetchall() == [("a", True)])
        assert db.execute("SELECT COUNT(*) FROM events WHERE type = 'friend_message'").fetchone() == (0,)
        client.driver.send_gate.set()
        await until(lambda: db.execute("SELECT COUNT(*) FROM sends").fetchone() == (0,))
        assert db.execute("SELECT COUNT(*) FROM events WHERE type = 'friend_message'").fetchone() == (1,)


async def test_waiting_send_is_marked_on_disk_first(start: Start) -> None:
    """Otherwise a kill in between would send it twice."""
    tried: list[bool] = []

    class Looking(ScriptedDriver):
        async def send_text(self, to: str, content: str, client_id: str) -> base.Sent:
            with contextlib.closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db:
                [(moment,)] = db.execute("SELECT tried FROM sends WHERE client_id = ?", (client_id,))
            tried.append(moment > 0)
            return await super().send_text(to, content, client_id)

    driver = Looking(send_gate=asyncio.Event())
    client = start(make=driver.make)
    driver.play(logged_in())
    await client.until_state("running")
    await queue(client, *"abcde")
    assert driver.send_gate is not None
    driver.send_gate.set()
    await until(lambda: len(tried) == 5)
    assert all(tried)


async def test_queued_sends_of_an_adopted_account_are_unknown(start: Start, webhook: Webhook) -> None:
    adopted = {"WXCLIENT_EPOCH": "3", "WXCLIENT_ADOPTED": "2"}  # it was moved before its first start
    client = start(**{POST_API: webhook.address, DRAIN: "0"}, **SLOW)
    await first_of(client, "a", "b")
    assert await client.stop() == 0
    again = start(**{POST_API: webhook.address, DRAIN: "0"}, **adopted, MOJO_WEIXIN_SEND_INTERVAL="5")
    await webhook.messages(3)  # before it is logged in
    assert [(text, code) for text, code, _ in ended(webhook)[1:]] == [("a", -1), ("b", -1)]
    assert all("it may have arrived" in str(info) for *_, info in ended(webhook)[1:])
    await first_of(again, "c", "d")
    assert [text for _, text, _ in again.driver.sends] == ["first"]
    with sqlite3.connect(again.paths.state("alice") / "events.db") as db:  # the lost host gives smaller numbers
        assert db.execute("SELECT MIN(seq) FROM events WHERE epoch = 3").fetchone()[0] > 2 << 32
    assert await again.stop() == 0  # what is queued here is sent by a later run
    again = await running(start, **{POST_API: webhook.address}, **{**adopted, "WXCLIENT_EPOCH": "4"})
    reports = await webhook.messages(6)
    assert [(report["content"], report["code"]) for report in reports[3:]] == [("first", ""), ("c", ""), ("d", "")]
    assert [text for _, text, _ in again.driver.sends] == ["c", "d"]


@pytest.mark.parametrize(("age", "code"), [(0, ""), (4000, -5)])
async def test_a_restored_account_sends_what_has_not_waited_too_long(
    start: Start, webhook: Webhook, age: int, code: JsonValue
) -> None:
    client = start(**{POST_API: webhook.address, DRAIN: "0"}, **SLOW)
    await first_of(client, "a", "b")
    assert await client.stop() == 0
    await stored(client, f"UPDATE sends SET time = time - {age}")
    await stored(client, f"UPDATE events SET time = time - {age}")
    log = client.paths.state("alice") / "events.db"
    shutil.copy(log, log.with_name("copy"))
    log.with_name("copy").replace(log)
    again = start(**{POST_API: webhook.address})
    if not age:
        await again.login()
    await webhook.messages(3)  # those that are too old end before it is logged in
    assert [(text, code) for text, code, _ in ended(webhook)[1:]] == [("a", code), ("b", code)]


PNG = b"\x89PNG\r\n\x1a\n"


@contextlib.asynccontextmanager
async def busy_disk(client: RunningClient) -> AsyncIterator[None]:
    """Nothing can be written to the account's database; it can still be read."""

    async def is_open() -> bool:
        status, _ = await client.v1("GET", "deliveries")
        return status == 200

    await until(is_open)
    with locked(client.paths.state("alice") / "events.db"):
        yield


def events(client: RunningClient) -> list[tuple[str, int]]:
    """State and size of what the log has of messages."""
    with contextlib.closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db:
        return db.execute("SELECT state, size FROM events WHERE type = 'friend_message' ORDER BY seq").fetchall()


def kept_files(client: RunningClient) -> list[Path]:
    directory = client.paths.media("alice")
    return sorted(directory.iterdir()) if directory.exists() else []


# -- a disk that is slow


async def test_repeated_request_waits_for_a_slow_disk(start: Start) -> None:
    client = await running(start, WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="3")
    form = {"id": "@ann", "content": "x", "idempotency_key": "k"}
    async with busy_disk(client):
        answer = obj(await client.get("send_friend_message", **form))
        assert (answer["code"], answer["status"]) == (-1, "unknown data")
        assert "cannot be stored for now" in str(answer["reason"])
        again = asyncio.create_task(client.get("send_friend_message", **form))
        await asyncio.sleep(0.2)
    answer = obj(await again)
    assert (answer["code"], answer["status"]) == (0, "success")
    assert obj(await client.get("send_friend_message", **form)) == answer
    other = {**form, "content": "y"}
    async with client.http.get(client.address("send_friend_message"), params=other) as refused:
        assert refused.status == 422
    assert len(client.driver.sends) == 1


async def test_send_is_refused_while_nothing_can_be_stored(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BUSY_SECONDS", 0.05)
    client = await running(start, WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="0.5")
    async with busy_disk(client):
        answer = obj(await client.get("send_friend_message", id="@ann", content="later", **{"async": "1"}))
        assert (answer["code"], answer["status"]) == (-1, "unknown data")
        answer = obj(await client.get("send_friend_message", id="@ann", content="never"))
        assert (answer["code"], "not sent: it cannot be stored" in str(answer["status"])) == (-1, True)
        assert obj(await client.get("get_client_info"))["queued"] == 0
    await until(lambda: client.driver.sends)
    assert obj(await client.get("send_friend_message", id="@ann", content="next"))["code"] == 0
    assert [text for _, text, _ in client.driver.sends] == ["later", "next"]


# -- content of the account's own sends


async def test_content_of_sends_is_kept_until_their_delivery(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    webhook.statuses = [503] * 1000
    await client.login()
    for number in range(3):
        answer = await client.post("send_friend_message", id="@ann", media_data="%PDF" + str(number) * 500_000)
        assert obj(answer)["code"] == 0
    client.driver.play([message("from Ann")])
    await until(lambda: len(events(client)) == 4)
    assert max(size for _, size in events(client)) < 4096
    assert len(kept_files(client)) == 3
    await client.stop()
    webhook.statuses.clear()
    again = start(**{POST_API: webhook.address})
    got = await webhook.messages(4)
    contents = [base64.b64decode(str(one["media_data"])) for one in got[:3]]
    assert contents == [b"%PDF" + str(number).encode() * 500_000 for number in range(3)]
    await until(lambda: {state for state, _ in events(again)} == {"delivered"})
    await until(lambda: kept_files(again) == [])
