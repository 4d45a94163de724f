"""Hosts that are down, hang, are hostile, or have the same account: they are shown and do not harm the rest."""

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from tests.certificates import self_signed
from tests.patience import PATIENCE, until
from tests.tokens import bearer
from tests.unit.controller.test_reconcile import boot
from tests.unit.fleet.hosts import TLS_ADDRESS, FleetHost, hosts_of, impostor
from wxcontroller.controller.alerts.findings import Problem
from wxcontroller.controller.alerts.findings import hosts_of as judged
from wxcontroller.controller.reconcile import BootMark, after_boot
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.config.fleetsettings import HostSettings
from wxcontroller.core.errors import HostFailure
from wxcontroller.core.jsontypes import items, obj, text
from wxcontroller.core.text.templates import Text
from wxcontroller.fleet.host import HostState, OtherHost

Pair = tuple[FleetHost, FleetHost]


def keep(described: HostSettings, token: str) -> None:
    """Put a token where the settings of a host say."""
    Path(described.token).write_text(token)


async def down(a: FleetHost, b: FleetHost) -> None:
    """Take a host off the network, and wait until that is noticed."""
    b.more_sockets.remove(b.tls_socket)
    await b.server.drain()
    await a.sees(b.name, HostState.UNREACHABLE)


async def test_accounts_of_a_down_host_are_listed_and_calls_fail_at_once(pair: Pair, tmp_path: Path) -> None:
    a, b = pair
    await b.start("bob")
    await a.start("alice")
    await a.finds("bob", "b")
    await down(a, b)
    row = (await a.listed())["bob"]
    assert (row["host"], row["condition"], row["severity"]) == ("b", "unreachable", "error")
    issue = obj(items(row["issues"])[0])
    assert (issue["code"], "host b" in text(issue["remedy"])) == ("host-unreachable", True)
    began = time.monotonic()
    status, content = await a.v1("GET", "accounts/bob")
    assert (status, obj(content["error"])["code"]) == (502, "host-unreachable")
    assert "host b is unreachable" in text(obj(content["error"])["message"])
    answer = await a.get("get_friend_info", client="bob")
    assert (answer["code"], "host b is unreachable" in text(answer["status"])) == (7, True)
    assert time.monotonic() - began < 20  # neither waited for the host
    # A new account of this name would be a second one.
    assert (await a.get("start_client", client="bob"))["code"] == 7
    assert (await a.v1("POST", "accounts", {"name": "bob"}))[1].get("error") is not None
    assert "bob" not in a.units.processes
    assert (await a.v1("GET", "health"))[1]["fleet"] == {"name": "a", "unreachable": ["b"], "etcd": None}
    async with a.http.get("/metrics") as response:
        assert 'wxcontroller_fleet_host_up{host="b"} 0.0' in await response.text()
    assert isinstance(judged(a.fleet.unreachable(), a.settings.alerts), Problem)
    # A restart of this controller does not forget whose the name is.
    await a.fleet.hosts.keep()
    await a.join(a.describe(b))
    await a.sees("b", HostState.UNREACHABLE)
    assert (await a.get("start_client", client="bob"))["code"] == 7


@pytest.mark.parametrize("fault", ["expired", "other authority", "other name", "wrong token", "admin token"])
async def test_wrong_host_names_and_credentials_are_refused(tmp_path: Path, fault: str) -> None:
    async with hosts_of(tmp_path, "a", "b") as (a, b):
        described = a.describe(b)
        match fault:
            case "expired":
                b.certificate, b.key = self_signed(tmp_path, TLS_ADDRESS, called="old", ended=True)
            case "other authority":
                described = replace(described, ca_file=str(self_signed(tmp_path, TLS_ADDRESS, called="other")[0]))
            case "other name":
                b.certificate, b.key = self_signed(tmp_path, "127.0.0.9", called="named")
            case "wrong token":
                keep(described, "wxc_12345678_" + "0" * 64)
            case "admin token":  # it would let every caller do everything
                keep(described, b.token(Scope.ADMIN))
        if fault in ("expired", "other name"):
            b.settings = b.accounts.settings = replace(
                b.settings, tls_certificate=str(b.certificate), tls_key=str(b.key)
            )
            described = replace(described, ca_file=str(b.certificate))
        await b.join()
        await a.join(described)
        host = a.other("b")
        await until(lambda: host.state is not HostState.CONNECTING)
        by_tls = fault in ("expired", "other authority", "other name")
        assert host.state is (HostState.UNREACHABLE if by_tls else HostState.REFUSED)
        assert ("certificate" if by_tls else "token") in str(host.why)


async def test_a_name_on_two_hosts_is_shown_and_not_served_by_chance(tmp_path: Path) -> None:
    async with hosts_of(tmp_path, "a", "b", "c") as (a, b, c):
        for host in (b, c):
            await host.start("bob")
        await a.start("eve")
        await b.start("eve")
        for host in (b, c):
            await host.join(*(host.describe(other) for other in (a, b, c) if other is not host))
        await a.join(a.describe(b), a.describe(c))
        await a.finds("bob", "b", "c")
        await a.finds("eve", "b")
        status, content = await a.v1("GET", "accounts/bob")
        assert (status, obj(content["error"])["code"]) == (409, "wrong-host")
        assert "b, c" in text(obj(content["error"])["message"])
        async with a.http.get("/openwx/get_friend_info?client=bob") as answer:
            assert answer.status == 409
        # An account of this host is served here as before.
        assert (await a.v1("GET", "accounts/eve"))[1]["host"] == "a"
        await until(lambda: "eve" in a.accounts.duplicates)
        assert "duplicate" in await a.alerts()
        assert (await a.v1("GET", "fleet"))[1]["duplicates"] == [
            {"account": "bob", "hosts": ["b", "c"]},
            {"account": "eve", "hosts": ["a", "b"]},
        ]
        # A second one is not started: two programs would use one session.
        await a.v1("POST", "accounts/eve/stop")
        for call in ("start", "restart"):
            assert (await a.v1("POST", f"accounts/eve/{call}"))[0] == 409
        assert (await a.get("start_client", client="eve"))["code"] == 7


@pytest.mark.parametrize("named", [True, False])
async def test_host_certificate_replaces_a_token(tmp_path: Path, named: bool) -> None:
    async with hosts_of(tmp_path, "a", "b") as (a, b):
        await b.start("bob")
        shown, key = self_signed(tmp_path, "a" if named else "d", called="shown")
        await b.join(b.describe(a), client_ca=str(shown))
        described = replace(a.describe(b), token="", certificate=str(shown), key=str(key))
        await a.join(described)
        if not named:  # signed by the right authority, for another name
            host = await a.sees("b", HostState.REFUSED)
            assert "token" in str(host.why)
            return
        await a.finds("bob", "b")
        assert (await a.v1("GET", "accounts/bob"))[0] == 200
        b.process("bob").events.set()
        async with a.http.get("/openwx/check_event?client=bob") as answer:  # a long poll is checked again at its end
            assert answer.status == 200


async def test_a_host_that_answers_late_delays_no_list(tmp_path: Path) -> None:
    """It greets in time and answers nothing else in time."""
    release = asyncio.Event()

    async def late(_: web.Request) -> web.Response:
        await release.wait()
        return web.json_response({"name": "bob"})

    async with hosts_of(tmp_path, "a") as [a]:
        rows = [{"name": name, "instance": name, "desired": "started"} for name in ("bob", "eve")]
        a.paths.fleet_state.write_text(json.dumps({"hosts": {"b": rows}}))
        await a.start("alice")
        async with impostor(a, web.route("*", "/{path:.*}", late)):
            await until(lambda: a.other("b").is_up)
            call = asyncio.create_task(a.v1("GET", "accounts/bob"))
            assert set(await a.listed()) == {"alice", "bob", "eve"}
            answer = await a.get("check_client")
            assert [obj(state)["account"] for state in items(answer["client"])] == ["alice"]
            assert answer["unreadable"] == ["bob", "eve"]
            bound = a.token(Scope.READ, "bob")
            async with a.http.get("/openwx/check_client", headers=bearer(bound)) as response:
                assert await response.json() == {"client": [], "code": 0, "unreadable": ["bob"]}
            assert not call.done()  # it has the time of any call
            release.set()
            status, content = await call
            assert (status, content["name"]) == (200, "bob")
            a.faults.clear()  # the other host's


@pytest.mark.parametrize("status", [301, 401, 407])
async def test_compromised_host_cannot_attack_callers(tmp_path: Path, status: int) -> None:
    async def hostile(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "https://evil.example/", "WWW-Authenticate": "Basic"})

    async with hosts_of(tmp_path, "a") as [a]:
        a.paths.fleet_state.write_text('{"hosts": {"b": [{"name": "bob", "instance": "bob"}]}}')
        async with impostor(a, web.route("*", "/{path:.*}", hostile)):
            await until(lambda: a.other("b").is_up)
            for path in ("/v1/accounts/bob", "/openwx/get_friend_info?client=bob"):
                async with a.http.get(path, allow_redirects=False) as answer:
                    assert answer.status == 502
                    assert not {"Location", "WWW-Authenticate"} & set(answer.headers)


async def test_a_host_cannot_fill_the_memory_or_claim_ids(tmp_path: Path) -> None:
    """It lists more and more accounts, each of them small enough, and one with the id of another name."""

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        rows = [{"name": f"a{number}", "instance": f"a{number}", "status": "x" * 1_000_000} for number in range(50)]
        for row in (*rows, {"name": "mallory", "instance": "alice"}, {"name": "last", "instance": "last"}):
            await response.write(b'event: accounts\ndata: {"accounts": [%b]}\n\n' % json.dumps(row).encode())
        await done.wait()
        return response

    done = asyncio.Event()
    async with hosts_of(tmp_path, "a") as [a], impostor(a, web.get("/v1/accounts", flood)):
        await until(lambda: "last" in a.other("b").rows)
        number, listed = len(a.other("b").rows), await a.listed()
        done.set()
        assert 30 < number < 40
        assert "last" in listed
        assert not {"mallory", "alice"} & {*listed, *(text(account["instance"]) for account in listed.values())}


async def come_back(host: FleetHost) -> None:
    """Start what is wanted after a boot."""
    starting = after_boot(host.accounts, BootMark(host.paths), Backoff(0.01, 0.02), lambda: host.shared.fleet)
    await asyncio.wait_for(starting, PATIENCE)


@pytest.mark.parametrize(
    ("here", "there", "does", "comes_up"),
    [
        (1, 2, "stopped", False),  # a backup from before it was moved
        (1, 2, "started", False),
        (1, 1, "started", False),
        (1, 1, "stopped", True),
        (2, 1, "started", False),  # the other host has the old copy, and runs it
        (2, 1, "stopped", True),
        (2, 1, "lost", True),  # it was adopted from the other host, which has come back and does not run it
        (1, 2, "lost", False),  # on that host
        (2, 1, "leaving", True),  # the move that brought it has not ended
        (1, 2, "leaving", False),  # it has moved there, and on from there
    ],
)
async def test_accounts_of_another_host_are_not_started(
    tmp_path: Path, here: int, there: int, does: str, comes_up: bool
) -> None:
    async with hosts_of(tmp_path, "a", "b") as (a, b):
        await a.start("alice")
        for host, epoch in ((a, here), (b, there)):
            assert (await host.v1("POST", "accounts", {"name": "eve", "epoch": epoch}))[0] == 201
        await a.v1("POST", "accounts/eve/start")
        if does == "started":
            await b.v1("POST", "accounts/eve/start")
        elif does == "lost":
            await b.v1("POST", "accounts/eve/start")
            await boot(b)
        elif does == "leaving":
            await b.v1("PUT", "departures/eve", {"to": "a", "id": "5f2c", "sent": True})
        await boot(a)
        await b.join()
        await a.join(a.describe(b))  # which has not been greeted yet
        await come_back(a)
        assert "alice" in a.units.processes
        assert ("eve" in a.units.processes) == comes_up
        assert BootMark(a.paths).is_set()
        if does == "started" or (does, here) == ("lost", 2):
            await until(lambda: "eve" in a.accounts.duplicates)  # which is an alert


async def test_accounts_wait_for_a_host_that_is_not_reached_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At boot, the network may come up later than the controller."""
    greet, tried = OtherHost._greet, list[str]()

    async def later(self: OtherHost) -> None:
        tried.append(self.name)
        if len(tried) == 1:
            raise HostFailure(self.name, Text("no route to host"))
        await greet(self)

    monkeypatch.setattr(OtherHost, "_greet", later)
    async with hosts_of(tmp_path, "a", "b") as (a, b):
        for host, epoch in ((a, 1), (b, 2)):
            assert (await host.v1("POST", "accounts", {"name": "eve", "epoch": epoch}))[0] == 201
        await a.v1("POST", "accounts/eve/start")
        await boot(a)
        await b.join()
        await a.join(a.describe(b))
        await come_back(a)
        assert len(tried) > 1
        assert "eve" not in a.units.processes


async def test_a_host_that_hangs_delays_no_boot_for_long(tmp_path: Path) -> None:
    async with hosts_of(tmp_path, "a") as [a]:
        for name in ("alice", "eve"):
            await a.start(name)
        await boot(a)
        a.paths.fleet_state.write_text('{"hosts": {"b": [{"name": "eve", "instance": "eve", "epoch": 2}]}}')
        async with impostor(a):
            await come_back(a)
        assert set(a.units.processes) == {"alice"}


@pytest.mark.parametrize("call", ["start", "restart"])
async def test_start_waits_for_the_list_of_hosts(tmp_path: Path, call: str) -> None:
    async with hosts_of(tmp_path, "a", "b") as (a, b):
        await a.start("eve")
        await a.v1("POST", "accounts/eve/stop")
        await b.start("eve")
        await b.join()
        await a.join(a.describe(b))
        assert (await a.v1("POST", f"accounts/eve/{call}"))[0] == 409
        assert "eve" not in a.units.processes
