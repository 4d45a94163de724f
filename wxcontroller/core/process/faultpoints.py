"""Points between two durable steps, and between two phases of a process, at which a test ends the process.

Tests crash the process at each of them, to show that nothing is lost or repeated. tests/torture/crashpoints.py starts
an account with WXCLIENT_KILL_AT=POINT:COUNT in its environment; the process then kills itself with SIGKILL when it
reaches that point for the COUNT-th time, or sends itself the signal of POINT:COUNT:SIGNAL, a number. No option,
setting or request can trigger it, and without the variable a point costs one comparison.
"""

import itertools
import os
import signal
from enum import StrEnum

VARIABLE = "WXCLIENT_KILL_AT"


class Point(StrEnum):
    """Durable steps: each is complete when its point is reached."""

    LOGIN_CONFIRMED = "login-confirmed"  # a phone has confirmed a login, of which nothing is on disk
    LOGIN_STORED = "login-stored"  # its session is on disk, but not its position
    POLLED = "polled"  # WeChat has handed over messages that it does not repeat (iLink)
    EVENT_STORED = "event-stored"  # an event is committed, but not reported to its writer yet
    POSITION_STORED = "position-stored"  # so is the driver's position after it
    ACKNOWLEDGED = "acknowledged"  # WeChat has answered a request that showed the position
    SENT = "sent"  # WeChat has taken a message
    RESULT_STORED = "result-stored"  # how a send ended is committed with its report


class Phase(StrEnum):
    """Phases of an account's process: each is complete when its point is reached."""

    OPENED = "opened"  # the store is being opened
    TAKEN_UP = "taken-up"  # what an earlier process left has been asked for
    CONNECTED = "connected"  # all parts are made
    LISTENING = "listening"  # calls are answered
    READY = "ready"  # so systemd has been told
    DRIVEN = "driven"  # a stop is requested, or the driver has ended
    DRAINED = "drained"  # queued sends have gone out
    CLOSED = "closed"  # everything is on disk


_NAME, _COUNT, _SIGNAL = f"{os.environ.get(VARIABLE, '')}::".split(":")[:3]
_visits = itertools.count(1)
# Commits are made one by one then: jobs that share one have nothing between them.
ARMED = bool(_NAME)


def reached(point: Point | Phase) -> None:
    """End the process if this is the point, and the time, that it was started for."""
    if point == _NAME and next(_visits) == int(_COUNT):
        os.kill(os.getpid(), int(_SIGNAL or signal.SIGKILL))
