"""A host joins and leaves a fleet by a reload of its settings."""

import signal
from pathlib import Path

import aiohttp

from tests.certificates import self_signed
from tests.unit.controller.processes import Host, started


async def test_reload_applies_new_hosts_and_ignores_invalid_ones(tmp_path: Path) -> None:
    host = Host(tmp_path)
    certificate, _ = self_signed(tmp_path, "b")
    token = tmp_path / "token"
    token.write_text("wxc_12345678_" + "0" * 64)
    described = f'url = "https://127.0.0.2:9"\ntoken = "{token}"\nca_file = "{certificate}"'
    async with started(host) as process, aiohttp.ClientSession() as http:

        async def reloaded(settings: str) -> tuple[object, object]:
            host.settings(settings)
            process.send_signal(signal.SIGHUP)
            await host.notifications.wait("READY=1")
            url = f"http://127.0.0.1:{host.address[1]}/v1"
            async with http.get(f"{url}/fleet") as answer:
                name = (await answer.json())["name"]
            async with http.get(f"{url}/health") as answer:
                return name, (await answer.json())["settings"]["error"]

        assert await reloaded(f'[fleet]\nname = "a"\n[fleet.hosts.b]\n{described}') == ("a", None)
        token.unlink()
        name, error = await reloaded(f'[fleet]\nname = "c"\n[fleet.hosts.b]\n{described}')
        assert (name, "fleet.hosts.b.token" in str(error)) == ("a", True)
        assert await reloaded("") == (None, None)
    host.close()
