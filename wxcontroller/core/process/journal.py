"""Logging to the journal, every line with the account it is about.

Under systemd lines go to the journal with fields (WX_ACCOUNT, WX_EVENT, WX_STATE, MESSAGE_ID); elsewhere they
go to standard error in plain text. Message texts and secrets are never logged at the default level.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping
from enum import StrEnum

from wxcontroller.core.process.summaries import Summaries


class Event(StrEnum):
    """Events that an operator can search for in the journal: ``journalctl WX_EVENT=…``."""

    STATE = "state"
    QRCODE = "qrcode"
    LOGIN = "login"
    LOGIN_REFUSED = "login-refused"
    SESSION_LOST = "session-lost"
    PARKED = "parked"
    SEND = "send"
    DELIVERY_FAILED = "delivery-failed"
    DELIVERY_DEAD = "delivery-dead"
    DELIVERY_DROPPED = "delivery-dropped"
    DELIVERY_LATE = "delivery-late"
    ACCOUNT_STARTED = "account-started"
    ACCOUNT_STOPPED = "account-stopped"
    ACCOUNT_FAILED = "account-failed"
    SETTINGS = "settings"
    ALERT = "alert"
    ACCESS_REFUSED = "access-refused"


# Made with `systemd-id128 new`; the catalog explains each (systemd/wxcontroller.catalog).
MESSAGE_IDS: Mapping[Event, str] = {
    Event.STATE: "254ba6768d154d2a8ffc40a3d35419e7",
    Event.QRCODE: "1f9456900a0747358f49bba7d9d8bae2",
    Event.LOGIN: "2b2dbd5467c44315843ed889b53506f1",
    Event.LOGIN_REFUSED: "d5fdede90d03426ca1d76efeac8e3d38",
    Event.SESSION_LOST: "b67094d45a0e445d9ff4fa837c902c75",
    Event.PARKED: "9a1658604eb843e8a2407e43fb256fce",
    Event.SEND: "1b63ad754a4e450096f9b5ac56806fea",
    Event.DELIVERY_FAILED: "8a8666f3e5844c139204c91ea7a424b2",
    Event.DELIVERY_DEAD: "671a347c807143cb9e8a3276bcb261b5",
    Event.DELIVERY_DROPPED: "879a3e31fded4076a48c99bc9040f7e5",
    Event.DELIVERY_LATE: "9bd38af8373b42268777755180e62d1b",
    Event.ACCOUNT_STARTED: "04f4c34bb270440eb6a6fa60596d1088",
    Event.ACCOUNT_STOPPED: "d8e619f07a5d4c73b4210ac4c67d60db",
    Event.ACCOUNT_FAILED: "615fa1a9c4174b0193ab762f2f18f12a",
    Event.SETTINGS: "a034d22408274bf2bee8ac0716a2cbb8",
    Event.ALERT: "8186a5b1c71f43ada94c80f267582cfa",
    Event.ACCESS_REFUSED: "8861b374f1b9422995f6ce097af0dc83",
}
_TOKEN = re.compile(r"(wxc_[0-9a-f]{8}_)[0-9a-f]+")
_REDACTED = r"\1…"
LEVELS = {"debug": 10, "info": 20, "msg": 20, "warn": 30, "warning": 30, "error": 40, "fatal": 50}


def fields(event: Event, account: str = "", state: str = "") -> dict[str, str]:
    """Return the ``extra=`` of a log call: journal fields of an event."""
    found = {"WX_EVENT": str(event), "MESSAGE_ID": MESSAGE_IDS[event]}
    if account:
        found["WX_ACCOUNT"] = account
    if state:
        found["WX_STATE"] = state
    return found


def setup_logging(identifier: str, level: str = "info", account: str = "") -> None:
    """Send this process' logging to the journal, or to standard error without one.

    ``account`` is put on every line as WX_ACCOUNT. ``level`` is one of LEVELS.
    """
    root = logging.getLogger()
    root.setLevel(LEVELS.get(level, logging.INFO))
    for handler in list(root.handlers):
        root.removeHandler(handler)
    # systemd sets it for services whose output goes to the journal.
    handler = _journal(identifier, account) if os.environ.get("JOURNAL_STREAM") else plain(identifier)
    # On the handler, not on a logger: filters of a logger do not see records of its children.

    def emit_summary(record: logging.LogRecord) -> None:
        without_tokens(record)
        handler.emit(record)

    # The summaries first: rendering a traceback takes longer than the request that causes it.
    handler.addFilter(Summaries(emit_summary))
    handler.addFilter(without_tokens)
    root.addHandler(handler)
    # One line per request is noise at the default level; the product writes its own log lines for important requests.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def without_tokens(record: logging.LogRecord) -> bool:
    """Remove API tokens from a line and its traceback. No line should contain one; this is a safeguard."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        return True  # the handler reports the problem
    if _TOKEN.search(text):
        record.msg, record.args = _TOKEN.sub(_REDACTED, text), None
    if record.exc_info and not record.exc_text:
        record.exc_text = _TOKEN.sub(_REDACTED, logging.Formatter().formatException(record.exc_info))
    return True


def _journal(identifier: str, account: str) -> logging.Handler:
    try:
        from systemd.journal import JournalHandler  # 2.8 MiB: not for processes outside systemd
    except ImportError:  # not there with wxctl alone; standard error gets into the journal nevertheless
        return plain(identifier)
    extra = {"SYSLOG_IDENTIFIER": identifier}
    if account:
        extra["WX_ACCOUNT"] = account
    handler: logging.Handler = JournalHandler(**extra)
    return handler


def plain(identifier: str) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"{identifier}: %(levelname)s: %(message)s"))
    return handler
