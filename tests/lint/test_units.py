"""Unit files, polkit rule and slice agree with each other and with the code."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.programs import run
from wxcontroller.client.login import session
from wxcontroller.controller.accounts import statefiles
from wxcontroller.core import names
from wxcontroller.core.config.alertsettings import Channel
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.paths import Paths
from wxcontroller.drivers.web.wire.timing import DEFAULT

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
# The highest exposure that `systemd-analyze security` may report, times ten.
THRESHOLDS = {
    "wxcontroller.service": 9,
    "wxclient@.service": 11,
    "wxclient-prepare@.service": 15,
    "wxclient-credentials@.service": 18,
    "wxclient-export@.service": 8,
    "wxclient-purge@.service": 25,
    "wxclient-journal@.service": 12,
    "wxcontroller-alert@.service": 15,
    "wxcontroller-receive@.service": 22,
    "wxcontroller-standby.service": 26,
    "wxcontroller-keeper.service": 15,
    "wxcontroller-sandbox.service": 20,
}
# These need more than the shared sandbox allows, and have one of their own.
_OTHERS = {"wxclient-purge@.service", "wxcontroller-receive@.service", "wxcontroller-standby.service"}
SANDBOXED = [unit for unit in SERVICES if unit not in _OTHERS]
SANDBOX = UNITS / "sandbox.conf"


def directives(unit: str) -> dict[str, list[str]]:
    """Return all values of all keys of a unit file and its drop-ins, in their order."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in (UNITS / unit, *sorted((UNITS / f"{unit}.d").glob("*.conf"))):
        for key, values in keys_of(file).items():
            found[key] += values
    return found


def keys_of(file: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in file.read_text().splitlines():
        if line and line[0] not in "#;[" and "=" in line:
            key, value = line.split("=", 1)
            found[key].append(value)
    return found


@pytest.mark.parametrize("unit", SERVICES)
def test_exposure_is_within_bounds(unit: str) -> None:
    command = ("systemd-analyze", "security", "--no-pager", "--offline=yes", f"--threshold={THRESHOLDS[unit]}")
    done = run(*command, UNITS / unit)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("unit", SANDBOXED)
def test_unit_uses_the_shared_sandbox_unchanged(unit: str) -> None:
    assert (UNITS / f"{unit}.d" / "10-sandbox.conf").resolve() == SANDBOX
    # Lists of paths add up, so a unit may have its own.
    assert not {*keys_of(UNITS / unit)} & {*keys_of(SANDBOX)} - {"InaccessiblePaths", "NoExecPaths", "ReadOnlyPaths"}


def test_drop_ins_belong_to_our_units_and_follow_the_sandbox() -> None:
    """A directory named service.d would change every service of the machine."""
    for place in UNITS.glob("*.d"):
        assert re.match(r"wx(client|controller)", place.name)
        assert {file.name[:3] for file in place.iterdir() if file.name != "10-sandbox.conf"} <= {"20-"}


@pytest.mark.parametrize("unit", SANDBOXED)
def test_unit_cannot_execute_files_from_writable_directories(unit: str) -> None:
    """NoExecPaths=/ does not cover other mounts: each must be named."""
    found = directives(unit)
    private = "private/" if found["DynamicUser"] == ["yes"] else ""
    writable = {
        *(f"/var/lib/{private}{each}" for each in found["StateDirectory"]),
        *(f"/run/{each}" for each in found["RuntimeDirectory"]),
        *(path.removeprefix("-") for value in found["ReadWritePaths"] for path in value.split()),
        *("/tmp", "/var/tmp", "/run"),
    }
    assert writable <= {path.removeprefix("-") for value in found["NoExecPaths"] for path in value.split()}


def test_slice_allows_the_ports_of_accounts() -> None:
    settings = Settings()
    expected = f"tcp:{settings.backend_start_port}-{settings.backend_end_port}"
    assert directives("wxclient.slice")["SocketBindAllow"] == [expected]
    assert directives("wxclient.slice")["SocketBindDeny"] == ["any"]


def test_polkit_and_code_accept_the_same_instance_names() -> None:
    rule = (UNITS / "50-wxcontroller.rules").read_text()
    patterns = re.findall(r"/\^wxclient(?:-purge)?@(.*?)\\\.service\$/", rule)
    assert len(patterns) == 2
    for example in ("alice", "My-Bot_1", "_x", "9lives", "x" * 27, "x" * 28, "-a", "a.b", "a b", "é", ""):
        for pattern in patterns:
            assert bool(re.fullmatch(pattern, example)) == names.is_instance(example), example


def test_each_alert_channel_has_its_units_and_directories() -> None:
    paths, tmpfiles = Paths(), (UNITS / "wxcontroller.tmpfiles").read_text()
    watched = [each.removesuffix("/*.json") for each in directives("wxcontroller-alert@.path")["PathExistsGlob"]]
    [allowed] = re.findall(r"wxcontroller-alert@\((.*?)\)", (UNITS / "50-wxcontroller.rules").read_text())
    assert allowed.split("|") == list(Channel)
    for channel in Channel:
        places = [str(paths.alerts_spool(channel)), str(paths.alerts_runtime(channel))]
        assert [each.replace("%i", channel) for each in watched] == places
        for place in places:
            assert re.search(rf"^d {place} +2770 wxcontroller wxalert -$", tmpfiles, re.MULTILINE), place
    [written] = [
        ReadWritePath
        for ReadWritePath in directives("wxcontroller-alert@.service")["ReadWritePaths"]
        if "spool" in ReadWritePath
    ]
    assert [part.removeprefix("-") for part in written.split()] == watched


def test_units_and_code_use_the_same_paths() -> None:
    paths, account = Paths(), directives("wxclient@.service")
    assert account["EnvironmentFile"] == [f"{paths.accounts}/%i.env", f"-{paths.overrides}/%i.env"]
    assert f"/var/lib/{account['StateDirectory'][0]}" == f"{paths.client_state}/%i"
    assert f"/run/{account['RuntimeDirectory'][0]}" == f"{paths.client_runtime}/%i"
    assert account["User"] == ["wxc-%i"]
    [mounted] = [
        BindReadOnlyPath for BindReadOnlyPath in account["BindReadOnlyPaths"] if "credentials" in BindReadOnlyPath
    ]
    [copied] = directives("wxclient-credentials@.service")["RuntimeDirectory"]
    assert mounted == f"-/run/{copied}/files:{paths.credentials}"
    export = directives("wxclient-export@.service")
    # Otherwise each would change the owner or the mode of the other's files.
    for key in ("User", "Group", "DynamicUser", "StateDirectory", "StateDirectoryMode", "Slice"):
        assert export[key] == account[key]
    assert export["ExecStart"][0].startswith("/usr/bin/python3 -I -S /usr/lib/wxcontroller/wxclient-export ")
    for stream in ("StandardInput", "StandardOutput"):
        assert export[stream] == [f"file:{paths.export_socket('x').parent}/%i"]
    for unit in ("wxclient-prepare@.service", "wxclient-purge@.service"):
        assert f"{paths.accounts}/%i.env" in (UNITS / unit).read_text()


def test_watchdog_ends_a_client_after_three_missing_signs_of_life() -> None:
    [watchdog] = directives("wxclient@.service")["WatchdogSec"]
    assert 3 * DEFAULT.progress_every < int(watchdog) <= 5 * DEFAULT.progress_every


def test_controller_believes_states_as_old_as_a_healthy_client_may_write() -> None:
    assert DEFAULT.offline_after + session._FRESH < statefiles.BELIEVED_SECONDS <= 60
