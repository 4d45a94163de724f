"""An alert. The same JSON is used in the spool, the webhook's body and a command's input.

Texts are kept as data and rendered in the alert's language, so that later additions have the same language.
"""

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, text
from wxcontroller.core.text.catalog import LANGUAGES, translate_by, translations
from wxcontroller.core.text.templates import N_, NOTHING, Text, Translate, text_in

# WeChat takes a code back after two minutes.
QRCODE_SECONDS = 120.0
_MAX_WORDS = 500
_LATEST = 1 << 33  # no clock is further ahead


class Kind(StrEnum):
    """Kinds of problems."""

    SCAN = "scan"  # the account is logged out and shows a QR code
    CONFIRM = "confirm"  # ... and asks on the phone, without a code
    PARKED = "parked"  # it has given up
    FAILED = "failed"  # its unit failed, or fails again and again
    OFFLINE = "offline"  # no answer from WeChat, or it does not start
    DELIVERY = "delivery"  # its reports wait for their receiver
    DEAD = "dead"  # its reports were refused for good
    LOST = "lost"  # its reports were deleted before they were delivered: the log was full
    PORT = "port"  # another program has its port
    LIMIT = "limit"  # WeChat refused sends, and more are held
    RESTRICTED = "restricted"  # WeChat accepts messages for a person and shows none of them
    DISK = "disk"
    SYSTEMD = "systemd"  # the controller cannot look at the accounts
    HOST = "host"  # another host of the fleet does not answer
    DUPLICATE = "duplicate"  # another host has an account of the same name
    STANDBY = "standby"  # standby bundles of accounts are too old
    ETCD = "etcd"  # accounts cannot be claimed: etcd does not answer, or this host's lease is late
    TAKEOVER = "takeover"  # accounts of a lost host were taken over, or are held
    TEST = "test"


class AlertEvent(StrEnum):
    PROBLEM = "problem"
    RECOVERY = "recovery"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Picture:
    """A QR code. ``made`` is when, in seconds since 1970."""

    mime: str
    content: bytes = field(repr=False)
    made: float

    @property
    def suffix(self) -> str:
        return "png" if self.mime == "image/png" else "jpg"


@dataclass(frozen=True, slots=True)
class Item:
    """One problem or recovery. ``account`` and ``instance`` are "" for the machine.

    ``code`` is more specific than ``kind``. ``since`` is in seconds since 1970.
    """

    kind: Kind
    account: str
    instance: str
    since: float
    message: Text
    remedy: Text = NOTHING
    qrcode: Picture | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to a channel. ``id`` is the same for each try, and another one for each alert."""

    id: str
    event: AlertEvent
    time: float
    host: str
    items: tuple[Item, ...]
    more: int = 0  # beyond ``items``
    language: str = LANGUAGES[0]

    @property
    def subject(self) -> str:
        """Return one line: names and fixed words only."""
        return f"[{self.host}] {self._title.rendered(self._translate)}"

    @property
    def english(self) -> "Alert":
        """The same alert for the journal."""
        return replace(self, language=LANGUAGES[0])

    @property
    def text(self) -> str:
        """Return the complete text, one paragraph for each item."""
        paragraphs = [f"{self.line(item.message)}\n{self.line(item.remedy)}".rstrip() for item in self.items]
        if self.more:
            more = Text("And {n} more: wxctl list --trouble", "And {n} more: wxctl list --trouble", n=self.more)
            paragraphs.append(self.line(more))
        return "\n\n".join(paragraphs)

    def line(self, words: Text) -> str:
        """Return a text in the alert's language, as one line."""
        return plain(words.rendered(self._translate))

    @property
    def _translate(self) -> Translate:
        return translate_by(translations(self.language))

    @property
    def _title(self) -> Text:
        if self.event is AlertEvent.TEST:
            return Text("test alert of wxcontroller")
        found = {item.account or item.kind.value: item for item in self.items}
        names = [
            item.account or self.line(Text("this machine ({kind})", kind=item.kind.value)) for item in found.values()
        ]
        shown: Text | str = ", ".join(names[:3])
        if len(names) > 3 or self.more:
            shown = Text("{names} and more", names=shown)
        count = len(self.items) + self.more
        if self.event is AlertEvent.RECOVERY:
            return Text("recovered: {names}", names=shown)
        if count == 1:
            return Text("{names}: {title}", names=shown, title=Text(_TITLES[self.items[0].kind]))
        return Text("{n} problem: {names}", "{n} problems: {names}", n=count, names=shown)

    def without_old_codes(self, now: float) -> "Alert":
        """Return the alert without expired QR codes, with a note about it."""
        return replace(self, items=tuple(without_expired_code(item, now) for item in self.items))

    def to_json(self) -> JsonObject:
        found: list[JsonValue] = [item_json(item, self) for item in self.items]
        return {
            "id": self.id,
            "event": self.event.value,
            "time": int(self.time),
            "host": self.host,
            "subject": self.subject,
            "text": self.text,
            "items": found,
            "more": self.more,
            "language": self.language,
        }


_TITLES: Mapping[Kind, str] = {
    Kind.SCAN: N_("needs a scan"),
    Kind.CONFIRM: N_("needs a confirmation on its phone"),
    Kind.PARKED: N_("has stopped trying"),
    Kind.FAILED: N_("its unit fails"),
    Kind.OFFLINE: N_("is offline"),
    Kind.DELIVERY: N_("its reports wait"),
    Kind.DEAD: N_("its reports are refused"),
    Kind.LOST: N_("its reports are lost"),
    Kind.PORT: N_("port in use by another program"),
    Kind.LIMIT: N_("WeChat limits its messages"),
    Kind.RESTRICTED: N_("WeChat does not show its messages"),
    Kind.DISK: N_("disk"),
    Kind.SYSTEMD: N_("systemd does not answer"),
    Kind.HOST: N_("another host is unreachable"),
    Kind.DUPLICATE: N_("exists on more than one host"),
    Kind.STANDBY: N_("standby bundles are too old"),
    Kind.ETCD: N_("accounts cannot be claimed in etcd"),
    Kind.TAKEOVER: N_("accounts of a lost host"),
    Kind.TEST: N_("test"),
}


def plain(words: str, limit: int = _MAX_WORDS) -> str:
    """Return foreign text as one line without control characters, truncated if it is too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def alert_from(content: JsonValue) -> Alert:
    """Read an alert back. Raises ValueError."""
    fields = obj(content)
    language = text(fields.get("language"))
    if not text(fields.get("id")):
        raise ValueError("it is no alert")
    return Alert(
        text(fields["id"]),
        AlertEvent(text(fields.get("event"))),
        float(integer(fields.get("time"))),
        text(fields.get("host")),
        tuple(item_from(obj(item)) for item in items(fields.get("items"))),
        integer(fields.get("more")),
        language if language in LANGUAGES else LANGUAGES[0],
    )


def values_of(*texts: Text) -> JsonObject:
    """Return the named values of texts, including those of wrapped texts (``what``)."""
    values: JsonObject = {}
    for sentence in texts:
        what = sentence.values.get("what")
        values |= {name: value for name, value in obj(sentence.as_json()["values"]).items() if name != "what"}
        if isinstance(what, Text):
            values |= values_of(what)
    return values


def item_json(item: Item, alert: Alert) -> JsonObject:
    code = item.qrcode
    picture: JsonValue = None
    if code is not None:
        picture = {
            "type": code.mime,
            "base64": base64.b64encode(code.content).decode(),
            "made": int(code.made),
            "valid_until": int(code.made + QRCODE_SECONDS),
        }
    return {
        "kind": item.kind.value,
        "code": item.code,
        "account": item.account,
        "instance": item.instance,
        "since": int(item.since),
        "message": alert.line(item.message),
        "message_text": item.message.as_json(),
        "remedy": alert.line(item.remedy),
        "remedy_text": item.remedy.as_json() if item.remedy else None,
        "values": values_of(item.message, item.remedy),
        "qrcode": picture,
    }


def item_from(stored: JsonObject) -> Item:
    code, picture = obj(stored.get("qrcode")), None
    if code:
        try:
            content = base64.b64decode(text(code.get("base64")), validate=True)
        except binascii.Error:
            raise ValueError("its picture is not base64") from None
        mime = "image/png" if code.get("type") == "image/png" else "image/jpeg"
        made = min(max(0, integer(code.get("made"))), _LATEST)
        picture = Picture(mime, content, float(made))
    return Item(
        Kind(text(stored.get("kind"))),
        text(stored.get("account")),
        text(stored.get("instance")),
        float(integer(stored.get("since"))),
        text_in(stored, "message"),
        text_in(stored, "remedy"),
        picture,
        text(stored.get("code")),
    )


def without_expired_code(item: Item, now: float) -> Item:
    code = item.qrcode
    if code is None or 0 <= now - code.made < QRCODE_SECONDS:
        return item
    late = time.strftime("%H:%M:%S", time.localtime(code.made))
    words = Text("{what} The code of {time} has expired.", what=item.message, time=late)
    return replace(item, qrcode=None, message=words)
