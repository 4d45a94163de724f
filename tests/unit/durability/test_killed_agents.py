"""An account that is killed while agents poll and send: they get every message, and each answer arrives once."""

import asyncio
import contextlib
from pathlib import Path

import aiohttp

from tests.patience import PATIENCE, until
from tests.unit.client.ilink_agent import Agent, Json
from tests.unit.durability.process import processed

# All paths are below a directory of the test's: the secret of the account's port is in one of them.
_PROGRAM = """
import sys
from pathlib import Path
from wxcontroller.core.paths import Paths
Paths.__init__.__defaults__ = (Path({root!r}),)
from wxcontroller.client.__main__ import main
sys.exit(main())
"""


class Stubborn(Agent):
    """An agent that repeats a call until the account answers."""

    async def call(self, name: str, expected: int = 200, **body: Json) -> Json:
        async with asyncio.timeout(2 * PATIENCE):
            while True:
                with contextlib.suppress(aiohttp.ClientError, AssertionError, FileNotFoundError):
                    return await super().call(name, expected, **body)
                await asyncio.sleep(0.05)


async def test_kill_loses_no_message_and_doubles_no_answer(tmp_path: Path) -> None:
    async with processed(tmp_path) as account:
        account.program = ("-c", _PROGRAM.format(root=str(tmp_path)))
        await account.start(login=True)
        agent, heard, answered = Stubborn(account), list[int](), set[int]()
        await agent.attend()

        async def serve() -> None:
            """Answer each message once, and move the cursor afterwards."""
            while True:
                for message in await agent.messages():
                    number, words = message["message_id"], message["item_list"][0]["text_item"]["text"]
                    heard.append(number)
                    answer = {"context_token": message["context_token"], "client_id": f"answer-{number}"}
                    async with asyncio.timeout(2 * PATIENCE):
                        while (await agent.send_text(f"to {words}", message["from_user_id"], **answer))["ret"] != 0:
                            await asyncio.sleep(0.05)  # not logged in again yet
                    answered.add(number)

        serving = asyncio.create_task(serve())
        written: list[int] = []
        try:
            for life in range(2):
                for number in range(4):
                    written.append(int(account.route.write(account, f"{life} {number}")))
                    await asyncio.sleep(0.02)  # so that the kill comes at any moment
                await account.kill()
                await account.start()
            arrived = await account.until_arrived(len(written))
            await until(lambda: len(answered) >= len(written))
        finally:
            serving.cancel()
            await asyncio.wait({serving})
    assert sorted(set(heard)) == sorted(written)
    assert sorted(arrived) == sorted(f"to {life} {number}" for life in range(2) for number in range(4))
