"""What wxctl itself says to people, read from its code as tests/page/said.py does; help and usage are elsewhere.

With it go the modules of core that only wxctl passes on: they look through files that are root's.
"""

import ast
import re
from collections.abc import Iterator

from tests.page.said import ROOT, SENTENCE, sentences, template
from wxcontroller.cli.account import Condition
from wxcontroller.core.states import Desired, LoginState, UnitState

_SPEAKERS = (
    "core/addresses.py",
    "core/alertsettings.py",
    "core/check.py",
    "core/credentials.py",
    "core/files.py",
    "core/limits.py",
    "core/porttokens.py",
    "core/settings.py",
    "core/tokens.py",
)
_SILENT = {"cli/completion.py", "cli/exits.py"}
# Calls whose words are help, or nothing that is shown.
_HELP = {"command", "group", "option", "argument", "version_option"}
# Two words in the code that nobody is shown.
_UNSPOKEN = re.compile(r"^\\b|^%|^text/|^\(\?|^[\w/.-]+$")
# Labels, states, and what is put together in the code.
_MORE = ()


def told() -> list[str]:
    """Return all of them, in a fixed order."""
    found = {*_MORE, *(word.value for kind in (Condition, Desired, LoginState, UnitState) for word in kind)}
    paths = [*sorted((ROOT / "cli").rglob("*.py")), *(ROOT / name for name in _SPEAKERS)]
    for path in paths:
        if str(path.relative_to(ROOT)) not in _SILENT:
            for text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
                found.update(line for line in _lines(text) if SENTENCE.search(line) and not _UNSPOKEN.search(line))
    return sorted(found - set(sentences()))


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield line.strip().removeprefix("wxctl: ")


def _texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts below a node."""
    match node:
        case ast.Call(func=ast.Attribute(attr=str(called))) if called in _HELP:
            return
        case ast.Expr(value=ast.Constant()):
            return  # a documentation string
        case ast.Assign(targets=[ast.Name(id="_EXAMPLES")]):
            return
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield template(values)
            for value in values:
                if isinstance(value, ast.FormattedValue):
                    yield from _texts(value.value)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _texts(child)


if __name__ == "__main__":
    print("\n".join(told()))
