"""Times in answers, as local time."""

import time


def local_time(moment: object, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return seconds since 1970 as local time in a form of strftime, "-" for anything else."""
    if isinstance(moment, int | float):
        try:
            return time.strftime(form, time.localtime(moment))
        except (OverflowError, ValueError, OSError):  # no calendar has the year
            pass
    return "-"
