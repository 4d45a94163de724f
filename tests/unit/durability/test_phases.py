"""Accounts that end between two phases of their life lose nothing and start again, on each route."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.durability.process import Process, processed
from tests.unit.durability.routes import ROUTES, Route
from wxcontroller.core.process.faultpoints import VARIABLE, Phase

# The rest end in an orderly stop.
BEGINNING = (Phase.OPENED, Phase.TAKEN_UP, Phase.CONNECTED, Phase.LISTENING, Phase.READY)


async def ended(account: Process) -> int:
    assert account.process is not None
    async with asyncio.timeout(PATIENCE):
        return await account.process.wait()


def reports(account: Process, kind: str, name: str) -> list[str]:
    return [str(report[name]) for report in account.webhook.once() if report.get("post_type") == kind]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_account_that_ends_between_two_phases_loses_nothing(tmp_path: Path, route: Route) -> None:
    async with processed(tmp_path, route, MOJO_WEIXIN_SEND_INTERVAL="1") as account:
        account.account.resend = False  # what was acknowledged is gone
        await account.start(login=True)
        await account.stop()
        written, sent = list[str](), list[str]()
        for number, phase in enumerate(Phase):
            # On one route each phase ends in one way, on the next in the other.
            way = (signal.SIGTERM, signal.SIGKILL)[(number + ROUTES.index(route)) % 2]
            account.environ[VARIABLE] = f"{phase}:1:{way}"
            await account.launch()
            written.append(route.write(account, f"to {phase}"))
            if phase not in BEGINNING:
                await account.until_state("running")
                await account.webhook.until(lambda _: written[-1] in reports(account, "receive_message", "id"))
                assert (await account.send(f"sent before {phase}"))["code"] == 0
                await account.send(f"queued at {phase}", later=True)
                sent += [f"sent before {phase}", f"queued at {phase}"]
                assert account.process is not None
                account.process.terminate()
            assert await ended(account) == (-way if way is signal.SIGKILL else 0), account.log.read_text()
            assert account.paths.pid_file("alice").exists() == (way is signal.SIGKILL)
            if phase in (Phase.DRAINED, Phase.CLOSED):
                assert account.arrived()[-1] == sent[-1]
        del account.environ[VARIABLE]
        delivered = len(account.webhook.ids)
        await account.start()
        await until(lambda: reports(account, "receive_message", "id") == written)
        await until(lambda: sorted(reports(account, "send_message", "content")) == sorted(sent))
        assert account.arrived() == sent
        # After the last phase everything was on disk.
        assert not {*account.webhook.ids[:delivered]} & {*account.webhook.ids[delivered:]}
        assert "Traceback" not in account.log.read_text()
