"""Controllers as processes, started as systemd starts them: with a listening socket and a notification socket."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tests.forking import Forked, fork
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.unit.controller.machine import TEMPLATE, Process
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.rendering import render_account

REPOSITORY = Path(__file__).parents[3]
# Passes the socket as systemd does, and becomes the controller.
_LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "wxcontroller.controller", *sys.argv[2:]])
"""
# A systemctl that records calls, and lists the units of a file.
_SYSTEMCTL = (
    '#!/bin/sh\necho "$*" >>"$0.calls"\ncase "$*" in *list-units*) cat "$0.units" 2>/dev/null || echo "[]";; esac\n'
)


class Notifications:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._arrived = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.lines += self._socket.recv(4096).decode().splitlines()
                self._arrived.set()

    async def wait(self, beginning: str, timeout: float = PATIENCE) -> str:
        """Wait for a line with this beginning, and discard everything up to it."""
        async with asyncio.timeout(timeout):
            while True:
                for number, line in enumerate(self.lines):
                    if line.startswith(beginning):
                        del self.lines[: number + 1]
                        return line
                self._arrived.clear()
                await self._arrived.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


class Host:
    """A root directory with settings, a systemctl and a listening socket that outlives the controllers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(root)
        self.paths.template.parent.mkdir(parents=True)
        self.paths.template.write_text(TEMPLATE.read_text())
        self.settings("")
        self.bin = root / "bin"
        self.bin.mkdir()
        systemctl = self.bin / "systemctl"
        systemctl.write_text(_SYSTEMCTL)
        systemctl.chmod(0o755)
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address: tuple[str, int] = self.listening.getsockname()
        self.notifications = Notifications(root / "notify")

    def settings(self, more: str) -> None:
        self.paths.settings_file.write_text(f'template_path = "{self.paths.template}"\n{more}\n')

    @property
    def calls(self) -> list[str]:
        path = self.bin / "systemctl.calls"
        return path.read_text().splitlines() if path.exists() else []

    def register(self, name: str, port: int) -> None:
        """Write an account's file."""
        self.paths.accounts.mkdir(parents=True)
        record = Account(parse_name(name), port)
        self.paths.account_file(name).write_text(render_account(record, self.paths, self.paths.template))

    async def account(self, name: str = "alice") -> Process:
        """Start an account whose port is served in this process."""
        self.register(name, free_port())
        unit = {"unit": f"wxclient@{name}.service", "active": "active", "sub": "running"}
        (self.bin / "systemctl.units").write_text(json.dumps([unit]))
        process = Process(self.paths, name)
        await process.run()
        return process

    async def start(self, **environment: str) -> Forked:
        """Start a controller and wait until it is ready."""
        variables, listening = self._variables(environment), self.listening.fileno()
        process = fork("controller", "--root", str(self.root), environ=variables, stderr=2, listening=listening)
        await self.notifications.wait("READY=1")
        return process

    async def run(self, arguments: Sequence[str], stderr: int, **environment: str) -> asyncio.subprocess.Process:
        """Start a controller whose errors are read."""
        listening, variables = self.listening.fileno(), self._variables(environment)
        command = (sys.executable, "-c", _LAUNCH, str(listening), *arguments)
        return await asyncio.create_subprocess_exec(
            *command, pass_fds=[listening], cwd=REPOSITORY, stderr=stderr, env=variables
        )

    def _variables(self, more: Mapping[str, str]) -> dict[str, str]:
        path, notified = f"{self.bin}:{os.environ['PATH']}", str(self.notifications.path)
        return {**os.environ, "PATH": path, "NOTIFY_SOCKET": notified, **more}

    async def reload(self, process: Forked) -> None:
        """Reload a controller as systemd does, and wait for the end."""
        process.send_signal(signal.SIGHUP)
        await self.notifications.wait("RELOADING=1")
        await self.notifications.wait("READY=1")

    async def end(self, process: asyncio.subprocess.Process | Forked) -> int:
        """Stop a controller as systemd does; return its exit status."""
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            return await process.wait()

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.notifications.close()
        self.listening.close()


@contextlib.asynccontextmanager
async def started(host: Host, **environment: str) -> AsyncIterator[Forked]:
    process = await host.start(**environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
