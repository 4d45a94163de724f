"""The clients' state files and QR codes, read without trusting them.

A state file is parsed once per change; between changes only its stamp is looked at. The directories belong to the
accounts, so nothing in them is followed, waited for or read without bound.
"""

import errno
import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as field_of
from pathlib import Path
from types import MappingProxyType

from wxcontroller.core.condition.deliverystate import DeliveryState, delivery_state_of
from wxcontroller.core.condition.facts import ClientReport, client_of
from wxcontroller.core.errors import reason_of
from wxcontroller.core.files.atomic import read_foreign
from wxcontroller.core.files.filecache import Cached, Stamp
from wxcontroller.core.heartbeats import Heartbeats, heartbeats_of
from wxcontroller.core.jsontypes import (
    JsonObject,
    JsonValue,
    integer,
    obj,
    one_line,
    positive_seconds,
    read_json,
    text,
    whole_seconds,
)
from wxcontroller.core.paths import STATE_FILE_BYTES, Paths
from wxcontroller.core.records.accountrecords import PublishedStatus, Reports
from wxcontroller.core.records.decoding import Undecodable, as_object, decode, given
from wxcontroller.core.states import LoginState
from wxcontroller.core.text.templates import Text, in_file, text_in
from wxcontroller.openwx.contract.replies import to_bytes
from wxcontroller.openwx.contract.statefile import FOR_CONTROLLER, QUESTION_KINDS, Question

QRCODE_FILE_BYTES = 4 << 20
# The time to parse JSON grows with its values, and the account, which is not trusted, writes the file at any time.
_STATE_VALUES = 5000
# Scanning it gives control of the session, so only the QR endpoints show it.
_SECRET = "qrcode_link"  # noqa: S105 - a field's name
# Only in the state file; the answer of check_client is unchanged.
_TEXTS = frozenset({"status_text", "reason_text", "prompt_text"})
_NOT_SHOWN = _TEXTS | FOR_CONTROLLER | {_SECRET}
# A client that reports "running" had an answer from WeChat within 45 s, and writes this at most 10 s later. A hanging
# one keeps its state until systemd kills it.
BELIEVED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ClientState:
    """A client's state file.

    ``fields`` are the original's (openwx-api 4.4) and ours, without the QR link, and with texts in English only.
    ``client`` is the part that the assessment needs. ``start_time`` is in seconds since 1970, 0 for unknown.
    ``qrcode_number`` changes with each QR code of a process. ``asks`` is the question that waits for an answer.
    ``heard`` is the time of WeChat's last answer in seconds since the machine's boot, 0 for unknown.
    """

    fields: Mapping[str, JsonValue]
    client: ClientReport
    pid: int
    start_time: int
    qrcode_link: str
    qrcode_number: int
    user: Mapping[str, str] | None
    stamp: Stamp
    heard: float = 0.0
    asks: Question | None = None
    # Fields for the controller, in addition to ``fields``.
    assessed: Mapping[str, JsonValue] = field_of(default_factory=lambda: MappingProxyType({}))
    until: float = field_of(default=math.inf, compare=False)  # by ``uptime``: the end of its validity

    def rendered(self, port: int) -> bytes:
        """Return the STATE of check_client: the file's fields with ``port``."""
        return to_bytes({**self.fields, "port": port})

    def doubted(self, uptime: float) -> "ClientState":
        """Return the state valid at ``uptime``: not "running" if WeChat has not responded for too long."""
        before = self.client
        silent = uptime - self.heard
        if before.login is not LoginState.RUNNING or not self.heard or silent <= BELIEVED_SECONDS:
            return self
        login = LoginState.OFFLINE
        client = replace(
            before,
            login=login,
            word=login.word,
            status=Text("it no longer reports its state; its process may hang"),
            reason=Text(
                "no answer from WeChat reported for {silent} s; systemd restarts a hanging process",
                silent=f"{silent:.0f}",
            ),
        )
        content: dict[str, JsonValue] = {
            "state": client.word,
            "previous_state": before.word,
            "login_state": login.value,
            "previous_login_state": before.login.value,
            "status": str(client.status),
            "reason": str(client.reason),
        }
        ctime, inode, size = self.stamp
        return replace(
            self,
            fields=MappingProxyType({**self.fields, **content}),
            client=client,
            stamp=(ctime, inode, -size),  # belongs to no file: must differ from any state that was read
            until=uptime + 1.0,  # its text contains the number of seconds
        )


@dataclass(frozen=True, slots=True)
class Published:
    """The status that an account publishes, and what is read from it once."""

    status: PublishedStatus
    deliveries: DeliveryState
    heartbeats: Heartbeats | None


class Unreadable(Exception):
    """A state file exists but is invalid. ``words`` give the reason."""

    def __init__(self, words: Text) -> None:
        super().__init__(words)
        self.words = words


class StateFiles:
    """All accounts' state files, remembered by their stamps."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._files: dict[str, Cached[ClientState | Text]] = {}  # the text is the reason why it is unreadable
        self._published: dict[str, Cached[Published | None]] = {}

    def get(self, instance: str) -> ClientState | None:
        """Return an account's state, None when it has no file. Raises Unreadable."""
        file = self._files.get(instance)
        if file is None:
            path = self._paths.state_file(instance)
            file = self._files[instance] = Cached(lambda stamp: self._read(path, stamp), path, follow=False)
        try:
            found = file.current()
        except OSError as problem:
            # May be temporary, as without a free descriptor: the next query reads again.
            raise Unreadable(in_file(self._paths.state_file(instance), reason_of(problem))) from None
        if found is None:
            self.forget(instance)
            return None
        if isinstance(found, Text):
            raise Unreadable(found)
        return found.doubted(uptime())

    def published(self, instance: str) -> Published | None:
        """Return an account's published status; None if it is missing or unreadable, as of another account."""
        file = self._published.get(instance)
        if file is None:
            path = self._paths.status_file(instance)
            file = self._published[instance] = Cached(lambda _: _published(path, instance), path, follow=False)
        try:
            return file.current()
        except OSError:
            return None

    def qrcode(self, instance: str) -> bytes | None:
        """Return the JPEG of WeChat's code to scan, or None."""
        try:
            return read_foreign(self._paths.qrcode_file(instance), QRCODE_FILE_BYTES)
        except OSError:
            return None

    def forget(self, instance: str) -> None:
        self._files.pop(instance, None)
        self._published.pop(instance, None)

    def _read(self, path: Path, stamp: Stamp) -> ClientState | Text:
        try:
            raw = read_foreign(path, STATE_FILE_BYTES)
        except OSError as problem:
            if problem.errno is None or problem.errno == errno.ELOOP:  # not a plain file, which is permanent
                return in_file(path, reason_of(problem))
            raise
        try:
            content = read_json(raw, values=_STATE_VALUES)
        except ValueError:
            return in_file(path, Text("is not JSON"))
        if not isinstance(content, dict):
            return in_file(path, Text("is not a JSON object"))
        return state_of(content, stamp)


def _published(path: Path, instance: str) -> Published | None:
    try:
        status = decode(read_foreign(path, STATE_FILE_BYTES), PublishedStatus, _STATE_VALUES)
    except (OSError, Undecodable):
        return None
    if status.instance != instance:
        return None
    reports = as_object(given(status.reports, Reports()))
    beats = as_object(status.heartbeats) if status.heartbeats else None
    return Published(status, delivery_state_of(reports), heartbeats_of(beats))


def state_of(content: dict[str, JsonValue], stamp: Stamp) -> ClientState:
    """Parse the content of a state file, which may be anything."""
    client, user = client_of(content), obj(content.get("user"))
    link, number = text(content.get(_SECRET)), content.get("qrcode_number")
    heard = positive_seconds(content.get("last_sync_uptime"))
    return ClientState(
        fields=MappingProxyType(
            {key: without_texts(value) for key, value in content.items() if key not in _NOT_SHOWN}
        ),
        client=client,
        pid=integer(content.get("pid")),
        start_time=whole_seconds(content.get("start_time")),
        qrcode_link=link,
        qrcode_number=integer(number) if number is not None else number_of(link, stamp),
        user={"id": one_line(user.get("id")), "name": one_line(user.get("name"))} if user else None,
        stamp=stamp,
        heard=heard,
        until=heard + BELIEVED_SECONDS if heard and client.login is LoginState.RUNNING else math.inf,
        asks=question_of(obj(content.get("input"))),
        assessed=MappingProxyType({key: content[key] for key in FOR_CONTROLLER if key in content}),
    )


def without_texts(value: JsonValue) -> JsonValue:
    if isinstance(value, dict) and not _TEXTS.isdisjoint(value):
        return {key: inner for key, inner in value.items() if key not in _TEXTS}
    return value


def question_of(content: JsonObject) -> Question | None:
    kind, digits = text(content.get("kind")), integer(content.get("digits"))
    if kind not in QUESTION_KINDS:
        return None
    return Question(one_line(content.get("id")), kind, text_in(content, "prompt"), digits if 0 < digits < 100 else 0)


def uptime() -> float:
    """Return the seconds since the machine's boot, sleep included: by a clock that cannot be set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def number_of(link: str, stamp: Stamp) -> int:
    """Return a number that changes with the QR code, for programs that do not count them."""
    if link:
        return int.from_bytes(hashlib.sha256(link.encode("utf-8", "surrogatepass")).digest()[:4], "big")
    return stamp[0] // 1_000_000  # the time of the file's last change, within JavaScript's integers
