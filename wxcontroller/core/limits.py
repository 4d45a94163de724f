"""Limits that an administrator can set on input from callers, accounts, webhooks and WeChat.

Each is a field of ``Limits`` with its default, range and meaning. The settings' parser, the checks, the manual page
and the reference come from there. They are keys of the table ``[limits]`` of the settings. Those of accounts reach
the process of an account as variables of its environment (core.materialise), where the administrator's file for one
account wins. The ranges keep the limits below the timeouts of the watchdogs and of systemd's units.

A limit that should never need a change is a constant next to the code that enforces it, with its reason.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace

from wxcontroller.core.errors import reason_of
from wxcontroller.core.messages import N_, Text

_VARIABLE = "WXCLIENT_LIMIT_"
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")


_CONTROLLER, _ACCOUNTS, _BOTH = (True, False), (False, True), (True, True)


def count(default: int, low: int, high: int, meaning: str, of: tuple[bool, bool]) -> int:
    return field(default=default, metadata={"range": (low, high), "meaning": meaning, "of": of})


def seconds(default: float, low: float, high: float, meaning: str, of: tuple[bool, bool]) -> float:
    return field(default=default, metadata={"range": (low, high), "meaning": f"seconds {meaning}", "of": of})


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits that can be set."""

    request_line_bytes: int = count(
        8190, 1024, 1 << 20, "bytes of a request line or of one header; long texts in a URL need more", _BOTH
    )
    token_failures: int = count(
        20, 1, 10_000, "failed token checks per address that are answered immediately; later ones every 3 s", _BOTH
    )
    account_answer_seconds: float = seconds(
        10, 0.1, 60, "for an account's response when all are queried", _CONTROLLER
    )
    watchers: int = count(64, 1, 4096, "dashboards that receive updates at a time", _CONTROLLER)
    journal_lines: int = count(1000, 1000, 9999, "lines of the journal in one response", _CONTROLLER)
    stream_event_bytes: int = count(
        16 << 20, 64 << 10, 1 << 30, "bytes of an event in a stream, with its media as base64", _CONTROLLER
    )
    alert_webhook_seconds: float = seconds(30, 0.1, 1500, "for a webhook to accept an alert", _CONTROLLER)
    alert_program_seconds: float = seconds(60, 0.1, 1500, "to mail an alert, or for the alert command", _CONTROLLER)
    check_event_seconds: float = seconds(30, 0.05, 3600, "that check_event waits for an event", _ACCOUNTS)
    send_answer_seconds: float = seconds(100, 0.1, 3600, "until a send is answered, media included", _ACCOUNTS)
    send_tries: int = count(5, 1, 100, "attempts to send a message", _ACCOUNTS)
    idempotency_keys: int = count(50_000, 100, 10_000_000, "idempotency keys that are stored", _ACCOUNTS)
    media_url_seconds: float = seconds(60, 0.1, 600, "to download media to send from a URL", _ACCOUNTS)
    report_media_bytes: int = count(
        10 << 20, 0, 256 << 20, "bytes of media in a report; larger ones are reported by their path", _ACCOUNTS
    )
    check_event_media_bytes: int = count(
        32 << 20, 0, 1 << 30, "bytes of media in the events kept for check_event", _ACCOUNTS
    )
    contact_pages: int = count(16, 1, 1000, "pages of the address book that are fetched", _ACCOUNTS)
    wechat_answer_bytes: int = count(
        32 << 20, 64 << 10, 1 << 30, "bytes of a response from WeChat with contacts or messages", _ACCOUNTS
    )

    def with_numbers(self, numbers: Mapping[str, float]) -> "Limits":
        """Return these limits, replaced by the checked numbers in ``numbers``."""
        return replace(self, **numbers)  # type: ignore[arg-type]  # each was checked against its field

    def value(self, name: str) -> float:
        found: float = getattr(self, name)
        return found

    def changed(self) -> dict[str, float]:
        """Return the limits that are not the default, by name."""
        return {name: self.value(name) for name, limit in LIMITS.items() if self.value(name) != limit.default}

    def for_accounts(self) -> dict[str, float]:
        """Return the limits that accounts need in their environment, by name."""
        return {name: value for name, value in self.changed().items() if LIMITS[name].for_accounts}


@dataclass(frozen=True, slots=True)
class Limit:
    """A row of the table."""

    name: str
    default: float
    low: float
    high: float
    meaning: str
    whole: bool
    for_controller: bool
    for_accounts: bool

    @property
    def variable(self) -> str:
        """The name in the environment of an account's process."""
        return variable_of(self.name)

    def check(self, value: object) -> float:
        """Return a number that is valid for this limit. Raises ValueError with the valid range."""
        number = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        if isinstance(value, int | float) and number and self.low <= value <= self.high:
            return value
        template = (
            N_("must be an integer from {low} to {high}")
            if self.whole
            else N_("must be a number from {low} to {high}")
        )
        raise ValueError(Text(template, low=shown(self.low), high=shown(self.high)))

    def read(self, text: str) -> float:
        """Return the number that a variable holds. Raises ValueError as ``check``."""
        if not _NUMBER.fullmatch(text):
            return self.check(None)
        return self.check(float(text) if "." in text else int(text))


DEFAULTS = Limits()


def table() -> Iterator[Limit]:
    for entry in fields(Limits):
        low, high = entry.metadata["range"]
        controller, accounts = entry.metadata["of"]
        meaning, default = entry.metadata["meaning"], DEFAULTS.value(entry.name)
        yield Limit(entry.name, default, low, high, meaning, entry.type is int, controller, accounts)


LIMITS: Mapping[str, Limit] = {limit.name: limit for limit in table()}


def variable_of(name: str) -> str:
    """Return the name of a limit in the environment of an account's process."""
    return _VARIABLE + name.upper()


def parse_limits(value: object) -> Mapping[str, float]:
    """Check the table [limits]; return its numbers by name. Raises ValueError naming the key."""
    if not isinstance(value, dict):
        raise ValueError(Text("must be a table, as [limits]"))
    found: dict[str, float] = {}
    for name, number in value.items():
        limit = LIMITS.get(name)
        if limit is None:
            raise ValueError(Text("has no key {key}", key=str(name)[:64]))
        try:
            found[name] = limit.check(number)
        except ValueError as problem:
            raise ValueError(Text("key {key} {problem}", key=name, problem=reason_of(problem))) from None
    return found


def limits_in(variables: Mapping[str, str]) -> dict[str, float]:
    """Return the limits that an environment holds, by name. Raises ValueError naming the variable."""
    found: dict[str, float] = {}
    for limit in LIMITS.values():
        if limit.for_accounts and (text := variables.get(limit.variable)) is not None:
            try:
                found[limit.name] = limit.read(text)
            except ValueError as problem:
                raise ValueError(
                    Text("{variable} {problem}", variable=limit.variable, problem=reason_of(problem))
                ) from None
    return found


def shown(number: float) -> str:
    """Return a number as people and files write it: never with an exponent."""
    return str(int(number)) if number == int(number) else f"{number:.6f}".rstrip("0")
