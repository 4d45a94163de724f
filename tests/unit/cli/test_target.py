"""wxctl target, with a real controller."""

import json

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import RUNNING, Host
from tests.unit.controller.machine import ROOT_TOKEN


def test_targets_are_added_shown_and_removed(wxctl: Wxctl, host: Host) -> None:
    wxctl.environment["WXCTL_TOKEN"] = ROOT_TOKEN
    host.add("alice", RUNNING)
    assert "no notification targets" in wxctl("target", "list").stderr
    added = wxctl("target", "add", "ops", "alice", "家人", "--group")
    assert (added.returncode, added.stdout.startswith("wxc_")) == (0, True)
    assert f"{host.url}/notify/ops" in added.stderr
    shown = added.stdout.strip()
    assert host.machine.gate.notifier(shown) is not None
    listed = wxctl("target", "list")
    assert all(word in listed.stdout for word in ("ops", "alice", "家人"))
    assert shown.rpartition("_")[2] not in listed.stdout
    [row] = json.loads(wxctl("--json", "target", "list").stdout)
    assert json.loads(wxctl("target", "show", "ops", "--json").stdout) == row
    assert f"gotify: {host.url}/notify/ops/" in wxctl("target", "show", "ops").stdout
    again = wxctl("target", "add", "ops", "alice", "filehelper")
    assert (again.returncode, again.stdout) == (8, "")
    unknown = wxctl("target", "add", "new", "nobody", "filehelper")
    assert unknown.returncode == 4
    assert wxctl("target", "remove", "ops").returncode == 0
    assert host.machine.gate.notifier(shown) is None
    assert wxctl("target", "remove", "ops").returncode == 4
