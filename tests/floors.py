"""The floors of each package, made from its imports: what stands higher imports what stands lower, never the reverse.

A folder is one thing here, and so is each module beside the folders of a package. Imports count that happen when a
module is loaded: those for types alone and those of a first use do not.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "wxcontroller"
# From top to bottom, with what a package may import besides itself.
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "cli": ("core", "openwx", "fleet"),
    "controller": ("core", "openwx", "fleet"),
    "client": ("core", "openwx", "drivers"),
    "sandbox": ("core",),
    "alert": ("core",),
    "fleet": ("core",),
    "drivers": ("core",),
    "openwx": ("core",),
    "core": (),
}
_COLUMNS = 100


def floors(package: str) -> list[list[str]]:
    """Return the parts of a package, the lowest floor first. Raises CycleError for parts that import each other."""
    graph: dict[str, set[str]] = {}
    for path in sorted((PACKAGE / package).rglob("*.py")):
        if path.name == "__main__.py" or (path.name == "__init__.py" and not [*_imported(path)]):
            continue  # a program's first lines, and a folder's docstring
        own = graph.setdefault(_part(path, package), set())
        own |= {_part(found, package) for found in _imported(path) if found.is_relative_to(PACKAGE / package)}
        own.discard(_part(path, package))
    sorter = TopologicalSorter({part: {each for each in below if each in graph} for part, below in graph.items()})
    sorter.prepare()
    found = []
    while sorter.is_active():
        floor = sorter.get_ready()
        found.append(sorted(floor))
        sorter.done(*floor)
    return found


def picture() -> str:
    """Return the floors of all packages as text, the highest first."""
    lines = []
    for package, below in PACKAGES.items():
        lines.append(f"{package} ({', '.join(below)})" if below else package)
        for floor in reversed(floors(package)):
            line = "   "
            for part in floor:
                if len(line) + len(part) > _COLUMNS:
                    lines.append(line)
                    line = "     "
                line += f" {part}" if line.isspace() else f"  {part}"
            lines.append(line)
    return "\n".join(lines)


def _part(path: Path, package: str) -> str:
    """Return what a module belongs to: its folder below the package, or itself beside such folders."""
    folder = path.parent.relative_to(PACKAGE / package)
    if folder.parts:
        return "/".join(folder.parts)
    return path.stem


def _imported(path: Path) -> Iterator[Path]:
    """Yield the modules of ours that are loaded together with a module."""
    for node in _executed(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("wxcontroller."):
            for alias in node.names:
                yield _module(f"{node.module}.{alias.name}") or _module(node.module) or PACKAGE
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if found := _module(alias.name):
                    yield found


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is executed when a module is loaded."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _executed(child)


def _module(name: str) -> Path | None:
    """Return the file of a module of ours, None for any other name."""
    place = PACKAGE.parent.joinpath(*name.split("."))
    found = (each for each in (place.with_suffix(".py"), place / "__init__.py") if each.is_file())
    return next(found, None) if name.startswith("wxcontroller") else None
