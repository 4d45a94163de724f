"""Which media WeChat holds, uploaded and received, by the ids that reports and answers give them."""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, read_json, text
from wxcontroller.core.limits import DEFAULTS
from wxcontroller.core.model import Media, MessageKind
from wxcontroller.drivers.base import SessionStore, Uploaded

log = logging.getLogger(__name__)
T = TypeVar("T")
MEDIA_KINDS = {kind.value: kind for kind in MessageKind if kind.is_media}


@dataclass(frozen=True, slots=True)
class Received:
    """Media of a message, and where their content is, "" when it is not here."""

    content: Media
    path: str


@dataclass(slots=True)
class MediaBook:
    """Remembers the latest ``most`` of both, over an orderly stop too: the session goes on, and so do the ids."""

    store: SessionStore
    most: int = DEFAULTS.media.media_ids
    _uploaded: OrderedDict[str, Uploaded] = field(default_factory=OrderedDict)
    _received: OrderedDict[str, Received] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        try:
            kept = obj(read_json(self.store.load() or b"{}"))
        except (OSError, ValueError) as problem:
            log.error("ids of media of the last run can't be read: %s", problem)
            return
        _restore(self._uploaded, self.most, kept.get("uploaded"), upload_from_json)
        _restore(self._received, self.most, kept.get("received"), _received_of)

    def upload(self, key: str) -> Uploaded | None:
        """What was uploaded under an id without its code."""
        return self._uploaded.get(key)

    def received(self, key: str) -> Received | None:
        """What was received under an id without its code."""
        return self._received.get(key)

    def add_upload(self, content: Uploaded) -> None:
        _add(self._uploaded, self.most, content.key, content)

    def add_received(self, content: Media, path: str) -> None:
        _add(self._received, self.most, content.id, Received(content, path))

    def keep(self) -> None:
        """Write everything to the store. Raises nothing: what can't be kept is logged."""
        found: JsonObject = {
            "uploaded": [upload_to_json(one) for one in self._uploaded.values()],
            "received": [_of_received(one) for one in self._received.values()],
        }
        try:
            self.store.save(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
        except OSError as problem:
            log.error("ids of media are lost: %s", problem)


def _add(book: OrderedDict[str, T], most: int, key: str, one: T) -> None:
    book[key] = one
    book.move_to_end(key)
    while len(book) > most:
        book.popitem(last=False)


def _restore(
    book: OrderedDict[str, T], most: int, kept: JsonValue, read: Callable[[JsonObject], tuple[str, T] | None]
) -> None:
    for entry in items(kept):
        if found := read(obj(entry)):
            _add(book, most, *found)


def upload_to_json(one: Uploaded) -> JsonObject:
    """Return what ``upload_from_json`` makes the same of."""
    return {
        "kind": one.kind.value,
        "key": one.key,
        "name": one.name,
        "size": one.size,
        "signature": one.signature,
        "reference": one.reference,
    }


def upload_from_json(kept: JsonObject) -> tuple[str, Uploaded] | None:
    """Return the key and what is under it as it was kept, None for what is none."""
    kind, key = MEDIA_KINDS.get(text(kept.get("kind"))), text(kept.get("key"))
    words = [text(kept.get(name)) for name in ("signature", "reference")]
    found = Uploaded(kind, key, text(kept.get("name")), integer(kept.get("size")), *words) if kind and key else None
    return (key, found) if found else None


def media_to_json(content: Media) -> JsonObject:
    """Return what ``media_from_json`` makes the same media of."""
    return {
        "kind": content.kind.value,
        "key": content.key,
        "name": content.name,
        "size": content.size,
        "public": content.public,
        "reference": content.reference,
    }


def media_from_json(kept: JsonObject) -> Media | None:
    """Return media as they were kept, None for what is none."""
    kind, key = MEDIA_KINDS.get(text(kept.get("kind"))), text(kept.get("key"))
    if not kind or not key:
        return None
    return Media(
        kind,
        key,
        text(kept.get("name")),
        integer(kept.get("size")),
        public=text(kept.get("public")),
        reference=text(kept.get("reference")),
    )


def _of_received(one: Received) -> JsonObject:
    return {**media_to_json(one.content), "path": one.path}


def _received_of(kept: JsonObject) -> tuple[str, Received] | None:
    content = media_from_json(kept)
    return (content.id, Received(content, text(kept.get("path")))) if content else None
