"""Compile the catalogs of messages, by the tools of gettext: for setup.py, and for tests.

Beside the catalog of everything, wxcontroller.mo, each language gets parts of it for the dashboard, which would
otherwise load the texts of wxctl and of the API reference, too:

- page.mo: what its scripts say until the list is there, and what that shows of accounts: conditions, progress of a
  login, why it fails or a webhook does.
- views.mo: what its scripts say. The page loads those with the first other view.
- answers.mo: all texts of the API. The page loads those when an answer has one that is in no other part.

Which module a text is from is found out by xgettext here, and not kept in the catalogs: a text that moves is no
change of its translation.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path("wxcontroller")
# Keywords of xgettext: the calls that have a text, and which argument it is.
PYTHON = ("N_:1", "NP_:1,2", "Text:1", "Text:1,2")
JAVASCRIPT = ("t:1", "t:1,3")
_OF_ACCOUNTS = (
    *("core/condition/*.py", "core/text/templates.py", "core/net/unreachable.py"),
    *("drivers/**/*.py", "client/login/session.py", "client/deliveries/*.py"),
    *("controller/accounts/view.py", "controller/accounts/statefiles.py"),
)
_SCRIPTS = PACKAGE / "controller/page/static"
_IMPORTED = re.compile(r' from "\./([\w.-]+)";')
_OF_ANSWERS = tuple(f"{area}/**/*.py" for area in ("core", "openwx", "drivers", "client", "controller"))
_PLURAL = re.compile(r'msgid ((?:".*"\n)+)msgid_plural ((?:".*"\n)+)msgstr\[0\] ""\nmsgstr\[1\] ""\n')


def extracted(language: str, files: Iterable[Path], keywords: Iterable[str]) -> str:
    """Return the .pot of the texts in sources."""
    options = ("--from-code=UTF-8", "--no-location", "--no-wrap", f"--language={language}", "--keyword")
    pot = output("xgettext", *options, *(f"--keyword={word}" for word in keywords), "-o", "-", *sorted(files))
    # A percent sign is only that; braces are checked.
    pot = re.sub(
        r"^#, .*", lambda line: re.sub(r", (python|javascript)-format", "", line[0]), pot, flags=re.MULTILINE
    )
    return pot.replace("charset=CHARSET", "charset=UTF-8")


def texts_of(modules: Iterable[Path], keywords: Iterable[str] = PYTHON) -> str:
    """Return the .pot of the texts in modules of ours."""
    return _PLURAL.sub(_with_plural, extracted("Python", modules, keywords))


def _with_plural(entry: re.Match[str]) -> str:
    """Keep a plural form that has the values of its singular: xgettext takes any literal argument for one."""
    singular, plural = (set(re.findall(r"\{\w+", text)) for text in entry.groups())
    return entry[0] if singular == plural or not singular else f'msgid {entry[1]}msgstr ""\n'


def compile_catalogs(target: Path = PACKAGE) -> None:
    """Write the .mo files of all languages below a root of the package."""
    with tempfile.TemporaryDirectory() as directory:
        parts = _parts(Path(directory))
        for source in PACKAGE.glob("locale/*/LC_MESSAGES/*.po"):
            place = target / source.parent.relative_to(PACKAGE)
            place.mkdir(parents=True, exist_ok=True)
            _compile(source.read_text(encoding="utf-8"), place / source.with_suffix(".mo").name)
            for part in parts:
                merged = output("msgmerge", "--quiet", "--no-fuzzy-matching", "-o", "-", source, part)
                _compile(merged, place / f"{part.stem}.mo")


def _parts(directory: Path) -> list[Path]:
    """Write the templates of the parts."""

    def written(name: str, pot: str) -> Path:
        path = directory / f"{name}.pot"
        path.write_text(pot, encoding="utf-8")
        return path

    def texts(places: Iterable[str]) -> str:
        return texts_of([path for place in places for path in PACKAGE.glob(place)])

    def said(scripts: Iterable[Path]) -> str:
        return extracted("JavaScript", scripts, JAVASCRIPT)

    both = written("scripts", said(_needed_by("main.js"))), written("accounts", texts(_OF_ACCOUNTS))
    return [
        written("page", output("msgcat", "--use-first", *both)),
        written("views", said(_SCRIPTS.glob("*.js"))),
        written("answers", texts(_OF_ANSWERS)),
    ]


def _needed_by(script: str) -> list[Path]:
    """Return a script of the page and all that it needs before it runs."""
    found = [_SCRIPTS / script]
    for path in found:
        imported = [_SCRIPTS / name for name in _IMPORTED.findall(path.read_text(encoding="utf-8"))]
        found += [each for each in dict.fromkeys(imported) if each not in found]
    return found


def _compile(catalog: str, path: Path) -> None:
    made = path.with_suffix(f".{os.getpid()}.mo")  # tests side by side read the one that is replaced
    output("msgfmt", "--check", "-o", made, "-", given=catalog)
    made.replace(path)


def output(*command: str | Path, given: str = "") -> str:
    """Return what a program of gettext prints, with ``given`` as its input."""
    if shutil.which(command[0]) is None:
        sys.exit(f"{command[0]} is not installed (package gettext): run make deps")
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True, encoding="utf-8").stdout
