"""Limits: one table of how large, many, deep and long what comes from outside may be, and what an admin can set.

They are set in the table ``[limits]`` of the settings. Those that concern an account's process reach it as variables
of its environment (core.materialise); the admin's file for one account may have others. Whoever goes by a limit is
handed it, as part of ``Limits`` or as a number. The most that each may be leaves in peace the watchdogs and systemd's
units, which have times of their own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import ClassVar

_VARIABLE = "WXCLIENT_LIMIT_"
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit, as it stands in the table. ``low`` and ``high`` are what is sensible at all."""

    name: str
    area: str
    default: float
    low: float
    high: float
    meaning: str
    whole: bool
    for_controller: bool
    for_accounts: bool

    @property
    def variable(self) -> str:
        """What the environment of an account's process calls it."""
        return _VARIABLE + self.name.upper()

    def check(self, value: object) -> float:
        """Return a number that may stand for this limit. Raises ValueError saying what it must be."""
        number = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        if isinstance(value, int | float) and number and self.low <= value <= self.high:
            return value
        words = "a whole number" if self.whole else "a number"
        raise ValueError(f"must be {words} from {shown(self.low)} to {shown(self.high)}")

    def read(self, text: str) -> float:
        """Return the number that a variable holds. Raises ValueError as ``check``."""
        if not _NUMBER.fullmatch(text):
            return self.check(None)
        return self.check(float(text) if "." in text else int(text))


def _count(default: int, low: int, high: int, meaning: str) -> int:
    return field(default=default, metadata={"range": (low, high), "meaning": meaning})


def _seconds(default: float, low: float, high: float, meaning: str) -> float:
    return field(default=default, metadata={"range": (low, high), "meaning": f"seconds {meaning}"})


class Area:
    """Limits that belong together. ``of`` says whose they are: the controller's, the accounts' or both's."""

    title: ClassVar[str]
    of: ClassVar[tuple[bool, bool]]


@dataclass(frozen=True, slots=True)
class RequestLimits(Area):
    """What both the controller and the accounts' ports take of a caller."""

    title: ClassVar = "Requests, at the controller's port and at the accounts'"
    of: ClassVar = (True, True)

    request_line_bytes: int = _count(8190, 1024, 1 << 20, "bytes of a line of a request's head")
    pipelined_requests: int = _count(64, 1, 10_000, "requests that wait on one connection while another is answered")
    linger_seconds: float = _seconds(2, 0, 60, "in which the rest of a refused body is still taken")
    parameters: int = _count(2000, 50, 100_000, "parameters of a request")
    parameter_name_bytes: int = _count(1000, 64, 1 << 16, "bytes of a parameter's name; longer ones are passed over")
    part_head_bytes: int = _count(16 << 10, 1024, 1 << 20, "bytes of the head of a part of a form")
    json_depth: int = _count(64, 16, 200, "levels of JSON from outside, WeChat's aside")
    json_digits: int = _count(40, 20, 4000, "digits of a whole number in JSON from outside")
    token_form_bytes: int = _count(1 << 20, 1024, 64 << 20, "bytes of a form that is looked through for a token")
    token_failure_addresses: int = _count(
        4096, 16, 1 << 20, "addresses whose failures with tokens are remembered at a time"
    )
    token_failures: int = _count(20, 1, 10_000, "failures with tokens of one address that are answered at once")
    token_failure_seconds: float = _seconds(3, 0.1, 3600, "until one more failure of that address is")
    tokens_file_bytes: int = _count(4 << 20, 64 << 10, 1 << 30, "bytes of the file of tokens")
    stream_stall_seconds: float = _seconds(30, 0.1, 3600, "in which a reader of events takes none")


@dataclass(frozen=True, slots=True)
class ControlLimits(Area):
    """What the controller takes of callers, of accounts' programs and files, and of systemd."""

    title: ClassVar = "The controller"
    of: ClassVar = (True, False)

    tls_handshake_seconds: float = _seconds(10, 0.1, 600, "for a handshake of TLS")
    control_form_bytes: int = _count(
        1 << 20, 4096, 64 << 20, "bytes of a form to start_client, stop_client, check_client, get_qrcode"
    )
    control_body_bytes: int = _count(64 << 10, 4096, 64 << 20, "bytes of a body to /v1")
    option_length: int = _count(2048, 300, 1 << 16, "characters of an option that a request gives")
    file_value_length: int = _count(16 << 10, 4096, 100_000, "characters of a value in an account's file")
    webhook_targets_length: int = _count(8000, 100, 50_000, "characters of all webhook_targets")
    passed_body_bytes: int = _count(1 << 20, 4096, 64 << 20, "bytes of a body that is passed on to an account's /v1")
    account_answer_bytes: int = _count(32 << 20, 64 << 10, 1 << 30, "bytes of an account's answer when all are asked")
    account_answer_seconds: float = _seconds(10, 0.1, 60, "for an account's answer when all are asked")
    program_answer_bytes: int = _count(64 << 10, 4096, 16 << 20, "bytes of what an account's program says of itself")
    program_answer_seconds: float = _seconds(2, 0.1, 10, "that an account's program has to say it")
    state_file_bytes: int = _count(256 << 10, 16 << 10, 64 << 20, "bytes of an account's state file")
    qrcode_file_bytes: int = _count(4 << 20, 16 << 10, 64 << 20, "bytes of an account's QR image")
    systemctl_at_a_time: int = _count(
        4, 1, 64, "systemctl processes for starts, and for stops, at a time; from the controller's next start on"
    )
    systemd_look_seconds: float = _seconds(
        10, 1, 30, "in which systemd lists the units; from the controller's next start on"
    )
    watchers: int = _count(64, 1, 4096, "pages that are told of changes at a time")
    poll_answer_seconds: float = _seconds(120, 0.1, 3600, "for an answer to the controller's heartbeat")
    journal_lines: int = _count(1000, 1000, 9999, "lines of the journal in one answer")
    journal_bytes: int = _count(8 << 20, 64 << 10, 256 << 20, "bytes of the journal in one answer")
    journal_line_bytes: int = _count(1 << 20, 4096, 64 << 20, "bytes of a line of the journal, as a stream")
    journal_seconds: float = _seconds(15, 1, 15, "for reading the journal")


@dataclass(frozen=True, slots=True)
class StreamLimits(Area):
    """Streams of all accounts' events, at the controller's port."""

    title: ClassVar = "Streams of events, at the controller's port"
    of: ClassVar = (True, False)

    stream_names: int = _count(1000, 10, 10_000, "accounts, and types, that a reader of events may name")
    stream_waiting_events: int = _count(100, 1, 10_000, "events that wait for one reader")
    stream_event_bytes: int = _count(16 << 20, 64 << 10, 1 << 30, "bytes of an event that an account writes")
    stream_silence_seconds: float = _seconds(30, 15, 600, "of an account's silence in a stream")
    cursor_length: int = _count(7000, 500, 1 << 16, "characters of a cursor")


@dataclass(frozen=True, slots=True)
class AlertLimits(Area):
    """Telling people that an account dropped."""

    title: ClassVar = "Alerts"
    of: ClassVar = (True, False)

    alert_bytes: int = _count(8 << 20, 64 << 10, 256 << 20, "bytes of an alert that waits")
    alert_problems: int = _count(30, 1, 1000, "problems in one alert; more are counted")
    alert_qrcodes: int = _count(8, 0, 100, "codes to scan in one alert")
    alert_picture_bytes: int = _count(
        256 << 10, 4096, 4 << 20, "bytes of a code to scan that a program has drawn, in an alert"
    )
    alert_addresses: int = _count(20, 1, 1000, "addresses that alerts are mailed to")
    alert_arguments: int = _count(100, 1, 1000, "words of the command that tells an alert")
    alert_webhook_seconds: float = _seconds(30, 0.1, 1500, "for the answer of a webhook that is told an alert")
    alert_program_seconds: float = _seconds(60, 0.1, 1500, "for a mail, or a command, that tells an alert")
    alert_refusals: int = _count(3, 1, 1000, "times that an alert is tried which is refused")
    alert_keep_seconds: float = _seconds(86400, 60, 31 * 86400, "for which an alert is tried")


@dataclass(frozen=True, slots=True)
class CallLimits(Area):
    """What an account's program takes of callers and of its own log, and how long it works for them."""

    title: ClassVar = "An account's port and program"
    of: ClassVar = (False, True)

    port_idle_seconds: float = _seconds(75, 0.1, 3600, "without a request on a connection to an account's port")
    port_head_seconds: float = _seconds(20, 0.1, 600, "for the head of a request to it")
    port_send_seconds: float = _seconds(60, 0.1, 3600, "in which its caller takes nothing of an answer")
    port_head_bytes: int = _count(64 << 10, 8192, 1 << 20, "bytes of the head of a request to it")
    port_headers: int = _count(100, 20, 1000, "headers of a request to it")
    credential_bytes: int = _count(64 << 10, 4096, 1 << 20, "bytes of a credential")
    body_seconds: float = _seconds(120, 0.1, 3600, "for the body of a request at an account's port")
    send_answer_seconds: float = _seconds(100, 0.1, 3600, "in which a send is answered, media included")
    recall_answer_seconds: float = _seconds(60, 0.1, 600, "in which a recall is answered")
    contacts_answer_seconds: float = _seconds(100, 0.1, 600, "in which a call about people and groups is answered")
    check_event_seconds: float = _seconds(30, 0.05, 3600, "that check_event waits")
    avatar_seconds: float = _seconds(3, 0.1, 60, "for a picture of somebody")
    avatar_bytes: int = _count(5 << 20, 1024, 64 << 20, "bytes of a picture of somebody")
    log_read_seconds: float = _seconds(30, 1, 100, "for a question to the event log")
    page_deliveries: int = _count(1000, 10, 100_000, "entries on a page of deliveries")
    page_events: int = _count(1000, 10, 100_000, "events on a page of events")
    account_body_bytes: int = _count(1 << 20, 4096, 1 << 20, "bytes of a body to /v1 of an account's port")
    account_body_seconds: float = _seconds(10, 0.1, 600, "for a body to /v1 of an account's port")
    selected_ids: int = _count(1000, 1, 100_000, "ids in a request to replay or purge")
    logout_seconds: float = _seconds(20, 0.1, 600, "for a logout")
    heartbeat_answer_seconds: float = _seconds(35, 0.1, 600, "for an answer to an account's heartbeat")
    heartbeat_command_seconds: float = _seconds(120, 0.1, 3600, "for a command that an account's heartbeat brings")
    idempotency_keys: int = _count(50_000, 100, 10_000_000, "keys of requests that are remembered")
    send_tries: int = _count(5, 1, 100, "tries to send a message")


@dataclass(frozen=True, slots=True)
class MediaLimits(Area):
    """Media that are sent, received and reported."""

    title: ClassVar = "Media"
    of: ClassVar = (False, True)

    media_path_length: int = _count(8000, 100, 1 << 20, "characters of a media_path")
    media_url_seconds: float = _seconds(60, 0.1, 600, "for fetching media from an address")
    media_url_redirects: int = _count(5, 0, 50, "redirects on the way to media at an address")
    media_resume_seconds: float = _seconds(
        120, 0.1, 3600, "after a start until media of the last run are given up for want of a login"
    )
    media_ids: int = _count(1000, 10, 100_000, "media that can be sent on by their id, of each kind")
    report_media_bytes: int = _count(
        10 << 20, 0, 256 << 20, "bytes of media that a report carries; larger ones are reported with their path"
    )
    check_event_media_bytes: int = _count(32 << 20, 0, 1 << 30, "bytes of media in the events of check_event")
    waiting_media_bytes: int = _count(
        32 << 20, 0, 1 << 30, "bytes of media in reports that wait for their turn in check_event"
    )


@dataclass(frozen=True, slots=True)
class WebhookLimits(Area):
    """Answers of webhooks."""

    title: ClassVar = "Webhooks"
    of: ClassVar = (False, True)

    webhook_answer_bytes: int = _count(256 << 10, 1024, 64 << 20, "bytes of a webhook's answer that are read")
    webhook_answer_seconds: float = _seconds(10, 0.1, 600, "in which a webhook's answer is read")


@dataclass(frozen=True, slots=True)
class WeChatLimits(Area):
    """What WeChat sends."""

    title: ClassVar = "What WeChat sends"
    of: ClassVar = (False, True)

    wechat_answer_bytes: int = _count(
        32 << 20, 64 << 10, 1 << 30, "bytes of an answer of WeChat with people or messages"
    )
    wechat_short_answer_bytes: int = _count(
        1 << 20, 64 << 10, 64 << 20, "bytes of any other answer of WeChat, media aside"
    )
    host_moves: int = _count(3, 1, 100, "hosts in a row to which WeChat sends the account on")
    vain_scans: int = _count(4, 1, 100, "confirmed scans in a row that come to nothing")
    xml_length: int = _count(1 << 18, 1024, 1 << 24, "characters of a message's XML that are looked at")
    xml_depth: int = _count(50, 10, 500, "levels of a message's XML")
    xml_elements: int = _count(2000, 50, 100_000, "elements of a message's XML")
    xml_name_length: int = _count(100, 20, 1000, "characters of the name of an element of that XML")
    push_articles: int = _count(20, 1, 1000, "articles of a push")
    reference_length: int = _count(
        8192, 0, 1 << 20, "characters of XML that are kept for sending something again, of each media"
    )
    notice_length: int = _count(1000, 20, 1 << 16, "characters that fill one place of a notice")
    cookie_length: int = _count(4096, 512, 1 << 16, "characters of a cookie")
    cookies: int = _count(200, 20, 10_000, "cookies of an account")
    contact_pages: int = _count(16, 1, 1000, "pages of an address book")
    strangers: int = _count(1000, 10, 1_000_000, "strangers that are remembered")
    news_pages: int = _count(100, 2, 100_000, "pages of news that are fetched in a row")
    message_ids: int = _count(
        10_000, 100, 10_000_000, "messages whose ids are remembered, so that none is reported twice"
    )
    identity_marks: int = _count(100_000, 1000, 10_000_000, "marks by which people are known again after a login")
    download_parts: int = _count(1000, 10, 1_000_000, "parts in which one download may come")
    download_tries: int = _count(12, 1, 1000, "failed tries of one download")


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits that can be set, by area."""

    requests: RequestLimits = RequestLimits()
    control: ControlLimits = ControlLimits()
    streams: StreamLimits = StreamLimits()
    alerts: AlertLimits = AlertLimits()
    calls: CallLimits = CallLimits()
    media: MediaLimits = MediaLimits()
    webhooks: WebhookLimits = WebhookLimits()
    wechat: WeChatLimits = WeChatLimits()

    def with_numbers(self, given: Mapping[str, float]) -> "Limits":
        """Return these limits with others for the names that are ``given``; they are checked already."""
        areas: dict[str, Area] = {}
        for area in fields(self):
            values = getattr(self, area.name)
            mine = {name: given[name] for entry in fields(values) if (name := entry.name) in given}
            areas[area.name] = replace(values, **mine)
        return Limits(**areas)  # type: ignore[arg-type]  # each is of its own class

    def changed(self) -> dict[str, float]:
        """Return those that are not the default, by name."""
        values = {limit.name: self.value(limit) for limit in LIMITS.values()}
        return {name: value for name, value in values.items() if value != LIMITS[name].default}

    def value(self, limit: Limit) -> float:
        found: float = getattr(getattr(self, limit.area), limit.name)
        return found

    def for_accounts(self) -> dict[str, float]:
        """Return those that accounts have to be told."""
        return {name: value for name, value in self.changed().items() if LIMITS[name].for_accounts}


def _table() -> Iterator[Limit]:
    for area in fields(Limits):
        values: Area = area.default  # type: ignore[assignment]  # its class is the field's
        entry: Field[float]
        for entry in fields(values):  # type: ignore[arg-type]  # each area is a dataclass
            low, high = entry.metadata["range"]
            assert isinstance(entry.default, int | float)
            yield Limit(
                entry.name, area.name, entry.default, low, high, entry.metadata["meaning"],
                entry.type is int, *values.of,
            )  # fmt: skip


LIMITS: Mapping[str, Limit] = {limit.name: limit for limit in _table()}
DEFAULTS = Limits()


def parse_limits(value: object) -> Mapping[str, float]:
    """Check the table [limits]; the numbers that are there, by name. Raises ValueError naming the key."""
    if not isinstance(value, dict):
        raise ValueError("must be a table, as [limits]")
    found: dict[str, float] = {}
    for name, given in value.items():
        limit = LIMITS.get(name)
        if limit is None:
            raise ValueError(f"has no key {str(name)[:64]}")
        try:
            found[name] = limit.check(given)
        except ValueError as problem:
            raise ValueError(f"key {name} {problem}") from None
    return found


def limits_in(variables: Mapping[str, str]) -> dict[str, float]:
    """Return the limits that an environment holds, by name. Raises ValueError naming the variable."""
    found: dict[str, float] = {}
    for limit in LIMITS.values():
        if limit.for_accounts and (text := variables.get(limit.variable)) is not None:
            try:
                found[limit.name] = limit.read(text)
            except ValueError as problem:
                raise ValueError(f"{limit.variable} {problem}") from None
    return found


def variables_for(numbers: Mapping[str, float]) -> dict[str, str]:
    """Return the variables that tell an account's process these numbers."""
    return {LIMITS[name].variable: shown(number) for name, number in numbers.items()}


def shown(number: float) -> str:
    """Return a number as people and files write it: never with an exponent."""
    return str(int(number)) if number == int(number) else f"{number:.6f}".rstrip("0")
