"""Clients that other people's code generators make of /v1/openapi.json can be used.

`make test-deps` fetches the generators; one that is not there is skipped.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.thirdparty.stage import ROOT
from wxcontroller.controller.v1.described import openapi

FETCHED = ROOT / ".cache" / "thirdparty"
PROGRAM = Path(__file__).parent / "clients" / "openapi-typescript"
# Imports every module of the client in the working directory.
_IMPORT_ALL = """
import importlib, pkgutil
import made
names = [one.name for one in pkgutil.walk_packages(made.__path__, "made.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """The document as it is served, in a file."""
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(openapi(), ensure_ascii=False))
    return path


def skip_unless_there(name: str, *programs: str) -> Path:
    if not (FETCHED / name).exists():
        pytest.skip(f"{name} is not there: make test-deps")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{name} needs {program}, which is not installed")
    return FETCHED / name


def run(place: Path, *command: str, **environ: str) -> str:
    """Run a program; return what it prints. Fails with that when the program does."""
    done = subprocess.run(
        command,
        cwd=place,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_python_client_can_be_imported(document: Path, tmp_path: Path) -> None:
    there = skip_unless_there("openapi-python-client")
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    command = "generate --path openapi.json --output-path made --meta none --config config.yml --fail-on-warning"
    python = (sys.executable, "-m", "openapi_python_client")
    run(tmp_path, *python, *command.split(), PYTHONPATH=str(there))
    modules = int(run(tmp_path, sys.executable, "-c", _IMPORT_ALL, PYTHONPATH=f"{there}:{tmp_path}"))
    assert modules > len(json.loads(document.read_text())["paths"])


def test_strict_typescript_takes_the_client_and_a_program_that_uses_it(document: Path, tmp_path: Path) -> None:
    there = skip_unless_there("openapi-typescript", "node")
    (tmp_path / "node_modules").symlink_to(there / "node_modules")
    for name in ("use.ts", "tsconfig.json"):
        shutil.copy(PROGRAM / name, tmp_path)
    run(tmp_path, "node", "node_modules/openapi-typescript/bin/cli.js", document.name, "-o", "api.d.ts")
    run(tmp_path, "node", "node_modules/typescript/bin/tsc", "-p", ".")
