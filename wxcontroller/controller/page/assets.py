"""The page's scripts, style sheets and messages, read once and kept packed and unpacked."""

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePath

from wxcontroller.core.config.checklist import DoctorCheck
from wxcontroller.core.config.options import OPTIONS, Origin
from wxcontroller.core.config.tables import TableRow
from wxcontroller.core.text.catalog import LANGUAGES, entries

_KINDS = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webmanifest": "application/manifest+json",
}
# Whole lines of scripts, and comments of style sheets within a line. The line ends stay, so that the browser's tools
# show the numbers of the source.
_COMMENTS = {".js": re.compile(rb"^ *//.*$", re.MULTILINE), ".css": re.compile(rb"/\*.*?\*/")}
_IMPORTED = re.compile(r' from "\./([\w.-]+)";')


@dataclass(frozen=True, slots=True)
class Served:
    """Something to serve."""

    content: bytes
    packed: bytes
    kind: str
    etag: str


def served(content: bytes, kind: str) -> Served:
    """Pack something to serve."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return Served(content, gzip.compress(content, 9, mtime=0), kind, etag)


class Bundle:
    """All assets by file name, with the translations of each language as ``messages-LANGUAGE.js`` and the like.

    Scripts and style sheets are served without comments, which would be a fifth of what the browser has to load.
    """

    def __init__(self, languages: Iterable[str]) -> None:
        contents: dict[str, bytes] = {}
        for entry in files(__package__ or "").joinpath("static").iterdir():
            comments = _COMMENTS.get(PurePath(entry.name).suffix)
            content = entry.read_bytes()
            contents[entry.name] = comments.sub(b"", content) if comments else content
        for language in languages:
            for name, words in translations(language):
                text = json.dumps(words, ensure_ascii=False, indent=0)
                contents[f"{name}-{language}.js"] = f"export default {text};\n".encode()
        self.files: Mapping[str, Served] = {
            name: served(content, _KINDS[name.rpartition(".")[2]]) for name, content in sorted(contents.items())
        }
        digest = hashlib.sha256()
        for name, each in self.files.items():
            digest.update(f"{name} {each.etag}\n".encode())
        self.digest = digest.hexdigest()[:16]

    def needed_by(self, script: str) -> list[str]:
        """Return a script and its static imports, without modules that it loads later."""
        scripts = [script]
        for importer in scripts:
            imported = _IMPORTED.findall(self.files[importer].content.decode())
            scripts += [name for name in dict.fromkeys(imported) if name not in scripts]
        return scripts


@cache
def bundle() -> Bundle:
    """Return all assets, which the first request that needs them has read."""
    return Bundle(LANGUAGES)


def translations(language: str) -> Iterator[tuple[str, object]]:
    """Yield the data that the scripts load in a language, by name: first the messages, the others when needed.
    ``meanings`` has the meaning, unit and choices of each option, and whether requests may set it; ``checks`` has the
    checks that need root.
    """
    texts: set[str] = set()
    for name, part in (("messages", "page"), ("views", "views"), ("answers", "answers")):
        yield name, {text: words for text, words in entries(language, part).items() if text not in texts}
        texts |= entries(language, part).keys()
    everything = entries(language)

    def shown(text: str) -> str:
        return everything.get(text, text)

    def described(option: TableRow) -> list[object]:
        return [shown(option.meaning), option.unit, option.words, option.origin is Origin.REQUEST]

    yield "meanings", {option.name: described(option) for option in OPTIONS.values()}
    yield "checks", [[shown(item.title), shown(item.meaning)] for item in DoctorCheck if item.needs_root]
