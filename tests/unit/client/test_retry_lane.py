"""Bots with common bugs: a report that one of them fails on does not delay the others."""

import asyncio
import email.utils
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.patience import PATIENCE
from tests.ports import free_port
from tests.unit.client.conftest import POST_API, Start, running
from tests.unit.client.scripted import message
from tests.unit.client.test_kept_sends import busy_disk
from tests.unit.client.test_v1_deliveries import until
from wxcontroller.core.jsontypes import JsonObject, items, obj

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Came:
    """A request: its number on its connection, headers in lower case, and the report."""

    turn: int
    headers: dict[str, str]
    report: JsonObject

    @property
    def name(self) -> str:
        return str(self.report.get("content", self.report.get("event")))


def accept(_: Came) -> bytes | None:
    return OK


def answer(status: int, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status} X", *headers, "Content-Length: 0", "", "")).encode()


@dataclass
class Bot:
    """An HTTP server of bare sockets. ``behave`` returns the response; None closes the connection.

    ``accepted`` are the names of what it answered with 200, ``came`` all requests.
    """

    port: int
    behave: Callable[[Came], bytes | None] = accept
    came: list[Came] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    connections: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(condition)

    async def until_accepted(self, *names: str) -> None:
        await self.until(lambda: set(names) <= set(self.accepted))

    def tries(self, name: str) -> list[Came]:
        return [one for one in self.came if one.name == name]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        turn = 0
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                turn += 1
                lines = head.decode().split("\r\n")[1:-2]
                headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                one = Came(turn, headers, obj(json.loads(body)))
                answered = self.behave(one)
                if answered is not None:
                    writer.write(answered)
                async with self._news:
                    self.came.append(one)
                    if answered is not None and b" 200 " in answered[:20]:
                        self.accepted.append(one.name)
                    self._news.notify_all()
                if answered is None:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


@asynccontextmanager
async def running_bot(behave: Callable[[Came], bytes | None] = accept) -> AsyncIterator[Bot]:
    bot = Bot(free_port(), behave)
    await bot.open()
    try:
        yield bot
    finally:
        await bot.close()


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    async with running_bot() as one:
        yield one


def fails_on_events(one: Came) -> bytes | None:
    """Like ``request.json['content']`` does in a framework that answers 500 for an exception."""
    return OK if "content" in one.report else answer(500)


def closes_on_events(one: Came) -> bytes | None:
    """Like a server whose handler has crashed."""
    return OK if "content" in one.report else None


@pytest.mark.parametrize("behave", [fails_on_events, closes_on_events])
async def test_bot_that_fails_on_events_gets_messages(
    bot: Bot, start: Start, behave: Callable[[Came], bytes | None]
) -> None:
    bot.behave = behave
    client = await running(start, **{POST_API: bot.address})
    client.driver.play([message("one"), message("two")])
    await bot.until_accepted("one", "two")
    assert bot.accepted == ["one", "two"]
    number = len({one.headers["x-wx-delivery"] for one in bot.tries("state_change")}) + 1
    found = await until(client, retrying=number, pending=number)
    lanes = {(obj(delivery)["lane"], obj(delivery)["type"]) for delivery in items(found["deliveries"])}
    assert lanes == {("retry", "state_change"), ("retry", "login")}
    status = obj((await client.v1("GET", "status"))[1]["reports"])
    assert status["retrying"] == found["retrying"]


async def test_retry_lane_is_delivered_when_the_bot_recovers(bot: Bot, start: Start) -> None:
    bot.behave = lambda one: answer(500) if one.name == "hard" else OK
    client = await running(start, **{POST_API: bot.address})
    client.driver.play([message("hard"), message("easy")])
    await bot.until_accepted("easy")
    await until(client, retrying=1)
    bot.behave = accept
    await bot.until_accepted("hard")
    found = await until(client, retrying=0, pending=0, dead=0)
    assert found["last_error"] == ""
    hard = bot.tries("hard")
    assert len({one.headers["x-wx-delivery"] for one in hard}) == 1
    assert [int(one.headers["x-wx-attempt"]) for one in hard] == list(range(1, len(hard) + 1))
    assert int(hard[-1].headers["x-wx-sequence"]) < int(bot.tries("easy")[0].headers["x-wx-sequence"])


async def test_retry_lane_continues_after_the_clock_was_set_back(
    bot: Bot, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, ahead = time.time, 86_400.0
    monkeypatch.setattr(time, "time", lambda: clock() + ahead)
    bot.behave = lambda one: answer(500) if one.name == "bad" else OK
    client = await running(start, **{POST_API: bot.address})
    client.driver.play([message("bad"), message("good")])
    await bot.until_accepted("good")
    ahead, bot.behave = 0.0, accept
    await bot.until_accepted("bad")


async def test_report_that_still_fails_does_not_delay_those_of_before_the_clock_was_set_back(
    bot: Bot, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, ahead = time.time, 40 * 86_400.0
    monkeypatch.setattr(time, "time", lambda: clock() + ahead)
    slow = {POST_API: bot.address, "WXCLIENT_WEBHOOK_RETRY_FIRST": "60"}
    bot.behave = lambda one: OK if one.name == "good" else answer(500)
    client = await running(start, **slow)
    others = [f"bad {number}" for number in range(8)]  # their pauses are random, and most end after that of "hard"
    client.driver.play([message(name) for name in ("hard", *others, "good")])
    await bot.until_accepted("good")
    await client.stop()
    ahead, bot.behave = 0.0, lambda one: answer(500) if one.name == "hard" else OK
    await running(start, **slow)
    await bot.until_accepted(*others)


async def test_failing_kind_moves_aside_at_once_and_stays_there_after_a_restart(bot: Bot, start: Start) -> None:
    bot.behave = lambda one: OK if one.report["post_type"] == "event" or one.name == "good" else answer(500)
    slow = {"WXCLIENT_WEBHOOK_RETRY_FIRST": "60"}  # attempts of the retry lane would count, too
    client = await running(start, **{POST_API: bot.address}, **slow)
    client.driver.play([message("first"), message("second"), message("good"), message("third"), message("last")])
    await bot.until_accepted("good")
    await until(client, retrying=4, pending=4)
    assert [len(bot.tries(name)) for name in ("first", "second", "good", "third", "last")] == [3, 1, 1, 3, 1]
    await client.stop()
    again = await running(start, **{POST_API: bot.address}, **slow)
    again.driver.play([message("later")])
    await until(again, retrying=5, pending=5)
    assert [len(bot.tries(name)) for name in ("first", "last", "later")] == [3, 1, 1]


@pytest.mark.parametrize("status", [0, 429, 503])
async def test_a_receiver_that_is_not_reached_keeps_the_order(bot: Bot, start: Start, status: int) -> None:
    """Status 0 means that nothing listens."""
    client = await running(start, **{POST_API: bot.address}, WXCLIENT_WEBHOOK_RETRY_LONGEST="0.2")
    await bot.until(lambda: any(one.report.get("params") == ["updating", "running"] for one in bot.came))
    await until(client, pending=0)
    if status:
        bot.behave = lambda _: answer(status)
    else:
        await bot.close()
    client.driver.play([message("one"), message("two"), message("three")])
    async with asyncio.timeout(PATIENCE):  # more attempts than a report gets before it moves aside
        while obj(items((await until(client, pending=3))["deliveries"])[0])["attempts"] not in range(5, 99):
            await asyncio.sleep(0.01)
    assert (await until(client, pending=3))["retrying"] == 0
    assert {one.name for one in bot.came if "content" in one.report} <= {"one"}
    bot.behave = accept
    if not status:
        await bot.open()
    await bot.until_accepted("one", "two", "three")
    assert [name for name in bot.accepted if name in ("one", "two", "three")] == ["one", "two", "three"]


@pytest.mark.parametrize(("status", "is_date"), [(429, False), (503, True)])
async def test_receivers_retry_after_is_followed(bot: Bot, start: Start, status: int, is_date: bool) -> None:
    client = await running(start, **{POST_API: bot.address}, WXCLIENT_WEBHOOK_RETRY_FIRST="0.1")
    await until(client, pending=0)
    moments: list[float] = []

    def busy(one: Came) -> bytes:
        moments.append(time.monotonic())
        pause = email.utils.formatdate(time.time() + 3, usegmt=True) if is_date else "2"
        return answer(status, f"Retry-After: {pause}") if len(moments) == 1 else OK

    bot.behave = busy
    client.driver.play([message("one")])
    await bot.until_accepted("one")
    assert moments[1] - moments[0] > 1.9


async def test_strict_order_delays_all_reports(bot: Bot, start: Start) -> None:
    bot.behave = lambda one: answer(500) if one.name == "hard" else OK
    quick = {"WXCLIENT_WEBHOOK_RETRY_LONGEST": "0.2"}
    client = await running(start, **{POST_API: bot.address}, WXCLIENT_WEBHOOK_STRICT_ORDER="1", **quick)
    client.driver.play([message("hard"), message("easy")])
    await bot.until(lambda: len(bot.tries("hard")) >= 5)
    assert bot.tries("easy") == []
    assert (await client.v1("GET", "deliveries"))[1]["retrying"] == 0
    bot.behave = accept
    await bot.until_accepted("easy")
    assert bot.accepted[-2:] == ["hard", "easy"]


async def test_accepted_report_is_not_repeated_while_the_disk_is_slow(start: Start, bot: Bot) -> None:
    """That it was accepted is not on disk yet, where the retry lane is read from."""
    refused = {"a"}
    bot.behave = lambda one: answer(500) if one.name in refused else OK
    client = await running(start, **{POST_API: bot.address})
    client.driver.play([message("a"), message("b")])
    await bot.until_accepted("b")
    await until(client, retrying=1)
    async with busy_disk(client):
        refused.clear()
        await bot.until_accepted("a")
        await asyncio.sleep(2)  # time for many repetitions
    await until(client, retrying=0, pending=0)
    assert bot.accepted.count("a") == 1


# -- connections


@pytest.mark.usefixtures("both_ways")
async def test_broken_idle_connection_costs_no_attempt(bot: Bot, start: Start) -> None:
    """A receiver that promises keep-alive, and closes the connection at the next request."""
    bot.behave = lambda one: None if one.turn > 1 else OK
    client = await running(start, **{POST_API: bot.address}, WXCLIENT_WEBHOOK_RETRY_FIRST="60")
    client.driver.play([message(f"text {number}") for number in range(10)])
    await bot.until_accepted(*(f"text {number}" for number in range(10)))
    assert {one.headers["x-wx-attempt"] for one in bot.came} == {"1"}
    found = await until(client, pending=0)
    assert found["last_error"] == ""
    assert obj((await client.v1("GET", "status"))[1]["reports"])["failed"] == 0


@pytest.mark.usefixtures("both_ways")
async def test_connection_broken_within_a_response_is_a_failure(bot: Bot, start: Start) -> None:
    client = await running(start, **{POST_API: bot.address})
    await bot.until(lambda: any(one.report.get("params") == ["updating", "running"] for one in bot.came))
    await until(client, pending=0)
    server_side = bot.connections
    bot.behave = lambda one: OK[:20] if one.name == "half" and len(bot.tries("half")) == 0 else OK

    client.driver.play([message("half")])
    await bot.until(lambda: len(bot.tries("half")) == 1)
    await bot.close()  # breaks the connection
    await bot.open()
    await bot.until(lambda: len(bot.tries("half")) == 2)
    assert [one.headers["x-wx-attempt"] for one in bot.tries("half")] == ["1", "2"]
    assert bot.connections > server_side


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_redirect_that_loses_the_body_is_a_failure(bot: Bot, start: Start, status: int) -> None:
    moved = f"http://u:hidden@127.0.0.1:{bot.port}/new?key=secret"
    bot.behave = lambda one: answer(status, f"Location: {moved}")
    client = await running(start, **{POST_API: bot.address})
    client.driver.play([message("one")])
    await bot.until(lambda: len(bot.tries("one")) >= 3)
    found = await until(client, dead=0)
    why = f"the webhook returned {status}; set post_api to http://127.0.0.1:{bot.port}/new?key=…, where it has moved"
    assert {obj(delivery)["last_error"] for delivery in items(found["deliveries"]) if obj(delivery)["attempts"]} == {
        why
    }
    assert found["pending"] == len(items(found["deliveries"]))
