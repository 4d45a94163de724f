"""The routes of a run's accounts: how people write to them, what WeChat counts as acknowledged, what it may lose."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from tests.system.actors import Json, Phone

# Requests that are listed again, because those that wait have no answer yet. The sandbox remembers 5,000.
_LATE = 1000


class Line(Protocol):
    """``options`` of an account on the route, and the endpoints from which it gets its messages."""

    options: ClassVar[Mapping[str, str]]
    polls: ClassVar[Sequence[str]]

    def write(self, uin: str, words: str) -> str:
        """Write to an account; return the message's id. Raises OSError and AssertionError while WeChat is down."""

    def acknowledged(self, uin: str) -> int:
        """Return how many events an account has acknowledged to WeChat. Raises as ``write``."""

    def excused(self, uin: str, reported: frozenset[str]) -> set[str]:
        """Return the messages that WeChat lost on the way. Raises as ``write``."""


@dataclass
class Web:
    """WeChat sends everything again that was not acknowledged."""

    phone: Phone
    options: ClassVar[Mapping[str, str]] = {}
    polls: ClassVar[Sequence[str]] = ("webwxsync", "synccheck")
    _friends: dict[str, str] = field(default_factory=dict)

    def write(self, uin: str, words: str) -> str:
        if uin not in self._friends:
            self._friends[uin] = self.phone.friend(uin)
        return self.phone.write(uin, self._friends[uin], words)

    def acknowledged(self, uin: str) -> int:
        sessions = self.phone.world(uin)["sessions"]
        return int(sessions[0]["acknowledged"]) if sessions else 0

    def excused(self, uin: str, reported: frozenset[str]) -> set[str]:
        return set()


@dataclass(frozen=True)
class Answer:
    """Messages that a poll got, and the position after them."""

    messages: frozenset[str]
    position: str


@dataclass
class ILink:
    """WeChat gives each answer once: those of which an account never showed the position may be lost, as a whole.

    What an account has shown to have is on its disk.
    """

    phone: Phone
    options: ClassVar[Mapping[str, str]] = {"driver": "ilink"}
    polls: ClassVar[Sequence[str]] = ("getupdates",)
    _answers: dict[str, dict[int, Answer]] = field(default_factory=lambda: defaultdict(dict))
    _shown: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _last: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def write(self, uin: str, words: str) -> str:
        return str(self.phone.call("POST", f"/accounts/{uin}/phone-send", {"to": "clawbot", "text": words})["msg_id"])

    def acknowledged(self, uin: str) -> int:
        self._read(uin)
        shown = self._shown[uin]
        return sum(len(answer.messages) for answer in self._answers[uin].values() if answer.position in shown)

    def excused(self, uin: str, reported: frozenset[str]) -> set[str]:
        self._read(uin)
        unshown = (each.messages for each in self._answers[uin].values() if each.position not in self._shown[uin])
        return {one for messages in unshown if not messages & reported for one in messages}

    def _read(self, uin: str) -> None:
        after = max(0, self._last[uin] - _LATE)
        polls: Json = self.phone.call("GET", f"/ilink/requests?uin={uin}&endpoint=getupdates&after={after}")
        for poll in polls:
            self._shown[uin].add(poll["body"].get("get_updates_buf", ""))
            if messages := frozenset(str(one["message_id"]) for one in poll["answer"].get("msgs") or ()):
                self._answers[uin][poll["seq"]] = Answer(messages, poll["answer"]["get_updates_buf"])
            self._last[uin] = max(self._last[uin], poll["seq"])


LINES = {"web": Web, "ilink": ILink}
