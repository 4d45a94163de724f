"""An account that is killed while agents poll and send: they get every message, and each answer arrives once."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp

from tests.patience import PATIENCE, until
from tests.unit.durability.process import Process, processed
from wxcontroller.openwx import credentials

# All paths are below a directory of the test's: the secret of the account's port is in one of them.
_PROGRAM = """
import sys
from pathlib import Path
from wxcontroller.core.paths import Paths
Paths.__init__.__defaults__ = (Path({root!r}),)
from wxcontroller.client.__main__ import main
sys.exit(main())
"""


async def call(account: Process, name: str, **body: Any) -> Any:
    """Make an agent's call; it is repeated until the account answers."""
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            with contextlib.suppress(aiohttp.ClientError, FileNotFoundError):
                secret = account.paths.port_secret("alice").read_text().strip()
                headers = {credentials.PORT_HEADER: f"ilink {secret}", "X-Wx-Consumer": "agent"}
                url = f"http://127.0.0.1:{account.port}/ilink/bot/{name}"
                async with account.http.post(url, json=body, headers=headers) as answer:
                    if answer.status == 200:
                        return await answer.json()
            await asyncio.sleep(0.05)


async def test_a_kill_loses_no_message_and_doubles_no_answer(tmp_path: Path) -> None:
    async with processed(tmp_path) as account:
        account.program = ("-c", _PROGRAM.format(root=str(tmp_path)))
        await account.start(login=True)
        first = asyncio.ensure_future(call(account, "getupdates", get_updates_buf=""))
        url = f"http://127.0.0.1:{account.port}/v1/consumers"
        async with asyncio.timeout(PATIENCE):
            while True:
                async with account.http.get(url) as answer:
                    if [one["behind"] for one in (await answer.json())["consumers"]] == [0]:
                        break
                await asyncio.sleep(0.01)
        heard: list[int] = []
        answered: dict[int, str] = {}

        async def serve() -> None:
            """Be an agent that answers each message once, and keeps its cursor when it has."""
            found = await first
            while True:
                for message in found["msgs"]:
                    heard.append(message["message_id"])
                    await reply(message)
                found = await call(account, "getupdates", get_updates_buf=found["get_updates_buf"])

        async def reply(message: Any) -> None:
            words = message["item_list"][0]["text_item"]["text"]
            number = message["message_id"]
            sent = {
                "to_user_id": message["from_user_id"],
                "context_token": message["context_token"],
                "client_id": f"answer-{number}",
                "message_type": 2,
                "message_state": 2,
                "item_list": [{"type": 1, "text_item": {"text": f"to {words}"}}],
            }
            async with asyncio.timeout(2 * PATIENCE):
                while (found := await call(account, "sendmessage", msg=sent))["ret"] != 0:
                    await asyncio.sleep(0.05)  # not logged in again yet
            answered[number] = str(found.get("message_id", ""))

        agent = asyncio.create_task(serve())
        written: list[int] = []
        try:
            for life in range(2):
                for number in range(4):
                    written.append(int(account.route.write(account, f"{life} {number}")))
                    await asyncio.sleep(0.02)  # the moment of the kill is to be any
                await account.kill()
                await account.start()
            arrived = await account.until_arrived(len(written))
            await until(lambda: len(answered) >= len(written))
        finally:
            agent.cancel()
            await asyncio.wait({agent})
    assert sorted(set(heard)) == sorted(written)
    assert sorted(arrived) == sorted(f"to {life} {number}" for life in range(2) for number in range(4))
