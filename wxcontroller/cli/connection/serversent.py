"""A stream of server-sent events that survives reconnects."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BufferedIOBase

from wxcontroller.cli.clierrors import NoResponse
from wxcontroller.cli.language import tell
from wxcontroller.core.errors import ControllerUnreachable, WxError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_MAX_LINE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """An event: its type and data, and the cursor to continue after it, which may be that of an earlier event."""

    kind: str
    data: str
    cursor: str


def followed(
    connect: Callable[[str], AbstractContextManager[HTTPResponse]], cursor: str, at_first: bool = True
) -> Iterator[StreamedEvent]:
    """Yield all events but heartbeats, going on after the last cursor when the connection breaks.

    Without ``at_first`` the first connection has to succeed. Raises WxError if retrying cannot help.
    """
    pause, patient, reported = _FIRST_PAUSE, at_first, ""
    while True:
        try:
            with connect(cursor) as response:
                patient, reported = True, ""
                for place, kind, data in server_sent(response):
                    cursor, pause = place or cursor, _FIRST_PAUSE
                    if kind and kind != "heartbeat":
                        yield StreamedEvent(kind, data, cursor)
            lost = "the stream has ended"
        except (ControllerUnreachable, NoResponse) as problem:
            if not patient:
                raise
            lost = problem.message
        except WxError:  # some are also OSErrors and ValueErrors
            raise
        except (OSError, HTTPException, ValueError) as problem:
            lost = str(problem) or type(problem).__name__
        if lost != reported:  # once, not at each try
            tell("wxctl: {lost}; trying again", err=True, lost=lost)
        reported = lost
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)


def server_sent(response: BufferedIOBase) -> Iterator[tuple[str, str, str]]:
    """Yield id, type and data of server-sent events."""
    place = kind = data = ""
    while line := response.readline(_MAX_LINE):
        content = line.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = content.partition(": ")
        if not content:
            if kind:
                yield place, kind, data
            place = kind = data = ""
        elif name == "id":
            place = value
        elif name == "event":
            kind = value
        elif name == "data":
            data = value
