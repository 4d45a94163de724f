"""Everything that has to survive a power cut is synced before it is acknowledged or used."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.drivers.kit import friend
from tests.unit.durability.process import ROOT, Process, processed
from tests.unit.durability.tracing import Call, assert_replaced, calls_in, synced, traced
from tests.unit.durability.writes import NAME
from wxcontroller.core.paths import Paths

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@dataclass(frozen=True)
class Written:
    """What a process did to make all of the writes, each in a directory of its name."""

    root: Path
    calls: list[Call]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    root, log = tmp_path_factory.mktemp("writes"), tmp_path_factory.mktemp("log") / "trace"
    command = [sys.executable, "-m", "tests.unit.durability.writes", str(root)]
    subprocess.run(traced(command, log), cwd=ROOT, check=True, timeout=PATIENCE)
    return Written(root, calls_in(log))


REPLACED: dict[str, Callable[[Paths], Sequence[Path]]] = {
    "registry": lambda paths: [paths.account_file(NAME.instance)],
    "access_tokens": lambda paths: [paths.tokens_file],
    "exported": lambda paths: [paths.root / "alice.wxpack"],
    "recovered": lambda paths: [paths.root / "events.db"],
}
SYNCED: dict[str, Callable[[Paths], Sequence[Path]]] = {
    "unpacked": lambda paths: [
        paths.root / "staging" / one for one in ("state/events.db", "state/media/a.jpg", "state/media", "state", "")
    ],
    "imported": lambda paths: [
        *(paths.override_file(NAME.instance), paths.overrides, paths.overrides.parent),
        paths.private_state(NAME.instance).parent,
    ],
    "removed": lambda paths: [paths.accounts],
}


@pytest.mark.parametrize("what", REPLACED)
def test_replaced_file_and_its_directory_are_synced(written: Written, what: str) -> None:
    for path in REPLACED[what](Paths(written.root / what)):
        assert_replaced(written.calls, path)


@pytest.mark.parametrize("what", SYNCED)
def test_new_files_are_synced(written: Written, what: str) -> None:
    for path in SYNCED[what](Paths(written.root / what)):
        assert path in synced(written.calls)


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Process]:
    async with processed(tmp_path, MOJO_WEIXIN_SEND_INTERVAL="60") as one:
        one.tracing = tmp_path / "trace"
        one.account.resend = False
        yield one


def calls(account: Process) -> list[Call]:
    assert account.tracing is not None
    return calls_in(account.tracing)


async def test_a_message_is_synced_before_it_is_acknowledged(account: Process) -> None:
    log = account.paths.state("alice") / "events.db-wal"
    await account.start(login=True)
    assert_replaced(calls(account), account.paths.cookie_file("alice"))  # the login
    session = account.account.session
    assert session is not None
    for number in range(5):
        before = synced(calls(account)).count(log)
        account.wechat.hear(account.account, f"message {number}")
        await until(lambda: not session.queue)  # it was acknowledged
        assert synced(calls(account)).count(log) > before


async def test_media_are_synced_before_they_are_reported(account: Process) -> None:
    """Received media are synced before their event is reported, media to send before the response."""
    media = account.paths.media("alice")
    await account.start(login=True)
    await account.send("first")  # the next one waits for a minute
    answer = await account.send(data=PNG, later=True)
    assert answer["code"] == 0
    assert [path for path in synced(calls(account)) if path.name.startswith(".send.")]
    assert media in synced(calls(account))
    before = len(calls(account))
    url = f"{account.wechat.url}/sandbox/accounts/{account.account.uin}/receive"
    async with account.http.post(url, json={"kind": "image", "from": friend(account.account)}) as received:
        assert received.status == 200, await received.text()
    await account.webhook.until(lambda got: any(one["post_type"] == "receive_message" for one in got))
    [got] = [report for report in account.webhook.reports if report["post_type"] == "receive_message"]
    assert_replaced(calls(account)[before:], Path(str(got["media_path"])))
