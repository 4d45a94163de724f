"""wxctl target, with a real controller."""

import json
from pathlib import Path

from tests.unit.cli.conftest import Wxctl
from tests.unit.controller.machine import ROOT_TOKEN, Machine


async def test_targets_are_added_shown_and_removed(tmp_path: Path) -> None:
    async with Machine(tmp_path) as host:
        wxctl = Wxctl(tmp_path, host.url, {"WXCTL_TOKEN": ROOT_TOKEN}).beside
        await host.start("alice")
        assert "no notification targets" in (await wxctl("target", "list")).stderr
        added = await wxctl("target", "add", "ops", "alice", "家人", "--group")
        assert (added.returncode, added.stdout.startswith("wxc_")) == (0, True)
        assert f"{host.url}/notify/ops" in added.stderr
        shown = added.stdout.strip()
        assert host.gate.notifier(shown) is not None
        listed = await wxctl("target", "list")
        assert all(word in listed.stdout for word in ("ops", "alice", "家人"))
        assert shown.rpartition("_")[2] not in listed.stdout
        [row] = json.loads((await wxctl("--json", "target", "list")).stdout)
        assert json.loads((await wxctl("target", "show", "ops", "--json")).stdout) == row
        assert f"gotify: {host.url}/notify/ops/" in (await wxctl("target", "show", "ops")).stdout
        again = await wxctl("target", "add", "ops", "alice", "filehelper")
        assert (again.returncode, again.stdout) == (8, "")
        unknown = await wxctl("target", "add", "new", "nobody", "filehelper")
        assert unknown.returncode == 4
        assert (await wxctl("target", "remove", "ops")).returncode == 0
        assert host.gate.notifier(shown) is None
        assert (await wxctl("target", "remove", "ops")).returncode == 4
