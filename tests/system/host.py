"""A booted Debian 13 with systemd in a container: the host of system tests.

mmdebstrap makes a base tree once, and an installation of the packages adds a layer to it; both are kept. Each host is
an overlay over them, with its own network namespace, cgroup and journal. This machine needs no running systemd.
Also a command:

    /usr/bin/python3 -m tests.system.host up NAME [DEB...]   boot one, install packages, leave it running
    /usr/bin/python3 -m tests.system.host in NAME CMD        run a command in it
    /usr/bin/python3 -m tests.system.host down NAME          stop it and remove what it wrote
    /usr/bin/python3 -m tests.system.host list               which are running

A host made by ``Host.up`` ends with the process that made it, even if that is killed: a reaper process waits for its
end. If the reaper was killed as well, the next host that boots takes the old one down.
"""

import argparse
import contextlib
import fcntl
import hashlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(os.environ.get("TESTHOST_DIR", "/var/tmp/wxcontroller-testhost"))
CGROUPS = Path("/sys/fs/cgroup")
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
# Packages of the base tree: systemd, and tools that tests use inside, also those that would install many packages on
# this machine; and the dependencies of our packages, so that apt needs no network.
PACKAGES = (
    "systemd,systemd-sysv,dbus,polkitd,libnss-systemd,iproute2,curl,procps,ca-certificates,autopkgtest,"
    "lintian,python3,python3-aiohttp,python3-aiohttp-socks,tinyproxy-bin,microsocks,socat,libfaketime,nginx,exim4-daemon-light,"
    "python3-jinja2,python3-defusedxml,python3-systemd,python3-sdnotify,python3-segno,python3-prometheus-client,python3-click,python3-rich,python3-cryptography,python3-uvloop,python3-msgspec"
)
# What is changed in the base tree. Tests that need the services start them. systemd executes its generators at each
# boot and reload, and those for disks, consoles and init scripts find nothing in a container. Nobody searches the
# index of manuals, which each installation would update.
CHANGES = (
    "chroot $1 systemctl disable nginx exim4",
    "mkdir -p $1/etc/systemd/system-generators; for each in $1/usr/lib/systemd/system-generators/*; do "
    "ln -s /dev/null $1/etc/systemd/system-generators/${each##*/}; done",
    "rm -f $1/var/lib/man-db/auto-update",
)
# A tree that was not booted for so long is removed when another one is made.
_KEPT_SECONDS = 86_400
CLONE_NEWNET = 0x40000000


class HostError(Exception):
    """A host cannot be made, booted or stopped."""


@contextlib.contextmanager
def network_of(process: int) -> Iterator[None]:
    """Enter the network namespace of a process during a block, with the calling thread only."""
    task = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
    with open(task) as outside, open(f"/proc/{process}/ns/net") as inside:  # noqa: PTH123
        os.setns(inside.fileno(), CLONE_NEWNET)  # type: ignore[attr-defined]  # Python 3.12
        try:
            yield
        finally:
            os.setns(outside.fileno(), CLONE_NEWNET)  # type: ignore[attr-defined]  # Python 3.12


class Machine(ABC):
    """A network namespace with sockets to talk to."""

    @property
    @abstractmethod
    def leader(self) -> int:
        """The pid of a process in it."""

    @contextlib.contextmanager
    def netns(self) -> Iterator[None]:
        """Enter its network during a block, with the calling thread only: sockets stay where they are created."""
        with network_of(self.leader):
            yield

    def connection(self, address: str = "127.0.0.1:2000", timeout: float = 60) -> http.client.HTTPConnection:
        """Return an HTTP connection to its loopback, which reconnects after it was closed."""
        return _Connection(self, address, timeout)

    def http(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 60,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request to its loopback; return status, headers and body."""
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = self.connection(parts.netloc, timeout)
        try:
            connection.request(method, target or "/", body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@dataclass(eq=False)
class Host(Machine):
    """A booted host; ``Host.up`` makes it and takes it down."""

    name: str
    limits: bool = False
    packages: Sequence[Path] = ()
    _reaper: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def _place(self) -> Path:
        return WORK / self.name

    @property
    def leader(self) -> int:
        """The pid of its PID 1."""
        return int((self._place / "leader").read_text())

    @classmethod
    @contextlib.contextmanager
    def up(cls, name: str, limits: bool = False, packages: Sequence[Path] = ()) -> Iterator["Host"]:
        """Boot a host for the duration of a block, with ``packages`` installed before it boots.

        ``limits``: enforce MemoryMax and others.
        """
        host = cls(name, limits, packages)
        sweep()
        host._refuse_a_second()
        host._watch_over()
        try:
            host.boot()
            yield host
        finally:
            host.down()

    def boot(self) -> None:
        """Boot on the disk of an earlier boot, or else on a new overlay. Raises HostError."""
        below = [make_base()]
        if self.packages:
            below.insert(0, make_installed(self.packages))
        self._refuse_a_second()
        if not (self._place / "keep").exists():
            self._clean()
        for part in ("up", "work", "root"):
            (self._place / part).mkdir(parents=True, exist_ok=True)
        (self._place / "keep").unlink(missing_ok=True)
        if self._reaper:
            (self._place / "owner").write_text(str(self._reaper.pid))
        root = self._place / "root"
        self._stop()  # a killed run may have left it mounted
        lower = ":".join(map(str, below))
        # "volatile": no write waits for the disk, with which installing packages took four times as long. The kernel
        # mounts such an overlay again only without this directory.
        shutil.rmtree(self._place.joinpath("work", "work", "incompat"), ignore_errors=True)
        layers = f"lowerdir={lower},upperdir={self._place}/up,workdir={self._place}/work,volatile"
        _must("mount", "-t", "overlay", f"wxhost-{self.name}", "-o", layers, str(root))
        try:
            self._spawn(root)
            self._settle()
            if not self._reaper:
                (self._place / "owner").write_text("0")
        except BaseException:
            self._stop()
            raise

    def _settle(self) -> None:
        """Wait until the host is up."""
        if self.limits:
            for hierarchy in ("memory", "pids", "cpu", "cpuacct"):
                self.run("mount", "-o", "remount,bind,rw,nosuid,nodev,noexec", "none", str(CGROUPS / hierarchy))
            self.run("systemctl", "daemon-reexec")
        latest = time.monotonic() + 180
        while True:
            found = self.run("systemctl", "is-system-running", "--wait", check=False, timeout=180)
            state = found.stdout.decode().strip()
            if state or time.monotonic() > latest:
                break
            time.sleep(0.1)  # systemd has run units, and does not listen yet
        if state not in ("running", "degraded"):
            words = found.stderr.decode().strip()
            raise HostError(f"the host {self.name} is {state!r} after boot: {words}")

    def reboot(self) -> None:
        """Shut down and boot again on the same disk."""
        self.run("journalctl", "--sync", check=False)
        (self._place / "keep").touch()
        self._stop(orderly=True)
        self.boot()

    def cut_power(self) -> None:
        """Kill it; ``boot`` continues with what is on the disk."""
        (self._place / "keep").touch()
        self._stop()

    def keep_as(self, layer: Path) -> None:
        """Shut down and keep what was written as a layer for other hosts."""
        self._stop(orderly=True)
        written = self._place / "up"
        for own in ("etc/machine-id", "var/lib/systemd/random-seed", "var/log/journal", "root/debs"):
            _remove(written / own)
        written.rename(layer)

    def down(self) -> None:
        """Kill it and remove everything it wrote."""
        self._stop()
        self._clean()
        if self._reaper and self._reaper.stdin:
            with contextlib.suppress(OSError):
                self._reaper.stdin.write(b"done")
                self._reaper.stdin.close()
            self._reaper.wait(timeout=10)
            self._reaper = None

    def _refuse_a_second(self) -> None:
        if _alive(self._place):
            raise HostError(f"the host {self.name} is running already; end it: tests.system.host down {self.name}")

    def _watch_over(self) -> None:
        """Start the reaper, which takes the host down if this process ends without doing so."""
        self._reaper = subprocess.Popen(
            [sys.executable, __file__, "reap", self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(
        self,
        *argv: str,
        input: bytes | None = None,  # noqa: A002 - the name subprocess uses
        check: bool = True,
        timeout: float = 120,
        user: str | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command inside as root, or as ``user``. Raises CalledProcessError with its output when ``check``."""
        runner = ["runuser", "-u", user, "--"] if user else []
        done = subprocess.run(
            self.command(*runner, *argv, timeout=timeout),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=timeout + 5,
            check=False,
        )
        if check and done.returncode != 0:
            output = (done.stdout + done.stderr).decode(errors="replace")
            raise AssertionError(f"in {self.name}: {' '.join(argv)} ended with {done.returncode}:\n{output}")
        return done

    def command(self, *argv: str, timeout: float = 120) -> list[str]:
        """Return the command of this machine that runs one inside as root, for ``timeout`` seconds at most."""
        # The timeout is inside, as killing nsenter would leave the command running.
        return [*f"nsenter -a -r -w -t {self.leader} -- timeout -k 2 {timeout}".split(), *argv]

    def text(self, *argv: str, check: bool = True, timeout: float = 120) -> str:
        """Run a command inside and return what it printed."""
        done = self.run(*argv, check=check, timeout=timeout)
        return (done.stdout + done.stderr).decode(errors="replace")

    def write(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Write a file in the host, and its directory."""
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("sh", "-c", f"cat > '{path}' && chmod {mode:o} '{path}'", input=content)

    def path(self, inside: str) -> Path:
        """Return the path of a file of the host on this machine."""
        return Path(f"/proc/{self.leader}/root{inside}")

    def read(self, path: str) -> bytes:
        return self.run("cat", path).stdout

    def install(self, *debs: Path, check: bool = True) -> str:
        """Install packages by apt, which resolves their dependencies; return what apt printed."""
        self.run("mkdir", "-p", "/root/debs")
        for deb in debs:
            self.write(f"/root/debs/{deb.name}", deb.read_bytes())
        files = (f"/root/debs/{deb.name}" for deb in debs)
        return self.text("apt-get", "-qy", "install", *files, check=check)

    def journal(self, *units: str, lines: int = 200) -> str:
        """Return the newest journal lines of units, of everything when none is named."""
        self.run("journalctl", "--sync", check=False)
        chosen = [part for unit in units for part in ("-u", unit)]
        return self.text("journalctl", "--no-pager", "-o", "short-precise", "-n", str(lines), *chosen, check=False)

    def _spawn(self, root: Path) -> None:
        hierarchies = ["unified", "systemd"] + (["memory", "pids", "cpu", "cpuacct"] if self.limits else [])
        present = [h for h in hierarchies if (CGROUPS / h).is_dir()] or [""]
        # A cgroup of its own before nspawn starts: otherwise hosts share those of units with the same name.
        moves = "; ".join(
            f"mkdir -p {CGROUPS / h}/wx-{self.name} && echo $$ > {CGROUPS / h}/wx-{self.name}/cgroup.procs"
            for h in present
        )
        nspawn = (
            f"exec systemd-nspawn -q -D {root} --boot --machine={self.name} --hostname={self.name} "
            "--register=no --keep-unit --private-network --capability=CAP_BPF,CAP_PERFMON --system-call-filter=bpf "
            "--console=pipe --kill-signal=SIGRTMIN+3"
        )
        environment = {**os.environ, **({} if self.limits else {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})}
        with (self._place / "console").open("wb") as console:
            process = subprocess.Popen(
                ["bash", "-c", f"{moves}; {nspawn}"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        (self._place / "pid").write_text(str(process.pid))
        leader = self._await_leader(process)
        (self._place / "leader").write_text(str(leader))

    def _await_leader(self, process: "subprocess.Popen[bytes]") -> int:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError, IndexError, ValueError):
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                if Path(f"/proc/{children[0]}/root/run/systemd/private").exists():
                    return int(children[0])
            time.sleep(0.02)
        console = (self._place / "console").read_text(errors="replace")
        raise HostError(f"the host {self.name} does not boot:\n{console[-3000:]}")

    def _stop(self, orderly: bool = False) -> None:
        pid = _pid(self._place)
        if pid and _running(pid):
            with contextlib.suppress(OSError, ValueError):
                if orderly:
                    os.kill(pid, signal.SIGTERM)
                else:
                    os.kill(self.leader, signal.SIGKILL)
            if not _gone(pid, 60 if orderly else 5):
                if orderly:
                    raise HostError(f"the host {self.name} does not shut down; see {self._place}/console")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        (self._place / "pid").unlink(missing_ok=True)
        export = (
            Path("/run/systemd/nspawn/unix-export") / self.name
        )  # left behind by a killed nspawn; it then refuses
        for mounted in (self._place / "root", export):
            subprocess.run(["umount", "-l", str(mounted)], capture_output=True, check=False)
        with contextlib.suppress(OSError):
            export.rmdir()
        for hierarchy in CGROUPS.iterdir() if CGROUPS.is_dir() else []:
            _remove_cgroup(hierarchy / f"wx-{self.name}")

    def _clean(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)


class _Connection(http.client.HTTPConnection):
    def __init__(self, machine: Machine, address: str, timeout: float) -> None:
        super().__init__(address, timeout=timeout)
        self._inside = machine

    def connect(self) -> None:
        with self._inside.netns():
            super().connect()


def _check_machine() -> None:
    """Raise HostError if no container can start here, as in a plain chroot."""
    for name, package in (("mmdebstrap", "mmdebstrap"), ("systemd-nspawn", "systemd-container")):
        if not shutil.which(name):
            raise HostError(f"{name} is not installed (package {package}): run make test-deps")
    try:
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    except OSError:
        mounts = []
    # nspawn replaces the root file system, and must be in a mounted one.
    if "/" not in mounts or not any(Path(each).is_relative_to(CGROUPS) for each in mounts):
        raise HostError(
            "a test host cannot boot in a chroot: it needs a root file system of its own, /proc and /sys/fs/cgroup; "
            "run make on a machine, in a virtual machine or in a container with these"
        )


def make_base() -> Path:
    """Return the base tree for the present list of packages, making it if it is missing. Raises HostError."""
    _check_machine()
    wanted = sorted(PACKAGES.split(","))
    key = hashlib.sha256(",".join([*wanted, *CHANGES]).encode()).hexdigest()[:12]
    base = WORK / f"base-{key}"
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / ".base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if base.is_dir():
            os.utime(base)
            return base
        _remove_unused("base-*")
        _remove_unused("making-*")
        print("making the test host's base tree (about a minute, once)", file=sys.stderr, flush=True)
        making = WORK / f"making-{key}"
        shutil.rmtree(making, ignore_errors=True)
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(wanted)}"]
        command += [f"--customize-hook={change}" for change in CHANGES]
        command += ["--aptopt=Acquire::Languages none", "trixie", str(making)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(making, ignore_errors=True)
            raise HostError(f"mmdebstrap failed:\n{done.stderr.decode(errors='replace')[-3000:]}")
        # It would override --hostname with this machine's name.
        (making / "etc/hostname").unlink(missing_ok=True)
        making.rename(base)
    return base


def make_installed(packages: Sequence[Path]) -> Path:
    """Return the layer that an installation of ``packages`` adds to the base tree, making it if it is missing.

    Raises HostError.
    """
    digest = hashlib.sha256(make_base().name.encode())
    for package in sorted(packages):
        digest.update(package.read_bytes())
    layer = WORK / f"installed-{digest.hexdigest()[:12]}"
    with (WORK / ".installed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not layer.is_dir():
            _remove_unused("installed-*")
            with Host.up(f"wx-installing-{os.getpid()}") as host:
                host.install(*packages)
                host.keep_as(layer)
        os.utime(layer)
    return layer


def _remove_unused(pattern: str) -> None:
    """Remove trees that were not booted for a day; other versions of these tests may need the rest."""
    mounts = Path("/proc/self/mounts").read_text()
    for old in WORK.glob(pattern):
        if str(old) not in mounts and time.time() - old.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(old.rename(WORK / f"making-gone-{old.name}"), ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep() -> None:
    """Take down hosts whose process and reaper have both ended. Raises HostError."""
    _check_machine()  # first: without /proc, every process seems to have ended
    for place in WORK.glob("*"):
        try:
            owner = int((place / "owner").read_text())
        except (OSError, ValueError):
            continue
        running = _alive(place)
        if (owner and not _running(owner, b"reap")) or not (owner or running):
            Host(place.name).down()


def reap(name: str) -> None:
    """Wait for the end of the process that made a host; take the host down if that has not done so."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != b"done":
        Host(name).down()


def hosts() -> list[str]:
    """Return the names of all hosts that are running."""
    return sorted(place.name for place in WORK.glob("*") if (place / "pid").exists() and _alive(place))


def _must(*argv: str) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise HostError(f"{' '.join(argv)}: {done.stderr.decode(errors='replace').strip()}")


def _pid(place: Path) -> int:
    try:
        return int((place / "pid").read_text())
    except (OSError, ValueError):
        return 0


def _alive(place: Path) -> bool:
    pid = _pid(place)
    return bool(pid) and _running(pid)


def _running(pid: int, what: bytes = b"nspawn") -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    # Without a command line: the kernel is just beginning to run its program, which takes a while on a busy machine.
    return stat.rpartition(")")[2].split()[0] != "Z" and (what in command or not command)


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # a child, if this process booted it
        if not _running(pid):
            return True
        time.sleep(0.05)
    return False


def _remove_cgroup(top: Path) -> None:
    if not top.is_dir():
        return
    for directory, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            Path(directory).rmdir()


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.system.host", description=__doc__)
    parser.add_argument("--limits", action="store_true", help="enforce memory, task and CPU limits")
    parser.add_argument("verb", choices=["up", "in", "down", "list", "base", "reap"])
    parser.add_argument("name", nargs="?", default="wxhost")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="for in: what to run; for up: packages to install")
    chosen = parser.parse_args()
    host = Host(chosen.name, chosen.limits)
    match chosen.verb:
        case "up":
            sweep()
            host.boot()
            if chosen.command:
                host.install(*map(Path, chosen.command))
        case "reap":
            reap(chosen.name)
        case "in":
            leader = str(host.leader)
            command = ["nsenter", "-a", "-r", "-w", "-t", leader, "--", *(chosen.command or ["bash"])]
            os.execvpe("nsenter", command, {**ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb")})
        case "down":
            host.down()
        case "base":
            try:
                print(make_base())
            except HostError as problem:
                sys.exit(str(problem))
        case "list":
            print("\n".join(hosts()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
