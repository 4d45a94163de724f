"""Standby bundles between two controllers over TLS, with root's programs at both ends of them."""

import asyncio
import io
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.fleet.hosts import TLS_ADDRESS, FleetHost
from wxcontroller.cli.account import AccountView
from wxcontroller.cli.api import Api
from wxcontroller.cli.context import error_as_json
from wxcontroller.cli.transfer import moving
from wxcontroller.cli.transfer import receiving as receiver
from wxcontroller.cli.transfer.bundles import keep, known_bundles
from wxcontroller.cli.transfer.pack import unpack
from wxcontroller.cli.transfer.seal import Opener, Sealer
from wxcontroller.cli.transfer.sending import SealedAccount
from wxcontroller.cli.transfer.standby import StandbyRound
from wxcontroller.cli.work import ActionWatch
from wxcontroller.controller.v1.moves import STANDBYS_AT_A_TIME
from wxcontroller.core.account import Account
from wxcontroller.core.accountfiles import AccountFiles
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.fleet.host import HostState
from wxcontroller.fleet.standby import KeptBundle, SentBundle, kept_bundles, sent_bundles, write_sent

SECRET = b"correct horse"


@pytest.fixture(autouse=True)
def cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key takes half a second; here it does not have to resist anybody."""
    monkeypatch.setattr(Sealer.__init__, "__defaults__", (10,))


@asynccontextmanager
async def receiving(host: FleetHost) -> AsyncIterator[list[str]]:
    """Do what wxcontroller-receive@.service does; yield the instances whose bundles came, in order."""
    came: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        instance, purpose = (await reader.readline()).decode().split()
        assert purpose == "standby"
        came.append(instance)
        content = io.BytesIO(await reader.read())
        answer = await asyncio.to_thread(kept, host, content, instance)
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    host.paths.receive_socket.parent.mkdir(parents=True, exist_ok=True)
    async with await asyncio.start_unix_server(serve, host.paths.receive_socket):
        yield came


def kept(host: FleetHost, content: io.BytesIO, instance: str) -> JsonObject:
    try:
        return keep(Api(host.url), host.paths, content, lambda: SECRET, instance)
    except WxError as problem:
        return error_as_json(problem)


def sealed(host: FleetHost, account: Account, at: int, by: str = "a") -> io.BytesIO:
    return io.BytesIO(b"".join(SealedAccount(account, SECRET, at, by, host.paths).pieces()))


async def one_round(host: FleetHost, pause: Callable[[float], None] = lambda _: None, secret: bytes = SECRET) -> None:
    await asyncio.to_thread(StandbyRound(Api(host.url), host.paths, host.name, secret, pause).run)


async def add(host: FleetHost, *names: str, **options: str) -> None:
    """Add accounts that stand by on host b and have stored a note."""
    for name in names:
        await host.v1("POST", "accounts", {"name": name, "options": {"standby": "b", **options}})
        host.paths.private_state(name).mkdir(parents=True, exist_ok=True)
        (host.paths.private_state(name) / "note").write_text(name)


async def reason_of(host: FleetHost, name: str = "eve") -> str:
    [shown] = [each for each in await standbys(host) if each["account"] == name]
    return str(shown["reason"])


async def standbys(host: FleetHost) -> list[JsonObject]:
    return [obj(each) for each in items((await host.v1("GET", "fleet"))[1]["standbys"])]


async def test_changed_account_is_stored_sealed_on_its_standby_host(pair: tuple[FleetHost, FleetHost]) -> None:
    a, b = pair
    async with receiving(b):
        await a.v1("POST", "accounts", {"name": "eve", "options": {"standby": "b", "lang": "en_US"}})
        await a.v1("POST", "accounts", {"name": "bob"})
        await a.v1("POST", "accounts/eve/start")
        private = a.paths.private_state("eve")
        private.mkdir(parents=True, exist_ok=True)
        (private / "note").write_text("first")
        await one_round(a)
        assert [path.name for path in b.paths.standby.glob("*.wxaccount")] == ["eve.wxaccount"]
        assert b.paths.standby_bundle("eve").stat().st_mode & 0o777 == 0o600
        assert "eve" not in AccountFiles(b.paths).instances()
        content = b.paths.standby_bundle("eve").read_bytes()
        assert b"first" not in content
        # Nothing has changed: nothing is sent. Then something has.
        await one_round(a)
        assert b.paths.standby_bundle("eve").read_bytes() == content
        (private / "note").write_text("second")
        sent = sent_bundles(a.paths)
        assert sent["eve"].took > 0  # too soon after a bundle that took long
        await one_round(a)
        assert b.paths.standby_bundle("eve").read_bytes() == content
        assert sent_bundles(a.paths)["eve"].changed > 0
        await due(a)
        found = await unsealed(b)
        assert found == {"note": b"second"}
        await b.finds("eve", "a")
        [here], [there] = await standbys(a), await standbys(b)
        async with a.http.get("/metrics") as response:
            shown = await response.text()
    labels = 'account="eve",host="a",standby="b"'
    assert f"wxcontroller_standby_bundle_timestamp_seconds{{{labels}}} 1" in shown
    assert "wxcontroller_standby_bundles_stale 0.0" in shown
    assert (here["account"], here["from"], here["to"], here["epoch"], here["stale"]) == ("eve", "a", "b", 1, False)
    assert {**here, "reason": "", "reason_text": None} == there
    assert kept_bundles(b.paths)["eve"].ran is True


async def due(host: FleetHost, secret: bytes = SECRET) -> None:
    """Send what has changed as if the last bundles had been sent long ago."""
    bundles = {instance: replace(each, tried=0) for instance, each in sent_bundles(host.paths).items()}
    write_sent(host.paths, bundles)
    await one_round(host, secret=secret)


async def unsealed(host: FleetHost) -> dict[str, bytes]:
    def work() -> dict[str, bytes]:
        place = host.paths.root / "unsealed"
        place.mkdir()
        with host.paths.standby_bundle("eve").open("rb") as source:
            found = unpack(Opener(source, lambda: SECRET), place)
        assert found.manifest.parameters == {"standby": "b", "lang": "en_US"}
        return {file.name: file.read_bytes() for file in found.state.iterdir()}

    return await asyncio.to_thread(work)


async def test_bundle_is_not_replaced_by_an_older_or_other_hosts_one(
    pair: tuple[FleetHost, FleetHost],
) -> None:
    a, b = pair
    await a.v1("POST", "accounts", {"name": "eve", "epoch": 3})
    account = AccountFiles(a.paths).load("eve")

    def put(at: int, epoch: int = 3, by: str = "a", cut: int = 0) -> str:
        content = sealed(a, replace(account, epoch=epoch), at, by).getvalue()
        answer = kept(b, io.BytesIO(content[: len(content) - cut]), "eve")
        return str(obj(answer.get("error")).get("message", ""))

    assert await asyncio.to_thread(put, 1000) == ""
    content = b.paths.standby_bundle("eve").read_bytes()
    for older in (
        partial(put, 999),
        partial(put, 2000, epoch=2),
        partial(put, 2000, by="c"),
        partial(put, 2000, cut=1),
    ):
        assert await asyncio.to_thread(older) != ""
        assert b.paths.standby_bundle("eve").read_bytes() == content
    assert await asyncio.to_thread(put, 500, epoch=4, by="c") == ""  # it has moved there
    assert kept_bundles(b.paths)["eve"].host == "c"
    b.paths.standby_bundle("eve").unlink()  # by hand, as the account is no longer to stand by here
    assert kept_bundles(b.paths) == {}
    assert await asyncio.to_thread(put, 500, epoch=4, by="c") == ""
    # It is for another account, or it is no bundle at all; and what is here itself needs none.
    refused = await asyncio.to_thread(kept, b, sealed(a, account, 3000), "bob")
    assert "not a standby bundle of account bob" in str(refused["error"])
    await b.leave()
    await b.v1("POST", "accounts", {"name": "eve"})
    assert "account eve is on this host" in await asyncio.to_thread(put, 9000, epoch=9)
    assert {path.name for path in b.paths.standby.iterdir()} == {"eve.wxaccount", "kept.json", ".lock"}


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


class NoWatch(ActionWatch):
    """For a move that fails before the account is started."""

    def shown(self, account: AccountName, timeout: float) -> AccountView:
        raise AssertionError(f"account {account} was followed")


async def test_bundles_are_identified_without_their_metadata(
    pair: tuple[FleetHost, FleetHost],
) -> None:
    a, b = pair
    await a.v1("POST", "accounts", {"name": "eve", "epoch": 3})
    await a.v1("POST", "accounts", {"name": "bob"})
    accounts = AccountFiles(a.paths)
    eve, bob = accounts.load("eve"), accounts.load("bob")

    async def put(account: Account, at: int) -> bool:
        return "error" not in await asyncio.to_thread(kept, b, sealed(a, account, at), account.name.instance)

    assert await put(eve, 1000)
    # The last one is of a controller that was taken over: the file is its own.
    noted = {"eve": {"name": "eve", "host": "a", "epoch": 1, "at": 1}}
    for moment, damaged in enumerate(
        (None, "", '{"bundles": {"eve": {"epoch": 9}}}', json.dumps({"bundles": noted}))
    ):
        b.paths.standby_kept.unlink()
        if damaged is not None:
            b.paths.standby_kept.write_text(damaged)
        assert not await put(eve, 999)
        assert not await put(replace(eve, epoch=2), 2000)
        assert await put(bob, 1000 + moment)
        found = await asyncio.to_thread(known_bundles, b.paths, lambda: SECRET)
        assert set(found) == {"eve", "bob"} == set(kept_bundles(b.paths))
    assert await put(eve, 1001)
    b.paths.standby_kept.unlink()
    found = await asyncio.to_thread(known_bundles, b.paths, lambda: SECRET)
    size = b.paths.standby_bundle("eve").stat().st_size
    assert found["eve"] == KeptBundle("eve", "a", 3, 1001, size, ran=False)


async def test_account_can_be_imported_during_a_bundle_upload(
    pair: tuple[FleetHost, FleetHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    monkeypatch.setattr(moving, "PATHS", a.paths)
    await a.start("eve")
    came, over = asyncio.Queue[str](), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.put_nowait((await reader.readline()).decode().strip())
        await over.wait()
        writer.write(b'{"error": {"code": "locked", "message": "the passphrase is wrong"}}\n')
        writer.close()

    async def put(path: str) -> str:
        async with b.http.put(path, data=b"sealed") as response:
            return str(obj(obj(await response.json())["error"])["message"])

    async def under_way() -> bool:
        return (await b.v1("GET", "arrivals/eve"))[1]["under_way"] is True

    b.paths.receive_socket.parent.mkdir(parents=True, exist_ok=True)
    async with await asyncio.start_unix_server(serve, b.paths.receive_socket), asyncio.timeout(PATIENCE):
        bundle = asyncio.create_task(put("/v1/standbys/eve?to=b"))
        assert await came.get() == "eve standby"
        assert not await under_way()
        account = asyncio.create_task(put("/v1/arrivals/eve"))
        assert await came.get() == "eve"
        assert await under_way()
        assert "already" in await put("/v1/arrivals/eve")
        assert "already" in await put("/v1/standbys/eve?to=b")
        # What cannot be sent now is not stopped for it.
        move = moving.Move(Api(a.url), Api(b.url), "b", parse_name("eve"), NoWatch(), SECRET, leave_behind=False)
        with pytest.raises(WxError, match="receiving"):
            await asyncio.to_thread(move.run)
        assert (await a.v1("GET", "accounts/eve"))[1]["unit_state"] == "active"
        # Bundles of many accounts leave room for one.
        more = [asyncio.create_task(put(f"/v1/standbys/eve{n}?to=b")) for n in range(1, STANDBYS_AT_A_TIME)]
        assert {await came.get() for _ in more} == {f"eve{n} standby" for n in range(1, STANDBYS_AT_A_TIME)}
        assert "already" in await put("/v1/standbys/bob?to=b")
        other = asyncio.create_task(put("/v1/arrivals/bob"))
        assert await came.get() == "bob"
        over.set()
        await asyncio.gather(*more, other)
        assert [message.rpartition(": ")[2] for message in (await bundle, await account)] == [
            "the passphrase is wrong"
        ] * 2


async def test_concurrent_bundles_are_separate_and_aborted_ones_deleted(
    pair: tuple[FleetHost, FleetHost],
) -> None:
    a, b = pair
    await a.v1("POST", "accounts", {"name": "eve"})
    account = AccountFiles(a.paths).load("eve")
    older, newer = sealed(a, account, 1000), sealed(a, account, 2000).getvalue()
    answers: list[JsonObject] = []

    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if not answers and self.tell():  # its file has been made
                answers.append(kept(b, older, "eve"))
            return super().read(size)

    b.paths.standby.mkdir(mode=0o711)
    (b.paths.standby / ".new-dead").write_bytes(b"half of one")
    answers.append(await asyncio.to_thread(kept, b, Interrupted(newer), "eve"))
    assert [answer.get("at") for answer in answers] == [1000, 2000]
    assert b.paths.standby_bundle("eve").read_bytes() == newer
    assert kept_bundles(b.paths)["eve"].at == 2000
    assert {path.name for path in b.paths.standby.iterdir()} == {"eve.wxaccount", "kept.json", ".lock"}


async def test_failed_bundle_is_shown_and_becomes_stale(
    pair: tuple[FleetHost, FleetHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    await a.v1("POST", "accounts", {"name": "eve", "options": {"standby": "b"}})
    [shown] = await standbys(a)
    assert (shown["stale"], shown["at"]) == (True, None)
    assert "wxcontroller-standby.timer" in str(shown["reason"])
    await one_round(a)  # nobody receives there
    [shown] = await standbys(a)
    assert (shown["stale"], shown["at"]) == (False, None)
    assert "wxcontroller-receive.socket" in str(shown["reason"]) or "does not receive" in str(shown["reason"])
    monkeypatch.setattr("wxcontroller.fleet.standby.STALE_SECONDS", -1)
    [shown] = await standbys(a)
    assert shown["stale"] is True
    await a.fleet.standbys.look()
    assert list(a.fleet.standbys.late()) == ["eve"]
    assert "standby" in await a.alerts()
    monkeypatch.undo()
    async with receiving(b):
        await due(a, b"another passphrase")
        [shown] = await standbys(a)
        assert str(shown["reason"]).startswith("host b: ")
        assert str(shown["reason"]).count("cannot be received: ") == 1
        await due(a)
    await a.fleet.standbys.look()
    assert a.fleet.standbys.late() == {}
    # One for a host that nobody knows.
    await a.v1("PATCH", "accounts/eve/options", {"standby": "nowhere"})
    await one_round(a)
    [shown] = await standbys(a)
    assert "there is no host nowhere" in str(shown["reason"])
    await b.leave()
    await until(lambda: a.other("b").state is not HostState.UP)


async def test_unsendable_files_do_not_block_other_accounts(
    pair: tuple[FleetHost, FleetHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    monkeypatch.setattr("wxcontroller.cli.transfer.changes.BUNDLE_FILES", 5)
    await add(a, "deep", "many", "sparse", "zoe")
    endless(a.paths.private_state("deep"))
    for number in range(6):
        (a.paths.private_state("many") / str(number)).touch()
    with (a.paths.private_state("sparse") / "hole").open("w") as hole:
        hole.truncate(1 << 40)
    async with receiving(b) as came:
        await one_round(a)
        assert sorted(came) == ["deep", "zoe"]  # what is too deep is left out
    assert "more than 5 files" in await reason_of(a, "many")
    assert "mostly empty" in await reason_of(a, "sparse")
    assert sent_bundles(a.paths)["many"].changed > 0


def endless(directory: Path) -> None:
    """Make a file whose path is longer than the system takes, below directories whose paths are not."""
    opened, length = os.open(directory, os.O_RDONLY), len(str(directory))
    while length < 4000:
        name = "d" * min(200, 4050 - length)
        os.mkdir(name, dir_fd=opened)
        below = os.open(name, os.O_RDONLY, dir_fd=opened)
        os.close(opened)
        opened, length = below, length + len(name) + 1
    os.close(os.open("f" * 200, os.O_CREAT | os.O_WRONLY, dir_fd=opened))
    os.close(opened)


async def test_bundle_of_a_lost_state_directory_replaces_nothing(
    pair: tuple[FleetHost, FleetHost],
) -> None:
    a, b = pair
    await add(a, "eve", lang="en_US")
    async with receiving(b):
        await one_round(a)
        (a.paths.private_state("eve") / "note").unlink()
        a.paths.private_state("eve").rmdir()
        await due(a)
    assert "missing or empty" in await reason_of(a)
    assert await unsealed(b) == {"note": b"eve"}


async def test_bundles_that_the_standby_host_would_refuse_are_not_sent(pair: tuple[FleetHost, FleetHost]) -> None:
    a, b = pair
    await add(a, "eve")
    await b.leave()
    await b.v1("POST", "accounts", {"name": "eve"})
    await b.join(b.describe(a))
    async with receiving(b) as came:
        await one_round(a)
        assert came == []
    assert "host b has an account eve" in await reason_of(a)


async def test_least_recently_tried_account_is_first(
    pair: tuple[FleetHost, FleetHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    await add(a, "alice", "zoe")
    tried = {"alice": 200, "zoe": 100}
    write_sent(a.paths, {name: SentBundle("b", 1, tried=at, changed=at) for name, at in tried.items()})
    async with receiving(b) as came:
        with monkeypatch.context() as slow:
            slow.setattr("wxcontroller.cli.transfer.standby._BASE_SECONDS", -1000.0)
            await one_round(a)  # all of them take too long
        assert kept_bundles(b.paths) == {}
        assert "took longer" in await reason_of(a, "zoe")
        write_sent(a.paths, {name: SentBundle("b", 1, tried=at, changed=at) for name, at in tried.items()})
        came.clear()
        await one_round(a)
        assert came == ["zoe", "alice"]


async def test_endless_response_times_out(pair: tuple[FleetHost, FleetHost]) -> None:
    a, b = pair
    await add(a, "eve")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(b.certificate, b.key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_bundle = (await reader.readline()).startswith(b"PUT")
        said = b" " * 70_000 if is_bundle else b'{"name":"b"}'
        length = 1_000_000_000 if is_bundle else len(said)
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        writer.write(head.encode() + said)
        with suppress(OSError):
            await reader.read()
            writer.close()

    async with await asyncio.start_server(answer, TLS_ADDRESS, 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        await a.join(a.describe(b, url=f"https://{TLS_ADDRESS}:{port}"))
        await until(lambda: a.other("b").is_up)
        async with asyncio.timeout(PATIENCE):
            async with a.http.put("/v1/standbys/eve?to=b", data=b"sealed") as response:
                assert response.status == 200, await response.text()
        await a.leave()


async def test_new_account_without_a_bundle_is_not_an_alert(
    pair: tuple[FleetHost, FleetHost],
) -> None:
    a, b = pair
    async with receiving(b):
        await one_round(a)
        await add(a, "alice", "zoe")
        [alice, zoe] = await standbys(a)
        assert (alice["stale"], alice["reason"], zoe["stale"], zoe["reason"]) == (False, "", False, "")
        noted: list[dict[str, SentBundle]] = []
        await one_round(a, lambda _: noted.append(sent_bundles(a.paths)))
    assert noted[0]["alice"].changed == 0
    assert noted[0]["zoe"].changed > 0


async def test_bundles_are_sent_without_writable_notes(pair: tuple[FleetHost, FleetHost]) -> None:
    a, b = pair
    await add(a, "eve")
    a.paths.standby.symlink_to(a.paths.root / "nowhere")  # as good as a full disk: nothing can be written
    async with receiving(b) as came:
        await one_round(a)
        assert came == ["eve"]
    assert list(kept_bundles(b.paths)) == ["eve"]


async def test_unchanged_account_is_sent_again_after_a_day(pair: tuple[FleetHost, FleetHost]) -> None:
    a, b = pair
    await add(a, "eve")
    async with receiving(b) as came:
        await one_round(a)
        b.paths.standby_bundle("eve").unlink()
        sent = sent_bundles(a.paths)["eve"]
        write_sent(a.paths, {"eve": replace(sent, tried=int(time.time()) - 86000)})
        await one_round(a)
        assert came == ["eve"]
        write_sent(a.paths, {"eve": replace(sent, tried=int(time.time()) - 87000)})
        await one_round(a)
        assert came == ["eve", "eve"]
    assert list(kept_bundles(b.paths)) == ["eve"]


async def test_own_host_cannot_be_the_standby(pair: tuple[FleetHost, FleetHost]) -> None:
    a, _ = pair
    await add(a, "eve", standby="a")
    await one_round(a)
    [shown] = await standbys(a)
    assert (shown["stale"], shown["to"], shown["at"]) == (True, "a", None)
    assert "wxctl set eve standby=" in str(shown["reason"])
