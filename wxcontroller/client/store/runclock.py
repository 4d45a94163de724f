"""The time for which processes have run on a log, in seconds: the age of failures and of dead letters.

The wall clock would count the days for which a machine is off, and jumps when a wrong one is set at boot: reports
would be given up without one attempt. This clock only runs while the process does, and continues in the next one. A
crash may set it back to the last change that stored it, some minutes at most.
"""

import sqlite3
import time
from collections.abc import Callable

from wxcontroller.client.store.tables.values import as_float

# Rows have the reading of this clock, or 0 for none.
_FIRST = 1.0


class RunClock:
    """Read and store the time in the writer's thread. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._earlier = 0.0  # the reading when this process began, 0 while unknown

    def now(self, db: sqlite3.Connection) -> float:
        """Return the time, and store it for the next process."""
        if not self._earlier:
            self._earlier = stored(db)
        reading = self._earlier + self._clock() - self._begun
        db.execute("INSERT OR REPLACE INTO meta VALUES ('ran', ?)", (str(reading),))
        return reading


def stored(db: sqlite3.Connection) -> float:
    """Return the last stored reading. Rows may have later ones in a file that damage has changed."""
    (newest,) = db.execute("SELECT MAX(since) FROM events WHERE since > 0").fetchone()
    found = db.execute("SELECT value FROM meta WHERE name = 'ran'").fetchone()
    try:
        reading = float(str(found[0])) if found else 0.0
    except ValueError:
        reading = 0.0
    return max(_FIRST, as_float(reading), as_float(newest))
