"""Debian's own programs that send notifications, unmodified: apprise and the client of ntfy.

A real controller, a real account and WeChat's sandbox; what they send arrives on the phone, File Transfer's chat.
"""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.openapi.served import Served, served
from tests.patience import PATIENCE
from tests.programs import run as run_program


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("world")) as world:
        yield world


def call(method: str, url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def token(running: Served) -> str:
    """Return the token of target ops, which is alice's File Transfer."""
    body = {"name": "ops", "account": "alice", "peer": "filehelper"}
    return str(call("POST", f"{running.url}/v1/targets", body)["token"])


def run(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return run_program(*command, cwd=tmp_path, env={"HOME": str(tmp_path), "LANG": "C.UTF-8"})


def sent(running: Served) -> list[tuple[str, str]]:
    """Return the texts and the names of files that alice has sent, oldest first, once none waits."""
    deadline = time.monotonic() + PATIENCE
    while call("GET", f"{running.url}/v1/accounts/alice/sends")["sends"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = call("GET", f"{running.url}/v1/accounts/alice/events?type=send_message&limit=500")
    reports = [event["report"] for event in found["events"]]
    return [(report.get("content", ""), report.get("media_name", "")) for report in reports]


def test_apprise(running: Served, token: str, tmp_path: Path) -> None:
    host = running.url.removeprefix("http://")
    picture = tmp_path / "picture 1.txt"
    picture.write_text("content")
    ntfy, gotify = f"ntfy://{token}@{host}/ops?priority=high&auth=token", f"gotify://{host}/notify/ops/{token}"
    for arguments in (
        ("-t", "Disk", "-b", "by ntfy: 97 %", ntfy),
        ("-b", "with a file", "--attach", str(picture), ntfy),
        ("-t", "T", "-b", "by gotify", gotify),
    ):
        done = run(tmp_path, "apprise", "-vv", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    found = sent(running)
    assert {("Disk\nby ntfy: 97 %", ""), ("T\nby gotify", "")} <= set(found)
    assert any(name.startswith("picture") for _, name in found)
    assert run(tmp_path, "apprise", "-b", "x", f"ntfy://wrong@{host}/ops?auth=token").returncode != 0


def test_the_client_of_ntfy(running: Served, token: str, tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("content")
    url = f"{running.url}/notify/ops"
    for arguments in (
        ("--token", token, "--title", "T", "--tags", "tada", url, "ntfy: 你好"),
        ("--user", f"me:{token}", "--file", str(file), url, "ntfy with a file"),
    ):
        done = run(tmp_path, "ntfy", "publish", *arguments)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["state"] in ("waiting", "delivered", "accepted")
        # What became of it is known later.
        sent(running)
        send = call("GET", f"{running.url}/v1/accounts/alice/sends/{answer['send_id']}")
        assert send["state"] in ("delivered", "accepted")
    found = sent(running)
    assert ("🎉 T\nntfy: 你好", "") in found
    assert any(name == "report.txt" for _, name in found)
    assert run(tmp_path, "ntfy", "publish", "--token", "tk_wrong", url, "x").returncode != 0
