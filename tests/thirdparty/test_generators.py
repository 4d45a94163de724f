"""A client that a code generator makes from /v1/openapi.json is strictly typed, and works."""

import json
import shutil
import sys
from pathlib import Path

from tests.openapi.served import served
from tests.programs import fetched, output_of
from wxcontroller.controller.v1.described import openapi
from wxcontroller.core.jsontypes import obj

PROGRAM = Path(__file__).parent / "clients" / "openapi-python-client" / "use.py"
# Imports every module of the client in the working directory.
_IMPORT_ALL = """
import importlib, pkgutil
import made
names = [one.name for one in pkgutil.walk_packages(made.__path__, "made.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def test_generated_python_client_works(tmp_path: Path) -> None:
    place = fetched("openapi-python-client")
    (tmp_path / "openapi.json").write_text(json.dumps(openapi(), ensure_ascii=False))
    shutil.copy(PROGRAM, tmp_path)
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    command = "generate --path openapi.json --output-path made --meta none --config config.yml --fail-on-warning"
    python = (sys.executable, "-m", "openapi_python_client")
    output_of(*python, *command.split(), cwd=tmp_path, env={"PYTHONPATH": str(place)})
    both = {"PYTHONPATH": f"{place}:{tmp_path}"}
    modules = int(output_of(sys.executable, "-c", _IMPORT_ALL, cwd=tmp_path, env=both))
    assert modules > len(obj(openapi()["paths"]))
    # Its own typing_extensions would precede those of mypy.
    types = tmp_path / "types"
    types.mkdir()
    for needed in ("httpx", "httpcore", "anyio"):
        (types / needed).symlink_to(place / needed)
    strictly = ("-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir=cache")
    output_of(sys.executable, *strictly, "-m", "use", cwd=tmp_path, env={"MYPYPATH": f"{types}:{tmp_path}"})
    with served(tmp_path / "world") as running:
        seen = json.loads(output_of(sys.executable, "use.py", running.url, cwd=tmp_path, env=both))
    assert set(seen["accounts"]) >= {"alice", "小店", "waiting"}
    assert (seen["refused"], seen["started"]) == ("unknown-account", "already running")
    assert (seen["sent"], seen["code"]) == (0, True)
    assert "friend_message" in seen["events"]
