"""The page's scripts, style sheets and messages, read once and kept packed and unpacked."""

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from wxcontroller.controller.page.language import spoken, translations
from wxcontroller.core.options import OPTIONS

_KINDS = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
# A text in a script: t("…"). The texts themselves are the catalog's keys.
_TEXT = re.compile(r"""\bt\(\s*("(?:[^"\\]|\\.)*")""")


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
    """All assets by file name, with the messages of each language as ``messages-LANGUAGE.js``."""

    def __init__(self, languages: Iterable[str]) -> None:
        contents: dict[str, bytes] = {}
        for entry in files(__package__ or "").joinpath("static").iterdir():
            contents[entry.name] = entry.read_bytes()
        texts = texts_of(contents)
        for language in languages:
            contents[f"messages-{language}.js"] = _messages(language, texts)
        self.files: Mapping[str, Served] = {
            name: served(content, _KINDS[name.rpartition(".")[2]]) for name, content in sorted(contents.items())
        }
        whole = hashlib.sha256()
        for name, each in self.files.items():
            whole.update(f"{name} {each.etag}\n".encode())
        self.digest = whole.hexdigest()[:16]

    @property
    def scripts(self) -> list[str]:
        return [name for name in self.files if name.endswith(".js") and not name.startswith("messages-")]


def texts_of(contents: Mapping[str, bytes]) -> list[str]:
    """Return the texts that scripts show, in a fixed order."""
    found: set[str] = set()
    for name, content in contents.items():
        if name.endswith(".js"):
            found.update(json.loads(each) for each in _TEXT.findall(content.decode()))
    return sorted(found)


def _messages(language: str, texts: Iterable[str]) -> bytes:
    """Return a module with the page's own texts, what programs say, and what options mean."""
    catalog, sentences = translations(language), spoken(language)
    meanings = {option.name: sentences.get(option.meaning, option.meaning) for option in OPTIONS.values()}
    translated = {text: said for text in texts if (said := catalog.gettext(text)) != text}
    return (
        f"export default {json.dumps(translated, ensure_ascii=False, indent=0)};\n"
        f"export const said = {json.dumps(sorted(sentences.items()), ensure_ascii=False, indent=0)};\n"
        f"export const meanings = {json.dumps(meanings, ensure_ascii=False, indent=0)};\n"
    ).encode()
