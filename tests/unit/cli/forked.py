"""Run wxctl in a process forked from one that has imported it, which is ten times as fast.

``python3 -m tests.unit.cli.forked`` is wxctl with shorter pauses, for tests with a terminal.
"""

import importlib
import multiprocessing
import os
import pkgutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import wxcontroller.cli
from tests.patience import PATIENCE
from wxcontroller.cli.connection import api, follow
from wxcontroller.cli.program import run as wxctl
from wxcontroller.cli.verbs.traffic import send

for _module in pkgutil.walk_packages(wxcontroller.cli.__path__, "wxcontroller.cli."):
    importlib.import_module(_module.name)
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


def run(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Path, stdin: str, place: Path
) -> "subprocess.CompletedProcess[str]":
    """Run wxctl in ``directory``; its input and outputs are files in ``place``. Raises TimeoutExpired."""
    streams = [place / name for name in ("stdin", "stdout", "stderr")]
    streams[0].write_text(stdin, encoding="utf-8")
    process = _SERVER.Process(target=_wxctl, args=([*arguments], {**environment}, directory, streams))
    process.start()
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        raise subprocess.TimeoutExpired(["wxctl", *arguments], PATIENCE)
    out, err = (stream.read_text(encoding="utf-8") for stream in streams[1:])
    return subprocess.CompletedProcess(["wxctl", *arguments], process.exitcode, out, err)


def _wxctl(arguments: list[str], environment: dict[str, str], directory: Path, streams: list[Path]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    for number, stream in enumerate(streams):
        os.dup2(os.open(stream, os.O_RDWR | os.O_CREAT | (os.O_TRUNC if number else 0), 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, "rw"[number > 0]) for number in range(3))
    _impatient(arguments)


def _impatient(arguments: list[str]) -> None:
    """Run wxctl with short pauses between looks at an account and tries of a send, and before an answer is late."""
    follow._PAUSE, follow._SETTLED, api._SOON, send._FIRST_PAUSE = 0.05, 0.5, 5.0, 0.05
    sys.argv = ["wxctl", *arguments]
    sys.exit(wxctl())


if __name__ == "__main__":
    _impatient(sys.argv[1:])
