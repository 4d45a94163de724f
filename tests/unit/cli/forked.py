"""Run wxctl in a process forked from one that has imported it, which is ten times as fast."""

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
from tests.unit.cli.hurry import hurry
from wxcontroller.cli.__main__ import main

for _module in pkgutil.walk_packages(wxcontroller.cli.__path__, "wxcontroller.cli."):
    importlib.import_module(_module.name)
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


def run(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Path, stdin: str, place: Path
) -> "subprocess.CompletedProcess[str]":
    """Run wxctl in ``directory``; what it reads and writes are files in ``place``. Raises TimeoutExpired."""
    streams = [place / name for name in ("stdin", "stdout", "stderr")]
    streams[0].write_text(stdin, encoding="utf-8")
    process = _SERVER.Process(target=_wxctl, args=([*arguments], {**environment}, directory, streams))
    process.start()
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        raise subprocess.TimeoutExpired(["wxctl", *arguments], PATIENCE)
    told, failed = (stream.read_text(encoding="utf-8") for stream in streams[1:])
    return subprocess.CompletedProcess(["wxctl", *arguments], process.exitcode, told, failed)


def _wxctl(arguments: list[str], environment: dict[str, str], directory: Path, streams: list[Path]) -> None:
    hurry()
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    for number, stream in enumerate(streams):
        os.dup2(os.open(stream, os.O_RDWR | os.O_CREAT | (os.O_TRUNC if number else 0), 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, "rw"[number > 0]) for number in range(3))
    sys.argv = ["wxctl", *arguments]
    sys.exit(main())
