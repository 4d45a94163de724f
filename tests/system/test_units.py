"""The installed units: their permissions, restarts and limits."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.actors import CONTROLLER, Caller, until
from tests.system.host import Host
from tests.system.units import dropin, inside, show

pytestmark = pytest.mark.system
UNITS = (
    *("wxcontroller.service", "wxcontroller.socket", "wxcontroller-sandbox.service", "wxclient.slice"),
    "wxclient.target",
    *(f"wxclient{part}@x.service" for part in ("", "-prepare", "-credentials", "-purge", "-journal", "-export")),
    *(f"wxcontroller-alert@{channel}.service" for channel in ("webhook", "mail", "command")),
    *("wxclient-journal.socket", "wxcontroller-alert@webhook.path"),
)
# Units that the controller must not start, stop or reset.
FOREIGN = (
    *("dbus.service", "wxcontroller.service", "wxcontroller.socket", "wxclient.slice", "wxclient.target"),
    *("wxclient-prepare@granted.service", "wxclient-credentials@granted.service"),
    "wxclient-export@granted.service",
    *("wxclient-journal@x.service", "wxcontroller-alert@mail.service", "getty@tty1.service"),
)
LOOKALIKES = (
    *("wxclient@a.b.service", f"wxclient@{28 * 'x'}.service", "wxclient@granted.socket", "xwxclient@granted.service"),
    *("wxclient-purge@a.b.service", "wxcontroller-alert@x.path", "wxclient@granted\\x2fb.service"),
)
REFUSALS = ("Access denied", "authentication required", "Permission denied", "may not be isolated")
OTHER_VERBS = ("kill", "clean", "freeze", "reload", "try-restart", "reload-or-restart", "enable", "disable", "mask")


def test_systemd_analyze_reports_nothing(host: Host) -> None:
    assert host.text("systemd-analyze", "verify", "--man=no", *UNITS) == ""


def test_each_account_has_its_own_user(host: Host) -> None:
    uids = set()
    for instance in ("uid-a", "uid-b", "uid-c"):
        host.run("systemctl", "start", f"wxclient@{instance}")
        pid = show(host, f"wxclient@{instance}.service", "MainPID")
        uid, gid = host.text("ps", "-o", "uid=,gid=", "-p", pid).split()
        assert 61184 <= int(uid) <= 65519
        assert gid == host.text("getent", "group", "wxcontroller").split(":")[2]
        assert host.text("stat", "-c", "%u %a", f"/var/lib/private/wxclient/{instance}").strip() == f"{uid} 700"
        assert host.text("stat", "-c", "%u %a", f"/run/wxclient/{instance}").strip() == f"{uid} 750"
        uids.add(uid)
    assert len(uids) == 3
    host.run("systemctl", "stop", "wxclient@uid-a", "wxclient@uid-b", "wxclient@uid-c")


def test_starts_and_stops_succeed_while_systemd_restarts(host: Host) -> None:
    caller = Caller(host)
    for number in range(10):
        host.run("sh", "-c", f"(sleep 0.0{number * 3 % 10}; systemctl daemon-reexec) >/dev/null 2>&1 &")
        status, answer = caller.v1("POST", f"/accounts/reexec/{'stop' if number % 2 else 'start'}", {})
        assert status == 200, answer
    under_way = ("pgrep", "-f", "daemon-reexe[c]")  # does not find itself
    until(lambda: host.run(*under_way, check=False).returncode == 1, "the end of the last restart of systemd")
    until(lambda: host.run("systemctl", "show", "-P", "Version", check=False).returncode == 0, "systemd's response")


def test_manual_restarts_do_not_use_up_automatic_ones(host: Host) -> None:
    host.run("systemctl", "start", "wxclient@patient")
    for _ in range(7):
        host.run("systemctl", "restart", "wxclient@patient")
    assert show(host, "wxclient@patient.service", "ActiveState") == "active"
    host.run("systemctl", "kill", "-s", "KILL", "wxclient@patient")
    until(lambda: show(host, "wxclient@patient.service", "NRestarts") == "1", "an automatic restart")
    until(lambda: show(host, "wxclient@patient.service", "ActiveState") == "active", "the account")
    host.run("systemctl", "reset-failed", "wxclient@patient")  # as the controller does once the unit is running
    assert show(host, "wxclient@patient.service", "NRestarts") == "0"
    host.run("systemctl", "stop", "wxclient@patient")


def test_failing_account_is_restarted_at_growing_intervals(host: Host) -> None:
    unit = "wxclient@failing.service"
    change = "[Service]\nExecStart=\nExecStart=/usr/bin/python3 -c 'raise SystemExit(1)'\nRestartSec=50ms\n"
    with dropin(host, unit, change + "RestartMaxDelaySec=60\n"):
        assert host.run("systemctl", "start", unit, check=False).returncode != 0
        until(lambda: int(show(host, unit, "NRestarts")) >= 2, "the third try")
        assert show(host, unit, "ActiveState") == "activating"
        assert show(host, unit, "RestartUSecNext") not in ("50ms", "")
        host.run("systemctl", "stop", unit)


def test_account_with_wrong_settings_is_not_restarted(host: Host) -> None:
    host.write("/etc/wxcontroller/clients/wrong.env", b'MOJO_WEIXIN_SEND_INTERVAL="soon"\n', 0o640)
    assert host.run("systemctl", "start", "wxclient@wrong", check=False).returncode != 0
    assert show(host, "wxclient@wrong.service", "ActiveState") == "failed"
    assert "send_interval" in host.journal("wxclient@wrong.service").lower()
    host.run("rm", "/etc/wxcontroller/clients/wrong.env")
    host.run("systemctl", "start", "wxclient@wrong")
    host.run("systemctl", "stop", "wxclient@wrong")


@pytest.mark.parametrize("instance", ["a.b", "x" * 28])
def test_invalid_instance_is_refused_with_a_reason(host: Host, instance: str) -> None:
    refused = host.run("systemctl", "start", f"wxclient@{instance}.service", check=False)
    assert refused.returncode != 0
    assert show(host, f"wxclient@{instance}.service", "ActiveState") == "inactive"
    assert "cannot be started" in host.journal(f"wxclient-prepare@{instance}.service")
    assert host.run("test", "-e", f"/var/lib/wxcontroller/clients/{instance}.env", check=False).returncode == 1
    assert (
        host.text("systemctl", "list-units", "--failed", "--plain", "--no-legend", "wxclient-prepare@*").strip() == ""
    )


def test_controller_may_start_and_stop_accounts_and_nothing_else(host: Host) -> None:
    transient = ("systemd-run", "--no-ask-password", "--unit=wxclient@evil.service", "/bin/true")
    # Its sandbox has systemctl, but not systemd-run.
    granted: list[tuple[str, ...]] = [
        ("start", "wxclient@granted.service"),
        ("restart", "wxclient@granted.service"),
        ("stop", "wxclient@granted.service"),
        ("reset-failed", "wxclient@granted.service"),
        ("start", "wxclient-purge@granted.service"),
        ("start", "wxcontroller-alert@mail.path"),
        ("stop", "wxcontroller-alert@mail.path"),
        ("reset-failed", "wxcontroller.service"),
    ]
    refused: list[tuple[str, ...]] = [
        # Other units, its own among them.
        *((verb, unit) for unit in FOREIGN for verb in ("start", "stop", "restart")),
        # For others systemd reports that they are not loaded, to any caller.
        *(("reset-failed", unit) for unit in FOREIGN[:7] if unit != "wxcontroller.service"),
        # Names that only look like accounts.
        *(("start", unit) for unit in LOOKALIKES),
        # Other verbs for accounts.
        *((verb, "wxclient@granted.service") for verb in OTHER_VERBS),
        *((verb, "wxclient-purge@granted.service") for verb in ("stop", "restart")),
        ("set-property", "--runtime", "wxclient@granted.service", "User=root"),
        ("bind", "wxclient@granted.service", "/etc/passwd", "/var/lib/wxclient/x"),
        ("isolate", "rescue.target"),
        ("start", "--job-mode=isolate", "wxclient@granted.service"),
        # Verbs for the machine.
        *((verb,) for verb in ("daemon-reload", "reset-failed", "reboot", "poweroff", "cancel", "rescue")),
        *(("set-environment", "A=1"), ("set-default", "rescue.target")),
        ("link", "/var/lib/wxcontroller/evil.service"),
    ]
    with inside(host, "wxcontroller.service", 2000) as controller:
        assert controller.value("os.getuid()") == int(host.text("id", "-u", "wxcontroller"))
        for command in granted:
            code, output = controller.run("systemctl", "--no-ask-password", *command)
            if command[0] != "reset-failed":  # fails for a unit that is not loaded
                assert code == 0, (command, output)
            assert "denied" not in output.lower(), (command, output)
        host.run("systemctl", "start", "wxclient@granted")
        runs = controller.evaluate(*(f"run('systemctl', '--no-ask-password', *{command!r})" for command in refused))
        outcomes = dict(zip(refused, runs, strict=True))
        assert {
            command: (code, output)
            for command, (code, output) in outcomes.items()
            if code == 0 or not any(words in output for words in REFUSALS)
        } == {}
        assert controller.value(f"run(*{transient!r})") == {"error": "EACCES"}
    host.run("systemctl", "stop", "wxclient@granted")


def test_controllers_user_outside_its_service_may_not_stop_accounts(host: Host) -> None:
    host.run("systemctl", "start", "wxclient@guarded")
    stop = ("systemctl", "--no-ask-password", "stop", "wxclient@guarded.service")
    for asked in (
        host.run(*stop, user="wxcontroller", check=False),
        host.run("systemd-run", "-Pq", "--wait", "-p", "User=wxcontroller", *stop, check=False),
    ):
        assert asked.returncode != 0, asked
    assert show(host, "wxclient@guarded.service", "ActiveState") == "active"
    host.run("systemctl", "stop", "wxclient@guarded")


def test_purge_removes_a_failed_account(host: Host) -> None:
    unit = "wxclient@doomed.service"
    host.run("systemctl", "start", unit)
    with dropin(host, unit, "[Service]\nExecStart=\nExecStart=/usr/bin/python3 -c 'raise SystemExit(2)'\n"):
        host.run("systemctl", "restart", unit, check=False)
        assert show(host, unit, "ActiveState") == "failed"
    places = "/var/lib/private/wxclient/doomed /var/lib/wxclient/doomed /var/lib/wxcontroller/clients/doomed.env"
    assert host.run("sh", "-c", f"ls -d {places}").returncode == 0
    host.run("systemctl", "start", "wxclient-purge@doomed")
    assert show(host, unit, "ActiveState") == "inactive"
    for place in (*places.split(), "/run/wxclient/doomed"):
        assert host.run("test", "-e", place, check=False).returncode == 1, place


def test_stopped_account_is_disabled(host: Host) -> None:
    caller, link = Caller(host), "/etc/systemd/system/wxclient.target.wants/wxclient@zombie.service"
    for end in ("wxctl stop zombie", "wxctl remove zombie --yes"):
        host.run("systemctl", "enable", "--now", "wxclient@zombie")
        host.run("test", "-L", link)
        printed = host.run(*end.split()).stderr.decode()
        assert host.run("test", "-e", link, check=False).returncode == 1, end
        assert ("enabled" in printed) == ("stop" in end)
        host.run("systemctl", "start", "wxclient.target")
        assert show(host, "wxclient@zombie.service", "ActiveState") == "inactive"
    # The API cannot disable units: a stop returns the command, and the purge of a removal disables it.
    host.run("systemctl", "enable", "--now", "wxclient@zombie")
    assert "systemctl disable" in caller.v1("POST", "/accounts/zombie/stop", {})[1]["note"]
    host.run("test", "-L", link)
    assert caller.v1("DELETE", "/accounts/zombie")[0] == 200
    assert host.run("test", "-e", link, check=False).returncode == 1


def test_target_starts_restarts_and_stops_accounts(host: Host) -> None:
    units = ["wxclient@one.service", "wxclient@two.service"]
    host.run("systemctl", "start", *units)
    pids = [show(host, unit, "MainPID") for unit in units]
    host.run("systemctl", "restart", "wxclient.target")
    for unit, pid in zip(units, pids, strict=True):  # systemd restarts them after the target

        def is_new(unit: str = unit, pid: str = pid) -> bool:
            return show(host, unit, "ActiveState") == "active" and show(host, unit, "MainPID") not in ("0", pid)

        until(is_new, f"{unit} with another process")
    host.run("systemctl", "stop", "wxclient.target")
    until(lambda: {show(host, unit, "ActiveState") for unit in units} == {"inactive"}, "both stopped")
    assert show(host, "wxcontroller.service", "ActiveState") == "active"
    # The target starts enabled ones, as at boot.
    host.run("systemctl", "enable", "wxclient@one")
    host.run("systemctl", "start", "wxclient.target")
    assert show(host, units[0], "ActiveState") == "active"
    assert show(host, units[1], "ActiveState") == "inactive"
    host.run("systemctl", "disable", "--now", "wxclient@one")


def test_settings_of_an_account_override_all_others(host: Host) -> None:
    variable = b'MOJO_WEIXIN_POST_API="http://127.0.0.1:8000/hook"\n'
    host.write("/etc/wxcontroller/clients/special.env", variable, 0o640)
    with inside(host, "wxclient@special.service") as special:
        environment = special.value("{**os.environ}")
    assert environment["MOJO_WEIXIN_POST_API"] == "http://127.0.0.1:8000/hook"
    assert environment["MOJO_WEIXIN_ACCOUNT"] == "special"
    host.run("chown", "root:root", "/etc/wxcontroller/clients/special.env")
    host.run("chmod", "600", "/etc/wxcontroller/clients/special.env")  # systemd reads it, the controller cannot
    assert Caller(host).v1("POST", "/accounts/special/start", {})[0] == 200
    assert Caller(host).account("special")["unit_state"] == "active"
    host.run("wxctl", "stop", "special")


def test_controller_works_without_ipv6(host: Host) -> None:
    host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6")
    try:
        for command in ("stop wxcontroller.service", "restart wxcontroller.socket", "start wxcontroller.service"):
            host.run("systemctl", *command.split())
        assert host.http("GET", f"{CONTROLLER}/openwx/check_client")[0] == 200
    finally:
        host.run("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/lo/disable_ipv6")


@pytest.fixture(scope="module")
def limited(debs: list[Path]) -> Iterator[Host]:
    """A host that enforces limits."""
    with Host.up(f"wx-limits-{os.getpid()}", limits=True, packages=debs) as booted:
        yield booted


def test_full_runtime_directory_does_not_affect_other_accounts(limited: Host) -> None:
    writer = """#!/usr/bin/python3
with open("/run/wxclient/filler/kept", "wb") as kept:
    while True:
        kept.write(bytes(1 << 20))
"""
    change = """[Service]
Type=exec
WatchdogSec=0
ExecStart=
ExecStart=/usr/local/bin/writer
ExecPaths=/usr/local/bin
"""
    limited.run("mount", "-o", "remount,size=100M", "/run")  # as on a machine with little memory
    limited.run("systemctl", "start", "wxclient@alice")
    limited.write("/usr/local/bin/writer", writer.encode(), 0o755)
    before = free(limited, "/run")
    with dropin(limited, "wxclient@filler.service", change):
        limited.run("systemctl", "start", "wxclient@filler")
        until(lambda: int(show(limited, "wxclient@filler.service", "NRestarts")) >= 1, "a restart")
    assert "status=9/KILL" in limited.journal("wxclient@filler.service")
    assert free(limited, "/run") > before - (16 << 20)
    # Others are not affected.
    [state] = [each for each in Caller(limited).openwx("check_client")["client"] if each["account"] == "alice"]
    assert state["pid"]


def free(host: Host, path: str) -> int:
    """Return the bytes that are free on the file system of a path."""
    return int(host.text("stat", "-f", "-c", "%a", path)) * int(host.text("stat", "-f", "-c", "%S", path))


def test_account_gets_only_its_own_credentials(host: Host) -> None:
    place, copies, unit = "/etc/wxcontroller/credentials", "/run/wxclient/.credentials", "wxclient@trusted.service"
    assert host.text("stat", "-c", "%U %a", place).strip() == "root 700"
    host.write(f"{place}/trusted.webhook-secret", b"of trusted\n", 0o600)
    host.write(f"{place}/webhook-secret", b"of all\n", 0o600)
    host.write(f"{place}/trusted.proxy", b"http://user:hidden@127.0.0.9:3128\n", 0o600)
    for instance, own in (("trusted", ["proxy", "webhook-secret"]), ("plain", [])):
        with inside(host, f"wxclient@{instance}.service") as account:
            listed, secret, common, written, others = account.evaluate(
                f"sorted(os.listdir('{copies}'))",
                f"open('{copies}/webhook-secret').read()",
                f"open('{copies}/common.webhook-secret').read()",
                f"write('{copies}/common.webhook-secret')",
                "os.listdir('/run/wxclient-credentials')",
            )
            assert listed == ["common.webhook-secret", *own]
            assert (secret, common) == ("of trusted\n" if own else {"error": "ENOENT"}, "of all\n")
            assert written["error"] in ("EROFS", "EACCES")
            assert others in ({"error": "EACCES"}, {"error": "EPERM"})
        assert host.run("test", "-e", f"/run/wxclient-credentials/{instance}", check=False).returncode == 1

    def proxy() -> object:
        return Caller(host).account("trusted")["proxy"]

    # The account uses the proxy, and its environment does not have the password.
    host.run("systemctl", "start", unit)
    assert proxy() == "http://127.0.0.9:3128"
    assert b"hidden" not in host.read(f"/proc/{show(host, unit, 'MainPID')}/environ")
    # A changed one takes effect at the next start, also at an automatic one.
    host.write(f"{place}/trusted.proxy", b"http://127.0.0.9:4000", 0o600)
    before = show(host, unit, "MainPID")
    host.run("systemctl", "kill", "-s", "KILL", unit)
    until(lambda: show(host, unit, "MainPID") not in ("0", before), "a new process")
    until(lambda: show(host, unit, "ActiveState") == "active", "the account")
    assert proxy() == "http://127.0.0.9:4000"
    # A drop-in's own overrides it.
    sealed = f"{place}/trusted.proxy.cred"
    seal = f"echo http://127.0.0.9:5000 | systemd-creds encrypt --with-key=host --name=proxy - {sealed}"
    host.run("sh", "-c", seal)
    with dropin(host, unit, f"[Service]\nLoadCredentialEncrypted=proxy:{sealed}\n"):
        host.run("systemctl", "restart", unit)
        assert proxy() == "http://127.0.0.9:5000"
    # The account does not run without the file of a link, and starts when it exists.
    host.run("sh", "-c", f"rm {place}/*; ln -s /root/secret {place}/trusted.proxy")
    host.run("systemctl", "restart", unit, check=False)
    until(lambda: int(show(host, unit, "NRestarts")) >= 2, "two restarts")
    assert show(host, unit, "ActiveState") != "active"
    until(lambda: "account trusted: cannot read trusted.proxy" in host.text("wxctl", "logs", "trusted"), "the reason")
    host.write("/root/unfinished", b"http://127.0.0.9:6000", 0o600)
    host.run("mv", "/root/unfinished", "/root/secret")
    until(lambda: show(host, unit, "ActiveState") == "active", "the account")
    assert proxy() == "http://127.0.0.9:6000"
    host.run("rm", f"{place}/trusted.proxy")
    host.run("systemctl", "stop", unit)


def test_running_account_adds_no_mount_to_the_host(host: Host) -> None:
    """Each start takes longer by each mount of the host, of which the account's own namespace gets a copy."""
    place = "/etc/wxcontroller/credentials"
    host.write(f"{place}/mounts.webhook-secret", b"secret\n", 0o600)
    before = host.read("/proc/1/mountinfo").count(b"\n")
    host.run("systemctl", "start", "wxclient@mounts")
    assert host.read("/proc/1/mountinfo").count(b"\n") == before
    host.run("systemctl", "stop", "wxclient@mounts")
    host.run("rm", f"{place}/mounts.webhook-secret")


def test_environment_file_cannot_load_other_code(host: Host) -> None:
    host.write(
        "/etc/wxcontroller/clients/envious.env",
        b'LD_PRELOAD="/x.so"\nOPENSSL_CONF="/x"\nSSLKEYLOGFILE="/run/wxclient/envious/keys"\n'
        b'PYTHONPATH="/var/lib/wxclient/envious"\nPYTHONSTARTUP="/x"\nMOJO_WEIXIN_LANG="en_US"\n',
        0o640,
    )
    with inside(host, "wxclient@envious.service") as account:
        environment = account.value("{**os.environ}")
        assert environment["MOJO_WEIXIN_LANG"] == "en_US"
        assert not {"LD_PRELOAD", "OPENSSL_CONF", "SSLKEYLOGFILE"} & set(environment)
        assert account.value('write("/var/lib/wxclient/envious/json.py", b"raise SystemExit")') is None
    # Python is isolated: otherwise the account would import its own json.py first, and end.
    host.run("systemctl", "start", "wxclient@envious")
    line = host.read(f"/proc/{show(host, 'wxclient@envious.service', 'MainPID')}/cmdline").split(b"\0")
    assert line[:3] == [b"/usr/bin/python3", b"-I", b"/usr/lib/wxcontroller/wxclient"]
    host.run("systemctl", "stop", "wxclient@envious")
    host.run("rm", "/etc/wxcontroller/clients/envious.env")


@pytest.mark.parametrize("unit", ["wxclient@quiet.service", "wxcontroller.service"])
def test_services_make_no_core_dumps(host: Host, unit: str) -> None:
    host.run("systemctl", "start", unit)
    pid = show(host, unit, "MainPID")
    limits = host.read(f"/proc/{pid}/limits").decode()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    # Its files in /proc belong to root, so that nobody else can trace or dump it.
    assert host.text("ps", "-o", "uid=", "-p", pid).strip() != "0"
    assert host.text("stat", "-c", "%u", f"/proc/{pid}/environ").strip() == "0"
