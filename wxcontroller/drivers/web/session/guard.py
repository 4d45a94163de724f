"""Protects against WeChat's loop of checks that report news although there is none (weixin-web-protocol 9.1).

It begins mostly after media, sent or received, and ends with the next message. Each round costs two requests at
once, and accounts are banned for many; so the account waits, longer each time.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from wxcontroller.core.backoff import Backoff
from wxcontroller.drivers.web.wire.timing import WebTiming


class MediaLoop(IntEnum):
    """Option ``fix_media_loop``."""

    LEAVE = 0  # no guard except against a busy loop
    WAIT = 1
    NUDGE = 2  # also notify WeChat that the client is active, which advances its keys


@dataclass(slots=True)
class SyncGuard:
    """Counts syncs without news and computes the pause."""

    mode: MediaLoop
    timing: WebTiming
    _backoff: Backoff = field(init=False)
    _empty_syncs: int = 0
    _empty: bool = True  # the last of them was empty, without even known messages
    _media: bool = False  # the last message, to or from us, had media
    _nudged: bool = False

    def __post_init__(self) -> None:
        self._backoff = Backoff(self.timing.guard_first, self.timing.guard_longest, jitter=0.0)

    def message(self, media: bool) -> None:
        """Note a message that was received or sent."""
        self._media = media
        self._nudged = False

    def quiet(self) -> None:
        """Reset after a normal answer, with or without news."""
        self._empty_syncs = 0
        self._backoff.reset()

    def note_empty(self, empty: bool = True) -> None:
        """Note a sync that brought nothing new although there should have been news."""
        self._empty_syncs += 1
        self._empty = empty

    def wait(self) -> float:
        """Return the seconds to wait before the next check."""
        after_media = self._media and self._empty and self.mode is not MediaLoop.LEAVE
        if self._empty_syncs < (1 if after_media else self.timing.guard_after):
            return 0.0
        return self.timing.guard_least if self.mode is MediaLoop.LEAVE else self._backoff.next()

    def nudge(self) -> bool:
        """Return whether to notify WeChat that the client is active: once between two messages."""
        due = self.mode is MediaLoop.NUDGE and self._empty_syncs > 0 and not self._nudged
        self._nudged = self._nudged or due
        return due
