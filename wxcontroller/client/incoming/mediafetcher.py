"""Received media: fetched in the background into the account's directory, and deleted after a time."""

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.deliveries.reportbodies import content_of
from wxcontroller.client.store.database.privatefiles import SEND_PREFIX
from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.files.atomic import sync
from wxcontroller.core.model import Message, MessageKind, MessageMedia
from wxcontroller.drivers.base import Driver, Fetched
from wxcontroller.openwx.contract import media
from wxcontroller.openwx.contract.formats import unfetched
from wxcontroller.openwx.contract.media import MediaFacts

log = logging.getLogger(__name__)
_PREFIX = "mojo_weixin_media_"
_UNFINISHED = (".in.", ".out.")
# Longer than any upload or download takes: older files are leftovers of a bug.
_UNFINISHED_SECONDS = 86400.0
# Media wait while the disk is full, as texts do; if only the media do not fit, for ten minutes.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_FULL_PAUSE = 5.0
_FULL_TRIES = 120
_TEXTS_FIT = 4 << 20
# The content of an own send is recorded in the database soon after it was written.
_SEND_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class MediaUsage:
    """Received media on disk, as of the last scan plus later arrivals."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class MediaSwept(MediaUsage):
    """The number of deleted media, and the remaining size."""

    removed: int = 0


@dataclass(slots=True)
class MediaFetcher:
    """Fetches media, a few at once."""

    config: ClientConfig
    driver: Driver
    kept: MediaUsage = MediaUsage()
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _turns: asyncio.Semaphore = field(init=False)
    too_much: asyncio.Event = field(default_factory=asyncio.Event)  # media exceed media_keep_bytes
    _is_full: bool = False  # the state of the disk that was logged last
    _misfits: int = 0  # tries in a row for which only media had no space
    _begun: float = field(default_factory=lambda: time.time() - 1)  # the clock of files is a little behind

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.config.number("media_fetch_parallel"))

    def take(self, message: Message, done: Callable[[MediaFacts], None]) -> None:
        """Fetch a message's media; ``done`` gets the result, with the error if it failed."""
        if message.media is None:  # WeChat has nothing to fetch, as with emoticons from the store
            done(replace(unfetched(message), path=media.NO_CONTENT_PATH))
            return
        if not self.config.flag("download_media"):
            done(unfetched(message))
            return
        task = asyncio.create_task(self._work(message, message.media, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel running fetches; the next process repeats them."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def sweep(self, in_use: frozenset[str] = frozenset(), to_send: frozenset[str] = frozenset()) -> None:
        """Delete media beyond the limits of age and size, and unfinished files of an earlier process.

        Received media not yet delivered (``in_use``: paths) and media ``to_send`` stay.
        """
        days, limit = self.config.number("media_keep_days"), self.config.number("media_keep_bytes")
        self.too_much.clear()
        swept = await asyncio.to_thread(
            sweep, self.config.media_dir, days * 86400, limit, time.time(), self._begun, in_use, to_send
        )
        self.kept = MediaUsage(swept.files, swept.bytes)
        if 0 < limit < swept.bytes:  # media in use are deleted after delivery
            self.too_much.set()
        if swept.removed:
            log.info("%d received media files were deleted by age or size", swept.removed)

    async def _work(self, message: Message, content: MessageMedia, done: Callable[[MediaFacts], None]) -> None:
        facts, error, longest = None, "", self.config.seconds("media_fetch_seconds")
        try:
            while facts is None:
                # The wait for a turn counts: later messages wait behind this one, and for no longer than the limit.
                async with asyncio.timeout(longest), self._turns:
                    facts = await self._fetched_unless_full(message, content)
                if facts is None:
                    await asyncio.sleep(_FULL_PAUSE)
        except TimeoutError:
            error = f"not complete within {longest:g} s"
        except (WxError, OSError) as problem:
            error = str(problem)
        # The placeholder in the log must be filled in any case: all later messages wait behind it.
        except Exception:
            error = "internal error, see the journal of this account"
            log.exception("fetching the media of a message failed")
        if facts is None:
            log.warning("media of a message were not fetched: %s", error)
            facts = unfetched(message, error)
        done(facts)

    async def _fetched_unless_full(self, message: Message, content: MessageMedia) -> MediaFacts | None:
        """Fetch, or return None while the disk is full: WeChat still has the content. Raises as ``_fetched``."""
        try:
            facts = await self._fetched(message, content)
        except OSError as problem:
            if problem.errno not in _FULL:
                raise
            # Texts cannot be stored either. If they can, later messages wait only for a while.
            if await asyncio.to_thread(free_bytes, self.config.media_dir) > _TEXTS_FIT:
                self._misfits += 1
                if self._misfits > _FULL_TRIES:
                    raise
            if not self._is_full:
                self._is_full = True
                log.error("media of messages wait for the disk: %s; check the free disk space", reason_of(problem))
            return None
        self._is_full, self._misfits = False, 0
        return facts

    async def _fetched(self, message: Message, content: MessageMedia) -> MediaFacts:
        token = secrets.token_hex(8)
        # Under another name until it is complete: only complete files have names that retention and reports use.
        part = self.config.media_dir / f".in.{token}"
        try:
            with await asyncio.to_thread(private, part) as stream:
                got = await self.driver.fetch(content, stream, self.config.number("media_fetch_max"))
            return await self._store(message, content, got, part, token)
        finally:
            part.unlink(missing_ok=True)

    async def _store(
        self, message: Message, content: MessageMedia, got: Fetched, part: Path, token: str
    ) -> MediaFacts:
        facts = replace(unfetched(message), size=got.size, mtime=int(time.time()))
        if got.size == 0:
            return replace(facts, path=media.NO_CONTENT_PATH)
        named = await asyncio.to_thread(_renamed, content, got, part, token)
        self.kept = MediaUsage(self.kept.files + 1, self.kept.bytes + got.size)
        if 0 < self.config.number("media_keep_bytes") < self.kept.bytes:
            self.too_much.set()
        data = ""
        if self.config.flag("plugin_openwx_post_media_data"):
            data = await asyncio.to_thread(content_of, str(named.path), self.config.limits.report_media_bytes)
        return replace(facts, path=str(named.path), mime=named.mime, ext=named.ext, data=data)


@dataclass(frozen=True, slots=True)
class _StoredFile:
    path: Path
    mime: str
    ext: str


def _renamed(content: MessageMedia, got: Fetched, part: Path, token: str) -> _StoredFile:
    """Rename complete content: a time and random digits, with only the extension from the sender."""
    with part.open("rb") as stream:
        start = stream.read(64)
    mime = media.mime_of(content.name, content.kind, got.mime)
    if content.kind is not MessageKind.FILE:
        mime = media.sniff(start) or mime
    ext = media.extension(content.name, mime, content.kind)
    path = part.with_name(f"{_PREFIX}{time.strftime('%Y%m%d%H%M%S')}_{token}.{ext}")
    # After a power cut WeChat may no longer have the content an event names.
    sync(part)
    part.rename(path)
    sync(path.parent)
    return _StoredFile(path, mime, ext)


def sweep(
    directory: Path,
    seconds: float,
    limit: int,
    now: float,
    begun: float = 0.0,
    in_use: frozenset[str] = frozenset(),
    to_send: frozenset[str] = frozenset(),
) -> MediaSwept:
    """Delete received media older than ``seconds``, then the oldest beyond ``limit`` bytes; 0 means no limit.

    Also removes unfinished files older than ``begun``, the start of this process. The paths of ``in_use`` stay.
    Content of own sends is deleted after the delivery of their reports; beyond ``limit`` bytes, the oldest is deleted
    earlier. Content ``to_send`` stays.
    """
    found: list[tuple[float, int, Path]] = []
    own: list[tuple[float, int, Path]] = []
    with contextlib.suppress(FileNotFoundError):
        for path in directory.iterdir():
            with contextlib.suppress(OSError):
                status = path.lstat()
                if path.name.startswith(_UNFINISHED):
                    if status.st_mtime < max(begun, now - _UNFINISHED_SECONDS):
                        path.unlink()
                elif path.name.startswith(SEND_PREFIX) and str(path) not in to_send:
                    # The change time: unlike the modification time, it cannot be set.
                    settled = status.st_ctime < max(begun, now - _SEND_SECONDS)
                    if str(path) in in_use:
                        own.append((status.st_ctime, status.st_size, path))
                    elif settled:
                        path.unlink()
                elif path.name.startswith(_PREFIX):
                    found.append((status.st_mtime, status.st_size, path))
    shrink(own, limit)
    # By time: the oldest go first.
    found.sort()
    total, removed = sum(size for _, size, _ in found), 0
    for mtime, size, path in found:
        too_much = (seconds and now - mtime > seconds) or (limit and total > limit)
        if too_much and str(path) not in in_use:
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
                removed += 1
    return MediaSwept(len(found) - removed, total, removed)


def free_bytes(directory: Path) -> int:
    """Return the free bytes of a directory's disk, 0 if it cannot be written."""
    with contextlib.suppress(OSError):
        found = os.statvfs(directory if directory.exists() else directory.parent)
        return 0 if found.f_flag & os.ST_RDONLY else found.f_bavail * found.f_frsize
    return 0


def shrink(files: list[tuple[float, int, Path]], limit: int) -> None:
    """Delete the oldest files beyond ``limit`` bytes, 0 for any number."""
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if not limit or total <= limit:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size


def private(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)  # follows no link
    return os.fdopen(descriptor, "wb")
