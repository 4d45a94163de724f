"""Accounts that are stopped while their store fails; messages of the iLink route that the log has not taken then."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from pathlib import Path

import pytest

from tests.patience import until
from tests.unit.client.conftest import locked
from tests.unit.durability.process import Process, processed
from tests.unit.durability.routes import ILINK, ROUTES, Route
from tests.unit.durability.volume import Volume, mounted
from wxcontroller.client.store.unsaved import FILE, Unsaved


@contextlib.asynccontextmanager
async def on_volume(directory: Path, route: Route = ILINK, **environ: str) -> AsyncIterator[tuple[Process, Volume]]:
    """An account that runs, with a file system of its own for its state."""
    async with processed(directory, route, **environ) as account:
        with mounted(account.paths.state("alice"), directory / "image") as volume:
            try:
                await account.start(login=True)
                await reported(account, account.route.write(account, "before"))
                yield account, volume
            finally:
                if account.process is not None and account.process.returncode is None:
                    await account.kill()


async def reported(account: Process, message: str) -> None:
    await account.webhook.until(lambda reports: message in ids(account))


def ids(account: Process) -> list[str]:
    return [str(report.get("id")) for report in account.webhook.reports]


def handed(account: Process, message: str) -> bool:
    """Whether WeChat has handed a message over on the iLink route."""
    return any(message in json.dumps(call.answer) for call in account.wechat.sandbox.ilink.exchanges)


async def handed_over(account: Process, words: str) -> str:
    """Write a message; return its id once WeChat has handed it over."""
    message = account.route.write(account, words)
    await until(lambda: handed(account, message))
    return message


async def stopped_with_trouble(account: Process, words: str) -> str:
    """Hand over a message that the log cannot take, and stop; return its id."""
    message = await handed_over(account, words)
    await account.until_v1(lambda found: found["trouble"], "deliveries")
    await account.stop()
    return message


def status_of(account: Process) -> int | None:
    assert account.process is not None
    return account.process.returncode


class Failure(StrEnum):
    """What fails: the log alone, or its disk."""

    LOCKED = "locked"
    FULL = "full"
    READ_ONLY = "read-only"
    HANGING = "hanging"


@contextlib.contextmanager
def failing(failure: Failure, volume: Volume) -> Iterator[None]:
    """Let the store fail within the block."""
    match failure:
        case Failure.LOCKED:
            with locked(volume.place / "events.db"):
                yield
        case Failure.FULL:
            volume.fill()
            yield
            volume.free()
        case Failure.READ_ONLY:
            volume.fail()
            yield
            volume.repair()
        case Failure.HANGING:
            volume.freeze()
            try:
                yield
            finally:
                volume.thaw()


async def stopped_while(failure: Failure, directory: Path, route: Route) -> None:
    async with on_volume(directory, route, MOJO_WEIXIN_SEND_INTERVAL="3") as (account, volume):
        account.account.resend = False  # what was acknowledged is gone
        assert (await account.send("sent"))["code"] == 0
        await account.send("queued", later=True)
        process = account.process
        assert process is not None
        with failing(failure, volume):
            before = account.wechat.requests("webwxsync")
            message = route.write(account, "while it fails")
            if failure is Failure.HANGING:
                await until(lambda: account.wechat.requests("webwxsync") > before or handed(account, message))
                process.terminate()
                # With it, all that a stop does: the process only waits for its write.
                await until(lambda: not account.paths.pid_file("alice").exists())
            else:
                await account.until_v1(lambda found: found["trouble"], "deliveries")
                await account.stop()
        lost = await process.wait() != 0
        named = "1 messages from WeChat are lost" in account.log.read_text() and message in account.log.read_text()
        assert lost == named == (route is ILINK and failure in (Failure.READ_ONLY, Failure.HANGING))
        await account.start()
        last = route.write(account, "after it")
        await reported(account, last)
        received = list(dict.fromkeys(ids(account)))
        assert [one for one in received if one in (message, last)] == [message, last] or lost
        await until(lambda: account.arrived() == ["sent", "queued"])
        await account.webhook.until_sends(2)
        await until(lambda: not (account.paths.state("alice") / FILE).exists())
        assert [(one["content"], one["code"]) for one in account.webhook.sends()] == [("sent", ""), ("queued", "")]


@pytest.mark.parametrize("failure", Failure)
async def test_stop_while_the_store_fails_loses_nothing_silently(tmp_path: Path, failure: Failure) -> None:
    async with asyncio.TaskGroup() as group:
        for route in ROUTES:
            (tmp_path / route.name).mkdir()
            _ = group.create_task(stopped_while(failure, tmp_path / route.name, route))


async def test_disk_that_stays_full_over_two_stops_loses_no_message(tmp_path: Path) -> None:
    async with on_volume(tmp_path) as (account, volume):
        volume.fill()
        message = await stopped_with_trouble(account, "while it is full")
        volume.fill()
        troubles = account.log.read_text().count("the event log: ")
        await account.launch()
        await until(lambda: account.log.read_text().count("the event log: ") > troubles)
        await account.stop()
        assert status_of(account) == 0, account.log.read_text()
        volume.free()
        await account.start()
        await reported(account, message)
        assert ids(account).count(message) == 1


async def test_hanging_disk_at_a_stop_names_the_lost_messages(tmp_path: Path) -> None:
    async with on_volume(tmp_path) as (account, volume):
        account.paths.media("alice").mkdir(exist_ok=True)
        # More than there are threads for work on files.
        volume.freeze()
        uploads = [asyncio.create_task(account.send(data=bytes(2 << 20))) for _ in range(40)]
        try:
            message = await handed_over(account, "while it hangs")
            assert account.process is not None
            account.process.terminate()
            await until(lambda: "1 messages from WeChat are lost" in account.log.read_text())
        finally:
            volume.thaw()  # a process whose write hangs cannot end before
            await asyncio.gather(*uploads, return_exceptions=True)
        assert await account.process.wait() == 74
        assert message in account.log.read_text()


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    (tmp_path / "volume").mkdir()
    with mounted(tmp_path / "volume", tmp_path / "image") as made:
        yield made


async def kept(volume: Volume, state: bytes, *ids: str) -> bool:
    """Be a process that starts, gets messages that the log does not take, and stops."""
    unsaved = Unsaved(volume.place)
    unsaved.restored(b"in the log")
    unsaved.begin(state, ids, asyncio.get_running_loop().create_future())
    return await unsaved.keep()


async def test_start_on_a_full_disk_does_not_spoil_the_reserve(volume: Volume) -> None:
    volume.fill()
    Unsaved(volume.place).restored(b"")
    volume.free()
    # The next start finds space.
    Unsaved(volume.place).restored(b"")
    volume.fill()
    assert await kept(volume, bytes(64 << 10), "1")


async def test_messages_of_an_earlier_stop_are_not_lost_at_the_next(
    volume: Volume, caplog: pytest.LogCaptureFixture
) -> None:
    Unsaved(volume.place).restored(b"")
    volume.fill()
    state = bytes(100 << 10)
    assert await kept(volume, state, "1", "2")
    volume.fill()
    assert await kept(volume, state, "1", "2")
    # Only what no file has is lost.
    assert not await kept(volume, state + b"more", "1", "2", "3")
    assert "1 messages from WeChat are lost" in caplog.text and "their ids: 3" in caplog.text
    assert Unsaved(volume.place).restored(b"in the log") == state


async def test_file_is_used_after_the_state_that_it_follows_only(tmp_path: Path) -> None:
    unsaved, loop = Unsaved(tmp_path), asyncio.get_running_loop()
    unsaved.restored(b"in the log")
    unsaved.begin(b"unsaved", ["1"], loop.create_future())
    assert await unsaved.keep()
    assert Unsaved(tmp_path).restored(b"of a backup") == b"of a backup"
    again, written = Unsaved(tmp_path), loop.create_future()
    assert again.restored(b"in the log") == b"unsaved"
    again.begin(b"next", (), written)
    written.set_result(None)
    # The log has them now.
    await until(lambda: not (tmp_path / FILE).exists())
