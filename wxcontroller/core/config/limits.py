"""Limits that an administrator can set on input from callers, accounts, webhooks and WeChat.

Each is a row with its default, range and meaning (core/config/tables.py), and a key of the table ``[limits]`` of the
settings. Those of accounts reach the process of an account as variables of its environment
(core/registry/materialise.py), where the administrator's file for one account wins. The ranges keep the limits below
the timeouts of the watchdogs and of systemd's units.

A limit that should never need a change is a constant next to the code that enforces it, with its reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Flag

from wxcontroller.core.config.tables import TableRow, integer, row, rows, seconds
from wxcontroller.core.errors import reason_of
from wxcontroller.core.text.templates import Text


class Of(Flag):
    """Whose limit it is."""

    CONTROLLER = 1
    ACCOUNTS = 2
    BOTH = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits that can be set."""

    request_line_bytes: int = row(
        8190,
        integer(1024, 1 << 20, "bytes"),
        "bytes of a request line or of one header; long texts in a URL need more",
        origin=Of.BOTH,
    )
    token_failures: int = row(
        20,
        integer(1, 10_000),
        "failed token checks per address that are answered immediately; later ones every 3 s",
        origin=Of.BOTH,
    )
    watchers: int = row(64, integer(1, 4096), "dashboards that receive updates at a time", origin=Of.CONTROLLER)
    journal_lines: int = row(1000, integer(1000, 9999), "lines of the journal in one response", origin=Of.CONTROLLER)
    stream_event_bytes: int = row(
        16 << 20,
        integer(64 << 10, 1 << 30, "bytes"),
        "bytes of an event in a stream, with its media as base64",
        origin=Of.CONTROLLER,
    )
    alert_webhook_seconds: float = row(
        30, seconds(0.1, 1500), "seconds for a webhook to accept an alert", origin=Of.CONTROLLER
    )
    alert_program_seconds: float = row(
        60, seconds(0.1, 1500), "seconds to mail an alert, or for the alert command", origin=Of.CONTROLLER
    )
    check_event_seconds: float = row(
        30, seconds(0.05, 3600), "seconds that check_event waits for an event", origin=Of.ACCOUNTS
    )
    send_answer_seconds: float = row(
        100, seconds(0.1, 3600), "seconds until a send is answered, media included", origin=Of.ACCOUNTS
    )
    send_tries: int = row(5, integer(1, 100), "attempts to send a message", origin=Of.ACCOUNTS)
    idempotency_keys: int = row(
        50_000, integer(100, 10_000_000), "idempotency keys that are stored", origin=Of.ACCOUNTS
    )
    media_url_seconds: float = row(
        60, seconds(0.1, 600), "seconds to download media to send from a URL", origin=Of.ACCOUNTS
    )
    report_media_bytes: int = row(
        10 << 20,
        integer(0, 256 << 20, "bytes"),
        "bytes of media in a report; larger ones are reported by their path",
        origin=Of.ACCOUNTS,
    )
    check_event_media_bytes: int = row(
        32 << 20,
        integer(0, 1 << 30, "bytes"),
        "bytes of media in the events kept for check_event",
        origin=Of.ACCOUNTS,
    )
    contact_pages: int = row(16, integer(1, 1000), "pages of the address book that are fetched", origin=Of.ACCOUNTS)
    wechat_answer_bytes: int = row(
        32 << 20,
        integer(64 << 10, 1 << 30, "bytes"),
        "bytes of a response from WeChat with contacts or messages",
        origin=Of.ACCOUNTS,
    )

    def with_numbers(self, numbers: Mapping[str, float]) -> "Limits":
        """Return these limits, replaced by the checked numbers in ``numbers``."""
        return replace(self, **numbers)  # type: ignore[arg-type]  # each was checked against its row

    def value(self, name: str) -> float:
        found: float = getattr(self, name)
        return found

    def for_accounts(self) -> dict[str, float]:
        """Return the limits that accounts need in their environment, by name: those that are not the default."""
        return {name: self.value(name) for name, limit in OF_ACCOUNTS.items() if self.value(name) != limit.default}


DEFAULTS = Limits()
LIMITS: Mapping[str, TableRow] = rows(Limits)
OF_ACCOUNTS: Mapping[str, TableRow] = {name: limit for name, limit in LIMITS.items() if limit.origin & Of.ACCOUNTS}


def variable_of(name: str) -> str:
    """Return the name of a limit in the environment of an account's process."""
    return f"WXCLIENT_LIMIT_{name.upper()}"


def limits_in(variables: Mapping[str, str]) -> dict[str, float]:
    """Return the limits that an environment holds, by name. Raises ValueError naming the variable."""
    found: dict[str, float] = {}
    for name, limit in OF_ACCOUNTS.items():
        if (text := variables.get(variable_of(name))) is not None:
            try:
                found[name] = limit.kind.number(text)
            except ValueError as problem:
                words = Text("{variable} {problem}", variable=variable_of(name), problem=reason_of(problem))
                raise ValueError(words) from None
    return found
