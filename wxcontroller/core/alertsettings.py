"""The table [alerts] of the settings: the channels, and after how long an alert is due."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TypeVar

from wxcontroller.core.catalog import LANGUAGES
from wxcontroller.core.errors import reason_of
from wxcontroller.core.messages import Text
from wxcontroller.core.parsers import Parser, int_between, number, web_address

T = TypeVar("T")
# Addresses that any sendmail accepts, local users included; never an option, and nothing that could form a header.
_ADDRESS = re.compile(r"[A-Za-z0-9_.+=/~^{}!#$&'*?%][A-Za-z0-9_.+=/~^{}!#$&'*?%-]{0,63}(@[A-Za-z0-9.\[\]:-]{1,255})?")


# More recipients are hardly people; sendmail gets each as an argument.
ALERT_ADDRESSES = 1000
ALERT_ARGUMENTS = 1000


class Channel(StrEnum):
    """An alert channel: the instance of wxcontroller-alert@.service that delivers it."""

    WEBHOOK = "webhook"
    MAIL = "mail"
    COMMAND = "command"


def addresses(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(Text('must be an address in quotes, several with commas, or ""'))
    found = [part.strip() for part in value.split(",") if part.strip()]
    for each in found:
        if not _ADDRESS.fullmatch(each):
            raise ValueError(Text('names {item}, an address is like "ops@example.org"', item=f"{each[:64]!r}"))
    if len(found) > ALERT_ADDRESSES:
        raise ValueError(Text("must name at most {most} addresses", most=ALERT_ADDRESSES))
    return ", ".join(found)


def argv(value: object) -> object:
    words = [value] if isinstance(value, str) and value else value or []
    if not isinstance(words, list) or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise ValueError(Text('must be a list of words in quotes, like ["/usr/local/bin/page-ops", "urgent:"]'))
    if words and not words[0].startswith("/"):
        raise ValueError(Text("must begin with the absolute path of a program; there is no shell"))
    if len(words) > ALERT_ARGUMENTS:
        raise ValueError(Text("must have at most {most} words", most=ALERT_ARGUMENTS))
    return tuple(words)


def _language(value: object) -> object:
    if value and value not in LANGUAGES:
        raise ValueError(Text('must be {languages} or ""', languages=", ".join(f'"{each}"' for each in LANGUAGES)))
    return value or ""


def setting(default: T, parse: Parser, doc: str) -> T:
    return field(default=default, metadata={"parse": parse, "doc": doc})


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Durations are in seconds."""

    webhook: str = setting("", web_address, "URL that alerts are posted to")
    mail: str = setting("", addresses, "mail addresses that alerts are sent to, by sendmail")
    command: tuple[str, ...] = setting((), argv, "program to run for each alert, with its arguments")
    after: float = setting(300, number(10, 86400), "how long an account may be offline or starting before an alert")
    delivery_after: float = setting(
        900, number(60, 604800), "how long a report may wait for its receiver before an alert"
    )
    disk_low: int = setting(
        512 * 1024 * 1024, int_between(0, 1 << 50), "free bytes on a disk below which an alert is sent"
    )
    interval: float = setting(3600, number(60, 604800), "shortest time between two alerts of a kind for an account")
    per_hour: int = setting(20, int_between(1, 1000), "most alerts per hour; further ones are combined")
    language: str = setting("", _language, "language of alerts, en or zh-CN; empty: by the locale of the service")

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return the ways that are set up."""
        addresses = {Channel.WEBHOOK: self.webhook, Channel.MAIL: self.mail, Channel.COMMAND: self.command}
        return tuple(channel for channel, target in addresses.items() if target)


_FIELDS = {entry.name: entry for entry in fields(AlertSettings)}


def parse_alerts(value: object) -> Mapping[str, object]:
    """Check the table; return its keys for AlertSettings. Raises ValueError naming the key."""
    if not isinstance(value, dict):
        raise ValueError(Text("must be a table, as [alerts]"))
    found: dict[str, object] = {}
    for key, setting in value.items():
        entry = _FIELDS.get(key)
        if entry is None:
            raise ValueError(Text("has no key {key}", key=key))
        parse: Parser = entry.metadata["parse"]
        try:
            found[key] = parse(setting)
        except ValueError as problem:
            raise ValueError(Text("key {key} {problem}", key=key, problem=reason_of(problem))) from None
    return found
