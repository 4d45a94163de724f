"""Leftovers of imports that were killed, and how the next import removes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import ROOT
from wxcontroller.cli.transfer.staging import PREFIX, Begun, abandoned
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths

NAME = parse_name("alice")
# An import that is killed: it locks its directory, writes what it is about to do, and waits.
KILLED = """
import sys, pathlib
from wxcontroller.cli.transfer.staging import Begun, digest, finished, staging
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
with staging(Paths(pathlib.Path(sys.argv[1]))) as place:
    (place / "state").mkdir()
    files = {sys.argv[2]: digest(b"mine")}
    Begun(parse_name("alice"), files, digest({"lang": "en_US"})).note(place)
    if sys.argv[3] == "finished":
        finished(place)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path)
    for place in (found.accounts, found.overrides, found.private_state("x").parent):
        place.mkdir(parents=True)
    return found


def importing(paths: Paths, how: str = "begun") -> "subprocess.Popen[str]":
    file = str(paths.override_file("alice"))
    command = [sys.executable, "-c", KILLED, str(paths.root), file, how]
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    return running


def kill(running: "subprocess.Popen[str]") -> None:
    running.kill()
    running.communicate()


def left(paths: Paths) -> list[Path]:
    return list(paths.private_state("x").parent.glob(f"{PREFIX}*"))


def test_only_killed_imports_are_cleaned_up(paths: Paths) -> None:
    running = importing(paths)
    with abandoned(paths) as begun:
        assert begun == []
    [place] = left(paths)
    kill(running)
    with abandoned(paths) as begun:
        [found] = begun
        assert found.name == NAME
        assert left(paths) == [place]
    assert left(paths) == []


def test_symlink_is_not_a_killed_import(paths: Paths) -> None:
    place = paths.root / "somebodys"
    place.mkdir()
    Begun(NAME).note(place)
    (paths.private_state("x").parent / f"{PREFIX}link").symlink_to(place)
    with abandoned(paths) as begun:
        assert begun == []
    assert [file.name for file in place.iterdir()] == ["begun.json"]
