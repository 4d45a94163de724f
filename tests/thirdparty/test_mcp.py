"""The public MCP client, unmodified, lists and calls all tools of a controller whose account talks to the sandbox."""

import asyncio
import base64
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.openapi.world import World, world
from tests.patience import PATIENCE, until
from tests.programs import fetched
from tests.tokens import token
from tests.unit.drivers.kit import friend, script
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.sandbox.world.phone import ServerAccount

PROGRAM = Path(__file__).parent / "clients" / "call_mcp.py"
READING = ["list_accounts", "find_people", "read_messages", "get_media"]


@dataclass
class Agent:
    process: Process

    async def line(self) -> JsonObject:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        assert line, "the client has ended"
        return obj(json.loads(line))

    async def call(self, tool: str, **arguments: JsonValue) -> JsonObject:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([tool, arguments]).encode() + b"\n")
        return await self.line()

    async def result(self, tool: str, **arguments: JsonValue) -> JsonObject:
        """Return the JSON of a tool that succeeds."""
        result = await self.call(tool, **arguments)
        assert result.get("isError") is False, result
        return obj(json.loads(text(obj(items(result["content"])[-1])["text"])))

    async def error(self, tool: str, **arguments: JsonValue) -> str:
        """Return the message of a tool that fails."""
        result = await self.call(tool, **arguments)
        assert result.get("isError") is True, result
        return text(obj(items(result["content"])[0])["text"])


@contextlib.asynccontextmanager
async def agent(
    address: str, shown: str, mode: str = "auto", enter: Sequence[str] = ()
) -> AsyncIterator[tuple[Agent, JsonObject]]:
    """Run the client; yield it and its first line. ``enter``: the beginning of its command."""
    process = await asyncio.create_subprocess_exec(
        *(*enter, sys.executable, str(PROGRAM), f"{address}/mcp", shown, mode),
        env={"PYTHONPATH": str(fetched("mcp")), "PATH": "/usr/bin:/bin"},
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        running = Agent(process)
        yield running, await running.line()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def received(made: World, person: ServerAccount, **message: JsonValue) -> None:
    """Have the account receive a message of a friend."""
    await script(made.wechat.url, person, "POST", "receive", {"from": friend(person), **message})


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, mcp_serve=True) as running:
        yield running


@pytest.mark.parametrize(("mode", "revision"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_agent_reads_messages_and_replies(made: World, mode: str, revision: str) -> None:
    person = await made.account("alice")
    await made.get("start_client", client="waiting")
    shown = token(made, Scope.CONTROL)
    async with agent(made.url, shown, mode) as (client, first):
        assert (first["protocol"], first["server"]) == (revision, "wxcontroller")
        assert first["tools"] == [*READING, "send_message", "get_login_code"]
        accounts = items((await client.result("list_accounts"))["accounts"])
        assert {text(obj(account)["name"]) for account in accounts} == {"alice", "waiting"}
        before = (await client.result("read_messages", account="alice"))["after"]
        assert before is None
        await received(made, person, kind="text", text="今天几点？")
        await received(made, person, kind="image")

        def complete(answer: JsonObject) -> bool:
            found = items(answer["messages"])
            return len(found) == 2 and bool(obj(obj(found[-1])["media"]).get("file"))

        answer = await until(lambda: client.result("read_messages", account="alice"), complete)
        words, picture = map(obj, items(answer["messages"]))
        assert (words["text"], words["direction"]) == ("今天几点？", "in")
        chat = text(words["chat"])
        assert chat in json.dumps(await client.result("find_people", account="alice"))
        result = await client.call("get_media", account="alice", file=text(obj(picture["media"])["file"]))
        [image] = map(obj, items(result["content"]))
        assert (image["type"], image["mimeType"]) == ("image", "image/jpeg")
        assert base64.b64decode(text(image["data"])).startswith(b"\xff\xd8")
        sent = await client.result("send_message", account="alice", to=chat, text="三点")
        assert sent["state"] == "delivered"
        later = await client.result("read_messages", account="alice", after=text(answer["after"]))
        assert [text(obj(message)["text"]) for message in items(later["messages"])] == ["三点"]
        again = await client.result("read_messages", account="alice", after=text(later["after"]))
        assert (again["messages"], again["after"]) == ([], later["after"])
        code = await until(lambda: client.call("get_login_code", account="waiting"), lambda code: not code["isError"])
        assert obj(items(code["content"])[0])["mimeType"] == "image/png"
        assert "no account" in await client.error("read_messages", account="nobody")
        assert "find_people" in await client.error("send_message", account="alice", to="nobody", text="x")
        assert "limit is not from 1 to 100" in await client.error("read_messages", account="alice", limit=1000)
    assert [each.text for each in person.sent] == ["三点"]
