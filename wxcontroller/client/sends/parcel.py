"""Media on the way out: uploaded once, sent as often as wanted, over restarts too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wxcontroller.client.mediabook import MEDIA_KINDS, upload_from_json, upload_to_json
from wxcontroller.client.store.sends import ParcelRow
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, integer, text
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers.base import Driver, Sent, Upload, Uploaded
from wxcontroller.openwx.media import MediaFacts, media_id

# Answers that may be about the reference, and not about the target, the session or the rate (protocol 10.1).
_NO_REFERENCE = frozenset({-1, -2, 1, 1200})


def _nothing() -> None:
    pass


@dataclass(slots=True, eq=False)
class Parcel:
    """Media to send: a local ``file`` that WeChat is still to get, or content it holds already (``uploaded``).

    Both: content that was received, ``file`` for the case that WeChat does not take it by reference. Neither: what
    ``given`` asks for is still to be found. ``kept`` is the file of our own that outlasts the process, ``id`` the
    number under which the parcel is stored, 0 when it is not. ``discard`` frees what was opened for it; it is called
    when nobody needs the parcel any more.
    """

    facts: MediaFacts
    file: Upload | None = None
    uploaded: Uploaded | None = None
    discard: Callable[[], None] = _nothing
    given: Mapping[str, str] = field(default_factory=dict)
    kept: Path | None = None
    id: int = 0
    _users: int = 0

    @property
    def ready(self) -> bool:
        """Whether it is known what is to be sent."""
        return self.file is not None or self.uploaded is not None

    def become(self, other: "Parcel") -> None:
        """Take over what has been found of it."""
        self.facts, self.file, self.uploaded, self.kept = other.facts, other.file, other.uploaded, other.kept
        self.discard = other.discard

    async def upload(self, driver: Driver) -> Uploaded:
        """Return the content at WeChat, given to it now unless it has it. Raises as Driver.upload.

        Whatever becomes of it, no message is sent yet.
        """
        if self.uploaded is None:
            if self.file is None:
                raise ValueError("a parcel without content")
            try:
                self.uploaded = await driver.upload(self.file)
            except WeChatError as problem:
                problem.unsure = False
                raise
        found = self.uploaded
        self.facts = replace(self.facts, kind=found.kind, id=media_id(found.key, found.kind))
        return found

    async def send(self, driver: Driver, target: str, client_id: str) -> Sent:
        """Send the content, given to WeChat first if need be. Raises as Driver.upload and Driver.send_media."""
        content = await self.upload(driver)
        try:
            return await driver.send_media(target, content, client_id)
        except WeChatError as problem:
            if not content.reference or self.file is None or problem.ret not in _NO_REFERENCE:
                raise
        self.uploaded = None
        return await driver.send_media(target, await self.upload(driver), client_id)

    def hold(self) -> None:
        """One more who needs the parcel."""
        self._users += 1

    def release(self) -> None:
        """One less; the last one frees the local file."""
        self._users -= 1
        if self._users <= 0:
            discard, self.discard = self.discard, _nothing
            discard()

    def row(self) -> ParcelRow:
        """Return what ``parcel_of`` makes the same parcel of."""
        known: JsonObject = {}
        if self.ready:
            forced = self.file is not None and self.file.kind is MessageKind.FILE
            known = {**_facts_to_json(self.facts), "has_file": self.file is not None, "forced": forced}
        uploaded = upload_to_json(self.uploaded) if self.uploaded else {}
        return ParcelRow(dict(self.given), str(self.kept) if self.kept else "", known, uploaded, self.id)


def parcel_of(row: ParcelRow) -> Parcel:
    """Return a parcel as it was stored."""
    kept, known = Path(row.file) if row.file else None, row.facts
    facts = _facts_from_json(known)
    file = None
    if kept is not None and known.get("has_file") is True:
        forced = MessageKind.FILE if known.get("forced") is True else None
        file = Upload(kept, facts.name, facts.mime, facts.size, forced)
    found = upload_from_json(row.uploaded)
    return Parcel(
        facts,
        file,
        found[1] if found else None,
        discarding(kept),
        {name: text(value) for name, value in row.given.items()},
        kept,
        row.id,
    )


def discarding(kept: Path | None) -> Callable[[], None]:
    """Return what deletes a file of our own."""
    return (lambda: kept.unlink(missing_ok=True)) if kept is not None else _nothing


def _facts_to_json(facts: MediaFacts) -> JsonObject:
    """Without the content, which is in the file."""
    return {
        "kind": facts.kind.value,
        "id": facts.id,
        "path": facts.path,
        "name": facts.name,
        "mime": facts.mime,
        "ext": facts.ext,
        "size": facts.size,
        "mtime": facts.mtime,
        "md5": facts.md5,
        "chunks": facts.chunks,
    }


def _facts_from_json(kept: JsonObject) -> MediaFacts:
    return MediaFacts(
        MEDIA_KINDS.get(text(kept.get("kind")), MessageKind.FILE),
        id=text(kept.get("id")),
        path=text(kept.get("path")),
        name=text(kept.get("name")),
        mime=text(kept.get("mime")),
        ext=text(kept.get("ext")),
        size=integer(kept.get("size")),
        mtime=integer(kept.get("mtime")),
        md5=text(kept.get("md5")),
        chunks=integer(kept.get("chunks")),
    )
