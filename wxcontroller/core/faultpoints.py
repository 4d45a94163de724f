"""Points between two durable steps at which a test kills the process.

Tests crash the process at each of them, to show that nothing is lost or repeated. tests/torture/crashpoints.py starts
an account with WXCLIENT_KILL_AT=POINT:COUNT in its environment; the process then kills itself with SIGKILL when it
reaches that point for the COUNT-th time. No option, setting or request can trigger it, and without the variable a
point costs one comparison.
"""

import itertools
import os
import signal
from enum import StrEnum

VARIABLE = "WXCLIENT_KILL_AT"


class Point(StrEnum):
    """Durable steps: each is complete when its point is reached."""

    EVENT_STORED = "event-stored"  # an event is committed, but not reported to its writer yet
    POSITION_STORED = "position-stored"  # so is the driver's position after it
    ACKNOWLEDGED = "acknowledged"  # WeChat has answered a request that showed the position
    SENT = "sent"  # WeChat has taken a message
    RESULT_STORED = "result-stored"  # how a send ended is committed with its report


_NAME, _, _COUNT = os.environ.get(VARIABLE, "").partition(":")
_visits = itertools.count(1)
# Commits are made one by one then: jobs that share one have nothing between them.
ARMED = bool(_NAME)


def reached(point: Point) -> None:
    """Kill the process if this is the point, and the time, that it was started for."""
    if point == _NAME and next(_visits) == int(_COUNT):
        os.kill(os.getpid(), signal.SIGKILL)
