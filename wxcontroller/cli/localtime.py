"""Times in answers and options, as local time."""

import re
import time
from datetime import datetime, timedelta

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.core.text.templates import N_

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DAYS = {"today": 0, "yesterday": 1}


def local_time(seconds: object, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return seconds since 1970 as local time in a form of strftime, "-" for anything else."""
    if isinstance(seconds, int | float):
        try:
            return time.strftime(form, time.localtime(seconds))
        except (OverflowError, ValueError, OSError):  # no calendar has the year
            pass
    return "-"


def moment(when: str) -> int:
    """Return the time of --since, in journalctl's common formats, as seconds since 1970. Raises BadUsage."""
    now = datetime.now().astimezone()
    text = when.strip()
    if match := re.fullmatch(r"-?([0-9]{1,6}) ?(s|m|min|h|d|w)( ago)?", text):
        return max(0, int(now.timestamp()) - int(match[1]) * _UNITS[match[2]])
    if text in _DAYS:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(days=_DAYS[text])
        return int(midnight.timestamp())
    try:
        if match := re.fullmatch(r"@([0-9]{1,10})", text):
            return int(match[1])
        if re.fullmatch(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", text):
            text = f"{now:%Y-%m-%d}T{text}"
        return max(0, int(datetime.fromisoformat(text).timestamp()))
    except (ValueError, OverflowError):
        raise invalid_since(when) from None


def invalid_since(when: str) -> BadUsage:
    """Return the refusal of a --since."""
    return BadUsage(
        N_("invalid --since: {when}"),
        N_("write it like 30s, 10m, 2h, 7d, today, yesterday, 08:00 or '2026-01-31 08:00'"),
        when=repr(when) if not when.strip() else when,
    )
