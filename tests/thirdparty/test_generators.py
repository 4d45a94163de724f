"""Clients that code generators make from /v1/openapi.json can be imported or compiled as a whole, and work."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.openapi.served import served
from tests.programs import fetched, output_of
from wxcontroller.controller.apis.v1.v1described import openapi
from wxcontroller.core.jsontypes import obj

CLIENTS = Path(__file__).parent / "clients"
# Imports every module of the client, a package in the working directory.
_IMPORT_ALL = """
import importlib, pkgutil, sys
made = importlib.import_module(sys.argv[1])
names = [one.name for one in pkgutil.walk_packages(made.__path__, f"{made.__name__}.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


NO_TOKEN = "none is needed"


def prepare(place: Path, *programs: str, document: str = "") -> None:
    """Put the document, and programs that use the clients of it, into a directory."""
    (place / "openapi.json").write_text(document or json.dumps(openapi(), ensure_ascii=False))
    for program in programs:
        shutil.copy(CLIENTS / program, place)


def by_openapi_generator(place: Path, languages: Sequence[str]) -> None:
    """Make a client in each language with openapi-generator, in a directory named after the language."""
    for language in languages:
        made = {"inputSpec": "openapi.json", "generatorName": language, "outputDir": language}
        (place / f"for-{language}.json").write_text(json.dumps(made))
    jar = fetched("openapi-generator") / "openapi_generator_cli" / "openapi-generator.jar"
    # One run of a few seconds is over before the better compiler pays: a third of the time.
    options = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    output_of("java", *options, "-jar", jar, "batch", *(f"for-{language}.json" for language in languages), cwd=place)


def by_openapi_python_client(place: Path) -> None:
    """Make the Python client ``made`` with openapi-python-client."""
    (place / "config.yml").write_text("post_hooks: []\n")
    command = "generate --path openapi.json --output-path made --meta none --config config.yml --fail-on-warning"
    python = (sys.executable, "-m", "openapi_python_client")
    output_of(*python, *command.split(), cwd=place, env={"PYTHONPATH": str(fetched("openapi-python-client"))})


def by_openapi_typescript(place: Path) -> None:
    """Make the types ``made.d.ts`` with openapi-typescript."""
    generator = fetched("openapi-typescript") / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
    output_of("node", generator, "openapi.json", "--output", "made.d.ts", cwd=place)


def compile_strictly(place: Path) -> None:
    """Compile the program use.ts, and with it all of the client that it imports."""
    modules = fetched("openapi-typescript") / "node_modules"
    (place / "node_modules").symlink_to(modules)
    options = "--strict --target es2022 --lib es2022,dom --module commonjs --moduleResolution node10 --skipLibCheck"
    output_of("node", modules / "typescript" / "bin" / "tsc", *options.split(), "use.ts", cwd=place)


def test_generated_python_client_works(tmp_path: Path) -> None:
    place = fetched("openapi-python-client")
    prepare(tmp_path, "openapi-python-client/use.py")
    by_openapi_python_client(tmp_path)
    both = {"PYTHONPATH": f"{place}:{tmp_path}"}
    modules = int(output_of(sys.executable, "-c", _IMPORT_ALL, "made", cwd=tmp_path, env=both))
    assert modules > len(obj(openapi()["paths"]))
    # Its own typing_extensions would precede those of mypy.
    types = tmp_path / "types"
    types.mkdir()
    for needed in ("httpx", "httpcore", "anyio"):
        (types / needed).symlink_to(place / needed)
    strictly = ("--strict", "--follow-imports=silent", "--cache-dir=/dev/null", "--python-executable", sys.executable)
    output_of("mypy", *strictly, "-m", "use", cwd=tmp_path, env={"MYPYPATH": f"{types}:{tmp_path}"})
    with served(tmp_path / "world") as running:
        seen = json.loads(output_of(sys.executable, "use.py", running.url, NO_TOKEN, cwd=tmp_path, env=both))
    assert set(seen["accounts"]) >= {"alice", "小店", "waiting"}
    assert (seen["refused"], seen["started"]) == ("unknown-account", "already running")
    assert (seen["sent"], seen["code"]) == (0, True)
    assert "friend_message" in seen["events"]


def test_clients_of_openapi_generator_work(tmp_path: Path) -> None:
    prepare(tmp_path, "openapi-generator/call.py", "openapi-generator/use.ts")
    by_openapi_generator(tmp_path, ("python", "typescript-fetch"))
    environment = {"PYTHONPATH": f"{tmp_path / 'python'}:{fetched('openapi-python-client')}"}
    python = (sys.executable, "-c", _IMPORT_ALL, "openapi_client")
    assert int(output_of(*python, cwd=tmp_path, env=environment)) > len(obj(openapi()["paths"]))
    compile_strictly(tmp_path)
    with served(tmp_path / "world") as running:
        seen = json.loads(output_of(sys.executable, "call.py", running.url, NO_TOKEN, cwd=tmp_path, env=environment))
        names = json.loads(output_of("node", "use.js", running.url, NO_TOKEN, cwd=tmp_path))
    assert set(seen["accounts"]) >= {"alice", "小店", "waiting"}
    assert set(names) == set(seen["accounts"])
    assert (seen["sent"], seen["refused"]) == (0, -3)


@pytest.mark.release
def test_types_of_openapi_typescript_fit(tmp_path: Path) -> None:
    prepare(tmp_path, "openapi-typescript/use.ts")
    by_openapi_typescript(tmp_path)
    compile_strictly(tmp_path)
    with served(tmp_path / "world") as running:
        names = json.loads(output_of("node", "use.js", running.url, NO_TOKEN, cwd=tmp_path))
    assert set(names) >= {"alice", "小店", "waiting"}
