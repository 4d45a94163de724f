"""Imports: a package imports itself and the ones below it, and within a package they go one way (tests/floors.py)."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.floors import PACKAGE, PACKAGES, floors

ROOT = Path(__file__).parents[2]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of everything a module imports, wherever in it that is."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"


def layer(name: str) -> str:
    """The package of ours that a name is in, "" for the top one."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in PACKAGES else ""


def test_packages_import_lower_layers_only() -> None:
    wrong = []
    for path in modules():
        own = path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ""
        allowed = {own, "", *PACKAGES.get(own, ())}
        for line, name in imports(path):
            if name.split(".")[0] == "wxcontroller" and layer(name) not in allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_import_one_way(package: str) -> None:
    assert floors(package), "raises CycleError, which names the folders"


def test_a_single_machine_loads_no_module_of_fleets() -> None:
    program = "import sys, wxcontroller.controller.process; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "\nwxcontroller.controller.server\n" in loaded
    assert re.findall(r"^wxcontroller\.(?:fleet|controller\.host).*", loaded, re.MULTILINE) == []


def test_controllers_start_without_rendering_pages() -> None:
    """With them a start takes nearly twice the CPU."""
    program = (
        "import sys, wxcontroller.controller.process; from aiohttp import web; "
        "from wxcontroller.controller import page; page.add_routes(web.Application()); "
        "print(*sys.modules, page.bundle.cache_info().misses, sep='\\n')"
    )
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "\nwxcontroller.controller.page\n" in loaded
    assert "\njinja2\n" not in loaded
    assert loaded.endswith("\n0\n"), "no script or style was read"


def test_wxctl_loads_the_module_of_its_verb_alone() -> None:
    """In any language; a command that runs for a tenth of a second must not import for a fifth."""
    program = (
        "import sys; from wxcontroller.cli.program import run; sys.argv[1:] = ['stop', '--help']; "
        "run(); print(*sys.modules, sep='\\n')"
    )
    command = [sys.executable, "-c", program]
    environ = {**os.environ, "LANGUAGE": "zh_CN", "LC_ALL": "C.UTF-8"}
    loaded = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout
    assert "\nwxcontroller.cli.verbs.account.lifecycle\n" in loaded
    others = "messages|send|tokens|doctor|transfer|deliveries|fleet"
    assert re.findall(rf"^wxcontroller\.cli\.(?:verbs\.\w+\.)?(?:{others})\b.*", loaded, re.MULTILINE) == []


def test_routes_to_wechat_do_not_import_each_other() -> None:
    wrong = []
    drivers = PACKAGE / "drivers"
    for path in sorted(drivers.rglob("*.py")):
        inside = path.relative_to(drivers).parts
        own = inside[0] if len(inside) > 1 else ""
        for line, name in imports(path):
            parts = name.split(".")
            other = parts[2] if parts[:2] == ["wxcontroller", "drivers"] and len(parts) > 2 else ""
            if own == "filehelper" and other == "web":  # the same protocol on another page
                continue
            # ``connection``, the one to WeChat, is shared, and knows no route itself.
            if other and (drivers / other).is_dir() and other not in (own, "connection"):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert wrong == []


# msgspec accepts more than any reader should get; ``decoding`` limits it.
DECODING = "wxcontroller/core/records/decoding.py"


def test_one_module_decodes_with_msgspec() -> None:
    decoders = re.compile(
        r"\bmsgspec\.(?:json|msgpack|yaml|toml|convert|to_builtins)\b|from msgspec(?:\.\w+)? import"
    )
    allowed = re.compile(r"from msgspec import (?:UNSET|Meta|Raw|UnsetType|field|, )+$")
    wrong = []
    for path in modules():
        if (name := str(path.relative_to(ROOT))) == DECODING:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if decoders.search(line) and not allowed.fullmatch(line):
                wrong.append(f"{name}:{number} {line}")
    assert wrong == []


def test_processes_that_are_many_load_no_msgspec() -> None:
    """An account's memory is multiplied by hundreds, and wxctl starts for each command."""
    for module, more in (
        ("wxcontroller.client.process", ""),
        ("wxcontroller.alert.__main__", ""),
        ("wxcontroller.cli.program", "[*wxcontroller.cli.program.cli.commands.values()]"),
    ):
        program = f"import sys, {module}; {more or None}; print(*sys.modules, sep='\\n')"
        command = [sys.executable, "-c", program]
        loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert f"\n{module.rpartition('.')[0]}\n" in loaded
        assert "\nmsgspec\n" not in loaded, module
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for package in ("client", "drivers", "openwx")
        for path in sorted((PACKAGE / package).rglob("*.py"))
        for line, name in imports(path)
        if name.startswith(("msgspec", "wxcontroller.core.records"))
    ]
    assert wrong == []
