"""How WeChat formats texts and names for web clients, and how it parses their JSON."""

import json
import re

from wxcontroller.core.jsontypes import JsonValue

# Emoji that are delivered as spans because they were in the carrier tables of 2010; newer ones stay UTF-8 (8.1).
_SPANNED_CODES = (
    "1f604 1f60a 1f603 263a 1f609 1f60d 1f618 1f61a 1f633 1f63c 1f63d 1f60c 1f61c 1f445 1f612 1f60f 1f613 1f640"
    " 1f61e 1f616 1f625 1f630 1f628 1f62b 1f622 1f62d 1f602 1f632 1f631 1f620 1f63e 1f62a 1f637 1f47f 1f47d 2764"
    " 1f494 1f498 2728 1f31f 2755 2754 1f4a4 1f4a6 1f3b5 1f525 1f4a9 1f44d 1f44e 1f44a 270c 1f446 1f447 1f449"
    " 1f448 261d 1f4aa 1f48f 1f491 1f466 1f467 1f469 1f468 1f47c 1f480 1f48b 2600 2614 2601 26c4 1f319 26a1 1f30a"
    " 1f431 1f429 1f42d 1f439 1f430 1f43a 1f438 1f42f 1f428 1f43b 1f437 1f42e 1f417 1f435 1f434 1f40d 1f426 1f414"
    " 1f427 1f41b 1f419 1f420 1f433 1f42c 1f339 1f33a 1f334 1f49d 1f383 1f47b 1f385 1f384 1f381 1f514 1f389 1f388"
    " 1f4bf 1f4f7 1f3a5 1f4bb 1f4fa 1f4de 1f513 1f512 1f511 1f528 1f4a1 1f4eb 1f6c0 1f4b2 1f4a3 1f52b 1f48a 1f3c8"
    " 1f3c0 26bd 26be 26f3 1f3c6 1f47e 1f3a4 1f3b8 1f459 1f451 1f302 1f45c 1f484 1f48d 1f48e 2615 1f37a 1f37b"
    " 1f377 1f378 1f354 1f35f 1f35d 1f363 1f35c 1f373 1f366 1f382 1f34f 2708 1f680 1f6b2 1f684 26a0 1f3c1"
)
_SPANNED = frozenset(int(code, 16) for code in _SPANNED_CODES.split())
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")
_KEYCAP = re.compile("[0-9#]\u20e3")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def encode(text: str) -> str:
    """Return ``text`` the way the server delivers names and messages: an HTML fragment (8.1)."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if not text.isascii():
        text = _FLAG.sub(span, text)
        text = _KEYCAP.sub(span, text)
        text = "".join(span_one(char) if ord(char) in _SPANNED else char for char in text)
    return text.replace("\n", "<br/>")


def span(match: re.Match[str]) -> str:
    return span_one(match[0])


def span_one(emoji: str) -> str:
    return f'<span class="emoji emoji{"".join(f"{ord(char):x}" for char in emoji)}"></span>'


def load(body: bytes) -> JsonValue:
    """Parse JSON as the server does: ``\\/`` and ``\\uXXXX`` are not decoded (1.6).

    Raises ValueError for anything but UTF-8 JSON.
    """
    literal = _ESCAPE.sub(lambda m: "\\\\" + m[1] if m[1] in "/u" else m[0], body.decode("utf-8"))
    value: JsonValue = json.loads(literal)
    return value


def dump(value: JsonValue) -> str:
    """Write JSON as the server does: raw UTF-8, compact."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
