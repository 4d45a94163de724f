"""Media that WeChat stores, uploaded and received, by their ids in reports and answers. One table of the account's
database, written when an id becomes known and read when a request names one: it needs no memory, and survives a
crash.
"""

import json
import sqlite3
from asyncio import Future
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.core.jsontypes import JsonObject, integer, kept_json, text
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.drivers.base import Uploaded

# Media of each kind, uploaded and received, that can be sent on by their id, the latest.
MEDIA_IDS = 1000
MEDIA_KINDS = {kind.value: kind for kind in MessageKind if kind.is_media}


class Way(StrEnum):
    """The way in which content was uploaded to WeChat."""

    UPLOADED = "uploaded"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class Received:
    """Media of a message, and where their content is, "" when it is not here."""

    content: MessageMedia
    path: str


class MediaIndex:
    """Remembers the latest ``limit`` of each way. A write is on disk when its future is done."""

    def __init__(self, log: EventLog, limit: int = MEDIA_IDS) -> None:
        self._log = log
        self._limit = limit

    def add_upload(self, content: Uploaded) -> "Future[None]":
        row, limit = upload_to_json(content), self._limit
        return self._log.write(lambda db: remember(db, Way.UPLOADED, content.key, row, limit))

    def add_received(self, content: MessageMedia, path: str) -> "Future[None]":
        row, limit = received_to_json(Received(content, path)), self._limit
        return self._log.write(lambda db: remember(db, Way.RECEIVED, content.id, row, limit))

    async def upload(self, key: str) -> Uploaded | None:
        """Return the upload with this id (without its code). Raises Unavailable."""
        return upload_from_json(await self._log.read(lambda db: recall(db, Way.UPLOADED, key)))

    async def received(self, key: str) -> Received | None:
        """Return the received media with this id (without its code). Raises Unavailable."""
        return received_from_json(await self._log.read(lambda db: recall(db, Way.RECEIVED, key)))


def remember(db: sqlite3.Connection, way: Way, key: str, row: JsonObject, limit: int) -> None:
    """Store the entry of an id as the latest, and delete the oldest beyond ``limit``."""
    # JSON may contain lone surrogates, which SQLite cannot store.
    values = (way, key.encode("utf-8", "replace").decode(), json.dumps(row))
    db.execute("INSERT OR REPLACE INTO media_index (way, key, known) VALUES (?, ?, ?)", values)
    oldest = "SELECT seq FROM media_index WHERE way = ? ORDER BY seq DESC LIMIT 1 OFFSET ?"
    db.execute(f"DELETE FROM media_index WHERE way = ? AND seq <= ({oldest})", (way, way, limit))  # noqa: S608


def recall(db: sqlite3.Connection, way: Way, key: str) -> JsonObject:
    """Return the entry of an id, or an empty one."""
    found = db.execute("SELECT known FROM media_index WHERE way = ? AND key = ?", (way, key)).fetchone()
    return kept_json(found[0]) if found else {}


def play_times(db: sqlite3.Connection, keys: Iterable[str]) -> dict[str, int]:
    """Return the play time of received media in milliseconds, by id; 0 if unknown."""
    return {key: integer(recall(db, Way.RECEIVED, key).get("milliseconds")) for key in keys}


def upload_to_json(upload: Uploaded) -> JsonObject:
    """Return an upload in the form that ``upload_from_json`` reads."""
    return {**asdict(upload), "kind": upload.kind.value}


def upload_from_json(kept: JsonObject) -> Uploaded | None:
    """Return uploaded content from its JSON, None for anything else."""
    kind, key = MEDIA_KINDS.get(text(kept.get("kind"))), text(kept.get("key"))
    words = [text(kept.get(name)) for name in ("signature", "reference")]
    return Uploaded(kind, key, text(kept.get("name")), integer(kept.get("size")), *words) if kind and key else None


def media_to_json(content: MessageMedia) -> JsonObject:
    """Return them for ``media_from_json``."""
    return {
        "kind": content.kind.value,
        "key": content.key,
        "name": content.name,
        "size": content.size,
        "milliseconds": round(content.seconds * 1000),
        "public": content.public,
        "reference": content.reference,
    }


def media_from_json(kept: JsonObject) -> MessageMedia | None:
    """Return media from their JSON, None for anything else."""
    kind, key = MEDIA_KINDS.get(text(kept.get("kind"))), text(kept.get("key"))
    if not kind or not key:
        return None
    return MessageMedia(
        kind,
        key,
        text(kept.get("name")),
        integer(kept.get("size")),
        integer(kept.get("milliseconds")) / 1000,
        public=text(kept.get("public")),
        reference=text(kept.get("reference")),
    )


def received_to_json(received: Received) -> JsonObject:
    """Return received media in the form that ``received_from_json`` reads."""
    return {**media_to_json(received.content), "path": received.path}


def received_from_json(kept: JsonObject) -> Received | None:
    """Return received media from their JSON, None for anything else."""
    content = media_from_json(kept)
    return Received(content, text(kept.get("path"))) if content else None
