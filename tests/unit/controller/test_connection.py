"""Malformed requests, and callers that begin a request and do not finish it."""

import asyncio
import gc
import json
import os
import socket
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.controller.machine import Machine, raw
from tests.unit.heads import BODIES, REFUSED
from wxcontroller.controller.event_loop import EventLoop


async def test_body_after_upgrade_is_refused(host: Machine) -> None:
    await host.start("alice")
    for path in ("/openwx/echo?client=alice", "/openwx/check_client", "/v1/accounts/alice/start"):
        for body in (b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            status, answer = await raw(host, head.encode() + body)
            assert (status, b"Upgrade" in answer) == (400, True), (path, body)


async def test_a_rejected_head_is_answered_and_ends_the_connection(host: Machine) -> None:
    for case, (sent, status, words) in REFUSED.items():
        answered, answer = await asyncio.wait_for(raw(host, sent), PATIENCE)
        assert (answered, answer.count(b"HTTP/1.")) == (status, 1), case
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"\r\nConnection: close" in head
        assert (json.loads(body)["code"], words in body) == (-1, True), case


async def test_consecutive_requests_are_parsed_in_any_fragmentation(host: Machine) -> None:
    head = b"POST /openwx/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    last = b"\r\nGET /openwx/check_client HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    sent = b"".join(head + body for body in BODIES.values()) + last
    for step in (1, 7, 10_000):
        reader, writer = await asyncio.open_connection(*host.address)
        for at in range(0, len(sent), step):
            writer.write(sent[at : at + step])
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        assert answer.count(b"HTTP/1.1 200 ") == len(BODIES) + 1, answer


async def test_request_with_invalid_body_is_not_forwarded(host: Machine) -> None:
    process = await host.start("alice")
    head = b"POST /openwx/send_friend_message?client=alice HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked"
    status, _ = await raw(host, head + b"\r\n\r\nzz\r\n")
    assert status == 400
    assert process.requests == []


@pytest.mark.parametrize("sent", [b"", b"GET /openwx/check_client HTTP/1.1\r\nHost: local"])
async def test_connections_without_a_request_are_closed(tmp_path: Path, sent: bytes) -> None:
    async with Machine(tmp_path, idle_timeout=0.2, header_timeout=0.2) as host:
        process = await host.start("alice")
        patient = asyncio.create_task(
            raw(host, b"GET /openwx/never?client=alice HTTP/1.1\r\nHost: localhost\r\n\r\n")
        )
        await asyncio.wait_for(process.reached.wait(), PATIENCE)
        assert await raw(host, sent) == (0, b"")
        assert not patient.done()
        patient.cancel()


async def test_cancelled_connection_closes_no_other_file() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, EventLoop)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        ours.setblocking(False)
        number = ours.fileno()
        opening = asyncio.create_task(loop.create_connection(asyncio.Protocol, sock=ours))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()

        innocent = os.open(os.devnull, os.O_RDONLY)
        assert innocent == number, "the number is free again, and the next file gets it"
        del ours, opening
        gc.collect()
        os.fstat(innocent)
        os.close(innocent)
