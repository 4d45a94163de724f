"""Admission under load: shares per token and address, little for callers without a token, a reserve for admins."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from tests.patience import PATIENCE, until
from tests.tokens import token
from tests.unit.controller.machine import ROOT_TOKEN, Machine
from tests.unit.controller.test_limits import busy, connected
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.config.settings import Settings, read_settings
from wxcontroller.core.net.addresses import Network
from wxcontroller.openwx.http import admission
from wxcontroller.openwx.http.admission import PortLimits, Resource
from wxcontroller.openwx.http.connection import connections

FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


def get(target: str, *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()


def bearer(shown: str) -> str:
    return f"Authorization: Bearer {shown}"


def post(target: str, body: str, *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{FORM}{lines}Content-Length: {len(body)}\r\n"
    return f"{head}\r\n{body}".encode()


async def status(host: Machine, sent: bytes, address: str = "127.0.0.1") -> int:
    """Send a request over a new connection; return the status of the answer."""
    peer = await connected(host, sent, address)
    async with asyncio.timeout(PATIENCE):
        head = await peer.reader.readuntil(b"\r\n\r\n")
    peer.writer.close()
    return int(head.split()[1])


@contextlib.asynccontextmanager
async def streams(host: Machine, requests: Sequence[bytes]) -> AsyncIterator[list[int]]:
    """Keep these streams open; yield their statuses."""
    peers = [await connected(host, request) for request in requests]
    async with asyncio.timeout(PATIENCE):
        heads = [await peer.reader.readuntil(b"\r\n\r\n") for peer in peers]
    yield [int(head.split()[1]) for head in heads]
    for peer in peers:
        peer.writer.close()


# -- callers without a token


async def test_slow_forms_without_a_token_do_not_block_admins(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "UNKNOWN_BODY_SECONDS", PATIENCE)  # longer than the connections take
    slow = post("/openwx/check_client", "client=alice")[:-5]
    admin = bearer(token(host, Scope.ADMIN))
    reader = bearer(token(host, Scope.READ))
    peers = [await connected(host, slow) for _ in range(1100)]
    await until(lambda: host.shared.admission.taken(Resource.REQUESTS) >= 32)
    for shown in (admin, reader, bearer(ROOT_TOKEN)):
        assert await status(host, get("/v1/accounts", shown)) == 200
    # Requests beyond the small share are refused at once.
    async with asyncio.timeout(PATIENCE):
        assert b" 503 " in await peers[-1].reader.readuntil(b"\r\n")
    assert host.shared.admission.taken(Resource.REQUESTS) <= 64
    for peer in peers:
        peer.writer.close()


async def test_form_that_may_hold_a_token_has_a_short_timeout(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "UNKNOWN_BODY_SECONDS", 0.3)
    shown = token(host, Scope.ADMIN)
    peer = await connected(host, post("/openwx/check_client", "client=alice")[:-1])
    answer = asyncio.create_task(peer.answer())
    assert (await asyncio.wait_for(answer, PATIENCE))[0] == 408
    # With the token in the head there is more time.
    peer = await connected(host, post("/openwx/check_client", "client=alice", bearer(shown))[:-1])
    await asyncio.sleep(0.6)
    peer.writer.write(b"e")
    assert (await peer.answer())[0] == 200


# -- shares


async def test_a_token_leaves_streams_to_others(host: Machine) -> None:
    greedy, other, admin = (token(host, scope) for scope in (Scope.READ, Scope.READ, Scope.ADMIN))
    half = Settings().max_readers // 2
    async with streams(host, [get("/v1/events", bearer(greedy))] * (half + 4)) as first:
        assert first == [200] * half + [503] * 4
        async with streams(host, [get("/v1/events", bearer(other))] * half) as second:
            assert 503 in second  # the last are for admins
            async with streams(host, [get("/v1/events", bearer(shown)) for shown in (admin, ROOT_TOKEN)]) as last:
                assert last == [200, 200]


async def test_root_is_served_beyond_a_limit(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_requests=2) as host:
        never = "/openwx/never?client=alice"
        await host.start("alice")
        async with busy(host, [get(never, bearer(token(host, Scope.ADMIN))) for _ in range(2)]):
            assert await status(host, get("/v1/accounts", bearer(token(host, Scope.ADMIN)))) == 503
            for _ in range(3):
                assert await status(host, get("/v1/accounts", bearer(ROOT_TOKEN))) == 200


@pytest.mark.parametrize("path", ["/openwx/check_event?client=alice", "/v1/accounts/alice/events"])
async def test_a_token_leaves_an_accounts_long_polls_to_others(tmp_path: Path, path: str) -> None:
    async with Machine(tmp_path, client={"api_long_polls_max": "8"}) as host:
        for name in ("alice", "bob"):
            await host.start(name)
        greedy, other = token(host, Scope.READ), token(host, Scope.READ)
        stream = "Accept: text/event-stream"
        peers = []
        for number, expected in enumerate([True, True, False]):
            peer = await connected(host, get(path, bearer(greedy), stream))
            peers.append(peer)
            if expected and path.startswith("/v1/"):
                async with asyncio.timeout(PATIENCE):
                    assert b" 200 " in await peer.reader.readuntil(b"\r\n\r\n")
            elif expected:
                async with asyncio.timeout(PATIENCE):
                    while len(host.process("alice").requests) <= number:
                        await asyncio.sleep(0.01)
            else:
                code, answer = await peer.answer()
                assert code == 503
                assert "this token" in json.dumps(answer)
        # Others, and other accounts, are not affected.
        async with streams(host, [get("/v1/accounts/alice/events", bearer(other), stream)]) as found:
            assert found == [200]
        assert await status(host, get("/openwx/get_user_info?client=alice", bearer(greedy))) == 200
        host.process("bob").events.set()
        assert await status(host, get("/openwx/check_event?client=bob", bearer(greedy))) == 200
        for peer in peers:
            peer.writer.close()


async def test_answered_long_poll_is_no_longer_counted(tmp_path: Path) -> None:
    async with Machine(tmp_path, client={"api_long_polls_max": "8"}) as host:
        (await host.start("alice")).events.set()
        poll = get("/openwx/check_event?client=alice", bearer(token(host, Scope.READ)))
        peer = await connected(host, b"")
        for _ in range(3):  # two at a time are the token's share
            assert (await peer.ask(poll))[0] == 200
        peer.writer.close()


async def test_a_token_leaves_requests_to_others(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_requests=16) as host:
        await host.start("alice")
        greedy, other = token(host, Scope.ADMIN), token(host, Scope.READ)
        never = get("/openwx/never?client=alice", bearer(greedy))
        async with busy(host, [never] * 8):
            peer = await connected(host, never)
            code, answer = await peer.answer()
            assert (code, "this token" in str(answer["status"])) == (503, True)
            assert await status(host, get("/v1/accounts", bearer(other))) == 200
            assert await status(host, get("/v1/accounts", bearer(ROOT_TOKEN))) == 200


async def test_without_tokens_there_are_no_shares(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_requests=8) as host:
        await host.start("alice")
        async with busy(host, [get("/openwx/never?client=alice")] * 8):
            assert await status(host, get("/v1/accounts")) == 503
        readers = [get("/v1/events")] * Settings().max_readers
        async with streams(host, readers) as open_ones:
            assert open_ones == [200] * len(readers)
    async with Machine(tmp_path / "other", client={"api_long_polls_max": "8"}) as host:
        await host.start("alice")
        async with busy(host, [get("/openwx/check_event?client=alice")] * 3) as polls:
            assert len(polls) == 3


# -- behind a reverse proxy


def through(*hops: str) -> str:
    return f"X-Forwarded-For: {', '.join(hops)}"


def networks(place: Path, *proxies: str) -> tuple[Network, ...]:
    """Return proxies as the settings have them."""
    file = place / "settings.toml"
    file.write_text(f"trusted_proxies = {json.dumps(proxies)}")
    return read_settings([file]).settings.trusted_proxies


async def test_behind_a_trusted_proxy_each_caller_has_its_own_share(tmp_path: Path) -> None:
    proxies = networks(tmp_path, "127.0.0.1", "10.0.0.0/8")
    async with Machine(tmp_path / "root", max_requests=16, trusted_proxies=proxies) as host:
        await host.start("alice")
        # The first address is what the caller wrote itself, and does not count.
        greedy = get("/openwx/never?client=alice", through("192.0.2.9", "192.0.2.1", "10.1.1.1"))
        async with busy(host, [greedy] * 8):
            peer = await connected(host, greedy)
            code, answer = await peer.answer()
            assert (code, "this address" in str(answer["status"])) == (503, True)
            assert await status(host, get("/openwx/check_client", through("192.0.2.9"))) == 200


@pytest.mark.parametrize("proxy", ["127.0.0.1", "192.0.2.7"])
async def test_failures_count_for_the_caller_whom_a_trusted_proxy_names(tmp_path: Path, proxy: str) -> None:
    async with Machine(tmp_path / "root", trusted_proxies=networks(tmp_path, proxy)) as host:
        token(host, Scope.READ)
        if proxy != "127.0.0.1":  # the header of others is ignored
            calls = [get("/v1/accounts", through(f"198.51.100.{n}"), "X-Auth-Token: wrong") for n in range(25)]
            assert [await status(host, sent) for sent in calls][-1] == 429
            return
        bad = get("/v1/accounts", through("192.0.2.1"), "X-Auth-Token: wrong")
        assert [await status(host, bad) for _ in range(25)][-1] == 429
        assert await status(host, get("/v1/accounts", through("192.0.2.1", "192.0.2.2"))) == 401
        # Root's token is for this machine.
        assert await status(host, get("/v1/accounts", through("192.0.2.3"), bearer(ROOT_TOKEN))) == 401
        assert await status(host, get("/v1/accounts", bearer(ROOT_TOKEN))) == 200


async def test_local_sockets_have_no_share_of_unread_answers(tmp_path: Path) -> None:
    """At an account's socket the controller reads for all of its callers: slow ones must not end those of others."""
    app, path = web.Application(), str(tmp_path / "api.sock")

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * (1 << 20))

    app.router.add_get("/", large)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    limits = PortLimits(60, 60, 60, 8192, 100, connections=100, per_peer=100, requests=100, long_polls=1, bodies=1)
    make = connections(runner.server, "test", admission.Admission(lambda: limits))
    serving = await asyncio.get_running_loop().create_unix_server(make, path)
    callers = []
    for _ in range(64):
        reader, writer = await asyncio.open_unix_connection(path, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 200 " in await asyncio.wait_for(reader.readline(), PATIENCE)
        callers.append((reader, writer))
    for reader, writer in callers:
        assert len(await asyncio.wait_for(reader.read(), PATIENCE)) > 1 << 20
        writer.close()
    serving.close()
    await runner.cleanup()
