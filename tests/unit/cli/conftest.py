"""wxctl as a process, and the controller that it calls."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.cli.forked import run
from tests.unit.cli.host import Host

ROOT = Path(__file__).parents[3]


@dataclass
class Wxctl:
    """Runs wxctl as in a shell, without a terminal."""

    directory: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)

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


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with Host(tmp_path / "host").running() as running:
        yield running


@pytest.fixture
def wxctl(host: Host, tmp_path: Path) -> Wxctl:
    return Wxctl(tmp_path, host.url)


@pytest.fixture
def unused_url() -> Iterator[str]:
    """A URL where nothing listens: its port is taken, and refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def stand_in_program(tmp_path: Path, wxctl: Wxctl) -> Path:
    """A directory that is first in wxctl's PATH, for replacements of the system's programs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    wxctl.environment["PATH"] = f"{directory}:{os.environ['PATH']}"
    return directory


def program(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
