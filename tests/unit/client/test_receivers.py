"""Which report is posted next and when, the outcome of an attempt, and the reuse of connections."""

import asyncio
import contextlib
import logging
import time

import aiohttp
import pytest
from aiohttp import web

from tests.patience import PATIENCE
from tests.serving import serving
from tests.unit.client.conftest import Webhook
from wxcontroller.client.deliveries.lanes import (
    QUICK_RETRIES,
    Attempt,
    Decision,
    DeliveryOutcome,
    Lane,
    Lanes,
    NextStep,
    Policy,
    Result,
)
from wxcontroller.client.deliveries.receivers import WEBHOOK_ANSWER_SECONDS, Receiver, posting
from wxcontroller.client.sends.rules.sendbackoff import BackoffPolicy, SendBackoff
from wxcontroller.core.errors import FailureHandling
from wxcontroller.core.net.httprequests import SessionRequests

_LARGE = 30_000_000  # more than sockets take in without a reader


@pytest.mark.usefixtures("both_ways")
async def test_malformed_chunk_of_an_answer_does_not_delay_reports() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            for part in (head, b"2\r\n{}\r\n", b"not a number\r\n"):
                writer.write(part)
                await asyncio.sleep(0.1)
            # It keeps the connection open.
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    async with posting(Receiver(address, "test"), Policy()) as poster:
        began = time.monotonic()
        for _ in range(3):
            assert (await poster.post(b"{}", {})).outcome is DeliveryOutcome.ACCEPTED
        assert time.monotonic() - began < WEBHOOK_ANSWER_SECONDS
        server.close()


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("status", [307, 308])
async def test_up_to_five_redirects_are_followed_with_the_report(status: int) -> None:
    got: list[tuple[str, bytes]] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        got.append((request.method, await request.read()))
        left = int(request.path[1:])
        headers = {"Location": f"/{left - 1}"} if left else {}
        return web.Response(status=status if left else 204, headers=headers)

    async with serving(serve, "127.0.0.1") as port:
        for hops, outcome in ((5, DeliveryOutcome.ACCEPTED), (6, DeliveryOutcome.FAILED)):
            async with posting(Receiver(f"http://127.0.0.1:{port}/{hops}", "test"), Policy()) as poster:
                assert (await poster.post(b'{"a":1}', {})).outcome is outcome
    assert got == [("POST", b'{"a":1}')] * 12


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(
    ("reads", "answer", "size", "outcome"),
    [
        (True, b"", 2, DeliveryOutcome.FAILED),  # it closes
        (True, b"", _LARGE, DeliveryOutcome.FAILED),
        (True, None, 2, DeliveryOutcome.FAILED),  # it never answers
        (True, b"SSH-2.0-OpenSSH\r\n", 2, DeliveryOutcome.FAILED),
        (False, b"", _LARGE, DeliveryOutcome.CUT_OFF),
        (False, None, _LARGE, DeliveryOutcome.CUT_OFF),
        (
            False,
            b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n",
            _LARGE,
            DeliveryOutcome.FAILED,
        ),  # before it has read all
        (True, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", _LARGE, DeliveryOutcome.ACCEPTED),
        (
            True,
            b"HTTP/1.1 200 OK\r\nContent-Type: \xd0\xb6\xff\r\nContent-Length: 0\r\n\r\n",
            2,
            DeliveryOutcome.ACCEPTED,
        ),
        (True, b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", 2, DeliveryOutcome.UNREACHED),
    ],
)
async def test_attempt_has_the_outcome_of_its_response(
    reads: bool, answer: bytes | None, size: int, outcome: DeliveryOutcome
) -> None:
    body, over = bytes(size), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if reads:
                await reader.readexactly(len(body))
            if answer is None or not reads:
                writer.write(answer or b"")
                await (over.wait() if answer is None or answer else asyncio.sleep(0))
            else:
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    timeout = 1.0 if answer is None else PATIENCE
    async with posting(Receiver(address, "test"), Policy(timeout=timeout)) as poster:
        result = await poster.post(body, {})
        over.set()
        server.close()
        assert result.outcome is outcome, result
        if not answer:
            assert (await poster.post(body, {})).outcome is DeliveryOutcome.UNREACHED  # nobody listens any more


@pytest.mark.usefixtures("both_ways")
async def test_connections_are_reused_unless_a_report_is_incomplete() -> None:
    connections = list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                if size < _LARGE:
                    await reader.readexactly(size)
                writer.write(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
                if size == _LARGE:
                    await reader.read()  # until the end: another report here gets no answer

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    async with posting(Receiver(address, "test"), Policy(timeout=5.0)) as poster:
        for size in (2, 2, _LARGE, 2):
            assert (await poster.post(bytes(size), {})).status == 413
    server.close()
    assert len(connections) == 2


async def test_a_header_with_a_line_break_is_not_sent(webhook: Webhook) -> None:
    async with posting(Receiver(webhook.address, "test"), Policy()) as poster:
        for value in ("1\r\nX-Other: 2", "1\rX-Other: 2", "1\nX-Other: 2"):
            assert (await poster.post(b"{}", {"X-Wx-Sequence": value})).outcome is DeliveryOutcome.UNREACHED
    assert webhook.reports == []


@pytest.mark.parametrize(
    ("version", "is_known"),
    [("3.11.0", True), ("3.11.16", True), ("3.10.11", False), ("3.12.0a1", False), ("4.0.0", False), ("main", False)],
)
async def test_undocumented_parts_of_aiohttp_are_used_only_in_known_versions(
    version: str, is_known: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(aiohttp, "__version__", version)
    caplog.set_level(logging.INFO)
    async with posting(Receiver("http://127.0.0.1:9/", "test"), Policy()) as poster:
        assert isinstance(poster.requests, SessionRequests) is not is_known
    assert (f"aiohttp {version}" in caplog.text) is not is_known


POLICY = Policy(first=5.0, longest=300.0)
FAILED = Result(DeliveryOutcome.FAILED, 500)


def queue(report: str, kind: str = "receive_message") -> Attempt:
    return Attempt(report, Lane.QUEUE, kind, 7)


def after(lanes: Lanes, attempt: Attempt, result: Result, now: float = 0.0) -> Decision:
    return lanes.after(attempt, result, began=now, now=now)


@pytest.mark.parametrize(("asked", "pause"), [(7.0, 7.0), (0.0, 1.0), (1e9, 3600.0)])
def test_receivers_retry_after_is_followed_within_bounds(asked: float, pause: float) -> None:
    result = Result(DeliveryOutcome.UNREACHED, 503, retry_after=asked)
    assert after(Lanes(POLICY), queue("a"), result) == Decision(NextStep.AGAIN, pause)


def test_pauses_double_from_the_first_to_the_longest_in_both_lanes() -> None:
    lanes = Lanes(POLICY)
    pauses = [after(lanes, queue("a"), Result(DeliveryOutcome.UNREACHED)).pause for _ in range(9)]
    aside = [after(lanes, queue(str(number)), FAILED) for number in range(3)]
    assert [each.pause for each in aside] == [2.0, 2.0, 2.0]  # the first of its quick retries
    *_, moved = [after(lanes, queue("2"), FAILED) for _ in QUICK_RETRIES]
    assert moved.step is NextStep.ASIDE
    later = [after(lanes, Attempt("2", Lane.RETRY, "receive_message", number), FAILED).pause for number in range(8)]
    for found in (pauses, [moved.pause, *later]):
        for number, pause in enumerate(found):
            assert pause == pytest.approx(min(300.0, 5.0 * 2**number), rel=0.21), number  # with its jitter


def test_another_address_or_a_replay_ends_all_pauses() -> None:
    lanes = Lanes(POLICY)
    for _ in range(5):
        after(lanes, queue("a"), Result(DeliveryOutcome.UNREACHED))
    assert lanes.next_lane(1.0, queued=True, retrying=False) is None
    lanes.resume()
    assert lanes.next_lane(1.0, queued=True, retrying=False) is Lane.QUEUE
    assert after(lanes, queue("a"), Result(DeliveryOutcome.UNREACHED)).pause == pytest.approx(5.0, rel=0.21)


def test_a_slow_failing_report_leaves_most_of_the_time_to_others() -> None:
    lanes = Lanes(POLICY)
    lanes.retry_due(0.0)
    lanes.after(Attempt("a", Lane.RETRY, "receive_message", 0), FAILED, began=0.0, now=10.0)
    lanes.retry_due(0.0)  # another one is due
    assert lanes.next_lane(49.0, queued=True, retrying=True) is Lane.QUEUE
    assert lanes.next_lane(51.0, queued=True, retrying=True) is Lane.RETRY


def test_report_that_is_always_cut_off_moves_aside() -> None:
    lanes = Lanes(POLICY)
    steps = [after(lanes, queue("a"), Result(DeliveryOutcome.CUT_OFF)).step for _ in range(7)]
    assert steps == [NextStep.AGAIN] * 6 + [NextStep.ASIDE]


PAUSES = BackoffPolicy(transient_first=1, transient_max=5, throttled_first=60, throttled_max=200)
WAIT = FailureHandling.WAIT


def test_throttling_doubles_until_a_send_succeeds() -> None:
    backoff = SendBackoff(PAUSES)
    assert [backoff.next_pause(WAIT, 1) for _ in range(4)] == [60, 120, 200, 200]
    backoff.reset()
    assert backoff.next_pause(WAIT, 1) == 60
