"""wxctl target, with a real controller."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE
from tests.unit.controller.machine import ROOT_TOKEN, Machine


async def wxctl(host: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WXCTL_URL": host.url, "WXCTL_TOKEN": ROOT_TOKEN, "NO_COLOR": "1", "LANG": "C.UTF-8"}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "wxcontroller.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


async def test_targets_are_added_shown_and_removed(tmp_path: Path) -> None:
    async with Machine(tmp_path) as host:
        await host.start("alice")
        assert "no notification targets" in (await wxctl(host, "target", "list")).stderr
        added = await wxctl(host, "target", "add", "ops", "alice", "家人", "--group")
        assert (added.returncode, added.stdout.startswith("wxc_")) == (0, True)
        assert f"{host.url}/notify/ops" in added.stderr
        shown = added.stdout.strip()
        assert host.gate.notifier(shown) is not None
        listed = await wxctl(host, "target", "list")
        assert all(word in listed.stdout for word in ("ops", "alice", "家人"))
        assert shown.rpartition("_")[2] not in listed.stdout
        [row] = json.loads((await wxctl(host, "--json", "target", "list")).stdout)
        assert json.loads((await wxctl(host, "target", "show", "ops", "--json")).stdout) == row
        assert f"gotify: {host.url}/notify/ops/" in (await wxctl(host, "target", "show", "ops")).stdout
        again = await wxctl(host, "target", "add", "ops", "alice", "filehelper")
        assert (again.returncode, again.stdout) == (8, "")
        unknown = await wxctl(host, "target", "add", "new", "nobody", "filehelper")
        assert unknown.returncode == 4
        assert (await wxctl(host, "target", "remove", "ops")).returncode == 0
        assert host.gate.notifier(shown) is None
        assert (await wxctl(host, "target", "remove", "ops")).returncode == 4
