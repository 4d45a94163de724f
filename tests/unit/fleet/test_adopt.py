"""Adopting an account: when its host counts as lost, and which copy counts from then on."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.patience import until
from tests.unit.fleet.bundles import SECRET, account_of, as_root, receiving, sealed
from tests.unit.fleet.hosts import TLS_ADDRESS, FleetHost, hosts_of
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.transfer.adoption import Adoption
from wxcontroller.cli.transfer.claims import claims_of, require_lost
from wxcontroller.cli.transfer.importing import take_in
from wxcontroller.core.config.fleetsettings import HostSettings
from wxcontroller.core.errors import AccountMoved, BadSettings, UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.names import parse_name
from wxcontroller.core.registry.account import variables_of
from wxcontroller.core.registry.leaving import Gone, Leaving
from wxcontroller.fleet.host import HostState
from wxcontroller.fleet.standby import KeptBundle, write_kept

Pair = tuple[FleetHost, FleetHost]
BUNDLE = KeptBundle("eve", "b", epoch=1, at=1000, size=1, ran=True)
GONE = "https://host-b.invalid:2443"


@pytest.fixture(autouse=True)
def short_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wxcontroller.cli.connection.requests._CONNECT", 0.5)


def know(host: FleetHost, other: HostSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have root's programs on a host know another one."""
    place = host.paths.settings_dropins
    place.mkdir(parents=True, exist_ok=True)
    (place / "fleet.toml").write_text(
        f'[fleet]\nname = "{host.name}"\n[fleet.hosts.{other.name}]\n'
        f'url = "{other.url}"\ntoken = "{other.token}"\nca_file = "{other.ca_file}"\n'
    )
    as_root(monkeypatch, host)


def refuse_if_living(bundle: KeptBundle) -> None:
    """Look for the lost host as ``wxctl claim`` on host a does."""
    require_lost(bundle, "a")


async def refused(is_named: bool = True) -> str:
    """Return why the account is not adopted, "" if it is."""
    try:
        await asyncio.to_thread(require_lost, BUNDLE, "a", is_named)
    except WxError as problem:
        return problem.message
    return ""


@contextmanager
def listening(backlog: int = 8) -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server((TLS_ADDRESS, 0), backlog=backlog) as listener:
        yield listener.getsockname()[1]


@contextmanager
def dropping() -> Iterator[int]:
    """A port whose packets are dropped, like those of a machine that is off."""
    with listening(0) as port, ExitStack() as stack:
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex((TLS_ADDRESS, port))
        yield port


async def test_only_a_machine_that_does_not_respond_counts_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosts_of(tmp_path, "a", "b") as (a, b):
        await b.join()
        know(a, a.describe(b), monkeypatch)
        assert await refused() == ""  # it does not have the account
        assert "no longer has account eve" in await refused(is_named=False)
        await b.v1("POST", "accounts", {"name": "eve"})
        assert "host b responds" in await refused()
        other, _ = self_signed(tmp_path, TLS_ADDRESS, "other")
        know(a, a.describe(b, ca_file=str(other)), monkeypatch)
        assert "certificate is not valid" in await refused()
        with listening() as port:  # its controller is frozen before the TLS handshake
            know(a, a.describe(b, url=f"https://{TLS_ADDRESS}:{port}"), monkeypatch)
            assert "host b" in await refused()
        assert "refused" in await refused()
        with dropping() as port:
            know(a, a.describe(b, url=f"https://{TLS_ADDRESS}:{port}"), monkeypatch)
            assert await refused() == ""
        know(a, a.describe(b, url=GONE), monkeypatch)
        assert await refused() == ""


async def test_a_host_that_has_moved_the_account_on_is_asked_where_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its standby copies elsewhere stay its own until the new host has sent some: both may be lost."""
    async with hosts_of(tmp_path, "a", "b", "c") as (a, b, c):
        await b.join()
        await c.join()
        know(a, a.describe(b), monkeypatch)
        Gone(parse_name("eve"), "c", 2, 1000).write(b.paths.gone_file("eve"))
        b.accounts.registry.forget("eve")
        with pytest.raises(AccountMoved, match="has moved to host c, which is not in the settings") as caught:
            await asyncio.to_thread(require_lost, BUNDLE, "a")
        assert "on host b" in caught.value.remedy
        settings = a.paths.settings_dropins / "fleet.toml"
        table = '[fleet.hosts.c]\nurl = "{}"\ntoken = "{}"\nca_file = "{}"\n'
        described, known = a.describe(c), settings.read_text()
        settings.write_text(known + table.format(described.url, described.token, described.ca_file))
        await c.v1("POST", "accounts", {"name": "eve"})
        assert "host c responds and has account eve" in await refused()
        settings.write_text(known + table.format(GONE, described.token, described.ca_file))
        assert await refused() == ""


async def test_without_this_host_s_controller_no_host_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while it restarts: systemd passes it the token for the other host."""
    monkeypatch.setattr("wxcontroller.cli.transfer.remotehost._CONTROLLERS", tmp_path / "credentials")
    async with hosts_of(tmp_path, "a") as [a]:
        know(a, HostSettings("b", GONE, "fleet-b"), monkeypatch)
        with pytest.raises(WxError, match="controller of this host is not running"):
            require_lost(BUNDLE, "a")
        know(a, HostSettings("b", GONE, str(tmp_path / "fleet-b")), monkeypatch)
        with pytest.raises(BadSettings, match=r"fleet\.hosts\.b\.token"):  # a file that systemd does not pass
            require_lost(BUNDLE, "a")


async def test_a_host_that_answers_as_another_is_not_lost(tmp_path: Path) -> None:
    async with hosts_of(tmp_path, "a", "b") as (a, b):
        a.paths.fleet_state.write_text('{"hosts": {"b": [{"name": "eve", "instance": "eve"}]}}')
        b.name = "c"
        await b.join()
        b.name = "b"
        await a.join(a.describe(b))
        await a.sees("b", HostState.REFUSED)
        status, _ = await a.v1("POST", "accounts", {"name": "eve", "epoch": 2, "adopted": 2})
        assert status == 409


async def test_later_epoch_does_not_take_a_running_account(tmp_path: Path) -> None:
    async with hosts_of(tmp_path, "b", "c") as (b, c):
        async with hosts_of(tmp_path, "a") as [a]:
            await a.start("eve")
            await c.v1("POST", "accounts", {"name": "eve", "epoch": 1 << 30})
            for host in (a, c):
                await host.join()
            await b.join(b.describe(a), b.describe(c))
            await b.finds("eve", "a", "c")
            _, content = await b.v1("POST", "accounts/eve/start")
            assert obj(content["error"])["code"] == "wrong-host"
            await a.v1("POST", "accounts/eve/stop")
            await b.finds("eve", "c")
            await a.v1("POST", "accounts/eve/start")
            await b.finds("eve", "a", "c")
        await b.finds("eve", "c")


@pytest.mark.parametrize("move", ["", "5f2c"])
async def test_an_adoption_stays_recorded_after_moves(pair: Pair, monkeypatch: pytest.MonkeyPatch, move: str) -> None:
    """What it held is not settled before its first start, which may be on another host."""
    a, b = pair
    as_root(monkeypatch, b)
    await b.leave()
    await a.v1("POST", "accounts", {"name": "eve", "epoch": 2, "adopted": 2})
    account = account_of(a)
    if move:
        account = replace(account, leaving=Leaving("b", move, ran=False, sent=True))
    content = io.BytesIO(sealed(a, account, 1000, ""))
    await asyncio.to_thread(take_in, Api(b.url), content, lambda: SECRET, None)
    there = account_of(b)
    assert (there.epoch, there.adopted, there.arrived) == (3, 2, move)
    assert variables_of(there, b.paths)["WXCLIENT_ADOPTED"] == "2"


async def test_a_claimed_account_gets_an_epoch_after_all_that_are_known(tmp_path: Path) -> None:
    async with hosts_of(tmp_path, "a") as [a]:
        async with hosts_of(tmp_path, "b") as [b]:
            await b.v1("POST", "accounts", {"name": "eve", "epoch": 5})
            await b.join()
            await a.join(a.describe(b))
            await a.finds("eve", "b")
        await a.sees("b", HostState.UNREACHABLE)
        status, content = await a.v1("POST", "accounts", {"name": "eve", "epoch": 2, "adopted": 2})
        assert (status, content["epoch"]) == (201, 6)


async def test_the_lost_host_is_looked_for_again_just_before_the_import(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    await b.v1("POST", "accounts", {"name": "eve"})
    await a.leave()  # its controller knows no other host, so that nothing but the look refuses
    know(a, a.describe(b), monkeypatch)
    a.paths.standby.mkdir(parents=True)
    a.paths.standby_bundle("eve").write_bytes(sealed(b, account_of(b), 1000, "b"))
    adoption = Adoption(Api(a.url), BUNDLE, SECRET, False, refuse_if_living)
    with pytest.raises(WxError, match="host b responds"):
        await asyncio.to_thread(adoption.run)
    know(a, a.describe(b, url=GONE), monkeypatch)
    write_kept(a.paths, {"eve": replace(BUNDLE, at=2000)})  # which it has sent meanwhile
    with pytest.raises(WxError, match="host b has sent a newer bundle"):
        await asyncio.to_thread(adoption.run)
    assert a.paths.standby_bundle("eve").exists()
    write_kept(a.paths, {"eve": BUNDLE})
    assert (await asyncio.to_thread(adoption.run))["epoch"] == 2
    assert not a.paths.standby_bundle("eve").exists()


async def test_a_host_that_is_sending_a_bundle_is_not_lost(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pair
    know(a, a.describe(b, url=GONE), monkeypatch)
    ended = asyncio.Event()

    def receive(name: str, _: bytes) -> JsonObject:
        return {"name": name}

    async def content() -> AsyncIterator[bytes]:
        yield b"a bundle, and no end of it"
        await ended.wait()

    async with receiving(a, receive) as asked:
        sending = asyncio.create_task(a.http.put("/v1/standbys/eve?to=a", data=content()))
        await until(lambda: asked)
        with pytest.raises(WxError, match="host b is sending a bundle"):
            await asyncio.to_thread(Adoption(Api(a.url), BUNDLE, SECRET, False, refuse_if_living).run)
        ended.set()
        async with await sending as response:
            assert response.status == 200


async def test_what_this_host_has_of_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by another spelling of its name, which people and systems compose differently."""
    async with hosts_of(tmp_path, "a") as [a]:
        as_root(monkeypatch, a)
        monkeypatch.setattr("wxcontroller.cli.transfer.claims.fleet_passphrase", lambda: SECRET)
        instance = parse_name("caf\u00e9").instance
        a.paths.standby.mkdir(parents=True)
        a.paths.standby_bundle(instance).write_bytes(b"sealed")
        write_kept(a.paths, {instance: replace(BUNDLE, name="caf\u00e9")})
        await a.join()

        async def found(given: str) -> tuple[str, bool, tuple[str, ...]]:
            [claim] = (await asyncio.to_thread(claims_of, Api(a.url), [given], False)).values()
            return claim.name.name, claim.bundle is not None, claim.rivals

        for given in ("caf\u00e9", "cafe\u0301", "c*e\u0301"):
            assert await found(given) == ("caf\u00e9", True, ("b",))
        with pytest.raises(UnknownAccount, match="this host has no copy of account eve") as caught:
            await found("eve")
        assert "wxctl claim eve --from FILE" in caught.value.remedy
        await a.v1("POST", "accounts", {"name": "eve"})
        assert await found("eve") == ("eve", False, ())
