"""Equal notifications within a minute: the first goes at once, the rest as one message with their count.

A failing disk makes a monitor send the same text every second, and each message of a reply window counts. So a text
that was sent to a target less than a minute ago is not sent again, but counted; when the minute is over, the text
goes out once more with the count. Notifications with a file are never counted together.

A count is on disk before its caller is answered, so that neither a restart nor a crash loses it; the counts of
requests that come together are written together. The message has an idempotency key that is stored with the count:
sent again after a crash, it arrives once. While the account is stopped, it is tried for an hour.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from wxcontroller.controller.apis.notify.passing import REFUSED, UNKNOWN, WAITING, NotifyVerdict, new_key
from wxcontroller.core.errors import reason_of
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.files.filecache import read_small
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, obj, objects, read_json, text
from wxcontroller.core.text.templates import N_, Text

log = logging.getLogger(__name__)
REPEAT_SECONDS = 60.0
# Texts of the last minute that are remembered; others are not counted together. Each is at most a few KB. Targets
# need no shares: by the limit on its new texts (routes.py), one target has at most 120 of them.
REMEMBERED_TEXTS = 2000
# A count that cannot be sent while the account is down is dropped after this time.
KEEP_SECONDS = 3600.0
_RETRY_SECONDS = 30.0
_FILE_BYTES = 64 << 20
_MODE = 0o600

Send = Callable[[str, str, bool, str], Coroutine[None, None, NotifyVerdict]]


@dataclass(slots=True)
class Repeat:
    """A text sent to a target (by its token's id) at ``since``, and its number of repetitions."""

    target: str
    content: str
    since: float
    count: int = 0
    urgent: bool = False
    key: str = field(default_factory=new_key)
    first: "asyncio.Task[NotifyVerdict] | None" = None

    def as_json(self) -> JsonObject:
        return {
            "target": self.target,
            "content": self.content,
            "since": self.since,
            "count": self.count,
            "urgent": self.urgent,
            "key": self.key,
        }

    @property
    def message(self) -> str:
        """The text with its count, which readers of any language understand."""
        return f"{self.content}\n(×{self.count})"


class Repeats:
    """The texts of the last minute.

    Args:
        path: the file with the counts.
        send: sends a text to the target with this token id, urgently or not, under an idempotency key.
        seconds: how long equal texts are counted together.
    """

    def __init__(self, path: Path, send: Send, seconds: float = REPEAT_SECONDS) -> None:
        self._path = path
        self._send = send
        self.seconds = seconds
        self._recent: dict[tuple[str, str], Repeat] = {}
        self._due: list[Repeat] = []
        self._tasks: set[asyncio.Task[NotifyVerdict]] = set()
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._changes = self._written = 0

    async def send(self, target: str, content: str, urgent: bool) -> tuple[NotifyVerdict, bool]:
        """Send a text, or count it; return the result, and whether it was counted. Raises OSError."""
        found = self._recent.get((target, content))
        if found is None or found.first is None or time.time() >= found.since + self.seconds:
            return await self._first(target, content, urgent), False
        verdict = await asyncio.shield(found.first)
        if verdict.refused:
            return verdict, False
        await self._counted(found, urgent)
        words = N_("the same text was sent within the last minute; it follows with its count")
        return NotifyVerdict(WAITING, Text(words)), True

    def look(self) -> None:
        """Look now for counts that can be sent."""
        self._news.set()

    async def _first(self, target: str, content: str, urgent: bool) -> NotifyVerdict:
        self._forget()
        repeat = Repeat(target, content, time.time(), urgent=urgent)
        task = asyncio.create_task(self._send(target, content, urgent, new_key()))
        self._tasks.add(task)  # it continues if the caller disconnects
        task.add_done_callback(self._tasks.discard)
        # Before its result is known: equal texts that arrive meanwhile wait for it.
        if len(self._recent) < REMEMBERED_TEXTS:
            repeat.first = task
            self._recent[target, content] = repeat
        verdict = await asyncio.shield(task)
        if verdict.refused and self._recent.get((target, content)) is repeat and not repeat.count:
            del self._recent[target, content]
        return verdict

    def _forget(self) -> None:
        """Drop entries older than a minute; their counts are due."""
        now = time.time()
        for key, repeat in list(self._recent.items()):
            # A clock that was set back must not keep a text forever.
            if not repeat.since <= now < repeat.since + self.seconds:
                del self._recent[key]
                if repeat.count:
                    self._due.append(repeat)
                    self._news.set()

    async def _counted(self, repeat: Repeat, urgent: bool) -> None:
        repeat.count += 1
        repeat.urgent = repeat.urgent or urgent
        self._news.set()
        try:
            await self._stored()
        except OSError:
            repeat.count -= 1
            raise

    async def _stored(self) -> None:
        """Write all counts; those that wait meanwhile are written together next."""
        self._changes += 1
        mine = self._changes
        async with self._writing:
            if self._written >= mine:
                return
            number, content = self._changes, self._content()
            await asyncio.to_thread(replace_file, self._path, content, _MODE, True)
            self._written = number

    def _content(self) -> bytes:
        listed: list[JsonValue] = [
            repeat.as_json() for repeat in (*self._due, *self._recent.values()) if repeat.count
        ]
        return json.dumps({"repeats": listed}).encode()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send counts when they are due, first those that an earlier process has left; the rest stay on disk."""
        self._due += await asyncio.to_thread(saved_repeats, self._path)
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            for each in (task, *self._tasks):
                each.cancel()
            await asyncio.gather(task, *self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._news.clear()
            self._forget()
            for repeat in list(self._due):
                try:
                    await self._send_count(repeat)
                except OSError as problem:
                    log.error("cannot store the counts of repeated notifications: %s", problem)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._news.wait()

    def _pause(self) -> float | None:
        if self._due:
            return _RETRY_SECONDS
        times = [repeat.since for repeat in self._recent.values()]
        return max(0.05, min(times) + self.seconds - time.time()) if times else None

    async def _send_count(self, repeat: Repeat) -> None:
        verdict = await self._send(repeat.target, repeat.message, repeat.urgent, repeat.key)
        old = not 0 <= time.time() - repeat.since < KEEP_SECONDS
        if not old and (verdict.state == UNKNOWN or (verdict.state == REFUSED and verdict.passing)):
            return  # tried again
        self._due.remove(repeat)
        if verdict.refused:
            log.warning("%d repeated notifications discarded: %s", repeat.count, verdict.reason)
        await self._stored()


def saved_repeats(path: Path) -> list[Repeat]:
    """Return the counts that an earlier process has left."""
    try:
        content = read_json(read_small(path, _FILE_BYTES))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as problem:
        log.error("counts of repeated notifications lost: cannot read %s: %s", path, reason_of(problem))
        return []
    found = []
    for entry in objects(obj(content).get("repeats")):
        since = entry.get("since")
        repeat = Repeat(
            text(entry.get("target")),
            text(entry.get("content")),
            float(since) if isinstance(since, int | float) else 0.0,
            integer(entry.get("count")),
            entry.get("urgent") is True,
            text(entry.get("key")),
        )
        if repeat.target and repeat.count > 0 and repeat.key:
            found.append(repeat)
    return found
