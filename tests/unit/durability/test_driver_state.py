"""What is done is what the database says: a stop, a kill or an upgrade loses and repeats no message."""

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.patience import until
from tests.unit.durability.process import Process, processed
from wxcontroller.client.store.recovery import KnownLog, recover
from wxcontroller.client.store.schema import SCHEMA
from wxcontroller.core.jsontypes import JsonObject, items, obj

_VERSIONS_OF_2_0_0 = 3  # of the database


def texts(account: Process) -> list[str]:
    """Texts of reported messages, those delivered again under the same id left out."""
    return [str(one["content"]) for one in account.webhook.once() if one.get("post_type") == "receive_message"]


async def reported(account: Process, *wanted: str) -> None:
    await account.webhook.until(lambda _: set(wanted) <= set(texts(account)))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep everybody else from writing a database."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


async def synced(account: Process) -> None:
    """Wait until the client has fetched what WeChat has."""
    before = account.wechat.requests("webwxsync")
    await until(lambda: account.wechat.requests("webwxsync") != before)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_message_that_could_not_be_stored_comes_again_after_the_end(tmp_path: Path, end: str) -> None:
    async with processed(tmp_path) as account:
        account.account.resend = False  # what was acknowledged is gone
        await account.start(login=True)
        account.wechat.hear(account.account, "first")
        await reported(account, "first")
        with locked(account.paths.state("alice") / "events.db"):
            account.wechat.hear(account.account, "second")
            await synced(account)
            await asyncio.sleep(0.3)  # what could be written beside the log has been
            await (account.stop() if end == "stop" else account.kill())
        await account.start()
        account.wechat.hear(account.account, "third")
        await reported(account, "third")
        assert texts(account) == ["first", "second", "third"]


async def test_files_of_2_0_0_are_taken_over(tmp_path: Path) -> None:
    """The position and the ids that 2.0.0 kept in its session file, and its identities."""
    async with processed(tmp_path) as account:
        await account.start(login=True)
        account.wechat.hear(account.account, "before")
        await reported(account, "before")
        await account.stop()
        state = account.paths.state("alice")
        as_of_2_0_0(state, account.paths.cookie_file("alice"))
        account.wechat.hear(account.account, "while it was upgraded")
        await account.start()
        await reported(account, "while it was upgraded")
        assert texts(account) == ["before", "while it was upgraded"]
        assert sorted(path.name for path in state.glob("*.2.0.0")) == [
            "identities.json.2.0.0",
            "mojo_weixin_cookie_alice.dat.2.0.0",
        ]
        assert b"sync_key" not in account.paths.cookie_file("alice").read_bytes()
        with closing(sqlite3.connect(state / "events.db")) as db:
            assert db.execute("SELECT number FROM identities WHERE mark = ?", (77 - (1 << 63),)).fetchone() == (4711,)
        # The way back is in the old files.
        old = obj(json.loads((state / "mojo_weixin_cookie_alice.dat.2.0.0").read_bytes()))
        assert items(obj(old["session"])["sync_key"])
        assert items(old["seen"])
        await account.stop()


def as_of_2_0_0(state: Path, cookies: Path) -> None:
    """Move what the database has of the driver's state into files as 2.0.0 wrote them."""
    path = state / "events.db"
    with closing(sqlite3.connect(path)) as db, db:
        (position,) = db.execute("SELECT value FROM driver WHERE name = 'position'").fetchone()
        seen = [one for (one,) in db.execute("SELECT id FROM seen ORDER BY number")]
    recover(path, SCHEMA[:_VERSIONS_OF_2_0_0], KnownLog())  # without the tables and columns of today
    for aside in state.glob("*.damaged-*"):
        aside.unlink()
    session: JsonObject = json.loads(cookies.read_bytes())
    keys = json.loads(position)
    session["session"] = {**obj(session["session"]), "sync_key": keys["sync_key"], "check_key": keys["check_key"]}
    session["seen"] = [*seen]
    cookies.write_text(json.dumps(session, separators=(",", ":")))
    (state / "identities.json").write_text(json.dumps({"version": 1, "people": {"4711": [77]}}))


async def test_what_a_kill_left_of_a_replaced_file_goes_at_the_next_start(tmp_path: Path) -> None:
    """A session file is written under another name first; a kill before the rename leaves that."""
    async with processed(tmp_path) as account:
        left = account.paths.state("alice") / ".mojo_weixin_cookie_alice.dat.x3f_0k2q"
        left.write_text("cookies")
        await account.start(login=True)
        assert not left.exists()
        assert account.paths.cookie_file("alice").exists()


async def test_old_files_go_after_a_week(tmp_path: Path) -> None:
    async with processed(tmp_path) as account:
        old, young = (account.paths.state("alice") / f"{name}.json.2.0.0" for name in ("media", "session"))
        for path in (old, young):
            path.write_text("{}")
        week = time.time() - 8 * 86400
        os.utime(old, (week, week))
        await account.start(login=True)
        assert (old.exists(), young.exists()) == (False, True)
