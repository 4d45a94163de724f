"""Clients that code generators make from /v1/openapi.json are strictly typed, and work.

`make test-deps` fetches the generators; one that is not there is skipped.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.openapi.served import served
from tests.programs import ROOT, output_of
from wxcontroller.controller.v1.described import openapi

FETCHED = ROOT / ".cache" / "thirdparty"
PROGRAMS = Path(__file__).parent / "clients"
# Imports every module of the client in the working directory.
_IMPORT_ALL = """
import importlib, pkgutil
import made
names = [one.name for one in pkgutil.walk_packages(made.__path__, "made.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a controller with accounts of the sandbox."""
    with served(tmp_path_factory.mktemp("world")) as running:
        yield running.url


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """The served document, in a file."""
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


def judge(printed: str) -> None:
    """Check what a program that uses a client printed."""
    seen = json.loads(printed)
    assert set(seen["accounts"]) >= {"alice", "小店", "waiting"}
    assert (seen["refused"], seen["started"]) == ("unknown-account", "already running")
    assert (seen["sent"], seen["code"]) == (0, True)
    assert "friend_message" in seen["events"]


def test_generated_python_client_works(document: Path, tmp_path: Path, address: str) -> None:
    there = skip_unless_there("openapi-python-client")
    shutil.copy(PROGRAMS / "openapi-python-client" / "use.py", tmp_path)
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    command = "generate --path openapi.json --output-path made --meta none --config config.yml --fail-on-warning"
    python = (sys.executable, "-m", "openapi_python_client")
    output_of(*python, *command.split(), cwd=tmp_path, env={"PYTHONPATH": str(there)})
    both = {"PYTHONPATH": f"{there}:{tmp_path}"}
    modules = int(output_of(sys.executable, "-c", _IMPORT_ALL, cwd=tmp_path, env=both))
    assert modules > len(json.loads(document.read_text())["paths"])
    # Its own typing_extensions would stand before those of mypy.
    types = tmp_path / "types"
    types.mkdir()
    for needed in ("httpx", "httpcore", "anyio"):
        (types / needed).symlink_to(there / needed)
    strictly = ("-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir=cache")
    output_of(sys.executable, *strictly, "-m", "use", cwd=tmp_path, env={"MYPYPATH": f"{types}:{tmp_path}"})
    judge(output_of(sys.executable, "use.py", address, cwd=tmp_path, env=both))


def test_generated_typescript_client_works(document: Path, tmp_path: Path, address: str) -> None:
    there = skip_unless_there("openapi-typescript", "node")
    (tmp_path / "node_modules").symlink_to(there / "node_modules")
    for name in ("use.ts", "tsconfig.json"):
        shutil.copy(PROGRAMS / "openapi-typescript" / name, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for arguments in (
        ("node_modules/openapi-typescript/bin/cli.js", document.name, "-o", "api.d.ts"),
        ("node_modules/typescript/bin/tsc", "-p", "."),
    ):
        output_of("node", *arguments, cwd=tmp_path)
    judge(output_of("node", "use.js", address, cwd=tmp_path))
