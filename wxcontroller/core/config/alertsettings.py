"""The table [alerts] of the settings: the channels, and after how long an alert is due."""

from dataclasses import dataclass
from enum import StrEnum

from wxcontroller.core.config.tables import URL, Choice, Word, integer, row, seconds
from wxcontroller.core.text.catalog import LANGUAGES
from wxcontroller.core.text.templates import N_, Text

# More recipients are hardly people; sendmail gets each as an argument.
ALERT_ADDRESSES = 1000
ALERT_ARGUMENTS = 1000


class Channel(StrEnum):
    """An alert channel: the instance of wxcontroller-alert@.service that delivers it."""

    WEBHOOK = "webhook"
    MAIL = "mail"
    COMMAND = "command"


_ADDRESS = Word(
    N_('names {item}, an address is like "ops@example.org"'),
    # Local users, too; never an option, and nothing that could form a header.
    r"[A-Za-z0-9_.+=/~^{}!#$&'*?%][A-Za-z0-9_.+=/~^{}!#$&'*?%-]{0,63}(@[A-Za-z0-9.\[\]:-]{1,255})?",
)


def _addresses(value: str) -> str:
    found = [_ADDRESS(part.strip()) for part in value.split(",") if part.strip()]
    if len(found) > ALERT_ADDRESSES:
        raise ValueError(Text("must name at most {most} addresses", most=ALERT_ADDRESSES))
    return ", ".join(found)


def _argv(value: object) -> object:
    words = [value] if isinstance(value, str) and value else value or []
    if not isinstance(words, list) or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise ValueError(Text('must be a list of words in quotes, like ["/usr/local/bin/page-ops", "urgent:"]'))
    if words and not words[0].startswith("/"):
        raise ValueError(Text("must begin with the absolute path of a program; there is no shell"))
    if len(words) > ALERT_ARGUMENTS:
        raise ValueError(Text("must have at most {most} words", most=ALERT_ARGUMENTS))
    return tuple(words)


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Durations are in seconds."""

    webhook: str = row("", URL, "URL that alerts are posted to")
    mail: str = row(
        "",
        Word(N_('must be an address in quotes, several with commas, or ""'), made=_addresses),
        "mail addresses that alerts are sent to, by sendmail",
    )
    command: tuple[str, ...] = row((), _argv, "program to run for each alert, with its arguments")
    after: float = row(300, seconds(10, 86400), "how long an account may be offline or starting before an alert")
    delivery_after: float = row(
        900, seconds(60, 604800), "how long a report may wait for its receiver before an alert"
    )
    disk_low: int = row(
        512 * 1024 * 1024, integer(0, 1 << 50, "bytes"), "free bytes on a disk below which an alert is sent"
    )
    interval: float = row(3600, seconds(60, 604800), "shortest time between two alerts of a kind for an account")
    per_hour: int = row(20, integer(1, 1000), "most alerts per hour; further ones are combined")
    language: str = row(
        "", Choice((*LANGUAGES, "")), "language of alerts, en or zh-CN; empty: by the locale of the service"
    )

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return the ways that are set up."""
        addresses = {Channel.WEBHOOK: self.webhook, Channel.MAIL: self.mail, Channel.COMMAND: self.command}
        return tuple(channel for channel, target in addresses.items() if target)
