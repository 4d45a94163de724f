"""A real etcd for tests: Debian's program, which `make test-deps` fetches without its package and service."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.patience import PATIENCE
from tests.ports import free_port
from tests.programs import TOOLS, program
from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Etcd, EtcdFailure

_GUIDE = Path(__file__).parents[1] / "docs/howto/etcd.md"


def guide(heading: str) -> str:
    """Return the first commands below a heading of the guide."""
    page = _GUIDE.read_text("utf-8")
    [found] = re.findall(rf"^## {heading}$.*?```sh[^\n]*\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    return str(found)


def member_settings() -> str:
    """Return the environment of the guide's first member."""
    [found] = re.findall(r"<<'END'\n(.*?)^END$", guide("2. Start three members"), re.DOTALL | re.MULTILINE)
    return str(found)


@dataclass
class Member:
    """One member of an etcd; ``wrapper`` is a command that its program runs under, as in another namespace."""

    name: str
    root: Path
    client: int = field(default_factory=free_port)
    peer: int = field(default_factory=free_port)
    address: str = "127.0.0.1"
    wrapper: Sequence[str] = ()
    process: "subprocess.Popen[bytes] | None" = None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()


class EtcdServers:
    """The members of one etcd on this machine, without TLS."""

    def __init__(self, root: Path, members: int = 1) -> None:
        self.members = [Member(f"m{number}", root) for number in range(members)]
        self.options: list[str] = []

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(f"http://{member.address}:{member.client}" for member in self.members)

    def settings(self, user: str = "", password: str = "") -> EtcdSettings:
        return EtcdSettings(self.endpoints, user=user, password=password)

    def start(self, member: Member) -> None:
        """Start a member, or start it again."""
        client = f"http://{member.address}:{member.client}"
        peer = f"http://{member.address}:{member.peer}"
        arguments = {
            **{"name": member.name, "data-dir": str(member.root / f"etcd-{member.name}"), "log-level": "error"},
            **{"listen-client-urls": client, "advertise-client-urls": client},
            **{"listen-peer-urls": peer, "initial-advertise-peer-urls": peer},
            "initial-cluster": ",".join(
                f"{member.name}=http://{member.address}:{member.peer}" for member in self.members
            ),
        }
        command = [*member.wrapper, program("etcd"), "--unsafe-no-fsync", *self.options]
        command += [f"--{name}={value}" for name, value in arguments.items()]
        with (member.root / f"{member.name}.log").open("ab") as log:
            member.process = subprocess.Popen(command, stdout=log, stderr=log)

    def control(self, *arguments: str) -> str:
        """Run etcdctl; return what it writes."""
        etcdctl = (program("etcdctl"), f"--endpoints={','.join(self.endpoints)}")
        command = [*self.members[0].wrapper, *etcdctl, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout

    def shell(self, commands: str) -> None:
        """Run commands of the guide as on the first member, with its directory in the place of /root."""
        member = self.members[0]
        environment = {
            "PATH": f"{TOOLS}:{os.environ['PATH']}",
            "ETCDCTL_ENDPOINTS": ",".join(self.endpoints),
            "ETCD_NAME": member.name,
            "ETCD_DATA_DIR": str(member.root / f"etcd-{member.name}"),
            "ETCD_INITIAL_CLUSTER": f"{member.name}=http://{member.address}:{member.peer}",
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": f"http://{member.address}:{member.peer}",
        }
        program("etcdctl")
        here = commands.replace("/root/", f"{member.root}/")
        subprocess.run(["bash", "-euc", here], check=True, capture_output=True, env=environment, timeout=PATIENCE)

    def add_users(self) -> None:
        """Create the guide's users, with passwords in etcd-NAME below the root of the first member."""
        self.shell(re.sub("^export.*$", "", guide("3. Create a user for each host"), flags=re.MULTILINE))

    def save(self) -> None:
        """Take a snapshot of the only member."""
        self.shell("etcdctl snapshot save /root/etcd.snapshot")

    def restore(self, token: str = "") -> None:
        """Start the only member again with its snapshot, by the guide, or with another ``token`` than the guide's."""
        [member] = self.members
        member.kill()
        commands = re.sub(r"^(systemctl|chown|\.) .*$", "", guide("Restore etcd"), flags=re.MULTILINE)
        self.shell(re.sub('(?<=-token=)"[^"]*"', token, commands) if token else commands)
        self.start(member)

    @contextlib.contextmanager
    def running(self) -> "Iterator[EtcdServers]":
        try:
            for member in self.members:
                self.start(member)
            yield self
        finally:
            for member in self.members:
                if member.process is not None and member.process.poll() is None:
                    member.kill()


@contextlib.asynccontextmanager
async def connected(settings: EtcdSettings, seconds: float = PATIENCE) -> AsyncIterator[Etcd]:
    """Yield a client of an etcd that answers; ``seconds``: how long a request waits for a member."""
    async with Etcd(settings, credentials_of(settings), seconds) as etcd:
        async with asyncio.timeout(PATIENCE):
            await until_healthy(etcd)
        yield etcd


async def until_healthy(etcd: Etcd) -> None:
    while True:
        try:
            await etcd.read("/")
        except EtcdFailure:
            await asyncio.sleep(0.05)
        else:
            return
