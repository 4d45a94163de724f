"""Root takes away accounts whose programs were taken over and have prepared their files for that.

Among the files are modules in place of those that root's Python imports, no database where one was open, and entries
that are no files. None of the account's code may run, except in its own unit.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.system.actors import until
from tests.system.fleet import Fleet, fleet
from tests.system.host import Host
from tests.system.units import Inside, dropin, inside, show

pytestmark = pytest.mark.system
KEY = "/root/key"
LISTENS = 8099
# Modules that Python imports at its start, for a traceback, or for a database.
MODULES = (
    *("traceback", "linecache", "codecs", "encodings/__init__", "encodings/utf_8", "os", "stat", "struct", "site"),
    *("sqlite3/__init__", "json/__init__", "sitecustomize", "usercustomize", "wxcontroller/__init__", "_sqlite3"),
)
PLACES = ("", "usr/lib/python3.13", "usr/lib/python3/dist-packages", "usr/local/lib/python3.13/dist-packages")
# What they do: leave a file, listen, and stay.
PAYLOAD = f"""
import posix, time, _socket
posix.close(posix.open("/executed", posix.O_CREAT | posix.O_WRONLY, 0o666))
if not posix.fork():
    posix.setsid()
    for number in range(64):
        try:
            posix.close(number)
        except OSError:
            pass
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0)
    listener.bind(("0.0.0.0", {LISTENS}))
    listener.listen(1)
    time.sleep(600)
"""
PREPARE = f"""
import os, socket
def put(name, content):
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as file:
        file.write(content)
for place in {PLACES}:
    for name in {MODULES}:
        put(os.path.join(own, place, name + ".py"), {PAYLOAD.encode()!r})
for name in ("events.db", "events.db-shm", "events.db-wal"):
    put(own + "/" + name, b"no database\\n" * 1000)
put(own + "/two\\nlines", b"1")
put(own + "/\\x1b[2Jscreen", b"2")
put(os.fsencode(own) + b"/no\\xffname", b"3")
put(own + "/a/b/c/d/e/f/g/h/too-deep", b"4")
put(own + "/..hidden", b"5")
put(own + "/unreadable", b"6")
os.chmod(own + "/unreadable", 0)
socket.socket(socket.AF_UNIX).bind(own + "/socket")
"""
LEFT_OUT = (
    r"two\nlines",
    r"\x1b[2Jscreen",
    r"no\udcffname",
    "a/b/c/d/e/f/g/h",
    "unreadable",
    "socket",
    "pipe",
    "link",
)


@dataclass(frozen=True)
class Prepared:
    """An account with prepared files: the host's view of it."""

    host: Host
    name: str

    @property
    def place(self) -> str:
        return f"/var/lib/private/wxclient/{self.name}"

    def assert_nothing_ran(self) -> None:
        """Fail if a file, a process or a listener of the prepared modules exists."""
        uid = self.host.text("stat", "-c", "%u", self.place).strip()
        unit = show(self.host, f"wxclient@{self.name}.service", "ControlGroup")
        found = self.host.text("find", "/executed", f"{self.place}/executed", check=False).splitlines()
        assert [line for line in found if "No such file" not in line] == []
        groups = self.host.text("ps", "-o", "cgroup=", "-U", uid, check=False).splitlines() if int(uid) else []
        assert [group for group in groups if not unit or not group.endswith(unit)] == []
        assert self.host.text("ss", "-ltnH", f"sport = :{LISTENS}").strip() == ""
        assert show(self.host, f"wxclient-export@{self.name}.service", "ActiveState") == "inactive"


@pytest.fixture(scope="module")
def pair(debs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(debs, tmp_path_factory.mktemp("certificates")) as both:
        for host in both.hosts.values():
            host.write(KEY, b"correct horse battery\n", 0o600)
        yield both


@pytest.fixture
def first(pair: Fleet) -> Host:
    return pair.hosts["host-a"]


def prepare(host: Host, name: str, *, then: Callable[[Inside], None] = lambda _: None) -> Prepared:
    """Have an account's program prepare its files, and end; ``then`` is called while it runs."""
    host.run("systemctl", "start", f"wxclient@{name}")
    host.run("wxctl", "set", name, "standby=host-b")
    own = f"/var/lib/private/wxclient/{name}"
    with inside(host, f"wxclient@{name}.service", names={"own": own}) as hostile:
        assert hostile.value(f"exec({PREPARE!r}, {{'own': own}})") is None
        # Only others can make these.
        host.run("mkfifo", f"{own}/pipe")
        host.run("ln", "-s", "/etc/shadow", f"{own}/link")
        host.run("chown", "-h", "--reference", own, f"{own}/pipe", f"{own}/link")
        then(hostile)
    return Prepared(host, name)


def test_export_runs_nothing_of_the_account(pair: Fleet, first: Host) -> None:
    account = prepare(first, "exported")
    done = first.run(
        "wxctl",
        "export",
        account.name,
        "/root/out",
        "--stop",
        "--passphrase-file",
        KEY,
        check=False,
        timeout=PATIENCE,
    )
    account.assert_nothing_ran()
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    for name in LEFT_OUT:
        assert f"state/{name}".encode() in printed, printed
    assert b"\x1b" not in printed
    assert b"two\n" not in printed
    # All the rest is in it.
    first.run("wxctl", "remove", account.name, "--yes")
    second = pair.hosts["host-b"]
    second.write("/root/in", first.read("/root/out"))
    second.run("wxctl", "import", "/root/in", "--passphrase-file", KEY)
    assert second.read(f"{account.place}/events.db") == b"no database\n" * 1000
    assert second.read(f"{account.place}/..hidden") == b"5"
    second.run("test", "-f", f"{account.place}/usr/lib/python3.13/traceback.py")
    assert second.run("test", "-e", f"{account.place}/socket", check=False).returncode == 1
    second.run("wxctl", "remove", account.name, "--yes")


def test_move_runs_nothing_of_the_account(pair: Fleet, first: Host) -> None:
    account = prepare(first, "moved")
    first.run("wxctl", "stop", account.name)
    done = first.run("wxctl", "move", account.name, "host-b", check=False, timeout=PATIENCE * 2)
    if done.returncode:
        account.assert_nothing_ran()
    assert done.returncode == 0, done.stderr
    assert first.text("ss", "-ltnH", f"sport = :{LISTENS}").strip() == ""
    assert pair.hosts["host-b"].read(f"{account.place}/..hidden") == b"5"
    assert first.run("test", "-e", account.place, check=False).returncode == 1


def test_standby_copy_of_a_running_account_runs_nothing_of_it(pair: Fleet, first: Host) -> None:
    def copy(hostile: Inside) -> None:
        first.run("systemctl", "start", "wxcontroller-standby.service", timeout=PATIENCE * 2)
        Prepared(first, "copied").assert_nothing_ran()
        assert hostile.value("1") == 1

    prepare(first, "copied", then=copy)
    pair.hosts["host-b"].run("test", "-s", "/var/lib/wxcontroller-standby/copied.wxaccount")


def test_running_account_is_read_without_being_changed(first: Host, pair: Fleet) -> None:
    first.run("systemctl", "start", "wxclient@calm")
    first.run("wxctl", "set", "calm", "standby=host-b")
    place, unit = "/var/lib/private/wxclient/calm", "wxclient@calm.service"

    def facts() -> tuple[str, ...]:
        # A change of owner or mode would change the time, too.
        owners = first.text("stat", "-c", "%u %g %a", f"{place}/events.db", f"{place}/events.db-shm")
        return (
            *(first.text("stat", "-c", "%u %g %a %Z", place), owners),
            *(show(first, unit, each) for each in ("InvocationID", "MainPID")),
        )

    before = facts()
    first.run("systemctl", "start", "wxcontroller-standby.service", timeout=PATIENCE * 2)
    pair.hosts["host-b"].run("test", "-s", "/var/lib/wxcontroller-standby/calm.wxaccount")
    assert facts() == before


def test_account_of_another_program_is_exported(pair: Fleet, first: Host) -> None:
    """It has no database, and directories that its drop-in names."""
    program = (
        "import pathlib, time; pathlib.Path('/var/lib/wxclient/foreign/media/x').write_text('of it'); time.sleep(600)"
    )
    change = f'[Service]\nExecStart=\nExecStart=/usr/bin/python3 -c "{program}"\nType=exec\nWatchdogSec=0\n'
    with dropin(first, "wxclient@foreign.service", f"{change}StateDirectory=wxclient/%i/media\n"):
        first.run("systemctl", "start", "wxclient@foreign")
        written = ("test", "-s", "/var/lib/private/wxclient/foreign/media/x")
        until(lambda: first.run(*written, check=False).returncode == 0, "its file")
        first.run("wxctl", "export", "foreign", "/root/foreign", "--stop", "--passphrase-file", KEY)
    first.run("wxctl", "remove", "foreign", "--yes")
    second = pair.hosts["host-b"]
    second.write("/root/foreign", first.read("/root/foreign"))
    second.run("wxctl", "import", "/root/foreign", "--passphrase-file", KEY)
    assert second.read("/var/lib/private/wxclient/foreign/media/x") == b"of it"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("truncate -s 1T hole", b"mostly empty"),
        ("ln -s /etc events.db; touch events.db-shm", b"state/events.db is not a plain file"),
        ("mkfifo events.db; touch events.db-shm", b"state/events.db is not a plain file"),
        ("ln -s /etc events.db-shm", b""),
    ],
    ids=["huge", "link", "pipe", "index"],
)
def test_export_of_odd_files_ends_in_time(first: Host, make: str, words: bytes) -> None:
    place = "/var/lib/private/wxclient/odd"
    first.run("systemctl", "start", "wxclient@odd")
    first.run("wxctl", "stop", "odd")
    first.run("sh", "-c", f"cd {place} && rm -rf * && {make} && chown -h --reference=. *")
    began = time.monotonic()
    done = first.run("wxctl", "export", "odd", "/root/odd", "--passphrase-file", KEY, check=False, timeout=PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2
    assert words in done.stderr
    assert (done.returncode == 0) == (b"mostly" not in words), done.stderr
    first.run("rm", "-f", "/root/odd")
    Prepared(first, "odd").assert_nothing_ran()


def test_removal_ends_an_export(first: Host) -> None:
    place, unit = "/var/lib/private/wxclient/large", "wxclient-export@large.service"
    first.run("systemctl", "start", "wxclient@large")
    first.run("wxctl", "stop", "large")
    first.run("sh", "-c", f"head -c 32M /dev/urandom >{place}/content && chown --reference={place} {place}/content")
    first.run("mkfifo", "/root/slow")
    export = f"wxctl export large - --passphrase-file {KEY} >/root/slow"
    with subprocess.Popen(first.command("sh", "-c", export), stderr=subprocess.PIPE) as exporting:
        # Opened, so that the export begins; read only afterwards.
        reader = subprocess.Popen(
            first.command("sh", "-c", "exec 3</root/slow; read -r go; cat <&3"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        until(lambda: show(first, unit, "ActiveState") == "active", "the reading")
        # Nobody else reads it meanwhile.
        second = first.run("wxctl", "export", "large", "/root/second", "--passphrase-file", KEY, check=False)
        assert (second.returncode, b"being read already" in second.stderr) == (1, True)
        first.run("systemctl", "start", "wxclient-purge@large")
        assert show(first, unit, "ActiveState") == "inactive"
        assert first.run("test", "-e", place, check=False).returncode == 1
        reader.communicate(b"\n", timeout=PATIENCE)
        _, printed = exporting.communicate(timeout=PATIENCE)
    assert exporting.returncode == 1
    assert b"reading the files of large has failed" in printed
    first.run("rm", "/root/slow")


def test_export_does_not_interrupt_a_removal(first: Host) -> None:
    first.run("systemctl", "start", "wxclient@leaving")
    first.run("wxctl", "stop", "leaving")
    purge = "wxclient-purge@leaving.service"
    with dropin(first, purge, "[Service]\nExecStartPre=/usr/bin/sleep 3\n"):
        first.run("systemctl", "start", "--no-block", purge)
        until(lambda: show(first, purge, "ActiveState") == "activating", "the removal")
        done = first.run("wxctl", "export", "leaving", "/root/leaving", "--passphrase-file", KEY, check=False)
        assert done.returncode != 0
        until(lambda: show(first, purge, "ActiveState") == "inactive", "its end")
        assert show(first, purge, "Result") == "success"
    assert first.run("test", "-e", "/var/lib/private/wxclient/leaving", check=False).returncode == 1
