"""An account's life above its driver: the same on every route. What differs is in ``routes``."""

from pathlib import Path

import pytest

from tests.unit.durability.process import Process, processed
from tests.unit.durability.routes import ROUTES, Route
from wxcontroller.core.jsontypes import items


async def written(account: Process, *words: str) -> list[str]:
    """Be a person who writes; return the ids once all are reported."""
    ids = [account.route.write(account, each) for each in words]
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
        await account.start()  # without a scan
        await account.webhook.until(lambda reports: any(report.get("id") == missed for report in reports))
        url = f"http://127.0.0.1:{account.port}/v1/logout"
        async with account.http.post(url) as answer:
            assert answer.status == 200
        await account.stop()
        await account.launch()
        await account.until_state("scaning")
