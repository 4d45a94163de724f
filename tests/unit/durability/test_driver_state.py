"""What is done is what the database says: a stop, a kill or an upgrade loses and repeats no message."""

import asyncio
from pathlib import Path

import pytest

from tests.patience import until
from tests.unit.client.conftest import locked
from tests.unit.durability.process import Process, processed


def texts(account: Process) -> list[str]:
    """Texts of reported messages, those delivered again under the same id left out."""
    return [str(one["content"]) for one in account.webhook.once() if one.get("post_type") == "receive_message"]


async def reported(account: Process, *wanted: str) -> None:
    await account.webhook.until(lambda _: set(wanted) <= set(texts(account)))


async def synced(account: Process) -> None:
    before = account.wechat.requests("webwxsync")
    await until(lambda: account.wechat.requests("webwxsync") != before)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_unstored_message_is_received_again_after_a_restart(tmp_path: Path, end: str) -> None:
    async with processed(tmp_path) as account:
        account.account.resend = False  # what was acknowledged is gone
        await account.start(login=True)
        account.wechat.hear(account.account, "first")
        await reported(account, "first")
        with locked(account.paths.state("alice") / "events.db"):
            account.wechat.hear(account.account, "second")
            await synced(account)
            await asyncio.sleep(0.3)  # time to write whatever is not in the log
            await (account.stop() if end == "stop" else account.kill())
        await account.start()
        account.wechat.hear(account.account, "third")
        await reported(account, "third")
        assert texts(account) == ["first", "second", "third"]
