"""wxctl ilink and tokens of agents, against a real controller."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.patience import PATIENCE
from tests.unit.cli.conftest import ROOT
from tests.unit.controller.test_ilink import SESSION_OVER, Stage, asks, code_of, served, status_of
from wxcontroller.cli.ilink import FORMS
from wxcontroller.core.jsontypes import text


@dataclass
class Done:
    code: int
    out: str
    err: str


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with served(tmp_path) as made:
        yield made


async def wxctl(stage: Stage, *arguments: str) -> Done:
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "WXCTL_URL": stage.host.url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wxcontroller.cli", *arguments),
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def test_an_agent_is_approved_by_its_link(stage: Stage) -> None:
    assert (await wxctl(stage, "ilink", "requests")).out == ""
    asked = await asks(stage, {"User-Agent": "Helper/1.0"})
    listed = await wxctl(stage, "ilink", "requests")
    assert ("Helper/1.0" in listed.out, code_of(asked) in listed.out) == (True, False)
    link = text(asked["qrcode_img_content"])
    wrong = await wxctl(stage, "ilink", "approve", stage.host.url, "--account", "alice", "--consumer", "helper")
    assert (wrong.code, "pairing link" in wrong.err) == (2, True)
    done = await wxctl(
        stage, "ilink", "approve", link, "--account", "alice", "--consumer", "helper", "--groups", "at"
    )
    assert (done.code, done.out) == (0, "helper may use alice now\n")
    assert json.loads(stage.agent.seen[-1][2]) == {"groups": "at"}
    confirmed = await status_of(stage, asked)
    assert (await stage.call("getconfig", text(confirmed["bot_token"])))["ret"] == 0
    again = await wxctl(stage, "ilink", "approve", link, "--account", "alice", "--consumer", "helper")
    assert (again.code, code_of(asked) in again.err) == (1, False)


async def test_tokens_are_made_listed_and_ended(stage: Stage) -> None:
    made = await wxctl(stage, "token", "create", "helper", "--scope", "ilink", "--account", "alice")
    token = made.out.strip()
    assert (await stage.call("getconfig", token))["ret"] == 0
    listed = await wxctl(stage, "ilink", "consumers", "alice")
    assert "helper" in listed.out
    assert token[4:12] in listed.out
    assert (await wxctl(stage, "ilink", "revoke", "alice", "helper")).code == 0
    assert await stage.call("getconfig", token) == SESSION_OVER


@pytest.mark.parametrize("kind", FORMS)
async def test_credentials_are_those_of_the_agents_program(stage: Stage, kind: str) -> None:
    done = await wxctl(
        stage, "ilink", "credentials", "alice", "helper", "--for", kind, "--base-url", "https://wx.example/"
    )
    assert done.code == 0
    is_json = kind != "hermes"
    found = json.loads(done.out) if is_json else dict(line.split("=", 1) for line in done.out.splitlines())
    [token] = [value for value in found.values() if value.startswith("wxc_")]
    assert (await stage.call("getconfig", token))["ret"] == 0
    assert "https://wx.example" in found.values()
