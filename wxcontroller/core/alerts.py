"""An alert: what is told to a human. The same JSON in the spool, in the webhook's body and on a command's input."""

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, text

# WeChat takes a code back after two minutes.
QRCODE_SECONDS = 120.0
_MOST_WORDS = 500
_LATEST = 1 << 33  # no clock of ours is further


class Kind(StrEnum):
    """What is wrong."""

    SCAN = "scan"  # the account is logged out and shows a QR code
    CONFIRM = "confirm"  # ... and asks on the phone, without a code
    PARKED = "parked"  # it has given up
    FAILED = "failed"  # its unit failed, or fails again and again
    OFFLINE = "offline"  # it does not hear WeChat, or does not come up
    DELIVERY = "delivery"  # its reports wait for their receiver
    DEAD = "dead"  # its reports were refused for good
    LOST = "lost"  # its reports were deleted before they were delivered: the log was full
    RESTRICTED = "restricted"  # WeChat accepts messages for a person and shows none of them
    DISK = "disk"
    SYSTEMD = "systemd"  # the controller can't look at the accounts
    TEST = "test"


class Happening(StrEnum):
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
    """One thing that is wrong, or has become right. ``account`` and ``instance`` are "" for the machine.

    ``since`` is in seconds since 1970.
    """

    kind: Kind
    account: str
    instance: str
    since: float
    message: str
    remedy: str = ""
    qrcode: Picture | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """What somebody is told at a time. ``id`` is the same for each try, and another one for each alert."""

    id: str
    event: Happening
    time: float
    host: str
    items: tuple[Item, ...]
    more: int = 0  # beyond ``items``

    @property
    def subject(self) -> str:
        """Return one line: names and fixed words only."""
        if self.event is Happening.TEST:
            return f"[{self.host}] test alert of wxcontroller"
        names = list(dict.fromkeys(item.account or f"this machine ({item.kind})" for item in self.items))
        count = len(self.items) + self.more
        shown = ", ".join(names[:3]) + (" and more" if len(names) > 3 or self.more else "")
        if self.event is Happening.RECOVERY:
            return f"[{self.host}] well again: {shown}"
        if count == 1:
            return f"[{self.host}] {shown}: {_TITLES[self.items[0].kind]}"
        return f"[{self.host}] {count} problems: {shown}"

    @property
    def text(self) -> str:
        """Return everything in words, one paragraph for each item."""
        paragraphs = [f"{item.message}\n{item.remedy}".rstrip() for item in self.items]
        if self.more:
            paragraphs.append(f"And {self.more} more: wxctl list")
        return "\n\n".join(paragraphs)

    def without_old_codes(self, now: float) -> "Alert":
        """Return the alert without QR codes that WeChat takes no more, and with a word about that."""
        return replace(self, items=tuple(_timely(item, now) for item in self.items))

    def to_json(self) -> JsonObject:
        found: list[JsonValue] = [_item_json(item) for item in self.items]
        return {
            "id": self.id,
            "event": self.event.value,
            "time": int(self.time),
            "host": self.host,
            "subject": self.subject,
            "text": self.text,
            "items": found,
            "more": self.more,
        }


_TITLES: Mapping[Kind, str] = {
    Kind.SCAN: "needs a scan",
    Kind.CONFIRM: "needs a tap on its phone",
    Kind.PARKED: "has given up",
    Kind.FAILED: "its unit fails",
    Kind.OFFLINE: "is offline",
    Kind.DELIVERY: "its reports wait",
    Kind.DEAD: "its reports are refused",
    Kind.LOST: "its reports are lost",
    Kind.RESTRICTED: "WeChat does not show its messages",
    Kind.DISK: "disk",
    Kind.SYSTEMD: "systemd can't be asked",
    Kind.TEST: "test",
}


def plain(words: str, most: int = _MOST_WORDS) -> str:
    """Return words of others as one line that does nothing but be read, cut where it is too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def alert_from(content: JsonValue) -> Alert:
    """Read an alert back. Raises ValueError."""
    given = obj(content)
    if not text(given.get("id")):
        raise ValueError("it is no alert")
    return Alert(
        text(given["id"]),
        Happening(text(given.get("event"))),
        float(integer(given.get("time"))),
        text(given.get("host")),
        tuple(_item_from(obj(each)) for each in items(given.get("items"))),
        integer(given.get("more")),
    )


def _item_json(item: Item) -> JsonObject:
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
        "account": item.account,
        "instance": item.instance,
        "since": int(item.since),
        "message": item.message,
        "remedy": item.remedy,
        "qrcode": picture,
    }


def _item_from(given: JsonObject) -> Item:
    code, picture = obj(given.get("qrcode")), None
    if code:
        try:
            content = base64.b64decode(text(code.get("base64")), validate=True)
        except binascii.Error:
            raise ValueError("its picture is not base64") from None
        mime = "image/png" if code.get("type") == "image/png" else "image/jpeg"
        made = min(max(0, integer(code.get("made"))), _LATEST)
        picture = Picture(mime, content, float(made))
    return Item(
        Kind(text(given.get("kind"))),
        text(given.get("account")),
        text(given.get("instance")),
        float(integer(given.get("since"))),
        text(given.get("message")),
        text(given.get("remedy")),
        picture,
    )


def _timely(item: Item, now: float) -> Item:
    code = item.qrcode
    if code is None or 0 <= now - code.made < QRCODE_SECONDS:
        return item
    late = time.strftime("%H:%M:%S", time.localtime(code.made))
    return replace(item, qrcode=None, message=f"{item.message} The code of {late} has expired.")
