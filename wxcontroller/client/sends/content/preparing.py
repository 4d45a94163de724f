"""Preparing the content to send from a request's parameters: an id, content, a URL or a file (openwx-api 2.4).

Content is written to a file below the account's media directory, which outlives the process; content that WeChat
already stores needs none. Preparing one file delays no other send, and is bounded: few are fetched from web servers
at a time, fewer from one host, so that a hanging one does not block the others, and few are read from disk, so that a
slow disk leaves threads to the event log. All content of sends that wait takes a part of the disk, in bytes, and that
of one token a part of this.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO
from weakref import WeakValueDictionary

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.sends.content import urlfetch
from wxcontroller.client.sends.content.callbodies import Attached, ContentTooLarge
from wxcontroller.client.sends.content.holders import held_by, prefix_of
from wxcontroller.client.sends.content.mediapath import Confinement, confinement
from wxcontroller.client.sends.model.send import Media
from wxcontroller.client.store.database.privatefiles import SEND_PREFIX, bytes_of_sends, delete
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.store.mediaids import MEDIA_IDS, MediaIndex, Received
from wxcontroller.core.condition.verdict import Cause
from wxcontroller.core.files.atomic import sync
from wxcontroller.core.model import MessageKind
from wxcontroller.core.net.resolver import Resolver
from wxcontroller.core.net.urls import is_web_address, url_of
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.drivers.base import Upload, Uploaded
from wxcontroller.openwx.contract import media as contract
from wxcontroller.openwx.contract.media import MediaFacts

# In characters: a URL beyond this is refused by the servers that it could be for.
MEDIA_PATH_LENGTH = 8000
# With at most two for one host, a hanging host leaves two turns to all others.
_FETCHED_AT_A_TIME = 4
_FETCHED_FROM_ONE_HOST = 2
# Of asyncio's default executor, which the event log's readers use, too.
_READ_AT_A_TIME = 2
# All content of waiting sends together takes at most this part of what received media may take (media_keep_bytes).
# A send is accepted while there is less, so that it has room for one file of any allowed size.
_SENDS_PART = 4
# One token at its limit leaves room for three others. More would let two of them end everybody's sends.
_HOLDERS_PART = 4
# A download that exceeds the limit for a URL by this much hangs.
_STUCK_SECONDS = 900.0
_WORDS = {kind.value: kind for kind in contract.CODES}
_SENDABLE_AS = {
    MessageKind.IMAGE: ("image/", "image/jpeg"),
    MessageKind.EMOTICON: ("image/gif", "image/gif"),
    MessageKind.VIDEO: ("video/", "video/mp4"),
    MessageKind.MICROVIDEO: ("video/", "video/mp4"),
    MessageKind.VOICE: ("audio/", "audio/mpeg"),
}


_NOT_REMEMBERED = (
    "no media of this id are remembered (the last {limit} received are): "
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
    """Media that cannot be sent. ``message`` is the original's text, ``reason`` ours, with ``facts`` as values."""

    def __init__(self, status: str, reason: str, facts: MediaFacts, cause: Cause = Cause.MEDIA_FAILED) -> None:
        super().__init__(status)
        self.cause = cause
        self.reason = reason
        self.facts = facts


@dataclass(slots=True)
class MediaPreparer:
    """Makes media ready to be sent. ``agent`` is the User-Agent for URLs; ``reported_files`` returns the files that
    no waiting send needs any more.
    """

    config: ClientConfig
    agent: str
    index: MediaIndex
    reported_files: Callable[[], Awaitable[frozenset[str]]]
    deadlines: Deadlines = field(default_factory=Deadlines)
    _fetching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_FETCHED_AT_A_TIME))
    _hosts: WeakValueDictionary[str, asyncio.Semaphore] = field(default_factory=WeakValueDictionary)
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_READ_AT_A_TIME))
    _names: Resolver = field(default_factory=lambda: Resolver(threads=_FETCHED_AT_A_TIME))

    async def describe(self, params: Mapping[str, str], data: Attached) -> Media:
        """Return media for ``media_*`` parameters; ``data`` cannot be fetched later, and goes to disk now.

        Content that is too large is a send that fails, with an id and a report, as for media from elsewhere
        (openwx-api 2.4): ``prepare`` reports it. Raises BadMedia when it cannot be stored.
        """
        media = described(params)
        if data and not params.get("media_id"):
            try:
                async with self._reading, self._new_file(params) as (path, stream):
                    await asyncio.to_thread(data.move_to, stream, self._limit)
            except ContentTooLarge:
                media.fault = self._too_large(params)
            else:
                media.kept = path
        return media

    async def copy_of(self, path: Path, kind: MessageKind, name: str, holder: str) -> Media:
        """Return media for a copy of a file of the account's own. Raises OSError, and BadMedia for want of room."""
        params = {"media_type": kind.value, "media_name": name, **held_by(holder)}
        media = described({key: value for key, value in params.items() if value})
        media.kept = await self._duplicate(path, media.params)
        return media

    async def prepare(self, media: Media) -> None:
        """Find the content of described media and how WeChat is to show it. Raises BadMedia."""
        params, label = media.params, media.params.get("media_path", "")
        if media.fault is not None:
            raise media.fault
        if media.kept is not None:
            await self._inspect(media, params, label)
        elif params.get("media_id"):
            await self._by_id(media, params)
        elif len(label) > (limit := MEDIA_PATH_LENGTH):
            raise BadMedia(
                "invaild media_path", f"it is longer than {limit} characters", MediaFacts(MessageKind.FILE)
            )
        elif is_web_address(label):
            media.kept, source = await self._fetched(params, label)
            await self._inspect(media, params, label, source.name, source.mime)
        elif label:
            media.kept, mtime = await self._copied(params, label)
            await self._inspect(media, params, label, Path(label).name, mtime=mtime)
        else:
            raise BadMedia("invaild media", "no media_id, media_path or media_data", _facts(params))

    # -- content that WeChat already has

    async def _by_id(self, media: Media, params: Mapping[str, str]) -> None:
        key, kind = contract.split_id(params["media_id"])
        try:
            received, uploaded = await self.index.received(key), await self.index.upload(key)
        except Unavailable as problem:
            raise BadMedia("invaild media", problem.message, _facts(params)) from None
        if received is not None:
            await self._received_before(media, params, kind or received.content.kind, received)
            return
        if uploaded is None and key.isascii() and key.isdecimal():  # no upload is called so
            raise BadMedia("invaild media", _NOT_REMEMBERED.format(limit=MEDIA_IDS), _facts(params))
        wanted = kind or (uploaded.kind if uploaded else None) or _kind(params) or MessageKind.FILE
        name = contract.safe_name(params.get("media_name", "")) or "media"
        size = _number(params.get("media_size", ""))
        media.uploaded = replace(uploaded, kind=wanted) if uploaded else Uploaded(wanted, key, name, size)
        media.facts = replace(
            _facts(params),
            kind=wanted,
            id=contract.media_id(key, wanted),
            name=media.uploaded.name,
            size=media.uploaded.size,
        )

    async def _received_before(
        self, media: Media, params: Mapping[str, str], kind: MessageKind, found: Received
    ) -> None:
        """Forward received media: by reference where WeChat allows it, else by content if it is on disk."""
        content = found.content
        name = params.get("media_name", "") or content.name
        named = {**params, "media_type": kind.value, "media_name": name}
        problem = BadMedia("invaild media", _NOT_HERE, _facts(named))
        if found.path:
            try:
                # A copy: retention may delete the received file before the send's turn comes.
                media.kept = await self._duplicate(Path(found.path), params)
                await self._inspect(media, named, found.path, f"{kind.value}{Path(found.path).suffix}")
            except OSError:  # tidied up
                pass
            except BadMedia as error:
                media.discard()
                problem = error
        if not content.reference or kind is not content.kind:
            if media.file is None:
                raise problem
            return
        name = contract.safe_name(name)
        facts = media.facts if media.file else replace(_facts(named), name=name, size=content.size)
        media.uploaded = Uploaded(kind, content.id, name, content.size, reference=content.reference)
        media.facts = replace(facts, kind=kind, id=contract.media_id(content.id, kind))

    # -- content, in our own file

    @contextlib.asynccontextmanager
    async def _new_file(self, params: Mapping[str, str]) -> AsyncIterator[tuple[Path, IO[bytes]]]:
        """Create a file that is on disk after the block, or deleted if the block fails. Raises BadMedia if the disk
        fails or there is no room."""
        try:
            await self._check_room(params)
            path, stream = await asyncio.to_thread(created, self.config.media_dir, prefix_of(params))
            try:
                with stream:
                    yield path, stream
                # Before the row that names it is committed: a power cut must
                # not leave a queued send with half of its content.
                await asyncio.to_thread(make_durable, path)
            except BaseException:
                delete(path)
                raise
        except OSError as problem:
            raise unreadable(problem, params) from None

    async def _duplicate(self, path: Path, params: Mapping[str, str]) -> Path:
        """Return a copy of a file of the account's own. Raises OSError, and BadMedia if there is no room."""
        async with self._reading:
            await self._check_room(params)
            return await asyncio.to_thread(duplicate, path, self.config.media_dir, prefix_of(params))

    async def _check_room(self, params: Mapping[str, str]) -> None:
        """Raise BadMedia if the content of waiting sends takes too much of the disk, that of all or of one token.
        Raises OSError, too.
        """
        if not (limit := self.config.number("media_keep_bytes") // _SENDS_PART):
            return
        own, share, directory = prefix_of(params), max(1, limit // _HOLDERS_PART), self.config.media_dir

        def words(taken: Mapping[str, int]) -> str:
            if own != SEND_PREFIX and taken.get(own, 0) >= share:
                return (
                    f"the content of the waiting sends of this token takes {share} bytes, its share for this account"
                )
            # One token's last file may exceed its share by much, which must not take the shares of others.
            counted = (each if prefix == SEND_PREFIX else min(each, share) for prefix, each in taken.items())
            full = f"the content of waiting sends takes {limit} bytes, a quarter of media_keep_bytes"
            return full if sum(counted) >= limit else ""

        if problem := words(await asyncio.to_thread(bytes_of_sends, directory)):
            # Content for reports does not count: a receiver that is away for days must not end all sends.
            with contextlib.suppress(Unavailable):
                problem = words(await asyncio.to_thread(bytes_of_sends, directory, await self.reported_files()))
        if problem:
            raise BadMedia(problem, "", _facts(params), Cause.QUEUE_FULL)

    def _turn_of(self, url: str) -> asyncio.Semaphore:
        """Return the semaphore for fetches from a URL's host. It is dropped with its last user."""
        with contextlib.suppress(ValueError):
            host = url_of(url).raw_host or ""
            return self._hosts.setdefault(host, asyncio.Semaphore(_FETCHED_FROM_ONE_HOST))
        return asyncio.Semaphore()  # no address: refused without a lookup

    async def _fetched(self, params: Mapping[str, str], url: str) -> tuple[Path, urlfetch.Source]:
        private, seconds = self.config.flag("media_private_urls"), self.config.limits.media_url_seconds
        # In this order: a download from a slow host must not occupy a slot that another host could use.
        async with self._turn_of(url), self._fetching, self._new_file(params) as (path, stream):
            try:
                with self.deadlines.within(_STUCK_SECONDS, "fetching what to send"):
                    source = await urlfetch.fetch(url, stream, self._limit, private, self.agent, seconds, self._names)
            except urlfetch.BadSource as problem:
                if isinstance(problem, urlfetch.SourceTooLarge):
                    raise BadMedia(problem.message, "", _facts(params), Cause.TOO_LARGE) from None
                raise BadMedia("invaild media_path", problem.message, _facts(params)) from None
        return path, source

    async def _copied(self, params: Mapping[str, str], label: str) -> tuple[Path, int]:
        """Copy a file of this host; return the copy and the time of the file."""
        config = self.config
        paths, state = config.options["media_paths"], config.cookie_path.parent
        confined = confinement(paths, state, config.media_dir, config.credentials)
        if not confined.allowed:
            words = "files of this host are not sent: media_paths names no directory"
            raise BadMedia("invaild media_path", words, _facts(params))
        async with self._reading:
            try:
                source = await asyncio.to_thread(opened, confined, label)
            except OSError as problem:
                why = problem.strerror or str(problem)
                hint = f"{why}: {_HIDDEN}" if why.startswith(("No such file", "Permission")) else why
                raise BadMedia("invaild media_path", hint, _facts(params)) from None
            with source:
                # Of the open file: the name may mean another file by now.
                status = os.fstat(source.fileno())
                if status.st_size > self._limit:
                    raise self._too_large(params)
                async with self._new_file(params) as (path, stream):
                    with self.deadlines.within(_STUCK_SECONDS, "reading what to send"):
                        await asyncio.to_thread(shutil.copyfileobj, source, stream, 1 << 20)
        return path, int(status.st_mtime)

    async def _inspect(
        self, media: Media, params: Mapping[str, str], label: str, name: str = "", declared: str = "", mtime: int = 0
    ) -> None:
        """Decide how WeChat shows the file; ``name`` and ``mime`` (its type) come from its source."""
        assert media.kept is not None
        try:
            async with self._reading:
                status, digest, start = await asyncio.to_thread(examined, media.kept)
        except OSError as problem:
            raise unreadable(problem, params) from None
        if status.st_size > self._limit:
            raise self._too_large(params)
        if status.st_size == 0:
            raise BadMedia("invaild media", "it is empty", _facts(params))
        wanted = _kind(params)
        name = contract.safe_name(params.get("media_name") or name or Path(label).name)
        # The first bytes go before the name and the server's header: the type decides how WeChat shows the content.
        mime = params.get("media_mime") or contract.sniff(start) or contract.mime_of(name, wanted, declared)
        if wanted is MessageKind.FILE and mime.startswith(("image/", "video/")):
            mime = "application/octet-stream"  # the type decides how WeChat shows it
        elif wanted in _SENDABLE_AS and not mime.startswith(_SENDABLE_AS[wanted][0]):
            mime = _SENDABLE_AS[wanted][1]
        kind = wanted or contract.kind_of(mime)
        ext = params.get("media_ext") or contract.extension(name, mime, kind)
        name = name or f"media.{ext}"
        media.facts = MediaFacts(
            kind,
            path=without_password(label),
            name=name,
            mime=mime,
            ext=ext,
            size=status.st_size,
            mtime=_number(params.get("media_mtime", "")) or mtime or int(status.st_mtime),
            md5=digest,
            chunks=-(-status.st_size // self.config.number("media_chunk_size")),
        )
        # If requested as a file, it is sent as one, whatever its name.
        forced = MessageKind.FILE if wanted is MessageKind.FILE else None
        media.file = Upload(media.kept, name, mime, status.st_size, forced)

    @property
    def _limit(self) -> int:
        return self.config.number("media_size_max")

    def _too_large(self, params: Mapping[str, str]) -> BadMedia:
        return BadMedia(
            f"media size exceed, maximum size is {self._limit} bytes", "", _facts(params), Cause.TOO_LARGE
        )


# -- in a thread


def opened(confined: Confinement, label: str) -> IO[bytes]:
    """Open a file that may be sent; as an object, which closes it if the caller is cancelled."""
    return os.fdopen(confined.open(label), "rb")


def created(directory: Path, prefix: str) -> tuple[Path, IO[bytes]]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=prefix, dir=directory)
    return Path(name), os.fdopen(descriptor, "wb")


def make_durable(path: Path) -> None:
    sync(path)
    # A new file's name is durable only with its directory.
    sync(path.parent)


def duplicate(received: Path, directory: Path, prefix: str) -> Path:
    """Return a copy of a received file that retention does not delete. Raises OSError.

    A second name would cost nothing, but the unit's system call filter forbids links.
    """
    with open(os.open(received, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as source:  # noqa: PTH123
        path, stream = created(directory, prefix)
        try:
            with stream:
                shutil.copyfileobj(source, stream, 1 << 20)
            make_durable(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return path


def examined(path: Path) -> tuple[os.stat_result, str, bytes]:
    """Return a file's facts, its MD5 and its first bytes."""
    digest = hashlib.md5(usedforsecurity=False)
    start = b""
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            start = start or piece[:64]
            digest.update(piece)
        return os.fstat(stream.fileno()), digest.hexdigest(), start


# -- parameters of a request


def described(params: Mapping[str, str]) -> Media:
    """Return media for ``media_*`` parameters alone."""
    return Media(_facts(params), params)


def unreadable(problem: OSError, params: Mapping[str, str]) -> BadMedia:
    return BadMedia(f"media file read error: {problem.strerror}", str(problem), _facts(params))


def _kind(params: Mapping[str, str]) -> MessageKind | None:
    code = _number(params.get("media_code", ""))
    return _WORDS.get(params.get("media_type", "")) or (contract.KINDS.get(code) if code else None)


def _number(params: str) -> int:
    return int(params) if params.isascii() and params.isdecimal() and len(params) < 16 else 0


def _facts(params: Mapping[str, str]) -> MediaFacts:
    """Return a request's description of its media, unchecked."""
    return MediaFacts(
        _kind(params) or MessageKind.FILE,
        path=without_password(params.get("media_path", "")),
        name=contract.safe_name(params.get("media_name", "")),
        mime=params.get("media_mime", ""),
        ext=params.get("media_ext", ""),
        mtime=int(time.time()),
    )


def without_password(label: str) -> str:
    """Return a path or URL without the password in it."""
    if not is_web_address(label):
        return label
    with contextlib.suppress(ValueError):
        return str(url_of(label).with_user(None))
    return ""
