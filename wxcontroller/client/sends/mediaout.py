"""Media to send, from what a request gives: an id, content, a URL or a file (openwx-api 2.4)."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wxcontroller.client.bodies import Attached
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.mediabook import MediaBook, Received
from wxcontroller.client.sends import urlfetch
from wxcontroller.client.sends.mediapath import confinement
from wxcontroller.client.sends.parcel import Parcel, discarding
from wxcontroller.core.files import sync
from wxcontroller.core.model import Media, Message, MessageKind
from wxcontroller.core.resolver import Resolver
from wxcontroller.core.urls import is_web_address, url_of
from wxcontroller.drivers.base import Upload, Uploaded
from wxcontroller.openwx import media
from wxcontroller.openwx.media import MediaFacts

_TEMPORARY = ".out."
_KEPT = ".send."  # of sends that have not ended; the store of sends knows which
_AT_A_TIME = 4
_WORDS = {kind.value: kind for kind in media.CODES}
_SENDABLE_AS = {
    MessageKind.IMAGE: ("image/", "image/jpeg"),
    MessageKind.EMOTICON: ("image/gif", "image/gif"),
    MessageKind.VIDEO: ("video/", "video/mp4"),
    MessageKind.MICROVIDEO: ("video/", "video/mp4"),
    MessageKind.VOICE: ("audio/", "audio/mpeg"),
}


_NOT_REMEMBERED = (
    "no media of this id are remembered (the last {most} received are): "
    "send the content itself, by media_data or media_path"
)
_NOT_HERE = (
    "WeChat takes media of this kind by their content only, and that is not here (any more): "
    "send the content itself, by media_data or media_path"
)
_HIDDEN = (
    "the account's own process must be able to read it, and its unit hides directories: media_paths in wxclient(8)"
)


class BadMedia(urlfetch.BadSource):
    """Media that can't be sent. ``message`` is the original's word, ``reason`` ours; ``facts`` what is known."""

    def __init__(self, status: str, reason: str, facts: MediaFacts) -> None:
        super().__init__(status)
        self.reason = reason
        self.facts = facts


@dataclass(slots=True)
class MediaOut:
    """Makes parcels. ``agent`` is the User-Agent for URLs.

    What WeChat holds already is remembered by its id, so that it can be sent again as the file it was; so is what
    was received.
    """

    config: ClientConfig
    agent: str
    book: MediaBook
    # Preparing media holds back nobody but others' media of the same kind: from an address that is slow or dead, or
    # from a disk that is, which must leave threads to the event log.
    _fetching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_A_TIME))
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_A_TIME // 2))
    _names: Resolver = field(default_factory=lambda: Resolver(threads=_AT_A_TIME))

    def remember(self, parcel: Parcel) -> None:
        """Keep what was uploaded, for sending it by its id."""
        if parcel.uploaded is not None:
            self.book.add_upload(parcel.uploaded)

    def received(self, message: Message, facts: MediaFacts) -> None:
        """Keep what is known of a message's media, for sending them on by their id."""
        self.book.add_received(message.media or Media(message.kind, message.id), facts.path if facts.size else "")

    async def draft(self, given: Mapping[str, str], data: Attached | None = None) -> Parcel:
        """Return a parcel that is not ready: of what can't be asked for again, ``data``, a file is on disk.

        Raises BadMedia.
        """
        if not data or given.get("media_id"):
            return self.draft_of(given)
        path, discard = await asyncio.to_thread(self._written, given, data.take())
        kept = await self._kept(given, path, discard)
        return Parcel(_facts(given), given=given, kept=kept, discard=discarding(kept))

    def draft_of(self, given: Mapping[str, str]) -> Parcel:
        """Return a parcel, not ready, of what can be asked for again."""
        return Parcel(_facts(given), given=given)

    async def pack(self, draft: Parcel) -> Parcel:
        """Return a draft's parcel, ready, and with a file of its own that outlasts the process. Raises BadMedia."""
        if draft.kept is not None:
            discard = discarding(draft.kept)
            found = await self._of_file(draft.given, draft.given.get("media_path", ""), draft.kept, discard)
            return replace(found, kept=draft.kept)
        found = await self.parcel(draft.given)
        if found.file is None:
            return found
        kept = await self._kept(draft.given, found.file.path, found.discard)
        return replace(found, file=replace(found.file, path=kept), kept=kept, discard=discarding(kept))

    async def _kept(self, given: Mapping[str, str], path: Path, discard: Callable[[], None]) -> Path:
        """Give content a name that outlasts this process; ``discard`` is called when it is there."""
        try:
            async with self._reading:
                return await asyncio.to_thread(_keep, path, self.config.media_dir)
        except OSError as problem:
            raise BadMedia(f"media file read error: {problem.strerror}", str(problem), _facts(given)) from None
        finally:
            discard()

    def left(self) -> frozenset[Path]:
        """Return the files of sends that are here; before anything is queued, those of an earlier process."""
        with contextlib.suppress(OSError):
            return frozenset(path for path in self.config.media_dir.iterdir() if path.name.startswith(_KEPT))
        return frozenset()

    async def parcel(self, given: Mapping[str, str], data: Attached | None = None) -> Parcel:
        """Return a parcel for ``media_*`` parameters; ``data`` is media_data, taken to disk. Raises BadMedia."""
        limits = self.config.limits.media
        if given.get("media_id"):
            key, kind = media.split_id(given["media_id"])
            found = self.book.received(key)
            if found is not None:
                return await self._again(given, kind or found.content.kind, found)
            if key.isascii() and key.isdecimal() and self.book.upload(key) is None:  # no upload is called so
                raise BadMedia("invaild media", _NOT_REMEMBERED.format(most=limits.media_ids), _facts(given))
            return self._by_id(given)
        label = given.get("media_path", "")
        if len(label) > (most := limits.media_path_length):
            raise BadMedia("invaild media_path", f"it is longer than {most} characters", MediaFacts(MessageKind.FILE))
        if data:
            return await self._of_file(given, label, *self._written(given, data.take()))
        if is_web_address(label):
            async with self._fetching:
                return await self._by_url(given, label)
        if label:
            return await self._by_path(given, label)
        raise BadMedia("invaild media", "no media_id, media_path or media_data", _facts(given))

    def _by_id(self, given: Mapping[str, str]) -> Parcel:
        key, kind = media.split_id(given["media_id"])
        known = self.book.upload(key)
        wanted = kind or (known.kind if known else None) or _kind(given) or MessageKind.FILE
        size = given.get("media_size", "")
        uploaded = (
            replace(known, kind=wanted)
            if known
            else Uploaded(
                wanted,
                key,
                media.safe_name(given.get("media_name", "")) or "media",
                int(size) if size.isascii() and size.isdecimal() and len(size) < 12 else 0,
            )
        )
        facts = replace(
            _facts(given),
            kind=wanted,
            id=media.media_id(key, wanted),
            path=_shown(given.get("media_path", "")),
            name=uploaded.name,
            size=uploaded.size,
        )
        return Parcel(facts, uploaded=uploaded)

    async def _again(self, given: Mapping[str, str], kind: MessageKind, found: Received) -> Parcel:
        """Return a parcel of what was received: by reference where WeChat allows it, by its content if it is here."""
        content = found.content
        named = {**given, "media_type": kind.value, "media_name": given.get("media_name", "") or content.name}
        parcel, why = None, BadMedia("invaild media", _NOT_HERE, _facts(named))
        if found.path:
            try:
                parcel = await self._of_received(named, found.path, kind)
            except BadMedia as problem:
                why = problem
        if not content.reference or kind is not content.kind:
            if parcel is None:
                raise why
            return parcel
        name = media.safe_name(named["media_name"])
        uploaded = Uploaded(kind, content.id, name, content.size, reference=content.reference)
        known = parcel.facts if parcel else replace(_facts(named), name=name, size=content.size)
        facts = replace(known, kind=kind, id=media.media_id(content.id, kind))
        return replace(parcel, facts=facts, uploaded=uploaded) if parcel else Parcel(facts, uploaded=uploaded)

    async def _of_received(self, given: Mapping[str, str], kept: str, kind: MessageKind) -> Parcel:
        """Return a parcel of a received file; it stays as it is while it is open, whatever is tidied up."""
        try:
            descriptor = os.open(kept, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # tidied up
            raise BadMedia("invaild media", _NOT_HERE, _facts(given)) from None
        discard = _once(lambda: os.close(descriptor))
        name = f"{kind.value}{Path(kept).suffix}"
        return await self._of_file(given, kept, Path(f"/proc/self/fd/{descriptor}"), discard, name)

    async def _by_url(self, given: Mapping[str, str], url: str) -> Parcel:
        path, stream = self._temporary(given)
        try:
            with stream:
                source = await urlfetch.fetch(
                    url,
                    stream,
                    self.config.number("media_size_max"),
                    self.config.flag("media_private_urls"),
                    self.agent,
                    self.config.limits.media,
                    self._names,
                )
        except urlfetch.BadSource as problem:
            path.unlink(missing_ok=True)
            status = problem.message if isinstance(problem, urlfetch.TooLarge) else "invaild media_path"
            raise BadMedia(status, problem.message, _facts(given)) from None
        except OSError as problem:
            path.unlink(missing_ok=True)
            raise BadMedia(f"media file read error: {problem.strerror}", str(problem), _facts(given)) from None
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return await self._of_file(given, url, path, lambda: path.unlink(missing_ok=True), source.name, source.mime)

    async def _by_path(self, given: Mapping[str, str], label: str) -> Parcel:
        config = self.config
        confined = confinement(config.options["media_paths"], config.cookie_path.parent, config.media_dir)
        if not confined.allowed:
            raise BadMedia(
                "invaild media_path", "files of this host are not sent: media_paths names no directory", _facts(given)
            )
        try:
            descriptor = confined.open(label)
        except (PermissionError, FileNotFoundError) as problem:
            why = problem.strerror or str(problem)
            hint = f"{why}: {_HIDDEN}" if why.startswith(("No such file", "Permission")) else why
            raise BadMedia("invaild media_path", hint, _facts(given)) from None
        except OSError as problem:
            raise BadMedia("invaild media_path", problem.strerror or str(problem), _facts(given)) from None
        # Opened anew by this name it is the same file, whatever has become of its path.
        path = Path(f"/proc/self/fd/{descriptor}")
        return await self._of_file(given, label, path, _once(lambda: os.close(descriptor)), Path(label).name)

    async def _of_file(
        self,
        given: Mapping[str, str],
        label: str,
        path: Path,
        discard: Callable[[], None],
        name: str = "",
        said: str = "",
    ) -> Parcel:
        try:
            status = _status(path)
            most = self.config.number("media_size_max")
            if status.st_size > most:
                raise BadMedia(f"media size exceed, maximum size is {most} bytes", "", _facts(given))
            if status.st_size == 0:
                raise BadMedia("invaild media", "it is empty", _facts(given))
            async with self._reading:
                digest, start = await asyncio.to_thread(_look, path)
        except OSError as problem:
            discard()
            raise BadMedia(f"media file read error: {problem.strerror}", str(problem), _facts(given)) from None
        except BaseException:
            discard()
            raise
        wanted = _kind(given)
        name = media.safe_name(given.get("media_name") or name or Path(label).name)
        mime = given.get("media_mime") or media.sniff(start) or media.mime_of(name, wanted, said)
        if wanted is MessageKind.FILE and mime.startswith(("image/", "video/")):
            mime = "application/octet-stream"  # the type decides what WeChat makes of it
        elif wanted in _SENDABLE_AS and not mime.startswith(_SENDABLE_AS[wanted][0]):
            mime = _SENDABLE_AS[wanted][1]
        kind = wanted or media.kind_of(mime)
        ext = given.get("media_ext") or media.extension(name, mime, kind)
        name = name or f"media.{ext}"
        facts = MediaFacts(
            kind,
            path=_shown(label),
            name=name,
            mime=mime,
            ext=ext,
            size=status.st_size,
            mtime=_number(given.get("media_mtime", "")) or int(status.st_mtime),
            md5=digest,
            chunks=-(-status.st_size // self.config.number("media_chunk_size")),
        )
        # Asked for as a file, it is one whatever its name says.
        forced = MessageKind.FILE if wanted is MessageKind.FILE else None
        return Parcel(facts, Upload(path, name, mime, status.st_size, forced), discard=discard)

    def _written(self, given: Mapping[str, str], data: bytes) -> tuple[Path, Callable[[], None]]:
        path, stream = self._temporary(given)
        try:
            with stream:
                stream.write(data)
        except OSError as problem:
            path.unlink(missing_ok=True)
            raise BadMedia(f"media file read error: {problem.strerror}", str(problem), _facts(given)) from None
        return path, lambda: path.unlink(missing_ok=True)

    def _temporary(self, given: Mapping[str, str]) -> tuple[Path, "tempfile._TemporaryFileWrapper[bytes]"]:
        try:
            self.config.media_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            stream = tempfile.NamedTemporaryFile(prefix=_TEMPORARY, dir=self.config.media_dir, delete=False)  # noqa: SIM115
        except OSError as problem:
            raise BadMedia(f"media file read error: {problem.strerror}", str(problem), _facts(given)) from None
        return Path(stream.name), stream


def _status(path: Path) -> os.stat_result:
    return path.stat()


def _keep(path: Path, directory: Path) -> Path:
    """Return a file of our own with the same content, on disk: a temporary one of ours is renamed, others copied."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=_KEPT, dir=directory)
    kept = Path(name)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, not a path
            if path.parent == directory and path.name.startswith(_TEMPORARY):
                path.replace(kept)
            else:
                with path.open("rb") as source:
                    shutil.copyfileobj(source, stream, 1 << 20)
        sync(kept)
        sync(directory)
    except BaseException:
        kept.unlink(missing_ok=True)
        raise
    return kept


def _look(path: Path) -> tuple[str, bytes]:
    """Return MD5 and the first bytes."""
    digest = hashlib.md5(usedforsecurity=False)
    start = b""
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            start = start or piece[:64]
            digest.update(piece)
    return digest.hexdigest(), start


def _kind(given: Mapping[str, str]) -> MessageKind | None:
    code = _number(given.get("media_code", ""))
    return _WORDS.get(given.get("media_type", "")) or (media.KINDS.get(code) if code else None)


def _number(given: str) -> int:
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 16 else 0


def _facts(given: Mapping[str, str]) -> MediaFacts:
    """What a request says of its media, before anything was looked at."""
    return MediaFacts(
        _kind(given) or MessageKind.FILE,
        path=_shown(given.get("media_path", "")),
        name=media.safe_name(given.get("media_name", "")),
        mime=given.get("media_mime", ""),
        ext=given.get("media_ext", ""),
        mtime=int(time.time()),
    )


def _shown(label: str) -> str:
    """Return a path or URL without the password in it."""
    if not is_web_address(label):
        return label
    with contextlib.suppress(ValueError):
        return str(url_of(label).with_user(None))
    return ""


def _once(action: Callable[[], None]) -> Callable[[], None]:
    done = False

    def call() -> None:
        nonlocal done
        if not done:
            done = True
            action()

    return call
