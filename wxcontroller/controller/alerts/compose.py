"""From what is to be told to the alert that tells it: words, host, and the codes to scan."""

import secrets
import socket
from collections.abc import Callable, Mapping, Sequence

from wxcontroller.controller.alerts.findings import Finding
from wxcontroller.controller.alerts.ledger import Due
from wxcontroller.controller.qrdrawing import drawn
from wxcontroller.controller.statefiles import StateFiles
from wxcontroller.controller.view import View
from wxcontroller.core.alerts import Alert, Happening, Item, Kind, Picture, plain
from wxcontroller.core.limits import DEFAULTS, AlertLimits


class Composer:
    """Makes alerts."""

    def __init__(self, state_files: StateFiles, limits: Callable[[], AlertLimits] = lambda: DEFAULTS.alerts) -> None:
        self._state_files = state_files
        self._limits = limits

    def alert(self, event: Happening, dues: Sequence[Due], views: Mapping[str, View], now: float) -> Alert:
        """Return one alert about all of ``dues``."""
        codes, limits = 0, self._limits()
        found: list[Item] = []
        for due in dues[: limits.alert_problems]:
            what, instance = due.what, due.key[0]
            code: Picture | None = None
            if isinstance(what, Finding):
                view = views.get(instance)
                if what.kind is Kind.SCAN and view is not None and codes < limits.alert_qrcodes:
                    code = self._code(view, limits.alert_picture_bytes)
                    codes += code is not None
                since = now - due.age
                found.append(Item(due.kind, what.account, instance, since, what.message, what.remedy, code))
            else:
                found.append(Item(due.kind, what.account, instance, now, what.message))
        return Alert(secrets.token_hex(10), event, now, host(), tuple(found), len(dues) - len(found))

    def test(self, now: float) -> Alert:
        """Return an alert that says that alerts get through, with a code like one to scan."""
        code = Picture("image/png", drawn("https://example.invalid/a-test-of-wxcontroller", "png"), now)
        message = "This is a test. Alerts of wxcontroller get through to you; nothing is wrong."
        item = Item(Kind.TEST, "", "test", now, message, "The code says nothing. Real ones are for WeChat.", code)
        return Alert(secrets.token_hex(10), Happening.TEST, now, host(), (item,))

    def _code(self, view: View, most: int) -> Picture | None:
        """Return the code that waits to be scanned: drawn by us, or as the program shows it."""
        if view.live is None or not view.has_qrcode:
            return None
        made = view.live.stamp[0] / 1e9  # the state file is written when there is a new code
        if view.qrcode_link:
            try:
                return Picture("image/png", drawn(view.qrcode_link, "png"), made)
            except ValueError:  # more than a code can hold: no link of WeChat's
                return None
        image = self._state_files.qrcode(view.instance)
        return Picture("image/jpeg", image, made) if image and len(image) <= most else None


def host() -> str:
    """Return this machine's name."""
    return plain(socket.gethostname(), 64) or "?"
