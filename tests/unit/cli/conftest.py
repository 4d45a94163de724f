"""wxctl as a process against a stand-in controller."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.cli.forked import run
from tests.unit.cli.standin import Controller, controller

ROOT = Path(__file__).parents[3]


@dataclass
class Wxctl:
    """Runs wxctl as one would in a shell, without a terminal."""

    directory: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "wxcontroller.cli"]

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
            "LANG": "C.UTF-8",
            "WXCTL_URL": self.url,
            **self.environment,
        }

    def __call__(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as place:
            return run(arguments, self.variables, self.directory, stdin, Path(place))

    async def beside(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it while the loop serves the controller that it calls."""
        return await asyncio.to_thread(self, *arguments)


@pytest.fixture
def server() -> Iterator[Controller]:
    with controller() as running:
        yield running


@pytest.fixture
def wxctl(server: Controller, tmp_path: Path) -> Wxctl:
    return Wxctl(tmp_path, server.url)


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL where nothing listens: its port is taken, and refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def stand_in_program(tmp_path: Path, wxctl: Wxctl) -> Path:
    """A directory that is first in wxctl's PATH: for programs of the system that answer as a test needs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    wxctl.environment["PATH"] = f"{directory}:{os.environ['PATH']}"
    return directory


def program(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
