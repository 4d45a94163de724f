"""The recorded corpus, and inputs that once were findings."""

import json
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "corpus.jsonl"
FINDINGS = HERE / "findings"


@cache
def recorded() -> dict[str, tuple[bytes, ...]]:
    """Return what was recorded, by kind: a call to WeChat, or what it is."""
    found: dict[str, list[bytes]] = {}
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        found.setdefault(entry["kind"], []).append(entry["content"].encode())
    return {kind: tuple(contents) for kind, contents in found.items()}


def slug(target: str) -> str:
    """Return a decoder's name as that of its directory."""
    return target.replace(",", "").replace("'", "").replace(" ", "-").lower()


def findings(target: str) -> dict[str, bytes]:
    """Return the inputs that a decoder once did not take well, by file name."""
    place = FINDINGS / slug(target)
    return {path.name: path.read_bytes() for path in sorted(place.glob("*"))} if place.is_dir() else {}
