"""The texts of the page, and the catalogs that translate them. As a program it brings the catalogs up to date:

/usr/bin/python3 -m tests.page.texts      # then translate what is empty in the .po files
"""

import subprocess
import tempfile
from pathlib import Path

import jinja2

from tests.page.said import sentences
from wxcontroller.controller.page.api import meanings
from wxcontroller.controller.page.assets import texts_of

PAGE = Path(__file__).parents[2] / "wxcontroller/controller/page"
CATALOGS = sorted(PAGE.glob("locale/*/LC_MESSAGES/*.po"))


def wanted(catalog: Path) -> list[str]:
    """Return what has to be in a catalog, in a fixed order."""
    match catalog.stem:
        case "said":  # by programs
            return sentences()
        case "described":  # in the document of the API
            return sorted(meanings())
        case _:
            return texts()


def texts() -> list[str]:
    """Return what templates and scripts show, in a fixed order."""
    found = set(texts_of({path.name: path.read_bytes() for path in (PAGE / "static").iterdir()}))
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    for path in (PAGE / "templates").iterdir():
        extract = environment.extract_translations  # type: ignore[attr-defined]  # the extension adds it
        found.update(str(text) for _, _, text in extract(path.read_text(encoding="utf-8")))
    return sorted(found)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def template(catalog: Path) -> str:
    """Return a .pot file for a catalog."""
    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
    return head + "".join(f'\nmsgid {quoted(text)}\nmsgstr ""\n' for text in wanted(catalog))


def compiled() -> None:
    """Compile the catalogs beside their sources, as the package's build does."""
    for path in CATALOGS:
        subprocess.run(["msgfmt", "--check", "-o", path.with_suffix(".mo"), path], check=True)


def main() -> None:
    for path in CATALOGS:
        with tempfile.NamedTemporaryFile("w", suffix=".pot", encoding="utf-8") as pot:
            pot.write(template(path))
            pot.flush()
            command = [
                "msgmerge",
                "-q",
                "--update",
                "--backup=none",
                "--no-fuzzy-matching",
                "--no-wrap",
            ]
            subprocess.run([*command, path, pot.name], check=True)
            subprocess.run(["msgattrib", "--no-obsolete", "--no-wrap", "-o", path, path], check=True)
    compiled()


if __name__ == "__main__":
    main()
