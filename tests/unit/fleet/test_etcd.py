"""The client of etcd against etcd itself: one member, three members, and what breaks between them and us."""

import asyncio
import contextlib
import signal
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.etcd import EtcdServers, connected
from tests.patience import PATIENCE
from tests.serving import cancelled_at_the_limit
from tests.unit.fleet.link import Link
from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.fleet import etcd as module
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Compacted, Etcd, EtcdChanges, EtcdFailure, EtcdGuard, Put


async def next_of(watch: AsyncGenerator[EtcdChanges]) -> EtcdChanges:
    async with asyncio.timeout(PATIENCE):
        return await anext(watch)


async def first_of(watch: AsyncGenerator[EtcdChanges]) -> EtcdChanges:
    """Return the first changes of a watch, and end it."""
    async with aclosing(watch):
        return await next_of(watch)


async def test_paged_read_has_a_single_revision(etcd: Etcd) -> None:
    names = [f"/many/{number:04}" for number in range(1100)]
    revision = None
    for start in range(0, len(names), 100):
        revision = await etcd.commit([], [Put(name, b"x" * 900) for name in names[start : start + 100]])
    snapshot = await etcd.read("/many/")
    assert [entry.key for entry in snapshot.entries] == names
    assert snapshot.revision == revision


async def test_stop_in_the_moment_of_a_time_limit_is_not_lost() -> None:
    """The keeper would otherwise go on, until systemd kills it and the lease ends by itself."""

    async def read(port: int) -> None:
        settings = EtcdSettings((f"http://127.0.0.1:{port}",))
        async with Etcd(settings, credentials_of(settings), 1.0) as etcd:
            await etcd.read("/x")

    assert await cancelled_at_the_limit(read, 1.1)


async def test_watch_that_cannot_continue_is_reported(servers: EtcdServers, etcd: Etcd) -> None:
    """Its revision was compacted, or etcd was restored and has not reached it again."""
    old = await etcd.commit([], [Put("/watched/x", b"1")])
    new = await etcd.commit([], [Put("/watched/x", b"2")])
    assert old is not None
    assert new is not None
    servers.control("compact", str(new))
    for after in (old - 1, new + 100):
        with pytest.raises(Compacted):
            await first_of(etcd.watch("/watched/", after))


async def test_transaction_with_a_lost_response_is_found_done(servers: EtcdServers, etcd: Etcd) -> None:
    async with Link("127.0.0.1", servers.members[0].client, lost=b"/v3/kv/txn") as broken:
        settings = EtcdSettings((f"http://127.0.0.1:{broken.port}", *servers.endpoints))
        async with Etcd(settings, credentials_of(settings), PATIENCE) as etcd:
            lease = await etcd.grant(60)
            puts = [Put("/lost/x", b"a", lease)]
            revision = await etcd.commit([EtcdGuard("/lost/x", 0)], puts)
            [entry] = (await etcd.read("/lost/")).entries
            assert revision == entry.mod_revision
        # A transaction of another client is not mistaken for ours.
        async with Etcd(settings, credentials_of(settings), PATIENCE) as etcd:
            assert await etcd.commit([EtcdGuard("/lost/x", 0)], [Put("/lost/x", b"b", lease)]) is None


async def test_expired_etcd_token_is_renewed(tmp_path: Path) -> None:
    servers = EtcdServers(tmp_path)
    servers.options = ["--auth-token-ttl=1"]
    with servers.running():
        async with connected(servers.settings()):
            servers.add_users()
        password = tmp_path / "etcd-host-a"
        settings = servers.settings(user="host-a", password=str(password))
        async with Etcd(settings, credentials_of(settings), PATIENCE) as etcd:
            prefix = settings.prefix
            assert await etcd.commit([], [Put(f"{prefix}accounts/x", b"1")]) is not None
            token = etcd._token
            async with asyncio.timeout(PATIENCE):
                while etcd._token == token:  # etcd ends a token that was not used for a second, and looks at times
                    await asyncio.sleep(1.2)
                    assert (await etcd.read(prefix)).entries
            with pytest.raises(EtcdFailure, match="permission denied; grant the role"):
                await first_of(etcd.watch("/other/", 1))
        password.write_text("wrong")
        async with Etcd(settings, credentials_of(settings), PATIENCE) as etcd:
            with pytest.raises(EtcdFailure, match=r"check user and password of \[fleet.etcd\]") as found:
                await etcd.read(prefix)
            assert "wrong" not in str(found.value)


async def test_invalid_certificates_are_refused(tmp_path: Path) -> None:
    """Certificates that are valid: tests/system/test_fleet_owners.py."""
    certificate, key = self_signed(tmp_path, "127.0.0.1")
    other, _ = self_signed(tmp_path, "127.0.0.1", called="other")
    ended, ended_key = self_signed(tmp_path, "127.0.0.1", called="ended", ended=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate))
    tls.load_cert_chain(certificate, key)
    tls.verify_mode = ssl.CERT_REQUIRED
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=tls) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for bad, words in (
            (EtcdSettings((url,), ca_file=str(other)), "its certificate is not valid: self-signed certificate"),
            (
                EtcdSettings((url,), ca_file=str(certificate), certificate=str(ended), key=str(ended_key)),
                "certificate of this host has expired",
            ),
        ):
            async with Etcd(bad, credentials_of(bad), PATIENCE) as etcd:
                with pytest.raises(EtcdFailure, match=words):
                    await etcd.grant(30)


async def test_ends_of_certificates_are_seen(tmp_path: Path) -> None:
    def days_left(end: int) -> int:
        return round((end - time.time()) / 86400)

    server, key = self_signed(tmp_path, "127.0.0.1", ends=20)
    own, own_key = self_signed(tmp_path, "127.0.0.1", called="own", ends=7)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(server, key)
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=tls) as listening:
        url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        unused = "https://127.0.0.1:1"
        settings = EtcdSettings((url, unused), ca_file=str(server), certificate=str(own), key=str(own_key))
        async with Etcd(settings, credentials_of(settings), PATIENCE) as etcd:
            found = await etcd.certificate_ends()
    assert {of: days_left(end) for of, end in found.items()} == {"certificate": 7, "ca_file": 20, url: 20}
    plain = EtcdSettings(("http://127.0.0.1:1",))
    async with Etcd(plain, credentials_of(plain)) as etcd:
        assert await etcd.certificate_ends() == {}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (b'{"header": {"member_id": "1"}, "leader": "1", "raftIndex": "9", "raftAppliedIndex": "9"}', ""),
        (b'{"header": {"member_id": "1"}, "leader": "2", "isLearner": true}', "it is a learner"),
        (b'{"header": {"revision": "1"}, "leader": {}}', ""),
        (b'{"header": {"member_id": "1"}, "errors": ["etcdserver: no leader", 7]}', "etcdserver: no leader; 7"),
        (b"{}", "its response is not that of etcd"),
        (b"[[" * 500, "its response is not that of etcd"),
        (b"\xff\n" * 300, "its response is not that of etcd"),
        (b'{"header": {"x": "%s"}}' % (b"y" * (64 << 10)), "its response is not that of etcd"),
        (b"1\n" * (16 << 20), "its response is not that of etcd"),
    ],
)
async def test_status_of_a_member_is_judged_whatever_it_says(status: bytes, reason: str) -> None:
    taken = 0

    async def member(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(status), 65536):
                writer.write(status[start : start + 65536])
                await writer.drain()
                taken = start
        writer.close()

    async with await asyncio.start_server(member, "127.0.0.1", 0) as listening:
        settings = EtcdSettings((f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}",))
        async with Etcd(settings, credentials_of(settings), PATIENCE) as etcd:
            [found] = (await etcd.members()).values()
    assert reason in str(found.reason)
    assert bool(reason) == bool(found.reason)
    assert found.is_leader == (b'"leader": "1"' in status)
    assert taken < 16 << 20


async def test_members_may_fail_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EtcdServers(tmp_path, 3).running() as servers:
        async with connected(servers.settings(), module.REQUEST_SECONDS) as etcd:
            lease = await etcd.grant(60)
            begun = await etcd.commit([], [Put("/three/x", b"1", lease)])
            assert begun is not None

            # The member that is asked is frozen: the next one answers, and the watch continues there after a silence.
            monkeypatch.setattr(module, "WATCH_SILENCE", 1.0)
            watch = etcd.watch("/three/", begun - 1)
            assert [entry.value for entry in (await next_of(watch)).puts] == [b"1"]
            watching = asyncio.ensure_future(next_of(watch))
            frozen = servers.members[servers.endpoints.index(etcd._endpoints[0])]
            frozen.kill(signal.SIGSTOP)
            assert await eventually_renewed(etcd, lease)
            assert await eventually_committed(etcd, Put("/three/x", b"2", lease))
            assert [entry.value for entry in (await watching).puts] == [b"2"]
            frozen.kill(signal.SIGCONT)

            # The one that is asked and watched is killed: the watch ends, and continues at another.
            watching = asyncio.ensure_future(next_of(watch))
            await asyncio.sleep(0)
            killed = servers.members[servers.endpoints.index(etcd._endpoints[0])]
            killed.kill()
            revision = await eventually_committed(etcd, Put("/three/x", b"3", lease))
            with contextlib.suppress(EtcdFailure):
                await watching
            assert [entry.value for entry in (await first_of(etcd.watch("/three/", revision - 1))).puts] == [b"3"]

            # Without a majority nothing is read, written or renewed, and the failure says what to look at.
            [last, *_] = (member for member in servers.members if member is not killed)
            last.kill()
            with pytest.raises(EtcdFailure, match="etcdctl endpoint status --cluster"):
                await etcd.read("/three/")
            with pytest.raises(EtcdFailure):
                await etcd.renew(lease)
            servers.start(killed)
            assert await eventually_renewed(etcd, lease)
            assert [entry.value for entry in (await etcd.read("/three/")).entries] == [b"3"]


async def eventually_renewed(etcd: Etcd, lease: int) -> int:
    while True:
        with contextlib.suppress(EtcdFailure):
            return await etcd.renew(lease)


async def eventually_committed(etcd: Etcd, put: Put) -> int:
    while True:
        with contextlib.suppress(EtcdFailure):
            revision = await etcd.commit([], [put])
            assert revision is not None
            return revision
