"""Compose an alert from due findings: text, host, and QR codes."""

import secrets
import socket
from collections.abc import Callable, Mapping, Sequence

from wxcontroller.controller.accounts.statefiles import StateFiles
from wxcontroller.controller.accounts.view import View
from wxcontroller.controller.alerts.findings import Problem
from wxcontroller.controller.alerts.schedule import Due
from wxcontroller.controller.qrdrawing import drawn
from wxcontroller.core.alerts import Alert, AlertEvent, Item, Kind, Picture, plain
from wxcontroller.core.text.catalog import language_here
from wxcontroller.core.text.templates import N_, Text

# More problems than this are counted: an outage of the network concerns all accounts at once.
ALERT_PROBLEMS = 30
# Each is a picture in an email and valid for a few minutes: people cannot scan more in that time.
ALERT_QRCODES = 8
# Far larger than a code that WeChat draws. A foreign program may draw a larger one.
ALERT_PICTURE_BYTES = 256 << 10


class Composer:
    """Makes alerts. ``language`` returns the one of the settings, "" for that of this process."""

    def __init__(self, state_files: StateFiles, language: Callable[[], str]) -> None:
        self._state_files = state_files
        self._language = language

    def alert(self, event: AlertEvent, dues: Sequence[Due], views: Mapping[str, View], now: float) -> Alert:
        """Return one alert about all of ``dues``."""
        codes = 0
        items: list[Item] = []
        for due in dues[:ALERT_PROBLEMS]:
            what, instance = due.what, due.key[0]
            code: Picture | None = None
            if isinstance(what, Problem):
                view = views.get(instance)
                if what.kind is Kind.SCAN and view is not None and codes < ALERT_QRCODES:
                    code = self._code(view)
                    codes += code is not None
                since = now - due.age
                items.append(
                    Item(due.kind, what.account, instance, since, what.message, what.remedy, code, what.code)
                )
            else:
                items.append(Item(due.kind, what.account, instance, now, what.message, code="recovered"))
        return self._alert(event, now, items, len(dues) - len(items))

    def test(self, now: float) -> Alert:
        """Return a test alert with a sample QR code."""
        code = Picture("image/png", drawn("https://example.invalid/a-test-of-wxcontroller", "png"), now)
        message = Text(N_("This is a test of wxcontroller's alerts. No action is needed."))
        remedy = Text(N_("the QR code is an example; real ones are scanned with WeChat"))
        return self._alert(
            AlertEvent.TEST, now, [Item(Kind.TEST, "", "test", now, message, remedy, code, code="test")]
        )

    def _alert(self, event: AlertEvent, now: float, found: Sequence[Item], more: int = 0) -> Alert:
        language = self._language() or language_here()
        host = plain(socket.gethostname(), 64) or "?"
        return Alert(secrets.token_hex(10), event, now, host, tuple(found), more, language)

    def _code(self, view: View) -> Picture | None:
        """Return the QR code to scan: drawn here, or as the account's process provides it."""
        if view.live is None or not view.has_qrcode:
            return None
        made = view.live.stamp[0] / 1e9  # the state file is written when there is a new code
        if view.qrcode_link:
            try:
                return Picture("image/png", drawn(view.qrcode_link, "png"), made)
            except ValueError:  # more than a code can hold: no link of WeChat's
                return None
        image = self._state_files.qrcode(view.instance)
        return Picture("image/jpeg", image, made) if image and len(image) <= ALERT_PICTURE_BYTES else None
