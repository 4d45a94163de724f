"""wxctl deliveries: requests, stopped accounts, secrets."""

import base64
import json
import re
import time
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import DOWN, RUNNING, STOPPED, Host
from tests.unit.cli.terminal import Terminal
from wxcontroller.core.jsontypes import JsonObject


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
    assert "now 2 undelivered, 1 dead" in done.stdout
    request, _, sent = process.seen[-1]
    assert (request, json.loads(sent)) == (f"POST /v1/deliveries/{arguments[0]}", body)


def test_list_is_limited_as_asked(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING)
    wxctl("deliveries", "list", "alice", "--state", "dead", "--limit", "5", "--after", "7")
    assert host.process("alice").requests[-1] == "GET /v1/deliveries?limit=5&after=7&state=dead"


def test_stopped_account_is_named_with_the_command_that_starts_it(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", post_api="http://127.0.0.1:8080/in")
    done = wxctl("deliveries", "list", "alice")
    assert (done.returncode, done.stdout) == (1, "")
    assert "alice is not running" in done.stderr
    assert "wxctl start alice" in done.stderr


def test_overview_has_rows_for_trouble_but_not_for_stopped_accounts(wxctl: Wxctl, host: Host) -> None:
    host.add("calm", STOPPED)
    host.add("down", DOWN)
    rows = wxctl("deliveries", "list").stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["down"]
    every = wxctl("deliveries", "list", "--all").stdout.splitlines()[1:]
    assert [row.split()[0] for row in every] == ["calm", "down"]


def test_errors_can_be_read_in_80_columns(wxctl: Wxctl, host: Host) -> None:
    error = "connection to 127.0.0.1:9 refused; check that it is running, and that its address is the one in post_api"
    host.add("alice", RUNNING)

    async def serve(_: web.Request) -> web.StreamResponse:
        state = {"state": "pending", "lane": "queue", "attempts": 9, "next_at": time.time() + 99}
        row = {"id": "c744577e-1", "seq": 1, "time": 1_700_000_000, "type": "state_change", **state}
        rows = [{**row, "last_error": error}, {**row, "last_error": ""}]
        return web.json_response({"to": "http://127.0.0.1:9/x", "pending": 2, "dead": 0, "deliveries": rows})

    host.process("alice").serve = serve
    terminal = Terminal(wxctl, "deliveries", "list", "alice", columns=80)
    shown = terminal.rest()
    assert terminal.end() == 0, shown
    assert max(map(len, shown.splitlines())) <= 80, shown
    assert error in " ".join(shown.split()), shown
    assert error in wxctl("deliveries", "list", "alice").stdout  # in its row


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
    (place / "credentials/alice.webhook-secret").write_text("correct horse battery staple\r\n\n")
    phrase = f"whsec_{base64.b64encode(b'correct horse battery staple').decode()}\n"
    assert wxctl("deliveries", "secret", "alice", *root).stdout == phrase
    (place / "credentials/alice.webhook-secret").rename(place / "credentials/alice.webhook-secret.cred")
    refused = wxctl("deliveries", "secret", "alice", *root)
    assert (refused.returncode, refused.stdout, "systemd-creds decrypt" in refused.stderr) == (1, "", True)
