"""wxctl ilink and tokens of agents, against a real controller."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.unit.cli.conftest import Wxctl
from tests.unit.controller.test_ilink import SESSION_OVER, Stage, asks, code_of, served, status_of
from wxcontroller.cli.verbs.traffic.ilink import FORMS
from wxcontroller.core.jsontypes import text

Run = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with served(tmp_path) as made:
        yield made


@pytest.fixture
def wxctl(stage: Stage, tmp_path: Path) -> Run:
    return partial(asyncio.to_thread, Wxctl(tmp_path, stage.host.url))


async def test_agent_is_approved_by_its_pairing_link_and_revoked(stage: Stage, wxctl: Run) -> None:
    asked = await asks(stage, {"User-Agent": "Helper/1.0"})
    listed = await wxctl("ilink", "requests")
    assert ("Helper/1.0" in listed.stdout, code_of(asked) in listed.stdout) == (True, False)
    link = text(asked["qrcode_img_content"])
    wrong = await wxctl("ilink", "approve", stage.host.url, "--account", "alice", "--consumer", "helper")
    assert (wrong.returncode, "pairing link" in wrong.stderr) == (2, True)
    done = await wxctl("ilink", "approve", link, "--account", "alice", "--consumer", "helper", "--groups", "at")
    assert (done.returncode, done.stdout) == (0, "helper may use alice now\n")
    assert json.loads(stage.agent.seen[-1][2]) == {"groups": "at"}
    token = text((await status_of(stage, asked))["bot_token"])
    assert (await stage.call("getconfig", token))["ret"] == 0
    again = await wxctl("ilink", "approve", link, "--account", "alice", "--consumer", "helper")
    assert (again.returncode, code_of(asked) in again.stderr) == (1, False)
    listed = await wxctl("ilink", "consumers", "alice")
    assert ("helper" in listed.stdout, token[4:12] in listed.stdout) == (True, True)
    assert (await wxctl("ilink", "revoke", "alice", "helper")).returncode == 0
    assert await stage.call("getconfig", token) == SESSION_OVER
    made = await wxctl("token", "create", "other", "--scope", "ilink", "--account", "alice")
    assert (await stage.call("getconfig", made.stdout.strip()))["ret"] == 0


@pytest.mark.parametrize("kind", FORMS)
async def test_credentials_have_the_format_of_the_agents_program(stage: Stage, wxctl: Run, kind: str) -> None:
    done = await wxctl("ilink", "credentials", "alice", "helper", "--for", kind, "--base-url", "https://wx.example/")
    assert done.returncode == 0
    is_json = kind != "hermes"
    found = json.loads(done.stdout) if is_json else dict(line.split("=", 1) for line in done.stdout.splitlines())
    [token] = [value for value in found.values() if value.startswith("wxc_")]
    assert (await stage.call("getconfig", token))["ret"] == 0
    assert "https://wx.example" in found.values()
    # Programs whose address of media can be set get ours; of the others it is said which media work.
    has_address = kind in ("openilink", "astrbot", "hermes", "json")
    assert ("https://wx.example/ilink/c2c" in found.values()) is has_address
    told = {"langbot": "not work", "wechatbot": "not work", "openilink": "no media", "json": "full_url"}
    assert told.get(kind, "through the controller") in done.stderr
