"""What an attempt comes to; receivers over TLS with an authority of their own; logs that are replaced or damaged."""

import asyncio
import contextlib
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web

from tests.certificates import self_signed
from tests.patience import PATIENCE
from tests.unit.client.conftest import POLL_API, POST_API, Start, Webhook
from tests.unit.client.scripted import message
from tests.unit.client.test_v1_deliveries import at_rest, until
from wxcontroller.client.deliveries.lanes import DeliveryOutcome, Policy
from wxcontroller.client.deliveries.receivers import Receiver, posting
from wxcontroller.client.store.schema import SCHEMA
from wxcontroller.core.jsontypes import items, obj
from wxcontroller.openwx.replies import to_bytes


@pytest.fixture
async def secure(webhook: Webhook, tmp_path: Path) -> AsyncIterator[tuple[str, Path, asyncio.Event]]:
    """The webhook over TLS: its root, the file of its authority, and what is set when a heartbeat came."""
    certificate, key = self_signed(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    beaten = asyncio.Event()

    async def beat(_: web.Request) -> web.Response:
        beaten.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/in", webhook.take)
    app.router.add_get("/beat", beat)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}", certificate, beaten
    await runner.cleanup()


async def test_the_authorities_of_ca_file_are_trusted(
    secure: tuple[str, Path, asyncio.Event], start: Start, webhook: Webhook
) -> None:
    root, authority, beaten = secure
    polled = {POLL_API: f"{root}/beat"}
    client = start(**{POST_API: f"{root}/in"}, WXCLIENT_CA_FILE=str(authority), **polled)
    await client.login()
    client.driver.play([message("hi")])
    [report] = await webhook.messages(1)
    assert report["content"] == "hi"
    async with asyncio.timeout(PATIENCE):
        await beaten.wait()


async def test_without_ca_file_it_is_told_what_is_wrong(
    secure: tuple[str, Path, asyncio.Event], start: Start, webhook: Webhook
) -> None:
    client = start(**{POST_API: f"{secure[0]}/in"})
    await client.login()
    async with asyncio.timeout(PATIENCE):
        while "self-signed" not in str((await until(client))["last_error"]):
            await asyncio.sleep(0.01)
    assert webhook.reports == []


async def test_a_log_that_is_replaced_is_delivered_from_its_beginning(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    await at_rest(client, webhook)
    client.driver.play([message(f"before {number}") for number in range(20)])
    await webhook.messages(20)
    await until(client, pending=0)
    path = client.paths.state("alice") / "events.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE tally")
    client.driver.play([message("after 1"), message("after 2")])
    async with asyncio.timeout(PATIENCE):
        while not list(path.parent.glob("events.db.damaged-*")):
            await asyncio.sleep(0.01)
    client.driver.play([message("the last")])
    got = await webhook.until(lambda reports: any(one.get("content") == "the last" for one in reports))
    assert [one["content"] for one in got if str(one.get("content")).startswith("after")] == ["after 1", "after 2"]


async def test_an_entry_that_is_damaged_is_a_dead_letter_and_holds_nothing_up(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    await at_rest(client, webhook)
    await client.stop()
    with closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db, db:
        for body in (b'{"content":"half', b"", b"\xff\x00", b"[]"):
            db.execute(
                "INSERT INTO events (stamp, time, type, body, size, state) "
                "VALUES (1, 4102444800, 'friend_message', ?, 5, 'pending')",
                (body,),
            )
    again = start(**{POST_API: webhook.address})
    await again.login()
    again.driver.play([message("after")])
    await webhook.messages(1)
    found = await until(again, pending=0, dead=4)
    assert {obj(one)["last_error"] for one in items(found["deliveries"])} == {"its entry in the event log is damaged"}


async def test_a_log_of_2_0_0_is_delivered(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    await client.stop()
    path = client.paths.state("alice") / "events.db"
    for file in path.parent.glob("events.db*"):
        file.unlink()
    old = SCHEMA[:3]  # of 2.0.0
    with closing(sqlite3.connect(path)) as db, db:
        for statements in old:
            db.executescript(statements)
        db.execute(f"PRAGMA user_version={len(old)}")
        for state, attempts in (("pending", 9), ("dead", 3), ("pending", 0)):
            body = to_bytes({"post_type": "receive_message", "content": f"{state} {attempts}"})
            db.execute(
                "INSERT INTO events (stamp, time, type, body, size, state, attempts, next_at) "
                "VALUES (1, 4102444800, 'friend_message', ?, ?, ?, ?, 4102444800)",
                (body, len(body), state, attempts),
            )
    webhook.reports.clear()
    again = start(**{POST_API: webhook.address})
    assert [one["content"] for one in await webhook.messages(2)] == ["pending 9", "pending 0"]
    await until(again, pending=0, dead=1)


_LARGE = 30_000_000  # more than sockets take in without a reader


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
        (True, b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", 2, DeliveryOutcome.UNREACHED),
    ],
)
async def test_what_an_attempt_comes_to(
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


async def test_a_large_report_leaves_the_event_loop_to_others(start: Start, tmp_path: Path) -> None:
    """A picture of 10 MiB, and two secrets that sign it."""
    delivered = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := (await reader.readuntil(b"\r\n\r\n")).lower():
                left = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                if left > 10 << 20:
                    delivered.set()
                while left:
                    left -= len(await reader.read(min(left, 1 << 16)))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    client = start(**{POST_API: address}, WXCLIENT_WEBHOOK_SECRET="one two")
    await client.login()
    await until(client, pending=0)
    file = tmp_path / "picture"
    file.write_bytes(bytes(range(256)) * (40 << 10))
    body = to_bytes({"post_type": "receive_message", "content": "picture", "media_data": ""})
    longest = 0.0
    with closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db, db:
        db.execute(
            "INSERT INTO events (stamp, time, type, body, size, media, state) "
            "VALUES (1, 4102444800, 'friend_message', ?, ?, ?, 'pending')",
            (body, len(body), str(file)),
        )
    client.driver.play([message("makes the account look")])
    async with asyncio.timeout(PATIENCE):
        while not delivered.is_set():
            began = time.thread_time()  # the loop's own: a busy machine does not matter
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - began)
    server.close()
    assert longest < 0.03
