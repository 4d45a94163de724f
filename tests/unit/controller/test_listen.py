"""Addresses the controller may listen on, and TLS there: processes with the sockets that systemd would hand over."""

import asyncio
import contextlib
import json
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.certificates import self_signed
from tests.patience import PATIENCE, until
from tests.ports import free_port
from tests.tokens import token
from tests.unit.controller.machine import Machine
from tests.unit.controller.processes import Host, started
from wxcontroller.cli.connection.credential import Finder
from wxcontroller.cli.connection.requests import Connection
from wxcontroller.controller import server
from wxcontroller.controller.edge.certificates import tls_context
from wxcontroller.core.access.porttokens import port_book
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.core.states import LoginState
from wxcontroller.openwx.http import listener


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    with Host(tmp_path) as made:
        yield made


def listen_everywhere(host: Host, family: socket.AddressFamily = socket.AF_INET) -> None:
    """Hand the controller a socket on all addresses, as ListenStream=2000 makes one."""
    host.listening.close()
    address = ("0.0.0.0", 0) if family == socket.AF_INET else ("::", 0)
    host.listening = socket.create_server(address, family=family, backlog=1024)
    host.address = ("127.0.0.1" if family == socket.AF_INET else "::1", host.listening.getsockname()[1])


async def get(host: Host, path: str, **headers: str) -> tuple[int, bytes]:
    name = f"[{host.address[0]}]" if ":" in host.address[0] else host.address[0]
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://{name}:{host.address[1]}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.read()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_an_address_that_others_reach_needs_a_token(host: Host, family: socket.AddressFamily) -> None:
    listen_everywhere(host, family)
    process = await host.run(["--root", str(host.root)], stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(PATIENCE):
        _, errors = await process.communicate()
    assert process.returncode == 78
    assert f"port {host.address[1]}: other machines reach this address, and no token exists".encode() in errors
    assert b"wxctl token create NAME --scope admin" in errors
    assert b"READY=1" not in "".join(host.notifications.lines).encode()
    shown = token(host, Scope.READ)
    async with started(host):
        assert (await get(host, "/v1/accounts"))[0] == 401
        assert (await get(host, "/openwx/check_client"))[0] == 403
        assert (await get(host, "/"))[0] == 200
        status, body = await get(host, "/v1/health", Authorization=f"Bearer {shown}")
        assert status == 200
        assert "without TLS" in json.loads(body)["notices"][0]
        TokenFile(host.paths.tokens_file).revoke("read-0")  # the API stays closed without tokens
        assert (await get(host, "/v1/accounts"))[0] == 401


async def test_addresses_of_the_settings_need_a_token_too(host: Host) -> None:
    """Without systemd's socket the addresses come from the settings."""
    port, outside = free_port(), free_port()
    host.settings(f'listen = [{{ host = "127.0.0.1", port = {port} }}, {{ host = "0.0.0.0", port = {outside} }}]')
    command = ["/usr/bin/python3", "-m", "wxcontroller.controller", "--root", str(host.root)]
    environment = {"PATH": f"{host.bin}:/usr/bin", "NOTIFY_SOCKET": str(host.notifications.path)}
    refused = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    _, errors = await refused.communicate()
    assert refused.returncode == 78, errors.decode()
    assert f"0.0.0.0 port {outside}: other machines".encode() in errors
    assert f"127.0.0.1 port {port}".encode() not in errors
    token(host, Scope.READ)
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    await host.notifications.wait("READY=1")
    host.address = ("127.0.0.1", port)
    assert (await get(host, "/v1/accounts"))[0] == 401
    assert await host.end(process) == 0


async def test_roots_token_changes_at_each_start_and_is_private(host: Host) -> None:
    token(host, Scope.READ)
    seen = []
    for _ in range(2):
        async with started(host) as process:
            content = json.loads(host.paths.local_token.read_bytes())
            assert stat.S_IMODE(host.paths.local_token.stat().st_mode) == 0o600
            assert content["addresses"] == [list(host.address)]
            seen.append(content["token"])
            assert (await get(host, "/v1/accounts", Authorization=f"Bearer {content['token']}"))[0] == 200
            assert (await get(host, "/v1/accounts", Authorization=f"Bearer {seen[0]}"))[0] == (
                401 if seen[1:] else 200
            )
            assert await host.end(process) == 0
    assert seen[0] != seen[1]


async def test_root_is_served_while_all_places_are_taken(host: Host) -> None:
    host.settings("max_connections = 16\nmax_connections_per_peer = 16")
    stream = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with started(host) as process:
        path = host.paths.root_socket
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_ISSOCK(path.stat().st_mode)) == (0o600, True)
        writers = []
        for _ in range(16):
            reader, writer = await asyncio.open_connection(*host.address)
            writer.write(stream)
            assert b" 200 " in await asyncio.wait_for(reader.readline(), PATIENCE)
            writers.append(writer)
        assert (await get(host, "/v1/access"))[0] == 503
        wxctl = Connection(f"http://127.0.0.1:{host.address[1]}", Finder(paths=host.paths))
        assert await asyncio.to_thread(wxctl.call, "GET", "/v1/accounts") == {"accounts": []}
        # Without the socket, as at a controller of 2.3.0, the port is used.
        path.unlink()
        for writer in writers:
            writer.close()

        async def served() -> JsonValue:
            try:
                return await asyncio.to_thread(wxctl.call, "GET", "/v1/accounts")
            except WxError:  # the controller has not seen the others leave
                return None

        await until(served)
        assert await host.end(process) == 0


async def test_accounts_ports_follow_changes_of_the_tokens_file(host: Host) -> None:
    """The file may be copied or restored at any time."""
    host.settings("check_interval = 0.5")
    host.paths.port_tokens.parent.mkdir(parents=True)
    shown = token(host, Scope.SEND, "alice")
    book = port_book(host.paths)
    async with started(host) as process, asyncio.timeout(PATIENCE):
        while not book.current().closed:
            await asyncio.sleep(0.02)
        assert book.current().find("alice", shown, 0) is not None
        TokenFile(host.paths.tokens_file).revoke("send-0")
        while book.current().closed:
            await asyncio.sleep(0.02)
        assert await host.end(process) == 0


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


async def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = self_signed(tmp_path, "wx.example", "127.0.0.1")
    settings = {"tls_certificate": str(certificate), "tls_key": str(key), "allow_hosts": ("wx.example",)}
    async with Machine(tmp_path, **settings) as host:
        host.shared.tls = tls_context(host.settings)
        assert (await host.http.get("/v1/accounts")).status == 200  # callers on this machine need no TLS
        monkeypatch.setattr(server, "is_loopback", lambda _: False)
        url = f"https://127.0.0.1:{host.address[1]}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(certificate))) as http:
            for _ in range(3):
                async with http.get(f"{url}/v1/accounts") as answer:
                    assert answer.status == 200
            page = {"Host": "wx.example", "Origin": "https://wx.example", "Sec-Fetch-Site": "same-origin"}
            async with http.get(f"{url}/v1/accounts", headers=page) as answer:
                assert answer.status == 200
            async with http.get(f"{url}/v1/accounts", headers={"Host": "other.example"}) as answer:
                assert answer.status == 403
            async with http.get(f"{url}/openwx/start_client?client=alice") as answer:
                assert (await answer.json())["code"] == 0
            host.process("alice").say(LoginState.RUNNING, filler="x" * 100_000)
            reader, writer = await asyncio.open_connection(*host.address, ssl=trusting(certificate), limit=1 << 20)
            for _ in range(3):  # the second time it comes from a cache
                writer.write(b"GET /openwx/check_client HTTP/1.1\r\nHost: wx.example\r\n\r\n")
                assert b"x" * 100_000 in await asyncio.wait_for(reader.readuntil(b'"code":0}'), PATIENCE)
            writer.close()
            async with http.get(f"{url}/openwx/stream?client=alice&bytes=3000000") as answer:
                assert len(await answer.read()) == 3_000_000
        # Plain HTTP at the TLS port, and a silent caller, do not affect others.
        reader, writer = await asyncio.open_connection(*host.address)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert b"200" not in await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        silent = await asyncio.open_connection(*host.address)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(certificate))) as http,
            http.get(f"{url}/v1/accounts") as answer,
        ):
            assert answer.status == 200
        silent[1].close()


async def test_silent_tls_handshake_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = self_signed(tmp_path, "127.0.0.1")
    async with Machine(tmp_path, tls_certificate=str(certificate), tls_key=str(key)) as host:
        host.shared.tls = tls_context(host.settings)
        monkeypatch.setattr(server, "is_loopback", lambda _: False)
        monkeypatch.setattr(listener, "TLS_HANDSHAKE_SECONDS", 0.2)
        reader, writer = await asyncio.open_connection(*host.address)
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()


@pytest.mark.parametrize(("addresses", "ended"), [(1, (0, 150)), (50, (0, 20))])
async def test_silent_handshakes_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: int, ended: Sequence[int]
) -> None:
    certificate, key = self_signed(tmp_path, "127.0.0.1")
    tls = {"tls_certificate": str(certificate), "tls_key": str(key)}
    async with Machine(tmp_path, max_connections=64, **tls) as host, contextlib.AsyncExitStack() as stack:
        host.shared.tls = tls_context(host.settings)
        monkeypatch.setattr(server, "is_loopback", lambda _: False)
        other, writer = await asyncio.open_connection(*host.address, local_addr=("127.0.0.3", 0))
        stack.callback(writer.close)
        silent = []
        for number in range(200):
            local = f"127.0.1.{1 + number % addresses}", 0
            reader, writer = await asyncio.open_connection(*host.address, local_addr=local)
            stack.callback(writer.close)
            silent.append(reader)
        async with asyncio.timeout(listener.TLS_HANDSHAKE_SECONDS / 2):
            for place in ended:  # one address has a small part of the places
                assert await silent[place].read() == b""
        assert addresses > 1 or not other.at_eof()
        url = f"https://127.0.0.1:{host.address[1]}/v1/access"
        for _ in range(20):
            connector = aiohttp.TCPConnector(ssl=trusting(certificate))
            async with aiohttp.ClientSession(connector=connector) as http, http.get(url) as answer:
                assert answer.status == 200


async def test_renewed_certificate_is_loaded_by_a_reload(host: Host) -> None:
    certificate, key = self_signed(host.root, "wx.example")
    host.settings(f'tls_certificate = "{certificate}"\ntls_key = "{key}"')
    async with started(host) as process:
        key.write_text("no key")
        process.send_signal(1)
        status = await host.notifications.wait("STATUS=settings not reloaded")
        assert "tls_key" in status
        await host.notifications.wait("READY=1")
        self_signed(host.root, "wx.example")
        await host.reload(process)
        health = json.loads((await get(host, "/v1/health"))[1])
        assert health["settings"]["error"] is None
        assert await host.end(process) == 0
