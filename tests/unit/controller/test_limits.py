"""Limits on what a caller may use, and malformed requests: these are refused, and other callers are served."""

import asyncio
import contextlib
import gc
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.tokens import bearer, token
from tests.unit.controller.machine import Machine, raw
from tests.unit.heads import BODIES, REFUSED
from wxcontroller.controller.event_loop import EventLoop
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.openwx.http import admission
from wxcontroller.openwx.http.admission import Resource

NEVER = b"GET /openwx/never?client=alice HTTP/1.1\r\nHost: localhost\r\n\r\n"
POLL = b"GET /openwx/check_event?client=alice HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMALL = b"GET /openwx/check_client HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def connected(host: Machine, sent: bytes = b"", address: str = "127.0.0.1") -> "Peer":
    reader, writer = await asyncio.open_connection(*host.address, local_addr=(address, 0))
    writer.write(sent)
    await writer.drain()
    return Peer(reader, writer)


class Peer:
    """A caller's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, JsonObject]:
        """Read one answer: its status and its JSON."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line[16:]) for line in head.split("\r\n") if line.startswith("Content-Length: "))
            return int(head.split()[1]), obj(json.loads(await self.reader.readexactly(length)))

    async def ask(self, sent: bytes) -> tuple[int, JsonObject]:
        self.writer.write(sent)
        return await self.answer()

    async def closed(self, seconds: float = PATIENCE) -> bytes:
        """Wait for the end of the connection; return what was received."""
        got = b""
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(65536):
                    got += piece
        return got


@contextlib.asynccontextmanager
async def busy(host: Machine, requests: Sequence[bytes], address: str = "127.0.0.1") -> AsyncIterator[list[Peer]]:
    """Keep these requests open at an account that does not answer."""
    process = host.units.processes.get("alice") or await host.start("alice")
    peers = []
    for request in requests:
        process.reached.clear()
        peers.append(await connected(host, request, address))
        await asyncio.wait_for(process.reached.wait(), PATIENCE)
    yield peers
    for peer in peers:
        peer.writer.close()


# -- heads


async def test_slow_head_times_out(tmp_path: Path) -> None:
    async with Machine(tmp_path, header_timeout=0.3) as host:
        peer = await connected(host)
        for _ in range(2):  # the first request of a connection and every other one
            assert (await peer.ask(SMALL))[0] == 200
        gone = asyncio.create_task(peer.closed())
        peer.writer.write(b"GET / HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionError):
            while not gone.done():
                peer.writer.write(b"y")
                await peer.writer.drain()
                await asyncio.sleep(0.05)
        assert await gone == b""


_UPGRADE = NEVER[:-2] + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
FLOODS = {
    "one endless head": (NEVER, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000),
    "requests": (NEVER, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100),
    "another protocol": (_UPGRADE, b"x" * 200_000),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_pipelined_flood_ends_the_connection(host: Machine, flood: str) -> None:
    process, (first, rest) = await host.start("alice"), FLOODS[flood]
    peer = await connected(host, first)
    await asyncio.wait_for(process.reached.wait(), PATIENCE)
    with contextlib.suppress(ConnectionError):
        peer.writer.write(rest)
        await peer.writer.drain()
    assert await peer.closed() == b""
    await asyncio.wait_for(process.hung_up.wait(), PATIENCE)
    assert (await host.get("check_client"))["code"] == 0


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/openwx/check_client", 1 << 20),
        ("/v1/accounts", 65536),
        ("/v1/accounts/alice/deliveries/replay", 1 << 20),
        ("/mcp", 262144),
    ],
)
async def test_bodies_of_a_call_have_its_limit(tmp_path: Path, path: str, most: int) -> None:
    async with Machine(tmp_path, mcp_serve=True) as host:
        await host.start("alice")
        headers = bearer(token(host, Scope.ADMIN)) | {"Content-Type": "application/json"}
        method = "GET" if path.startswith("/openwx") else "POST"
        for size, is_too_large in ((most, False), (most + 1, True)):
            body = b"{}" + b" " * (size - 2)
            async with host.http.request(method, path, data=body, headers=headers) as answer:
                assert (answer.status == 413) == is_too_large, await answer.text()


async def test_readers_of_events_name_a_thousand_accounts_at_most(host: Machine) -> None:
    host.limit(request_line_bytes=1 << 20)
    names = ",".join(f"a{each}" for each in range(1001))
    status, answer = await host.v1("GET", f"events?account={names}")
    assert (status, obj(answer["error"])["code"]) == (400, "bad-request")


# -- answers


async def test_caller_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    async with Machine(tmp_path, send_timeout=0.3) as host:
        process = await host.start("alice")
        target = b"/openwx/stream?client=alice&bytes=100000000"
        peer = await connected(host, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(process.hung_up.wait(), PATIENCE)  # the account is free again
        assert len(await peer.closed()) < 100_000_000


# -- connections


async def test_at_the_limit_the_longest_idle_connection_is_closed(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_connections=3) as host, busy(host, [NEVER]):
        first, second = await connected(host), await connected(host)
        assert (await first.ask(SMALL))[0] == 200  # now the second has been idle for longer
        third = await connected(host)
        assert (await third.ask(SMALL))[0] == 200
        assert await second.closed() == b""
        assert (await first.ask(SMALL))[0] == 200


async def test_one_address_cannot_use_all_connections(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_connections_per_peer=2) as host, busy(host, [NEVER] * 2):
        assert (await (await connected(host)).answer())[0] == 503
        other = await connected(host, address="127.0.0.2")
        assert (await other.ask(SMALL))[0] == 200


async def test_unfinished_requests_make_room_for_others(tmp_path: Path) -> None:
    unfinished = b"POST /openwx/check_client HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"
    async with Machine(tmp_path, max_connections=64, max_connections_per_peer=32, max_requests=32) as host:
        attackers = [await connected(host, unfinished) for _ in range(100)]
        answers = [(await (await connected(host)).ask(SMALL))[0] for _ in range(20)]
        assert answers == [200] * 20
        assert (await (await connected(host, address="127.0.0.2")).ask(SMALL))[0] == 200
        assert len(attackers) == 100


async def test_unfinished_requests_make_room_at_the_limit_of_requests(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_requests=4) as host:
        attackers = [await connected(host, form(1000)[:-10]) for _ in range(4)]
        await until(lambda: host.shared.admission.taken(Resource.REQUESTS) == len(attackers))
        health = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert (await (await connected(host)).ask(health))[0] == 200


async def test_room_is_made_by_the_address_with_most_that_wait(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_connections=16) as host:
        other = await connected(host, address="127.0.0.2")
        attackers = [await connected(host, b"GET / HTTP/1.1\r\n") for _ in range(50)]
        assert (await other.ask(SMALL))[0] == 200
        assert await attackers[0].closed() == b""


async def test_an_upload_without_a_place_is_refused_with_an_answer(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_requests=2) as host, busy(host, [NEVER] * 2):
        assert (await (await connected(host, form(1000)[:-10])).answer())[0] == 503


async def test_working_connections_keep_their_places(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_connections=16) as host, busy(host, [NEVER] * 8) as working:
        attackers = [await connected(host, b"GET / HTTP/1.1\r\n") for _ in range(50)]
        assert await attackers[0].closed() == b""
        assert host.process("alice").requests.count("GET /openwx/never?client=alice") == 8
        assert not any(peer.reader.at_eof() for peer in working)


def queued(port: int) -> int:
    """Return the bytes in the queues of this machine's connections to a port, at both ends."""
    end, total = f":{port:04X}", 0
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(end) or fields[2].endswith(end):
            sent, _, received = fields[4].partition(":")
            total += int(sent, 16) + int(received, 16)
    return total


@contextlib.asynccontextmanager
async def unread(host: Machine, request: bytes, number: int) -> AsyncIterator[int]:
    """Send a request over so many connections, and read none of the answers; yield the most that was queued."""
    loop, most = asyncio.get_running_loop(), 0
    with contextlib.ExitStack() as sockets:
        for _ in range(number):
            attacker = sockets.enter_context(socket.socket())
            attacker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            attacker.setblocking(False)
            await loop.sock_connect(attacker, host.address)
            await loop.sock_sendall(attacker, request)
            most = max(most, queued(host.address[1]))
        assert (await (await connected(host)).ask(SMALL))[0] == 200
        yield max(most, queued(host.address[1]))


async def test_unread_answers_are_bounded(host: Machine) -> None:
    request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with unread(host, request * 3, 300) as most:  # the kernel takes 256 KiB for each
        assert most < 64 << 20


async def test_what_dropped_connections_leave_unread_is_dropped_as_well(tmp_path: Path) -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"  # 30 kB
    async with Machine(tmp_path, max_connections_per_peer=8) as host, unread(host, request, 100) as most:
        assert most < 16 * 40_000


async def test_kernel_keeps_what_is_unread_no_longer_than_the_controller(tmp_path: Path) -> None:
    async with Machine(tmp_path, send_timeout=0.5) as host:
        closing = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        async with unread(host, closing, 10):
            await until(lambda: queued(host.address[1]) < 40_000)


async def test_unread_answers_of_one_address_are_bounded(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "PEER_UNREAD_BYTES", 2 << 20)
    request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    peers = [await connected(host, request * 30) for _ in range(64)]
    await until(lambda: host.shared.admission.dropped.total["unread"])
    await peers[0].closed()
    assert (await (await connected(host)).ask(SMALL))[0] == 200
    async with host.http.get("/metrics") as answer:
        metrics = await answer.text()
    assert re.search(r'\nwxcontroller_connections_dropped_total\{reason="unread"\} [1-9]', metrics)


@pytest.mark.parametrize("together", [1, 4])
async def test_next_request_waits_until_the_last_answer_is_read(host: Machine, together: int) -> None:
    process, loop = await host.start("alice"), asyncio.get_running_loop()
    request = b"GET /openwx/stream?client=alice&bytes=100000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        caller.setblocking(False)
        await loop.sock_connect(caller, host.address)
        for _ in range(4 // together):
            await loop.sock_sendall(caller, request * together)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.12)  # longer than until the next look at what the caller has read
        assert len(process.requests) == 1
        received = 0
        async with asyncio.timeout(PATIENCE):
            while received < 4 * 100_000:
                received += len(await loop.sock_recv(caller, 1 << 16))
        assert len(process.requests) == 4


async def test_pipelined_answers_arrive_when_they_are_read(host: Machine) -> None:
    request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with host.http.get("/v1/openapi.json") as answer:
        size = len(await answer.read())
    peer = await connected(host, request * 19 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(PATIENCE):
        received = await peer.reader.read()
    assert received.count(b"HTTP/1.1 200") == 20
    assert len(received) > 20 * size


# -- requests


async def test_requests_and_long_polls_have_separate_limits(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_requests=2, max_long_polls=1) as host:
        async with busy(host, [NEVER, NEVER, POLL]):
            for request in (SMALL, POLL, b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"):
                peer = await connected(host, request)
                head = await asyncio.wait_for(peer.reader.readuntil(b"\r\n\r\n"), PATIENCE)
                assert head.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nRetry-After: 1\r\n" in head
        await until(lambda: not any(map(host.shared.admission.taken, Resource)))
        assert (await (await connected(host)).ask(SMALL))[0] == 200


def form(size: int) -> bytes:
    body = b"client=alice&content=" + b"x" * size
    return (
        b"POST /openwx/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body


async def test_request_bodies_are_limited_in_total(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_bodies=100_000) as host:
        await host.start("alice")
        held = await connected(host, form(80_000)[:-1])  # it is not complete
        await until(lambda: host.shared.admission.taken(Resource.BODIES) >= 79_000)
        status, answer = await (await connected(host)).ask(form(30_000))
        assert status == 503
        assert "memory for request bodies" in str(answer["status"])
        assert (await (await connected(host)).ask(form(1000)))[0] == 200
        assert (await held.ask(b"x"))[0] == 200
        assert host.shared.admission.taken(Resource.BODIES) == 0
        assert (await (await connected(host)).ask(form(90_000)))[0] == 200


@pytest.mark.parametrize("limit", ["ua_request_timeout", "ua_inactivity_timeout"])
async def test_slow_or_stalled_body_times_out(tmp_path: Path, limit: str) -> None:
    async with Machine(tmp_path, **{limit: 0.4}) as host:
        for path in ("/openwx/check_client", "/openwx/echo", "/v1/accounts/alice/start"):
            peer = await connected(host, form(1000).replace(b"/openwx/echo", path.encode())[:-1000])
            answer = asyncio.create_task(peer.answer())
            while not answer.done():
                if limit == "ua_request_timeout":
                    peer.writer.write(b"x")
                await asyncio.sleep(0.05)
            assert (await answer)[0] == 408
            peer.writer.close()


# -- limits of what requests bring


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
