"""A machine without a fleet, as processes."""

import asyncio
import json
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.certificates import self_signed
from tests.patience import PATIENCE
from tests.unit.controller.processes import REPOSITORY, Host, started
from wxcontroller.core.access import CALLER_HEADER

_PROFILE = {"PYTHONPROFILEIMPORTTIME": "1"}  # lists every module that is imported


@pytest.mark.parametrize("fleet", [False, True])
async def test_fleet_modules_are_loaded_only_in_a_fleet(tmp_path: Path, fleet: bool) -> None:
    host = Host(tmp_path)
    certificate, _ = self_signed(tmp_path, "b")
    (tmp_path / "token").write_text("wxc_12345678_" + "0" * 64)
    described = f'url = "https://127.0.0.2:9"\ntoken = "{tmp_path}/token"\nca_file = "{certificate}"'
    host.settings(f'[fleet]\nname = "a"\n[fleet.hosts.b]\n{described}' if fleet else "")
    process = await host.run(["--root", str(tmp_path)], asyncio.subprocess.PIPE, **_PROFILE)
    await host.notifications.wait("READY=1")
    url = f"http://127.0.0.1:{host.address[1]}/v1"
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/fleet") as answer:
            assert (await answer.json())["name"] == ("a" if fleet else None)
        async with http.get(f"{url}/accounts", headers={CALLER_HEADER: "{}"}) as answer:
            assert (answer.status, json.loads(await answer.read())["error"]["code"]) == (403, "not-a-hop")
    process.terminate()
    async with asyncio.timeout(PATIENCE):
        _, said = await process.communicate()
    host.close()
    loaded = {
        line.rpartition("|")[2].strip() for line in said.decode().splitlines() if line.startswith("import time")
    }
    assert "wxcontroller.controller.service" in loaded
    assert {"wxcontroller.controller.hosts", "wxcontroller.fleet.host"} <= loaded or not fleet
    of_etcd = ("wxcontroller.fleet.etcd", "wxcontroller.fleet.owners", "wxcontroller.controller.hostowners")
    assert not loaded.intersection(of_etcd)
    joining = ("wxcontroller.fleet", "wxcontroller.controller.host")
    assert fleet or not [name for name in loaded if name.startswith(joining)]


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
    host.settings(f'[fleet]\nname = "c"\n[fleet.hosts.b]\n{described}')
    checked = await asyncio.create_subprocess_exec(
        *("/usr/bin/python3", "-m", "wxcontroller.controller", "--root", str(tmp_path), "--check-config"),
        cwd=REPOSITORY,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await checked.communicate()
    assert (checked.returncode, b"fleet.hosts.b.token" in said) == (78, True)
