"""What a program can't do that has taken over an account, the controller, or what delivers alerts.

An intruder runs in the service's place: the installed unit with another ExecStart. Each try is made outside the
sandbox first, by root, where it succeeds or fails for another reason; so a refusal inside says something.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.system.actors import CONTROLLER, SANDBOX_SETTINGS, Caller, Phone, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import dropin, port_of, show

pytestmark = pytest.mark.system
PROGRAM = "/usr/local/lib/wxintruder.py"
ALERT_UNIT = "wxcontroller-alert@webhook.service"
HERE, SCRATCH = Path(__file__).parent, "/root/scratch"
# Link-local, and what clouds have their metadata services at; another machine's for the controller.
METADATA = ("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fe80::a9fe:a9fe")
ELSEWHERE = "192.0.2.10"
Outcomes: TypeAlias = frozenset[str]
DENIED: Outcomes = frozenset({"EPERM", "EACCES"})
# Not there, as far as this program can see.
HIDDEN: Outcomes = DENIED | {"ENOENT"}
READ_ONLY: Outcomes = HIDDEN | {"EROFS"}
NO_FAMILY: Outcomes = DENIED | {"EAFNOSUPPORT"}
UNREACHED: Outcomes = DENIED | {"ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"}
NO_AUTHORIZATION: Outcomes = frozenset(
    {"org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"}
)


NO_TOKEN: Outcomes = frozenset({"HTTP 401", "HTTP 403"})
CALLS = (
    ("the accounts", "2000 GET /v1/accounts"),
    ("the stream of events", "2000 GET /v1/events"),
    ("an account's contacts", "2000 GET /openwx/get_friend_info?client=victim"),
    ("a message in an account's name", "2000 GET /openwx/send_friend_message?client=victim&id=filehelper&content=x"),
    ("an account's contacts at its own port", "{victim_port} GET /openwx/get_friend_info"),
    ("an account's messages at its own port", "{victim_port} GET /v1/events"),
    ("a message at an account's own port", "{victim_port} GET /openwx/send_friend_message?id=filehelper&content=x"),
)
FORGED = f"X-Wxcontroller=admin%20{'0' * 64}"


@dataclass(frozen=True)
class Try:
    """One try: its name in the report, what the intruder does and to what, and the answers that are refusals.

    ``outside``: root can do it without the sandbox, or fails otherwise than by a refusal.
    """

    name: str
    attack: str
    target: str = ""
    refused: Outcomes = DENIED
    outside: bool = True


@dataclass
class Intruder:
    """The intruder in one unit. ``own`` is a directory that it may write."""

    host: Host
    address: str
    own: str
    names: dict[str, str] = field(default_factory=dict)

    def does(self, attack: str, target: str = "") -> object:
        order = json.dumps({"name": attack, "target": target.format(**self.names, own=self.own)}).encode()
        status, _, answer = self.host.http("POST", self.address, order, timeout=90)
        assert status == 200
        return json.loads(answer)


@cache
def outside(host: Host, attack: str, target: str) -> object:
    """The same by root without a sandbox, once for all intruders; what it mounts is gone with it."""
    fresh = f'rm -rf {SCRATCH} && mkdir -p {SCRATCH} && exec unshare -m /usr/bin/python3 {PROGRAM} "$@"'
    return json.loads(host.text("sh", "-c", fresh, "sh", attack, *target.split()))


# Tries that are the same from everywhere.
KERNEL = (
    Try("run a program of the system", "run", "/bin/true"),
    Try("run a setuid program", "run", "/usr/bin/su --version"),
    Try("run a program it wrote", "run_own", "{own}"),
    Try("run a program it wrote to /tmp", "run_own", "/tmp"),
    Try("run a program from memory", "run_from_memory"),
    Try("run a program by the loader", "run_by_loader", "/bin/true"),
    Try("run code it wrote", "map_written_code"),
    Try("run code of a file it wrote", "map_own_file_as_code", "{own}"),
    Try("become root", "become", "0", DENIED | {"EINVAL"}),
    Try("become another account", "become", "{victim_uid}", DENIED | {"EINVAL"}),
    Try("change its groups", "leave_groups"),
    Try("take a capability", "capability"),
    Try("leave a setuid program behind", "setuid_file", "{own}"),
    *(
        Try(f"make a namespace: {kind}", "unshare", kind)
        for kind in ("user", "mount", "net", "pid", "ipc", "uts", "cgroup", "time")
    ),
    *(Try(f"join a namespace of systemd: {kind}", "setns", f"/proc/1/ns/{kind}", HIDDEN) for kind in ("mnt", "net")),
    Try("join a namespace of an account", "setns", "/proc/{victim}/ns/mnt", HIDDEN),
    Try("trace an account", "ptrace", "{victim}"),
    Try("trace the controller", "ptrace", "{controller}"),
    Try("trace systemd", "ptrace", "1"),
    Try("read an account's memory", "read_memory", "{victim}"),
    Try("read an account's memory as a file", "read", "/proc/{victim}/mem", HIDDEN),
    Try("read an account's environment", "read", "/proc/{victim}/environ", HIDDEN),
    Try("see an account's open files", "listing", "/proc/{victim}/fd", HIDDEN),
    Try("see an account's files through its root", "listing", "/proc/{victim}/root/var/lib/wxclient", HIDDEN),
    Try("see an account's command line", "read", "/proc/{victim}/cmdline", HIDDEN),
    Try("read systemd's environment", "read", "/proc/1/environ", HIDDEN),
    Try("take an account's open file", "steal_descriptor", "{victim}"),
    Try("compare open files with an account's", "compare", "{victim}"),
    Try("signal an account", "send_signal", "{victim}"),
    Try("signal systemd", "send_signal", "1"),
    Try("change an account's limits", "limits_of", "{victim}"),
    Try("mount", "mount", "{own}"),
    Try("make a mount writable", "remount", "/usr"),
    Try("unmount", "unmount", "/proc", outside=False),
    Try("change a mount's flags", "change_mount", "/"),
    Try("change its root", "change_root", "{own}"),
    Try("turn its root", "pivot", "{own}"),
    Try("load bpf", "load_bpf"),
    Try("watch by perf", "perf"),
    Try("handle page faults", "page_faults"),
    Try("set up io_uring", "io_ring"),
    Try("make a file in memory", "memory_file"),
    Try("put a key into a keyring", "add_key"),
    Try("read a keyring", "read_keyring"),
    Try("ask for a key", "request_key"),
    Try("load a kernel module", "kernel_module"),
    Try("load another kernel", "kexec"),
    Try("switch the machine off", "reboot_call", outside=False),
    Try("swap to a file", "swap", "{own}/nothing"),
    Try("set the clock", "clock", outside=False),
    Try("name the host", "host_name"),
    Try("read the kernel's log", "kernel_log"),
    Try("change its personality", "personality"),
    Try("open a file by its handle", "file_handle"),
    Try("watch all files", "watch_files"),
    Try("change quotas", "quotas"),
    Try("run in real time", "real_time"),
    Try("go before others", "priority"),
    Try("allow dumps of its memory", "allow_dumps"),
    Try("be spared when memory is short", "spare_from_oom", outside=False),
    Try("make a device", "device_node", "{own}"),
    Try("make a pipe for others to wait at", "fifo", "{own}"),
    Try("make a link for others to follow", "symlink", "{own}"),
    Try("make a hard link", "hard_link", "{own}"),
    Try("change a kernel setting", "write", "/proc/sys/kernel/core_pattern", READ_ONLY, outside=False),
    Try("change its cgroup", "write", "/sys/fs/cgroup/cgroup.procs", READ_ONLY, outside=False),
    Try("open a raw socket", "open_socket", "2 3 1"),
    Try("open a raw IPv6 socket", "open_socket", "10 3 58"),
    Try("open a packet socket", "open_socket", "17 3 768", NO_FAMILY),
    Try("open a netlink socket: routes", "open_socket", "16 3 0", NO_FAMILY),
    Try("open a netlink socket: audit", "open_socket", "16 3 9", NO_FAMILY),
    Try("open a vsock socket", "open_socket", "40 1 0", NO_FAMILY, outside=False),
    Try("open a crypto socket", "open_socket", "38 5 0", NO_FAMILY, outside=False),
    Try("listen on port 80", "tcp_bind", "127.0.0.1:80"),
    Try(
        "read an account's session", "read", "/var/lib/private/wxclient/victim/mojo_weixin_cookie_victim.dat", HIDDEN
    ),
    Try("read an account's media", "read", "/var/lib/private/wxclient/victim/media/secret", HIDDEN),
    Try("read an account's credential", "read", "/run/credentials/wxclient@victim.service/webhook-secret", HIDDEN),
    Try("read the file of a credential", "read", "/etc/wxcontroller/credentials/victim.webhook-secret", HIDDEN),
    Try("read the file of everybody's credential", "read", "/etc/wxcontroller/credentials/webhook-secret", HIDDEN),
    Try(
        "remove an account's session",
        "remove",
        "/var/lib/wxclient/victim/mojo_weixin_cookie_victim.dat",
        READ_ONLY,
        False,
    ),
    Try("read the passwords of the system", "read", "/etc/shadow", HIDDEN),
    Try("read the journal", "read", "{journal}", HIDDEN),
    Try("see into root's directory", "listing", "/root", HIDDEN),
    Try("change the controller's settings", "write", "/etc/wxcontroller/wxcontroller.toml", READ_ONLY, False),
    Try("add settings", "write", "/etc/wxcontroller/wxcontroller.toml.d/z.toml", READ_ONLY, False),
    Try("change the accounts' template", "write", "/etc/wxcontroller/client.env.j2", READ_ONLY, False),
    Try("change the tokens", "write", "/etc/wxcontroller/tokens", READ_ONLY, False),
    Try("change an account's own settings", "write", "/etc/wxcontroller/clients/victim.env", READ_ONLY, False),
    Try("change a unit", "write", "/run/systemd/system/wxclient@victim.service", READ_ONLY, False),
    Try("change the product", "write", "/usr/lib/wxcontroller/wxclient", READ_ONLY, False),
    Try("share memory by a file", "write", "/dev/shm/x", READ_ONLY, False),
    Try("reach systemd's private socket", "unix_connect", "/run/systemd/private", HIDDEN),
    *(Try(f"reach metadata at {address}", "tcp_connect", f"{address}:8090", UNREACHED) for address in METADATA[:3]),
    Try("send to metadata", "udp_send", "169.254.169.254:8090", UNREACHED),
)
ACCOUNT = (
    Try("read an account's state file", "read", "/run/wxclient/victim/mojo_weixin_state_victim.json", HIDDEN),
    Try("see an account's runtime directory", "listing", "/run/wxclient/victim", HIDDEN),
    Try("reach an account's socket", "unix_connect", "/run/wxclient/victim/socket", HIDDEN),
    Try("see the register of accounts", "listing", "/var/lib/wxcontroller", HIDDEN),
    Try("read an account's file in the register", "read", "/var/lib/wxcontroller/clients/victim.env", HIDDEN),
    Try("see the settings", "listing", "/etc/wxcontroller", HIDDEN),
    Try("read the controller's settings", "read", "/etc/wxcontroller/wxcontroller.toml", HIDDEN),
    Try("read a settings file with secrets", "read", SANDBOX_SETTINGS, HIDDEN),
    Try("read the accounts' template", "read", "/etc/wxcontroller/client.env.j2", HIDDEN),
    Try("read the tokens", "read", "/etc/wxcontroller/tokens", HIDDEN),
    Try("read an account's own settings", "read", "/etc/wxcontroller/clients/victim.env", HIDDEN),
    Try("see the controller's runtime directory", "listing", "/run/wxcontroller", HIDDEN),
    Try("trace root's programs", "ptrace", "{root}"),
    Try("read the controller's environment", "read", "/proc/{controller}/environ", HIDDEN),
    Try("signal the controller", "send_signal", "{controller}"),
    Try("start a unit: systemctl", "run", "/usr/bin/systemctl start wxclient@victim.service"),
    Try("start a unit: D-Bus", "bus_start", "wxclient@victim.service", HIDDEN),
    Try("start a unit of its own: D-Bus", "bus_transient", "evil.service", HIDDEN),
    Try("reach D-Bus", "unix_connect", "/run/dbus/system_bus_socket", HIDDEN),
    Try("ask for an account's journal", "unix_connect", "/run/wxclient-journal.sock", HIDDEN),
    *(
        Try(f"listen outside its range: {address}", attack, address)
        for attack, addresses in (
            ("tcp_bind", ("127.0.0.1:2999", "127.0.0.1:5000", "0.0.0.0:8085", "::1:8085", "::0:8085", "127.0.0.1:0")),
            ("udp_bind", ("127.0.0.1:3500", "0.0.0.0:8085", "127.0.0.1:53")),
        )
        for address in addresses
    ),
    *(Try(f"call without a token: {words}", "api", target, NO_TOKEN, False) for words, target in CALLS),
    *(
        Try(f"call with a secret of its own making: {words}", "api", f"{target} {FORGED}", NO_TOKEN, False)
        for words, target in CALLS
    ),
    Try("read what lets the controller in at an account's port", "read", "/run/wxclient/victim/port-secret", HIDDEN),
    Try("read what lets root in", "read", "/run/wxcontroller/local-token", HIDDEN),
    Try("open the accounts' ports", "write", "/var/lib/wxclient-access/tokens", READ_ONLY, False),
    Try("send to a multicast address", "udp_send", "224.0.0.251:5353", UNREACHED),
)
CONTROLLER_ONLY = (
    Try(
        "change an account's state file",
        "write",
        "/run/wxclient/victim/mojo_weixin_state_victim.json",
        READ_ONLY,
        False,
    ),
    Try("leave a file with an account", "write", "/run/wxclient/victim/planted", READ_ONLY, False),
    Try("see the accounts' states", "listing", "/var/lib/private/wxclient", HIDDEN),
    Try("start another unit: D-Bus", "bus_start", "wxcontroller-sandbox.service", NO_AUTHORIZATION),
    Try("start a unit of its own: D-Bus", "bus_transient", "evil.service", NO_AUTHORIZATION),
    Try(
        "start a unit of its own that looks like an account: D-Bus",
        *("bus_transient", "wxclient@evil.service", NO_AUTHORIZATION),
        outside=False,  # root is told that such a unit exists already: the template
    ),
    Try("have logind say something", "bus_wall", "", NO_AUTHORIZATION),
    Try("name the host: D-Bus", "bus_host_name", "", NO_AUTHORIZATION),
    Try("reach another machine", "tcp_connect", f"{ELSEWHERE}:8090", UNREACHED),
    Try("send to another machine", "udp_send", f"{ELSEWHERE}:8090", UNREACHED),
)
# An account's are an alert's too, but for the ports that the accounts' slice gives.
ALERT = (
    *(one for one in ACCOUNT if one.attack not in ("tcp_bind", "udp_bind")),
    Try("see the accounts", "listing", "/var/lib/private/wxclient", HIDDEN),
    Try("see the accounts by their links", "listing", "/var/lib/wxclient", HIDDEN),
    Try("leave an alert for another way", "write", "/var/spool/wxcontroller/mail/made-up.json", READ_ONLY, False),
    Try("leave an alert in memory", "write", "/run/wxcontroller-alerts/mail/made-up.json", READ_ONLY, False),
    Try("read another service's credentials", "listing", "/run/credentials/wxclient@victim.service", HIDDEN),
    Try("signal a program of the controller's", "send_signal", "{controller}"),
)


def metadata(host: Host) -> None:
    """Have something to reach at the addresses that nobody may reach."""
    for address in (*METADATA, ELSEWHERE):
        host.run("ip", "address", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo")
    host.run("ip", "route", "add", "224.0.0.0/4", "dev", "lo")
    host.run("systemd-run", "-q", "--unit=metadata", "/usr/bin/python3", "-m", "http.server", "-b", "::", "8090")
    address = f"http://{ELSEWHERE}:8090/"
    until(lambda: host.run("curl", "-sf", address, check=False).returncode == 0, "a listener to refuse")


@pytest.fixture(scope="module")
def world(host: Host) -> dict[str, str]:
    """An account at work whose secrets are worth something, and a token; return what the tries call their parts."""
    host.write(PROGRAM, (HERE / "intruder.py").read_bytes())
    host.run("install", "-d", "-m", "700", "/etc/wxcontroller/credentials")
    for name in ("victim.webhook-secret", "webhook-secret"):
        host.write(f"/etc/wxcontroller/credentials/{name}", b"secret\n", 0o600)
    host.write("/etc/wxcontroller/clients/victim.env", b"# secret\n", 0o640)
    host.run("chown", "root:wxcontroller", "/etc/wxcontroller/clients/victim.env")
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    log_in(caller, phone, "victim", phone.account("Victim"))
    state = "/var/lib/private/wxclient/victim"
    until(lambda: host.run("test", "-s", f"{state}/mojo_weixin_cookie_victim.dat", check=False).returncode == 0)
    host.run("sh", "-c", f"mkdir -p {state}/media && echo secret > {state}/media/secret")
    socat = ("socat", "UNIX-LISTEN:/run/wxclient/victim/socket,mode=0666,fork", "EXEC:/bin/cat")
    host.run("systemd-run", "-q", "--unit=victim-socket", *socat)
    host.run("systemd-run", "-q", "--unit=of-root", "sleep", "infinity")
    metadata(host)
    made = host.run("wxctl", "token", "create", "victims", "--scope", "admin", "--account", "victim")
    pid = show(host, "wxclient@victim.service", "MainPID")
    journal = host.text(
        "sh", "-c", "ls /var/log/journal/*/system.journal /run/log/journal/*/system.journal 2>/dev/null || true"
    )
    return {
        "victim": pid,
        "victim_port": str(port_of(host, "victim")),
        "token": made.stdout.decode().strip(),
        "victim_uid": host.text("ps", "-o", "uid=", "-p", pid).strip(),
        "root": show(host, "of-root.service", "MainPID"),
        "journal": journal.split()[0],
    }


@pytest.fixture(scope="module")
def account(host: Host, world: dict[str, str]) -> Iterator[Intruder]:
    """The intruder in the place of the account mallory."""
    change = f"[Service]\nExecStart=\nExecStart=/usr/bin/python3 {PROGRAM}\nWatchdogSec=0\n"
    with dropin(host, "wxclient@mallory.service", change):
        host.run("systemctl", "start", "wxclient@mallory")
        names = {**world, "controller": show(host, "wxcontroller.service", "MainPID")}
        yield Intruder(host, f"http://127.0.0.1:{port_of(host, 'mallory')}/", "/var/lib/wxclient/mallory", names)
        host.run("systemctl", "stop", "wxclient@mallory")


@pytest.fixture(scope="module")
def controller(host: Host, world: dict[str, str]) -> Iterator[Intruder]:
    """The intruder in the place of the controller."""
    change = f"[Service]\nType=notify\nExecStart=\nExecStart=/usr/bin/python3 {PROGRAM}\nWatchdogSec=0\n"
    with dropin(host, "wxcontroller.service", change):
        host.run("systemctl", "restart", "wxcontroller")
        # To be traced there is another program of its user.
        host.run("systemd-run", "-q", "--unit=of-controller", "-p", "User=wxcontroller", "sleep", "infinity")
        names = {**world, "controller": show(host, "of-controller.service", "MainPID")}
        yield Intruder(host, f"{CONTROLLER}/", "/var/lib/wxcontroller", names)


@pytest.fixture(scope="module")
def alert(host: Host, world: dict[str, str]) -> Iterator[Intruder]:
    """The intruder in the place of what posts alerts."""
    port = 2990
    change = f"[Service]\nType=notify\nRestart=no\nExecStart=\nExecStart=/usr/bin/python3 {PROGRAM}\n"
    with dropin(host, ALERT_UNIT, f"{change}Environment=MOJO_WEIXIN_PLUGIN_OPENWX_PORT={port}\n"):
        host.run("systemctl", "start", ALERT_UNIT)
        names = {**world, "controller": show(host, "wxcontroller.service", "MainPID")}
        yield Intruder(host, f"http://127.0.0.1:{port}/", "/var/spool/wxcontroller/webhook", names)
        host.run("systemctl", "stop", ALERT_UNIT)


def refuses(intruder: Intruder, one: Try) -> None:
    if one.outside:
        there = outside(intruder.host, one.attack, one.target.format(**intruder.names, own=SCRATCH))
        assert there not in one.refused, f"outside the sandbox it is refused too: {there}"
    here = intruder.does(one.attack, one.target)
    print(f"{one.name}: {here}")
    assert here in one.refused


@pytest.mark.parametrize("one", [*KERNEL, *ACCOUNT], ids=lambda one: one.name)
def test_an_account_can_not(account: Intruder, one: Try) -> None:
    refuses(account, one)


def test_an_account_writes_its_own_places_only(account: Intruder) -> None:
    """Every directory and file that it sees was tried. /tmp is its own, and devices that swallow what one gives."""
    nothing = ["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"]
    own = ["/run/wxclient/mallory", "/var/lib/private/wxclient/mallory", "/tmp", "/var/tmp"]
    found = account.does("writable")
    assert isinstance(found, list)
    outside = [place for place in found if not any(place == each or place.startswith(f"{each}/") for each in own)]
    assert outside == nothing
    assert set(own) <= set(found)


def test_an_account_sees_no_other_and_no_device(account: Intruder) -> None:
    for place in ("/run/wxclient", "/var/lib/private/wxclient"):
        assert account.does("names", place) == ["mallory"], place
    assert account.does("devices") == [
        *("/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"),
    ]


def test_its_tmp_is_nobody_elses(host: Host, account: Intruder) -> None:
    for place in ("/tmp", "/var/tmp"):
        host.write(f"{place}/of-the-host", b"x", 0o644)
        assert account.does("write", f"{place}/of-the-account") == "ok"
        assert "of-the-host" not in account.does("names", place)  # type: ignore[operator]
        assert host.run("test", "-e", f"{place}/of-the-account", check=False).returncode == 1


def test_what_is_its_own_it_has(account: Intruder) -> None:
    """So the refusals are not those of a program that can do nothing at all."""
    for attack, target in (
        *(("write", "{own}/mine"), ("read", "{own}/mine"), ("write", "/run/wxclient/mallory/mine")),
        *(("tcp_bind", "127.0.0.1:3998"), ("tcp_bind", "127.0.0.1:4999"), ("tcp_connect", "127.0.0.1:2100")),
        ("run", "/usr/bin/python3 -c pass"),
    ):
        assert account.does(attack, target) == "ok", (attack, target)


@pytest.mark.parametrize("target", [pytest.param(target, id=words) for words, target in CALLS])
def test_with_a_token_it_would_be_let_in(account: Intruder, target: str) -> None:
    """So the token was what those calls lacked."""
    assert account.does("api", f"{target} X-Auth-Token={{token}}") == "ok"


def test_its_session_is_its_own(host: Host, account: Intruder) -> None:
    state = "/var/lib/private/wxclient/victim"
    uid = account.names["victim_uid"]
    assert host.text("stat", "-c", "%u %a", f"{state}/mojo_weixin_cookie_victim.dat").split() == [uid, "600"]
    assert host.text("find", state, "-type", "f", "-perm", "/007", "-not", "-path", "*/media/secret").strip() == ""
    assert host.text("stat", "-c", "%u %a", state).split() == [uid, "700"]


def test_what_is_known_not_to_be_refused(account: Intruder) -> None:
    """As docs/threat-model.md says."""
    assert account.does("listen_anywhere") == "ok"  # a port that the kernel chooses passes the filter of binds
    assert account.does("tcp_connect", "127.0.0.1:2000") == "ok"
    assert "victim" in account.does("names", "/var/lib/wxclient")  # type: ignore[operator]


@pytest.mark.parametrize("one", [*KERNEL, *ALERT], ids=lambda one: one.name)
def test_what_delivers_alerts_can_not(alert: Intruder, one: Try) -> None:
    refuses(alert, one)


def test_what_delivers_alerts_writes_its_own_places_only(alert: Intruder) -> None:
    nothing = ["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"]
    spools = ["/run/wxcontroller-alerts/webhook", "/var/spool/wxcontroller/webhook"]
    own = [*spools, "/run/wxcontroller-alert-webhook", "/tmp", "/var/tmp"]
    found = alert.does("writable")
    assert isinstance(found, list)
    outside = [place for place in found if not any(place == each or place.startswith(f"{each}/") for each in own)]
    assert outside == nothing
    assert set(own) <= set(found)


def test_what_delivers_alerts_has_what_it_needs(alert: Intruder) -> None:
    for attack, target in (
        *(("read", f"/run/credentials/{ALERT_UNIT}/settings"), ("write", "{own}/mine"), ("remove", "{own}/mine")),
        *(("tcp_connect", "127.0.0.1:2100"), ("tcp_connect", f"{ELSEWHERE}:8090")),
        ("run", "/usr/bin/python3 -c pass"),
    ):
        assert alert.does(attack, target) == "ok", (attack, target)


@pytest.mark.parametrize("one", [*KERNEL, *CONTROLLER_ONLY], ids=lambda one: one.name)
def test_the_controller_can_not(controller: Intruder, one: Try) -> None:
    refuses(controller, one)


def test_the_controller_writes_its_own_places_only(controller: Intruder) -> None:
    nothing = ["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"]
    alerts = ["/run/wxcontroller-alerts", "/var/spool/wxcontroller"]
    own = ["/run/wxcontroller", "/var/lib/wxclient-access", "/var/lib/wxcontroller", *alerts, "/tmp", "/var/tmp"]
    found = controller.does("writable")
    assert isinstance(found, list)
    outside = [place for place in found if not any(place == each or place.startswith(f"{each}/") for each in own)]
    assert outside == nothing
    assert set(own) <= set(found)


def test_the_controller_has_what_it_needs(controller: Intruder) -> None:
    for attack, target in (
        *(("read", "/run/wxclient/victim/mojo_weixin_state_victim.json"), ("read", "/etc/wxcontroller/tokens")),
        *(("read", "/etc/wxcontroller/clients/victim.env"), ("write", "{own}/mine")),
        ("run", "/usr/bin/systemctl --no-ask-password restart wxclient@victim.service"),
    ):
        assert controller.does(attack, target) == "ok", (attack, target)
