"""Bring the catalogs of messages up to date, and list what is not translated: ``make i18n``.

xgettext reads templates from Python and JavaScript. Texts that are not literals in a call come from the program:
help of wxctl, descriptions of the API, meanings of options, states.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import jinja2

from catalogs import JAVASCRIPT, PYTHON, compile_catalogs, extracted, output, texts_of
from wxcontroller.cli.language import texts
from wxcontroller.cli.program import cli
from wxcontroller.controller.page.apireference import meanings
from wxcontroller.core.condition.facts import Condition, Severity
from wxcontroller.core.config.limits import LIMITS
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.registry.check import Level
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.core.text.catalog import DOMAIN, LOCALE

PACKAGE = LOCALE.parent
PHONE = PACKAGE / "sandbox/page"
CATALOGS = sorted(LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))
_PYTHON = (
    *PYTHON,
    "say:1",
    "say:1,2",
    "tell:1",
    "tell:1,2",
)
_HEAD = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
# systemd's substates of units that users see.
_SUBSTATES = ("dead", "running", "exited", "failed", "auto-restart", "start", "start-pre")
_DELIVERY_WORDS = ("pending", "held", "dead", "delivered", "purged", "dropped", "kept", "expired", "queue", "retry")
_ORIGINS = ("request", "settings", "default", "credential")


def template() -> str:
    """Return the .pot of all texts that users see."""
    python = [path for path in PACKAGE.rglob("*.py") if "sandbox" not in path.parts]
    scripts = [*PACKAGE.glob("controller/page/static/*.js"), *PHONE.glob("*.js")]
    pots = [
        texts_of(python, _PYTHON),
        extracted("JavaScript", scripts, JAVASCRIPT),
        extracted("Python", Path(click.__file__).parent.glob("*.py"), ("_:1", "gettext:1", "ngettext:1,2")),
        _HEAD + "".join(f'\nmsgid {_quoted(text)}\nmsgstr ""\n' for text in sorted(set(_tables()))),
    ]
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory, f"{number}.pot") for number in range(len(pots))]
        for file, pot in zip(files, pots, strict=True):
            file.write_text(pot, encoding="utf-8")
        return output("msgcat", "--use-first", "--sort-output", "--no-wrap", "--no-location", *files)


def _tables() -> Iterator[str]:
    """Yield the texts that are data in the code."""
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    for path in (*PACKAGE.glob("controller/page/templates/*"), *PHONE.glob("*.j2")):
        extract = environment.extract_translations  # type: ignore[attr-defined]  # the extension adds it
        yield from (str(text) for _, _, text in extract(path.read_text(encoding="utf-8")))
    yield from texts(cli)
    yield from meanings()
    yield from (option.meaning for option in OPTIONS.values())
    yield from (limit.meaning for limit in LIMITS.values() if limit.meaning)
    for words in (Condition, Desired, LoginState, Severity, UnitState, Level):
        yield from (word.value for word in words)
    yield from (*_SUBSTATES, *_DELIVERY_WORDS, *_ORIGINS)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\b", "\\b")
    return f'"{escaped}"'


def compiled() -> None:
    """Compile the catalogs beside their sources, as the package's build does."""
    compile_catalogs()


def main() -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".pot", encoding="utf-8") as pot:
        pot.write(template())
        pot.flush()
        for path in CATALOGS:
            merge = ("msgmerge", "--quiet", "--update", "--backup=none", "--no-fuzzy-matching", "--no-wrap")
            output(*merge, path, pot.name)
            output("msgattrib", "--no-obsolete", "--no-wrap", "-o", path, path)
            missing = output("msgattrib", "--untranslated", "--no-wrap", path)
            matches = re.findall(r'^msgid (".+")$', missing, re.MULTILINE)
            sys.stdout.write(f"{path.parts[-3]}: {len(matches)} texts are shown in English:\n")
            sys.stdout.writelines(f"  {text}\n" for text in matches)
    compiled()


if __name__ == "__main__":
    main()
