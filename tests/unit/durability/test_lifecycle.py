"""An account's life above its driver, on every route, and messages that arrive when it ends."""

import asyncio
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.ports import free_port
from tests.unit.client.conftest import locked
from tests.unit.durability.process import Process, processed
from tests.unit.durability.routes import ILINK, ROUTES, Route
from wxcontroller.core.jsontypes import items


async def test_second_process_of_an_account_does_not_start(tmp_path: Path) -> None:
    async with processed(tmp_path) as account:
        await account.start(login=True)
        first, port = account.process, account.port
        account.environ["MOJO_WEIXIN_PLUGIN_OPENWX_PORT"] = str(free_port())
        await account.launch()
        assert account.process is not None
        async with asyncio.timeout(PATIENCE):
            assert await account.process.wait() == 78
        assert "already runs: another process uses" in account.log.read_text()
        account.process = first
        account.environ["MOJO_WEIXIN_PLUGIN_OPENWX_PORT"] = str(port)
        await written(account, "hello")
        # A process that was killed holds no lock.
        await account.kill()
        await account.start()


async def test_messages_that_cannot_be_kept_at_a_stop_are_named(tmp_path: Path) -> None:
    async with processed(tmp_path, ILINK) as account:
        (account.paths.state("alice") / "unsaved.json").mkdir()
        await account.start(login=True)
        account.route.write(account, "before")  # once it is stored, the next poll begins whatever the log does
        await account.webhook.messages(1)
        with locked(account.paths.state("alice") / "events.db"):
            message = account.route.write(account, "while it is locked")
            await account.until_v1(lambda found: found["trouble"], "deliveries")
            await account.stop()
        assert account.process is not None and account.process.returncode == 74
        text = account.log.read_text()
        assert "1 messages from WeChat are lost" in text and message in text


async def written(account: Process, *words: str) -> list[str]:
    """Write messages as a person; return the ids once all are reported."""
    ids = [account.route.write(account, word) for word in words]
    await account.webhook.until(lambda reports: {*ids} <= {str(report.get("id")) for report in reports})
    return ids


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_login_messages_restart_and_logout(tmp_path: Path, route: Route) -> None:
    async with processed(tmp_path, route) as account:
        await account.launch()
        state = await account.until_state("scaning")
        assert state["qrcode_link"]
        assert account.paths.qrcode_file("alice").stat().st_size
        await account.scan()
        state = await account.until_state("running")
        assert (state["driver"], state["login_state"], state["qrcode_link"]) == (route.name, "running", None)
        assert not account.paths.qrcode_file("alice").exists()
        assert items(await account.webhook.event("login"))[0] == 1  # by a scan
        await written(account, "hello")
        assert (await account.send("welcome"))["code"] == 0
        assert await account.until_arrived(1) == ["welcome"]
        await account.stop()
        missed = account.route.write(account, "while it was away")
        # As after a kill before the file was renamed into place.
        unfinished = account.paths.state("alice") / ".mojo_weixin_cookie_alice.dat.x3f_0k2q"
        unfinished.write_text("cookies")
        await account.start()  # without a scan
        assert not unfinished.exists()
        await account.webhook.until(lambda reports: any(report.get("id") == missed for report in reports))
        url = f"http://127.0.0.1:{account.port}/v1/logout"
        async with account.http.post(url) as answer:
            assert answer.status == 200
        await account.stop()
        await account.launch()
        await account.until_state("scaning")


def texts(account: Process) -> list[str]:
    """Texts of reported messages, those delivered again under the same id left out."""
    return [str(one["content"]) for one in account.webhook.once() if one.get("post_type") == "receive_message"]


async def reported(account: Process, *wanted: str) -> None:
    await account.webhook.until(lambda _: set(wanted) <= set(texts(account)))


async def synced(account: Process) -> None:
    before = account.wechat.requests("webwxsync")
    await until(lambda: account.wechat.requests("webwxsync") != before)


async def test_unstored_message_is_received_again_after_a_crash(tmp_path: Path) -> None:
    async with processed(tmp_path) as account:
        account.account.resend = False  # what was acknowledged is gone
        await account.start(login=True)
        account.wechat.hear(account.account, "first")
        await reported(account, "first")
        with locked(account.paths.state("alice") / "events.db"):
            account.wechat.hear(account.account, "second")
            await synced(account)
            await asyncio.sleep(0.3)  # time to write whatever is not in the log
            await account.kill()
        await account.start()
        account.wechat.hear(account.account, "third")
        await reported(account, "third")
        assert texts(account) == ["first", "second", "third"]
