"""Actions that fail for an attacker who has taken over the program of an account, the controller or the alerts.

Each attempt is a Python expression (``inside.py``), evaluated by the installed unit in its program's place. Root
evaluates it outside of the sandbox, too, where it must succeed or fail for another reason: only then a refusal inside
is the sandbox's.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from tests.system.actors import Caller, Phone, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import INSIDE, Inside, inside, port_of, show

pytestmark = pytest.mark.system
# What clouds have their metadata services at; and another machine's, for the controller.
METADATA = ("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fe80::a9fe:a9fe")
ELSEWHERE = "192.0.2.10"
SCRATCH = "/root/scratch"
Outcomes: TypeAlias = frozenset[str]
# Expressions by the errors that refuse them.
Attempts: TypeAlias = Mapping[Outcomes, str]
DENIED: Outcomes = frozenset({"EPERM", "EACCES"})
NO_USER: Outcomes = DENIED | {"EINVAL"}
# What the program cannot see.
HIDDEN: Outcomes = DENIED | {"ENOENT"}
READ_ONLY: Outcomes = HIDDEN | {"EROFS"}
NO_FAMILY: Outcomes = DENIED | {"EAFNOSUPPORT"}
UNREACHED: Outcomes = DENIED | {"ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"}
NO_TOKEN: Outcomes = frozenset({"HTTP 401", "HTTP 403"})
NO_AUTHORIZATION: Outcomes = frozenset(
    {"org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"}
)
CALLS = (
    '2000, "/v1/accounts"',
    '2000, "/openwx/send_friend_message?client=victim&id=filehelper&content=x"',
    'victim_port, "/v1/events"',
    'victim_port, "/openwx/send_friend_message?id=filehelper&content=x"',
)
SYSTEMD = '"systemd1", ".Manager"'
TRANSIENT = '"StartTransientUnit", "ssa(sv)a(sa(sv))"'
COMMAND = '"replace", 1, "ExecStart", "a(sasb)", 1, "/bin/true", 1, "/bin/true", 0, 0'
# Attempts from every service.
ANY: Attempts = {
    DENIED: """
        spawn("/bin/true")
        spawn(made(own + "/true", open("/bin/true", "rb").read()))
        spawn(in_memory("/bin/true"))
        run_by_loader("/bin/true")
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        libc("capset", struct.pack("<Ii", 0x20080522, 0), struct.pack("<6I", 1 << 21, 1 << 21, 0, 0, 0, 0))
        os.chmod(made(own + "/suid"), 0o4755)
        os.unshare(os.CLONE_NEWUSER)
        os.unshare(os.CLONE_NEWNS)
        os.unshare(os.CLONE_NEWNET)
        libc("ptrace", 0x4206, victim, None, None)
        libc("ptrace", 0x4206, controller, None, None)
        peek(victim)
        os.kill(victim, 0)
        os.kill(1, 0)
        libc("mount", "none", own, "tmpfs", 0, None)
        os.chroot(own)
        syscall("bpf", 0, struct.pack("<4I", 2, 4, 4, 1) + bytes(56), 72)
        syscall("userfaultfd", 1)
        syscall("io_uring_setup", 8, ctypes.create_string_buffer(160))
        os.memfd_create("x", 0)
        syscall("init_module", "x", 1, "")
        libc("personality", 0x40000)
        socket.sethostname(socket.gethostname())
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        resource.prlimit(0, resource.RLIMIT_CORE, (-1, -1))
        os.mknod(own + "/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.mkfifo(own + "/fifo")
        os.symlink("/etc/shadow", own + "/symlink")
        os.link(made(own + "/one"), own + "/two")
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        bind("127.0.0.1", 80)
    """,
    NO_USER: """
        os.setresuid(0, 0, 0)
    """,
    NO_FAMILY: """
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768)
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    """,
    HIDDEN: """
        os.setns(os.open("/proc/1/ns/mnt", 0))
        read(f"/proc/{victim}/mem")
        os.listdir(f"/proc/{victim}/root/var/lib/wxclient")
        read("/proc/1/environ")
        read(f"/proc/{victim}/cmdline")
        os.listdir("/home")
        read("/var/lib/private/wxclient/victim/mojo_weixin_cookie_victim.dat")
        read("/run/wxclient-credentials/victim/files/webhook-secret")
        read("/etc/wxcontroller/credentials/victim.webhook-secret")
        read("/etc/shadow")
        read(journal)
        connect_unix("/run/systemd/private")
    """,
    UNREACHED: "".join(f"connect({address!r}, 8090)\n" for address in METADATA[:3]) + 'send("169.254.169.254", 8090)',
}
# Attempts that root does not make: they would change the host, or the container refuses them to root.
ANY_INSIDE: Attempts = {
    DENIED: """
        libc("umount2", "/proc", 0)
        syscall("reboot", 0xFEE1DEAD, 672274793, 0, None)
        write("/proc/self/oom_score_adj", b"-1000")
    """,
    NO_FAMILY: """
        socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
    """,
    READ_ONLY: """
        write("/proc/sys/kernel/core_pattern")
        os.unlink("/var/lib/wxclient/victim/mojo_weixin_cookie_victim.dat")
        write("/etc/wxcontroller/wxcontroller.toml")
        write("/etc/wxcontroller/tokens")
        write("/etc/wxcontroller/clients/victim.env")
        write("/run/systemd/system/wxclient@victim.service")
        write("/usr/lib/wxcontroller/wxclient")
    """,
}
# Attempts from an account and from the delivery of alerts.
UNPRIVILEGED: Attempts = {
    DENIED: """
        libc("ptrace", 0x4206, root, None, None)
        os.kill(controller, 0)
        spawn("/usr/bin/systemctl", "start", "wxclient@victim.service")
    """,
    HIDDEN: f"""
        read("/run/wxclient/victim/mojo_weixin_state_victim.json")
        connect_unix("/run/wxclient/victim/socket")
        connect_unix("/run/wxclient/victim/api.sock")
        read("/var/lib/wxcontroller/clients/victim.env")
        read("/etc/wxcontroller/wxcontroller.toml")
        read("/etc/wxcontroller/tokens")
        read("/etc/wxcontroller/clients/victim.env")
        read(f"/proc/{{controller}}/environ")
        bus({SYSTEMD}, "StartUnit", "ss", "wxclient@victim.service", "replace")
        connect_unix("/run/dbus/system_bus_socket")
        connect_unix("/run/wxclient-journal.sock")
        read("/run/wxclient/victim/port-secret")
        read("/run/wxcontroller/local-token")
    """,
    UNREACHED: 'send("224.0.0.251", 5353)',
}
UNPRIVILEGED_INSIDE: Attempts = {
    READ_ONLY: 'write("/var/lib/wxclient-access/tokens")',
    NO_TOKEN: "\n".join(f"get({call})\nget({call}, X_Wxcontroller='admin ' + 64 * '0')" for call in CALLS),
}
# An account's slice gives it ports 3000 to 4999.
ACCOUNT: Attempts = {
    DENIED: """
        bind("127.0.0.1", 2999)
        bind("0.0.0.0", 8085)
        bind("::", 8085)
        bind("127.0.0.1", 3500, socket.SOCK_DGRAM)
        bind("127.0.0.1", 53, socket.SOCK_DGRAM)
    """,
}
EXPORT: Attempts = {
    HIDDEN: """
        os.listdir("/run/wxclient")
        os.listdir("/run/wxclient-export")
        os.listdir("/var/lib/private/wxclient/victim")
        os.listdir("/var/lib/wxclient-access")
    """,
    NO_FAMILY: """
        socket.socket(socket.AF_UNIX)
        connect("127.0.0.1", 2100)
    """,
}
ALERT: Attempts = {
    HIDDEN: """
        os.listdir("/var/lib/private/wxclient")
        os.listdir("/run/wxclient-credentials/victim")
    """,
}
ALERT_INSIDE: Attempts = {
    READ_ONLY: """
        write("/var/spool/wxcontroller/mail/made-up.json")
    """,
}
CONTROLLER: Attempts = {
    HIDDEN: 'os.listdir("/var/lib/private/wxclient")',
    NO_AUTHORIZATION: f"""
        bus({SYSTEMD}, "StartUnit", "ss", "wxcontroller-sandbox.service", "replace")
        bus({SYSTEMD}, {TRANSIENT}, "evil.service", {COMMAND})
        bus("login1", ".Manager", "SetWallMessage", "sb", f"words of {{os.getuid()}}", 0)
        bus("hostname1", "", "SetHostname", "sb", socket.gethostname(), 0)
    """,
    UNREACHED: f"connect({ELSEWHERE!r}, 8090)\nsend({ELSEWHERE!r}, 8090)",
}
CONTROLLER_INSIDE: Attempts = {
    # For root the name is taken: the template exists.
    NO_AUTHORIZATION: f'bus({SYSTEMD}, {TRANSIENT}, "wxclient@evil.service", {COMMAND})',
    READ_ONLY: """
        write("/run/wxclient/victim/mojo_weixin_state_victim.json")
    """,
}


@dataclass(frozen=True)
class Service:
    """A unit, what it may write, and what its program needs: without that, refusals would prove nothing."""

    unit: str
    port: int
    own: str
    writable: str
    needs: str
    attempts: tuple[Attempts, ...]
    inside: tuple[Attempts, ...]
    also: Outcomes = frozenset()  # other refusals of the same attempts


SERVICES = {
    "account": Service(
        "wxclient@mallory.service",
        0,
        "/var/lib/wxclient/mallory",
        "/run/wxclient/mallory /var/lib/private/wxclient/mallory",
        """
        write(own + "/mine")
        read(own + "/mine")
        write("/run/wxclient/mallory/mine")
        bind("127.0.0.1", 4999)
        connect("127.0.0.1", 2100)
        spawn("/usr/bin/python3", "-c", "pass")
        """,
        (ANY, UNPRIVILEGED, ACCOUNT),
        (ANY_INSIDE, UNPRIVILEGED_INSIDE),
    ),
    # It reads an account's files for root, and may be taken over by them.
    "export": Service(
        "wxclient-export@mallory.service",
        0,
        "/var/lib/wxclient/mallory",
        "/var/lib/private/wxclient/mallory",
        """
        write(own + "/mine")
        read(own + "/mine")
        spawn("/usr/bin/python3", "-c", "pass")
        """,
        (ANY, UNPRIVILEGED, ACCOUNT, EXPORT),
        (ANY_INSIDE, UNPRIVILEGED_INSIDE),
        NO_FAMILY,  # no sockets at all
    ),
    "alert": Service(
        "wxcontroller-alert@webhook.service",
        2990,
        "/var/spool/wxcontroller/webhook",
        "/run/wxcontroller-alerts/webhook /var/spool/wxcontroller/webhook /run/wxcontroller-alert-webhook",
        f"""
        read("/run/credentials/wxcontroller-alert@webhook.service/settings")
        write(own + "/mine")
        os.unlink(own + "/mine")
        connect("127.0.0.1", 2100)
        connect({ELSEWHERE!r}, 8090)
        spawn("/usr/bin/python3", "-c", "pass")
        """,
        (ANY, UNPRIVILEGED, ALERT),
        (ANY_INSIDE, UNPRIVILEGED_INSIDE, ALERT_INSIDE),
    ),
    "controller": Service(
        "wxcontroller.service",
        2000,
        "/var/lib/wxcontroller",
        "/run/wxcontroller /var/lib/wxclient-access /var/lib/wxcontroller /run/wxcontroller-alerts "
        "/var/spool/wxcontroller",
        """
        read("/run/wxclient/victim/mojo_weixin_state_victim.json")
        read("/etc/wxcontroller/tokens")
        read("/etc/wxcontroller/clients/victim.env")
        write(own + "/mine")
        spawn("/usr/bin/systemctl", "--no-ask-password", "restart", "wxclient@victim.service")
        """,
        (ANY, CONTROLLER),
        (ANY_INSIDE, CONTROLLER_INSIDE),
    ),
}


def lines(attempts: str) -> list[str]:
    return [line.strip() for line in attempts.strip().splitlines()]


def outside(host: Host, names: Mapping[str, Any], *expressions: str) -> list[Any]:
    """Evaluate expressions as root without a sandbox, in mount namespaces of their own."""
    order = json.dumps({"expressions": expressions, "names": {**names, "own": SCRATCH}}).encode()
    return list(json.loads(host.run("unshare", "-m", "/usr/bin/python3", INSIDE, "outside", input=order).stdout))


@pytest.fixture(scope="module")
def names(host: Host) -> dict[str, Any]:
    """An account whose secrets are worth reading, and a token; return what expressions call them."""
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
    socat = ("socat", "UNIX-LISTEN:/run/wxclient/victim/socket,mode=0666,fork", "EXEC:/bin/cat")
    host.run("systemd-run", "-q", "--unit=victim-socket", *socat)
    host.run("systemd-run", "-q", "--unit=of-root", "sleep", "infinity")
    # Another program of the controller's user, for the intruder in its place to trace.
    host.run("systemd-run", "-q", "--unit=of-controller", "-p", "User=wxcontroller", "sleep", "infinity")
    listen_at_metadata(host)
    token = host.run("wxctl", "token", "create", "victims", "--scope", "admin", "--account", "victim").stdout
    pid = show(host, "wxclient@victim.service", "MainPID")
    journal = host.text("sh", "-c", "ls /var/log/journal/*/system.journal /run/log/journal/*/system.journal 2>&-; :")
    return {
        "victim": int(pid),
        "victim_port": port_of(host, "victim"),
        "victim_uid": int(host.text("ps", "-o", "uid=", "-p", pid)),
        "controller": int(show(host, "of-controller.service", "MainPID")),
        "root": int(show(host, "of-root.service", "MainPID")),
        "token": token.decode().strip(),
        "journal": journal.split()[0],
    }


def listen_at_metadata(host: Host) -> None:
    """Have a server at the addresses that must not be reached."""
    for address in (*METADATA, ELSEWHERE):
        host.run("ip", "address", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo")
    host.run("ip", "route", "add", "224.0.0.0/4", "dev", "lo")
    host.run("systemd-run", "-q", "--unit=metadata", "/usr/bin/python3", "-m", "http.server", "-b", "::", "8090")
    address = f"http://{ELSEWHERE}:8090/"
    until(lambda: host.run("curl", "-sf", address, check=False).returncode == 0, "a server at the metadata's address")


@pytest.fixture(scope="module", params=SERVICES)
def intruder(request: pytest.FixtureRequest, host: Host, names: dict[str, Any]) -> Iterator[tuple[Service, Inside]]:
    """The program of each service in turn, taken over."""
    service = SERVICES[request.param]
    if request.param == "export":
        host.run("systemctl", "start", "wxclient@mallory.service")
        host.run("systemctl", "stop", "wxclient@mallory.service")
    with inside(host, service.unit, service.port, {**names, "own": service.own}) as taken:
        yield service, taken


def test_attempts_to_leave_the_sandbox_are_refused(host: Host, intruder: tuple[Service, Inside]) -> None:
    service, taken = intruder
    for of_both, attempts in ((True, service.attempts), (False, service.inside)):
        expected = {
            line: errors for attempt in attempts for errors, listed in attempt.items() for line in lines(listed)
        }
        found = dict(zip(expected, taken.evaluate(*expected), strict=True))
        refused = {each: errors | service.also for each, errors in expected.items()}
        assert {each: got for each, got in found.items() if refusal(got) not in refused[each]} == {}
        if of_both:
            by_root = dict(zip(expected, outside(host, taken.names, *expected), strict=True))
            assert {each: got for each, got in by_root.items() if refusal(got) in expected[each]} == {}


def refusal(outcome: object) -> str:
    return outcome.get("error", "") if isinstance(outcome, dict) else ""


def test_service_has_its_required_access(intruder: tuple[Service, Inside]) -> None:
    service, taken = intruder
    found = dict(zip(lines(service.needs), taken.evaluate(*lines(service.needs)), strict=True))
    assert {each: got for each, got in found.items() if got} == {}


def test_service_can_write_only_to_its_directories(intruder: tuple[Service, Inside]) -> None:
    """All directories and files that it sees are tried. Some devices discard what is written to them."""
    service, taken = intruder
    own = {*service.writable.split(), "/tmp", "/var/tmp"}
    found = taken.value("writable()")
    elsewhere = [place for place in found if not any(place == each or place.startswith(f"{each}/") for each in own)]
    assert elsewhere == ["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"]
    assert own <= set(found)


of_an_account = pytest.mark.parametrize("intruder", ["account"], indirect=True)


@of_an_account
def test_account_sees_no_other_account(intruder: tuple[Service, Inside]) -> None:
    _, taken = intruder
    assert taken.evaluate('sorted(os.listdir("/run/wxclient"))', 'os.listdir("/var/lib/private/wxclient")') == [
        *([".credentials", "mallory"], ["mallory"])
    ]


@of_an_account
def test_tmp_is_private_to_each_account(host: Host, intruder: tuple[Service, Inside]) -> None:
    for place in ("/tmp", "/var/tmp"):
        host.write(f"{place}/of-the-host", b"x", 0o644)
        assert "of-the-host" not in intruder[1].value(f"write('{place}/of-the-account') or os.listdir('{place}')")
        assert host.run("test", "-e", f"{place}/of-the-account", check=False).returncode == 1


@of_an_account
def test_calls_of_an_account_succeed_with_a_token(intruder: tuple[Service, Inside]) -> None:
    """So the token is what they lack in the test above."""
    expressions = [f"get({call}, X_Auth_Token=token)" for call in CALLS]
    assert intruder[1].evaluate(*expressions) == [None] * len(CALLS)


def test_session_of_an_account_is_readable_by_its_user_only(host: Host, names: dict[str, Any]) -> None:
    state = "/var/lib/private/wxclient/victim"
    uid = str(names["victim_uid"])
    assert host.text("stat", "-c", "%u %a", f"{state}/mojo_weixin_cookie_victim.dat").split() == [uid, "600"]
    assert host.text("find", state, "-type", "f", "-perm", "/007").strip() == ""
    assert host.text("stat", "-c", "%u %a", state).split() == [uid, "700"]
