"""wxctl deliveries: requests, and the log of a stopped account."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from tests.patience import PATIENCE
from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import RUNNING, Host
from wxcontroller.cli import stoppedlog
from wxcontroller.cli.__main__ import cli
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.events import EntryState, Selection
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.paths import Paths


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (("replay", "小店", "--dead"), {"state": "dead"}),
        (("replay", "小店", "a-1", "a-2"), {"ids": ["a-1", "a-2"], "state": "dead,purged"}),
        (("replay", "小店", "a-1", "--delivered"), {"ids": ["a-1"], "state": "dead,purged,delivered,kept"}),
        (("purge", "小店", "--dead", "--pending"), {"state": "dead,pending"}),
        (("ack", "小店", "a-1"), {"ids": ["a-1"], "state": "dead"}),
    ],
)
def test_options_become_the_request(wxctl: Wxctl, host: Host, arguments: tuple[str, ...], body: JsonObject) -> None:
    host.add("小店", RUNNING)
    process = host.process("小店")
    process.echo = True

    async def serve(_: web.Request) -> web.StreamResponse:
        done_to = dict.fromkeys(("replayed", "purged", "acknowledged"), 1)
        return web.json_response({"to": "http://127.0.0.1:8080/in", "pending": 2, "dead": 1, **done_to})

    process.serve = serve
    done = wxctl("deliveries", *arguments)
    assert done.returncode == 0, done.stderr
    assert re.match("1 (report|dead letter) of 小店 ", done.stdout)
    assert "now 2 waiting, 1 dead" in done.stdout
    assert json.loads(process.seen[-1][2]) == body


@pytest.fixture
def stopped(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of alice, who is stopped."""
    monkeypatch.setattr(stoppedlog, "PATHS", Paths(tmp_path))
    host.add("alice", post_api="http://127.0.0.1:8080/in")
    place = Paths(tmp_path).state("alice")
    place.mkdir(parents=True)
    return place


def listed(host: Host, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--url", host.url, "--json", "deliveries", "list", "alice", *arguments])


async def write_log(place: Path, killed: Path | None = None) -> None:
    """Write the log as an account does; ``killed`` gets the files as a kill leaves them."""
    events = EventLog(place / "events.db")
    events.open()
    for number in range(3):
        report: JsonObject = {"post_type": "receive_message", "type": "friend_message", "id": str(number)}
        events.append(report, deliver=True)
    assert await events.settled(10)
    second = (await events.select(Selection((EntryState.PENDING,)), 3))[1]
    events.died(second, "the webhook returned 410", 410)
    assert await events.settled(10)
    if killed is not None:
        shutil.copytree(place, killed)
    await events.close(10)


@pytest.mark.parametrize("was_killed", [False, True])
def test_deliveries_of_a_stopped_account_are_read_from_its_event_log(
    host: Host, stopped: Path, tmp_path: Path, was_killed: bool
) -> None:
    if was_killed:
        stopped.rmdir()
        (tmp_path / "running").mkdir()
        asyncio.run(write_log(tmp_path / "running", killed=stopped))
        assert (stopped / "events.db-wal").stat().st_size
    else:
        asyncio.run(write_log(stopped))
    before = sorted(stopped.iterdir())
    os.utime(stopped, (0, 0))
    done = listed(host)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [(row["seq"], row["state"], row["last_error"]) for row in rows] == [
        (1, "pending", ""),
        (2, "dead", "the webhook returned 410"),
        (3, "pending", ""),
    ]
    assert json.loads(listed(host, "--state", "dead").stdout) == [rows[1]]
    words = CliRunner().invoke(cli, ["--url", host.url, "deliveries", "list", "alice", "--limit", "1"])
    assert "not running" in words.output
    assert "alice → http://127.0.0.1:8080/in: 2 wait, 1 dead, 0 lost\n" in words.output
    assert words.output.endswith("more: wxctl deliveries list alice --after 1\n")
    # A file of root's next to the log would keep the account from opening it, also one that a kill leaves there.
    assert sorted(stopped.iterdir()) == before
    assert stopped.stat().st_mtime == 0


def test_only_a_file_of_the_accounts_own_is_read(host: Host, stopped: Path, tmp_path: Path) -> None:
    asyncio.run(write_log(tmp_path))
    (stopped / "events.db").symlink_to(tmp_path / "events.db")
    assert isinstance(listed(host).exception, WxError)


@pytest.mark.parametrize("name", ["events.db", "events.db-wal"])
def test_symlink_that_replaces_the_file_is_not_followed(
    host: Host, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stopped.rmdir()
    (tmp_path / "running").mkdir()
    asyncio.run(write_log(tmp_path / "running", killed=stopped))
    made = tempfile.TemporaryDirectory

    def swapped(**where: Any) -> "tempfile.TemporaryDirectory[str]":
        """The account has waited for the copy to begin."""
        (stopped / name).rename(tmp_path / name)
        (stopped / name).symlink_to(tmp_path / name)
        return made(**where)

    monkeypatch.setattr(tempfile, "TemporaryDirectory", swapped)
    assert "cannot be read" in str(listed(host).exception)


@pytest.mark.parametrize(
    "source",
    [
        "(WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n) SELECT seq FROM n)",
        "(SELECT seq FROM pragma_database_list)",
    ],
    ids=["endless", "asking SQLite itself"],
)
def test_malicious_event_log_is_refused(
    host: Host, stopped: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(stoppedlog, "_SECONDS", 0.1)
    numbers = ("time", "attempts", "next_at", "status", "settled_at", "size")
    others = ", ".join(f"0 AS {name}" for name in numbers)
    with contextlib.closing(sqlite3.connect(stopped / "events.db")) as db:
        db.executescript(
            "CREATE TABLE meta(name, value); INSERT INTO meta VALUES ('name', 'x');"
            "CREATE TABLE tally(state, number);"
            f"CREATE VIEW events AS SELECT seq, {others}, 'x' AS type, 'dead' AS state, '' AS error FROM {source}"
        )
    began = time.monotonic()
    assert "cannot be read" in str(listed(host).exception)
    assert time.monotonic() - began < PATIENCE / 3  # pytest's own time limit would end the query, too


def test_secrets_have_the_format_of_standard_webhooks(wxctl: Wxctl, tmp_path: Path) -> None:
    root = ("--root", str(tmp_path))
    none = wxctl("deliveries", "secret", "alice", *root)
    assert (none.returncode, none.stdout, "not signed" in none.stderr) == (0, "", True)
    place = tmp_path / "etc/wxcontroller"
    (place / "clients").mkdir(parents=True)
    (place / "credentials").mkdir()
    (place / "clients/alice.env").write_text("WXCLIENT_WEBHOOK_SECRET=variable\n")
    assert wxctl("deliveries", "secret", "alice", *root).stdout == "whsec_dmFyaWFibGU=\n"
    (place / "credentials/webhook-secret").write_text("all\n")
    assert wxctl("deliveries", "secret", "alice", *root).stdout == "whsec_YWxs\n"
    (place / "credentials/alice.webhook-secret").write_text("whsec_AAEC/w==\nold\n")
    assert wxctl("deliveries", "secret", "alice", *root).stdout == "whsec_AAEC/w==\nwhsec_b2xk\n"
    assert json.loads(wxctl("--json", "deliveries", "secret", "bob", *root).stdout) == ["whsec_YWxs"]
    (place / "credentials/alice.webhook-secret").rename(place / "credentials/alice.webhook-secret.cred")
    refused = wxctl("deliveries", "secret", "alice", *root)
    assert (refused.returncode, refused.stdout, "systemd-creds decrypt" in refused.stderr) == (1, "", True)
