"""Standby bundles between two controllers over TLS, with root's programs at both ends of them."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from tests.patience import PATIENCE, until
from tests.readers import reader_of
from tests.unit.fleet import bundles
from tests.unit.fleet.bundles import SECRET, account_of, kept, sealed
from tests.unit.fleet.hosts import FleetHost, hosts_of, impostor
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.transfer import receiving as receiver
from wxcontroller.cli.transfer.bundles import known_bundles
from wxcontroller.cli.transfer.copy.pack import unpack
from wxcontroller.cli.transfer.copy.seal import Opener
from wxcontroller.cli.transfer.standby import StandbyRound
from wxcontroller.controller.accounts.importsocket import IMPORT_ANSWER_BYTES
from wxcontroller.controller.apis.v1.host.moves import STANDBYS_AT_A_TIME
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.text.templates import N_
from wxcontroller.fleet.standby import KeptBundle, SentBundle, kept_bundles, sent_bundles, write_sent

Pair = tuple[FleetHost, FleetHost]


def receiving(host: FleetHost) -> AbstractAsyncContextManager[list[str]]:
    return bundles.receiving(host, lambda name, content: kept(host, io.BytesIO(content), name))


async def one_round(host: FleetHost, secret: bytes = SECRET) -> None:
    files = reader_of(host.paths)
    sending = StandbyRound(Api(host.url), host.paths, host.name, secret, lambda _: None, files)
    await asyncio.to_thread(sending.run)


async def due(host: FleetHost, secret: bytes = SECRET) -> None:
    """Send what has changed as if the last bundles had been sent long ago."""
    sent = {instance: replace(each, tried=0) for instance, each in sent_bundles(host.paths).items()}
    write_sent(host.paths, sent)
    await one_round(host, secret)


async def add(host: FleetHost, *names: str) -> None:
    """Add accounts that stand by on host b and have stored a note."""
    for name in names:
        await host.v1("POST", "accounts", {"name": name, "options": {"standby": "b", "lang": "en_US"}})
        host.paths.private_state(name).mkdir(parents=True, exist_ok=True)
        (host.paths.private_state(name) / "note").write_text(name)


async def standby(host: FleetHost, name: str = "eve") -> JsonObject:
    shown = [obj(standby) for standby in items((await host.v1("GET", "fleet"))[1]["standbys"])]
    [found] = [each for each in shown if each["account"] == name]
    return found


async def unsealed(host: FleetHost) -> dict[str, bytes]:
    def work() -> dict[str, bytes]:
        place = host.paths.root / "unsealed"
        place.mkdir()
        with host.paths.standby_bundle("eve").open("rb") as source:
            found = unpack(Opener(source, lambda: SECRET), place)
        assert found.manifest.parameters == {"standby": "b", "lang": "en_US"}
        return {file.name: file.read_bytes() for file in found.state.iterdir()}

    return await asyncio.to_thread(work)


async def test_changed_account_is_stored_sealed_on_its_standby_host(pair: Pair) -> None:
    a, b = pair
    async with receiving(b):
        await add(a, "eve")
        await a.v1("POST", "accounts", {"name": "bob"})
        await a.v1("POST", "accounts/eve/start")
        await one_round(a)
        assert [path.name for path in b.paths.standby.glob("*.wxaccount")] == ["eve.wxaccount"]
        assert b.paths.standby_bundle("eve").stat().st_mode & 0o777 == 0o600
        assert "eve" not in AccountFiles(b.paths).instances()
        content = b.paths.standby_bundle("eve").read_bytes()
        assert b"eve" not in content
        # Nothing has changed: nothing is sent. Then something has.
        await one_round(a)
        assert b.paths.standby_bundle("eve").read_bytes() == content
        (a.paths.private_state("eve") / "note").write_text("second")
        await one_round(a)  # too soon after a bundle that took long
        assert b.paths.standby_bundle("eve").read_bytes() == content
        await due(a)
        assert await unsealed(b) == {"note": b"second"}
        await b.finds("eve", "a")
        here, there = await standby(a), await standby(b)
        async with a.http.get("/metrics") as response:
            assert "wxcontroller_standby_bundles_stale 0.0" in await response.text()
    assert (here["account"], here["from"], here["to"], here["epoch"], here["stale"]) == ("eve", "a", "b", 1, False)
    assert {**here, "reason": "", "reason_text": None} == there
    assert kept_bundles(b.paths)["eve"].ran is True


async def test_bundle_is_not_replaced_by_an_older_or_other_hosts_one(pair: Pair) -> None:
    a, b = pair
    for name in ("eve", "bob"):
        await a.v1("POST", "accounts", {"name": name, "epoch": 3})
    accounts = {name: account_of(a, name) for name in ("eve", "bob")}

    async def put(at: int, name: str = "eve", epoch: int = 3, by: str = "a", cut: int = 0) -> str:
        content = sealed(a, replace(accounts[name], epoch=epoch), at, by)
        answer = await asyncio.to_thread(kept, b, io.BytesIO(content[: len(content) - cut]), name)
        return str(obj(answer.get("error")).get("message", ""))

    assert await put(1000) == ""
    content = b.paths.standby_bundle("eve").read_bytes()
    # The metadata may be lost or damaged. The last one is of a controller that was taken over: the file is its own.
    forged = {"eve": {"name": "eve", "host": "a", "epoch": 1, "at": 1}}
    damages = (None, "", '{"bundles": {"eve": {"epoch": 9}}}', json.dumps({"bundles": forged}))
    for number, damaged in enumerate(damages):
        b.paths.standby_kept.unlink()
        if damaged is not None:
            b.paths.standby_kept.write_text(damaged)
        for older in (
            partial(put, 999),
            partial(put, 2000, epoch=2),
            partial(put, 2000, by="c"),
            partial(put, 2000, cut=1),
        ):
            assert await older() != ""
            assert b.paths.standby_bundle("eve").read_bytes() == content
        assert await put(1000 + number, "bob") == ""
        found = await asyncio.to_thread(known_bundles, b.paths, lambda: SECRET)
        assert set(found) == {"eve", "bob"} == set(kept_bundles(b.paths))
    b.paths.standby_kept.unlink()
    found = await asyncio.to_thread(known_bundles, b.paths, lambda: SECRET)
    assert found["eve"] == KeptBundle("eve", "a", 3, 1000, len(content), ran=False)
    assert await put(500, epoch=4, by="c") == ""  # it has moved there
    assert kept_bundles(b.paths)["eve"].host == "c"
    b.paths.standby_bundle("eve").unlink()  # by hand, as the account is no longer to stand by here
    assert "eve" not in kept_bundles(b.paths)
    assert await put(500, epoch=4, by="c") == ""
    # It is for another account; and an account of this host needs none.
    refused = await asyncio.to_thread(kept, b, io.BytesIO(sealed(a, accounts["eve"], 3000, "a")), "bob")
    assert "not a standby bundle of account bob" in str(refused["error"])
    await b.leave()
    await b.v1("POST", "accounts", {"name": "eve"})
    assert "account eve is on this host" in await put(9000, epoch=9)


@pytest.mark.parametrize("word", ["./wxcontroller/e", "./e", "..", "/etc/secret", "-e", ""])
def test_compromised_controller_cannot_name_other_files(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = Paths(tmp_path)
    secret = tmp_path / "etc/secret.new"
    for place in (paths.standby / "etc", paths.accounts, secret.parent):
        place.mkdir(parents=True)
    secret.write_text("secret")
    links = [paths.accounts.parent / "e.new", paths.standby.parent / "e.new", paths.standby / "etc/secret.new"]
    for link in [*links, paths.standby / "....new", paths.standby / ".-e.new", paths.standby / "..new"]:
        link.symlink_to(secret)

    def files() -> dict[Path, tuple[int, int]]:
        return {
            path: (path.lstat().st_ino, path.lstat().st_size) for path in tmp_path.rglob("*") if not path.is_dir()
        }

    before = files()
    monkeypatch.setattr(receiver, "PATHS", paths)
    monkeypatch.setenv("WXCTL_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{word} standby\n".encode() + b"x" * 36)))
    assert receiver.main() != 0
    assert "error" in json.loads(capsys.readouterr().out)
    assert files() == before
    assert secret.read_text() == "secret"


async def test_failed_bundle_is_shown_and_becomes_stale(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pair
    await add(a, "eve")
    shown = await standby(a)
    assert (shown["stale"], shown["at"]) == (True, None)
    assert "wxcontroller-standby.timer" in str(shown["reason"])
    await one_round(a)  # host b has no program that receives it
    shown = await standby(a)
    assert (shown["stale"], shown["at"]) == (False, None)
    assert "wxcontroller-receive.socket" in str(shown["reason"]) or "does not receive" in str(shown["reason"])
    with monkeypatch.context() as late:
        late.setattr("wxcontroller.fleet.standby.STALE_SECONDS", -1)
        assert (await standby(a))["stale"] is True
        await a.fleet.standbys.look()
        assert "standby" in await a.alerts()
    async with receiving(b):
        await due(a, b"another passphrase")
        assert str((await standby(a))["reason"]).startswith("host b: ")
        await due(a)
    await a.fleet.standbys.look()
    assert a.fleet.standbys.late() == {}
    await a.v1("PATCH", "accounts/eve/options", {"standby": "nowhere"})
    await one_round(a)
    assert "there is no host nowhere" in str((await standby(a))["reason"])


async def test_unsendable_files_do_not_block_other_accounts(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pair
    monkeypatch.setattr("wxcontroller.cli.transfer.copy.changes.BUNDLE_FILES", 5)
    await add(a, "many", "sparse", "zoe")
    for number in range(6):
        (a.paths.private_state("many") / str(number)).touch()
    with (a.paths.private_state("sparse") / "hole").open("w") as hole:
        hole.truncate(1 << 40)
    async with receiving(b) as asked:
        await one_round(a)
        assert asked == ["zoe standby"]
    assert "more than 5 files" in str((await standby(a, "many"))["reason"])
    assert "mostly empty" in str((await standby(a, "sparse"))["reason"])


async def test_bundle_of_a_lost_state_directory_replaces_nothing(pair: Pair) -> None:
    a, b = pair
    await add(a, "eve")
    async with receiving(b):
        await one_round(a)
        (a.paths.private_state("eve") / "note").unlink()
        a.paths.private_state("eve").rmdir()
        await due(a)
    assert "missing or empty" in str((await standby(a))["reason"])
    assert await unsealed(b) == {"note": b"eve"}


async def test_slow_bundle_is_aborted_and_the_longest_waiting_account_is_first(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    await add(a, "alice", "zoe")
    tried = {"alice": 200, "zoe": 100}

    def note() -> None:
        write_sent(a.paths, {name: SentBundle("b", 1, tried=at, changed=at) for name, at in tried.items()})

    note()
    async with receiving(b) as asked:
        with monkeypatch.context() as slow:
            slow.setattr("wxcontroller.cli.transfer.standby._BASE_SECONDS", -1000.0)
            await one_round(a)  # all of them take too long
        assert kept_bundles(b.paths) == {}
        assert "took longer" in str((await standby(a, "zoe"))["reason"])
        note()
        asked.clear()
        await one_round(a)
        assert asked == ["zoe standby", "alice standby"]


async def test_unchanged_account_is_sent_again_after_a_day(pair: Pair) -> None:
    a, b = pair
    await add(a, "eve")
    async with receiving(b) as asked:
        await one_round(a)
        b.paths.standby_bundle("eve").unlink()
        sent = sent_bundles(a.paths)["eve"]
        for age, bundles_sent in ((86000, 1), (87000, 2)):
            write_sent(a.paths, {"eve": replace(sent, tried=int(time.time()) - age)})
            await one_round(a)
            assert asked == ["eve standby"] * bundles_sent
    assert list(kept_bundles(b.paths)) == ["eve"]


async def test_bundles_are_sent_while_nothing_can_be_noted(pair: Pair) -> None:
    a, b = pair
    await add(a, "eve")
    a.paths.standby.symlink_to(a.paths.root / "nowhere")  # like a full disk: nothing can be written
    async with receiving(b):
        await one_round(a)
    assert list(kept_bundles(b.paths)) == ["eve"]


async def test_concurrent_bundles_of_an_account_are_separate(pair: Pair) -> None:
    a, b = pair
    await a.v1("POST", "accounts", {"name": "eve"})
    older, newer = (sealed(a, account_of(a), at, "a") for at in (1000, 2000))
    answers: list[JsonObject] = []

    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if not answers and self.tell():  # its file has been made
                answers.append(kept(b, io.BytesIO(older), "eve"))
            return super().read(size)

    b.paths.standby.mkdir(mode=0o711)
    (b.paths.standby / ".new-dead").write_bytes(b"half of one")
    answers.append(await asyncio.to_thread(kept, b, Interrupted(newer), "eve"))
    assert [answer.get("at") for answer in answers] == [1000, 2000]
    assert b.paths.standby_bundle("eve").read_bytes() == newer
    assert {path.name for path in b.paths.standby.iterdir()} == {"eve.wxaccount", "kept.json", ".lock"}


async def test_incoming_bundles_are_limited_and_delay_no_move(pair: Pair) -> None:
    _, b = pair
    end = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"a part"
        await end.wait()

    async def put(path: str, content: AsyncIterator[bytes] | bytes = b"") -> str:
        async with b.http.put(f"/v1/{path}", data=content) as response:
            return str(obj(obj(await response.json()).get("error")).get("message", ""))

    def refuse(_: str, __: bytes) -> JsonObject:
        raise WxError(N_("this is no account"))

    async with bundles.receiving(b, refuse) as asked, asyncio.TaskGroup() as group:
        for number in range(STANDBYS_AT_A_TIME):
            _ = group.create_task(put(f"standbys/eve{number}?to=b", endless()))
        await until(lambda: len(asked) == STANDBYS_AT_A_TIME)
        assert "already" in await put("standbys/bob?to=b")
        arriving = group.create_task(put("arrivals/eve0", endless()))
        await until(lambda: "eve0" in asked)
        assert "account eve0 is being received already" in await put("arrivals/eve0")
        end.set()
    assert "already" not in arriving.result()


async def test_endless_response_of_a_standby_host_is_not_stored(tmp_path: Path) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 10_000)

    async with hosts_of(tmp_path, "a") as [a], impostor(a, web.put("/v1/standbys/eve", endless)):
        await until(lambda: a.other("b").is_up)
        async with asyncio.timeout(PATIENCE), a.http.put("/v1/standbys/eve?to=b", data=b"sealed") as response:
            assert response.status == 200
        a.faults.clear()  # the other host's


@pytest.mark.parametrize("more", [0, 1])
async def test_result_of_an_import_is_looked_for_at_the_end_of_its_output(pair: Pair, more: int) -> None:
    _, b = pair
    result = b'{"name": "eve"}\n'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(result + b"a line for the journal".ljust(IMPORT_ANSWER_BYTES - len(result) + more))
        writer.close()

    b.paths.receive_socket.parent.mkdir(parents=True, exist_ok=True)
    async with (
        await asyncio.start_unix_server(serve, b.paths.receive_socket),
        b.http.put("/v1/standbys/eve?to=b", data=b"a bundle") as response,
    ):
        assert ("the import returned no result" in await response.text()) == bool(more)
