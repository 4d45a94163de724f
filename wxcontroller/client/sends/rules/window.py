"""Reply windows: which sends can be sent now, and why the others are held (ilink-bot-protocol, section 19).

On a route with a window a person must write first; then they can be sent a limited number of messages for a limited
time, until they write again. A send that cannot be sent now is held until the person's next message: on such a route
this is normal, not a failure.

- **Per person**: the window opens with each of their messages. It is closed after a day (one attempt is allowed to
  find out), when WeChat says so, or when its budget is used up.
- **Per bot**: WeChat throttles the bot as a whole, and each attempt while throttled lengthens the penalty. After a
  refusal nothing is sent until a person for whom something is held writes, or a long timer allows one attempt.
- Users report two budgets, and it is unknown which one WeChat enforces: both are counted, and the stricter one
  applies. Unless it is set, the second is learned from refusals in fresh windows, which the first does not explain.
  One refusal proves nothing, and a wrong limit silences the bot: several sends must be refused in several windows,
  one is still tried after each message, and the first that WeChat takes ends the limit.

This module is a state table without I/O or a clock. The queue calls ``hold`` before each send and reports its
outcome; the state is stored with each send's end.
"""

import json
from collections import deque
from dataclasses import dataclass, field

from wxcontroller.core.condition.verdict import Cause
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, kept_json, obj, text
from wxcontroller.core.text.templates import N_
from wxcontroller.drivers.base import ReplyWindow

# An hour without attempts clears a penalty; then one attempt, and twice as long after each that is refused.
_SILENCE_FIRST, _SILENCE_MAX = 3600.0, 86400.0
_DAY = 86400.0
# Sends are counted per five minutes: a time for each took 400 KB for 20,000 a day, stored with every send.
_COUNTED_TOGETHER = 300.0
_CLOCK_SLACK = 3600.0  # a clock that is set back by less changes nothing
# A limit is learned from the refusals of so many sends in so many fresh windows (9, rule 3). Counts of a day below 4
# were never reported, and one that was learned is forgotten after a day: it may have been temporary.
_REFUSED_SENDS, _REFUSED_WINDOWS = 3, 2
_LEAST_LEARNED = 4
_LEARNED_FOR = _DAY
_MAX_REFUSALS = 20
# Interim messages leave the last sends of a window to answers.
_KEPT_FOR_FINALS = 2
INTERIM_SECONDS = 600.0
# The answer to the message that opened the window overtakes older sends if it is queued within this time.
_ANSWER_SECONDS = 60.0
# After this many sends in a row that WeChat accepted without an id, it probably shows none of them.
_RESTRICTED_AFTER = 3
# Stored with every send, so it has to stay small: those who wrote longest ago are forgotten.
_MAX_PEERS = 1000
# A person who has not written for this long is reminded before the window closes.
_QUIET = 72_000.0
# For WeChat users, whatever the language of this machine.
REMINDER_WORDS = (
    "微信只允许机器人在您发消息后的一段时间内给您发消息。请回复任意内容，以便继续接收。\n"
    "Please reply with anything to keep receiving messages."
)


# It must not name a scan or a code: people act on the word, and a new login changes nothing (19.5).
RESTRICTED_WORDS = N_(
    "WeChat accepts messages for {peer} but does not show them. The restriction applies to "
    "this WeChat user, not to this program, bot or machine. Logging in again does not lift "
    "it; it ends after days or weeks. Use another WeChat user until then."
)


@dataclass(slots=True)
class PeerWindow:
    """One person's window. Times are seconds since 1970, 0 for never.

    ``sent`` counts since ``opened``. ``late`` is the attempt that is allowed after the window's time, once used up.
    ``answer_until``: the answer to the last message may overtake. ``without_id``: accepted in a row without an id.
    """

    opened: float = 0.0
    sent: int = 0
    closed: Cause | None = None
    late: bool = False
    answer_until: float = 0.0
    without_id: int = 0

    @property
    def restricted(self) -> bool:
        return self.without_id >= _RESTRICTED_AFTER


@dataclass(slots=True)
class _Sends:
    """Sends of some minutes, which count until the ``last`` of them is a day old.

    A time for each would be a long list, stored with every send.
    """

    begun: float
    last: float
    number: int


@dataclass(frozen=True, slots=True)
class _RefusedSend:
    """A refusal of a ``send`` in a fresh window, when the bot had sent ``count`` messages in a day."""

    at: float
    opened: float  # when that window was
    count: int
    send: str


@dataclass(slots=True)
class Windows:
    """The windows of one account. ``per_message`` and ``per_day`` are the budgets, 0 for any number.

    ``reminder``: the last send of a window is one that asks the person to write.
    """

    policy: ReplyWindow
    per_message: int
    per_day: int
    reminder: bool = False
    peers: dict[str, PeerWindow] = field(default_factory=dict)
    throttled_until: float = 0.0
    refusals: int = 0  # in a row, of the bot
    learned: int = 0  # a limit per day, learned from refusals; 0 for none
    learned_at: float = 0.0
    _refused: list[_RefusedSend] = field(default_factory=list)  # from which it is learned
    _recent: deque[_Sends] = field(default_factory=deque)  # of the last day

    # -- questions

    def hold(self, peer: str, interim: bool, now: float, reminder: bool = False) -> Cause | None:
        """Return why a send to ``peer`` cannot go now, None if it can. ``reminder``: it asks the person to write."""
        found = self.peers.get(peer)
        if found is None or not found.opened:
            return Cause.NO_CONTEXT
        if found.closed:
            return found.closed
        if self.is_silent(now):
            return Cause.THROTTLED
        # After a pause, the first attempt is for a person whose window is open (19.3).
        over = now >= found.opened + self.policy.seconds
        # Closed after a day is WeChat's rule, which only an attempt can
        # confirm: one is allowed, as its answer decides (9).
        if over and (found.late or self.refusals):
            return Cause.WINDOW
        left = self.left(found, now)
        kept = _KEPT_FOR_FINALS if interim else int(self.reminder and not reminder and not self._tries(found, now))
        if left <= kept:
            if not (daily := self._daily(now)) or daily - self.sent_today(now) > kept:
                return Cause.BUDGET
            return Cause.BUDGET_24H if self.per_day else Cause.LEARNED
        return Cause.RESTRICTED if interim and found.restricted else None

    def left(self, peer: PeerWindow, now: float) -> int:
        """Return how many more sends both budgets allow."""
        limits = [self.per_message - peer.sent] if self.per_message else []
        if daily := self._daily(now):
            limits.append(1 if self._tries(peer, now) else daily - self.sent_today(now))
        return max(0, min(limits, default=1 << 30))

    def _tries(self, peer: PeerWindow, now: float) -> bool:
        """Whether one send finds out if WeChat still enforces the limit that was learned and is reached."""
        limit, _ = self.learned_limit(now)
        fresh = not peer.sent and all(refusal.opened != peer.opened for refusal in self._refused)
        return bool(limit) and fresh and self.sent_today(now) >= limit

    def needs_reminder(self, peer: str, waits: bool, now: float) -> bool:
        """Whether the last send asks the person to write; ``waits``: sends are held for them."""
        found = self.peers.get(peer)
        if not self.reminder or found is None or found.restricted or self.left(found, now) != 1:
            return False
        over = now >= found.opened + self.policy.seconds
        over = over or self._tries(found, now)
        return not (over or self.hold(peer, False, now, reminder=True)) and (waits or now >= found.opened + _QUIET)

    def sent_today(self, now: float) -> int:
        """Return the number of sends in the last 24 hours, to all people."""
        while self._recent and not 0 <= now + _CLOCK_SLACK - self._recent[0].last < _DAY + _CLOCK_SLACK:
            self._recent.popleft()  # also those of a clock that was ahead
        return sum(sends.number for sends in self._recent)

    def awaits_answer(self, peer: str, now: float) -> bool:
        """Whether the answer to the peer's last message may still overtake held sends."""
        found = self.peers.get(peer)
        # A clock set back must not prolong it.
        return found is not None and 0 < found.answer_until - now <= _ANSWER_SECONDS

    def keeps_for_answer(self, peer: str, now: float) -> bool:
        """Whether the last send is reserved for the answer, and the one before it for the reminder, if enabled."""
        return self.awaits_answer(peer, now) and self.left(self.peers[peer], now) <= 1 + self.reminder

    def is_restricted(self, peer: str) -> bool:
        """Whether WeChat accepts messages for a person but shows none."""
        found = self.peers.get(peer)
        return found is not None and found.restricted

    @property
    def restricted(self) -> int:
        """The number of restricted people."""
        return sum(peer.restricted for peer in self.peers.values())

    def next_change(self, now: float) -> float | None:
        """Return when time alone will allow a send, None for never."""
        times = [peer.answer_until for peer in self.peers.values()]
        if self.reminder:
            times += [peer.opened + _QUIET for peer in self.peers.values() if self.left(peer, now) == 1]
        if (daily := self._daily(now)) and self.sent_today(now) >= daily:
            times += [self._recent[0].last + _DAY, self.learned_limit(now)[1]]
        return min((when for when in (self.throttled_until, *times) if when > now), default=None)

    def _daily(self, now: float) -> int:
        return self.per_day or self.learned_limit(now)[0]

    def learned_limit(self, now: float) -> tuple[int, int]:
        """Return the limit per day that was learned from refusals, and when it ends; 0 and 0 for none."""
        # A clock set back must not prolong it.
        is_recent = -_CLOCK_SLACK <= now - self.learned_at <= _LEARNED_FOR
        acts = self.learned and not self.per_day and is_recent
        return (self.learned, int(self.learned_at + _LEARNED_FOR)) if acts else (0, 0)

    # -- what happens

    def heard(self, peer: str, now: float, has_held: bool) -> None:
        """A person wrote: their window is open again. With something held for them, the bot's silence ends, too."""
        # Popped, so that the dictionary is ordered by last message, and the first entry can be forgotten.
        window = self.peers.pop(peer, None) or PeerWindow()
        answer_until = now + _ANSWER_SECONDS if has_held else 0.0
        self.peers[peer] = PeerWindow(opened=now, answer_until=answer_until, without_id=window.without_id)
        while len(self.peers) > _MAX_PEERS:
            del self.peers[next(iter(self.peers))]
        # Without anything to send to this person, an attempt to another one would only lengthen the penalty (19.3).
        if has_held:
            self.throttled_until, self.refusals = 0.0, 0

    def is_silent(self, now: float) -> bool:
        """Whether WeChat throttles the bot: nothing is sent."""
        # A clock set back must not prolong it.
        return 0 < self.throttled_until - now <= _SILENCE_MAX

    def may_repeat(self, peer: str, now: float) -> bool:
        """Whether a send whose answer was lost can be repeated, as both may count."""
        found = self.peers.get(peer)
        return found is not None and self.hold(peer, False, now) is None and self.left(found, now) > 1

    def attempted(self, peer: str, now: float, again: bool = False, is_answer: bool = False) -> None:
        """Count a send that is passed to WeChat.

        ``again``: its last attempt may have arrived, and counts too. ``is_answer``: it uses the send that is reserved
        for the answer to the last message.
        """
        found = self.peers.get(peer)
        # Whether WeChat drops a repeated id on this route is unknown: both copies may use up the budget.
        if again:
            self._count(now)
            if found is not None:
                found.sent += 1
        if found is not None:
            found.late = found.late or now >= found.opened + self.policy.seconds
            found.answer_until = 0.0 if is_answer else found.answer_until

    def not_attempted(self, peer: str) -> None:
        """Take back what ``attempted`` counted ``again``: there was no connection."""
        if self._recent:
            self._recent[-1].number -= 1
        if found := self.peers.get(peer):
            found.sent -= 1

    def taken(self, peer: str, has_id: bool, now: float) -> bool:
        """WeChat accepted a send, or the outcome is unknown (``has_id`` is true then: no sign of a restriction).

        Return whether a restriction of the person began or ended with it.
        """
        self._disprove(self.sent_today(now))
        self._count(now)
        # WeChat accepts sends again, so the penalty is over.
        self.throttled_until, self.refusals = 0.0, 0
        found = self.peers.get(peer)
        if found is None:
            return False
        before = found.restricted
        found.sent += 1
        found.without_id = 0 if has_id else found.without_id + 1
        return found.restricted is not before

    def _count(self, now: float) -> None:
        latest = self._recent[-1] if self._recent else None
        # A limit bounds their number, and each counts for exactly one day.
        if latest is not None and not self.per_day and 0 <= now - latest.begun < _COUNTED_TOGETHER:
            latest.last, latest.number = now, latest.number + 1
        else:
            self._recent.append(_Sends(now, now, 1))

    def close(self, peer: str, why: Cause) -> None:
        """WeChat reported that a window is closed, or that no send is possible before the person writes."""
        if found := self.peers.get(peer):
            found.closed = why

    def throttle(self, peer: str, now: float, send: str) -> bool:
        """Stop sending after a ``send`` was refused for a temporary reason. Return whether the window was fresh."""
        self.refusals += 1
        self.throttled_until = now + min(_SILENCE_FIRST * 2.0 ** min(self.refusals - 1, 20), _SILENCE_MAX)
        found = self.peers.get(peer)
        if found is None or found.sent or now >= found.opened + self.policy.seconds:
            return False
        # In a fresh window, below the budget per message, a budget per day explains the refusal, or the message.
        if count := self.sent_today(now):
            self._learn(_RefusedSend(now, found.opened, count, send), now)
        return True

    def _learn(self, refusal: _RefusedSend, now: float) -> None:
        recent = [other for other in self._refused if 0 <= now - other.at < _LEARNED_FOR]
        self._refused = [*recent, refusal][-_MAX_REFUSALS:]
        sends, windows = ({*each} for each in zip(*((one.send, one.opened) for one in self._refused), strict=True))
        if not self.learned_limit(now)[0] and len(sends) >= _REFUSED_SENDS and len(windows) >= _REFUSED_WINDOWS:
            self.learned = max(_LEAST_LEARNED, min(one.count for one in self._refused))
            self.learned_at = now

    def _disprove(self, count: int) -> None:
        """WeChat took a send, or may have, when the bot had sent ``count`` messages in a day."""
        if self.learned and count >= self.learned:
            self.learned = 0
        if not self.learned:
            self._refused = [refusal for refusal in self._refused if refusal.count > count]

    def login_changed(self) -> None:
        """A new login: WeChat's tokens of the old one are invalid, and people must write first."""
        for peer in self.peers.values():
            peer.closed = Cause.NO_CONTEXT

    # -- on disk, and for people

    def as_bytes(self) -> bytes:
        """Return the state, for the store."""
        # In the order of the fields; ``astuple`` copies deeply, which is slow.
        peers = [[name, *(getattr(peer, each) for each in PeerWindow.__slots__)] for name, peer in self.peers.items()]
        recent = [[sends.begun, sends.last, sends.number] for sends in self._recent]
        throttle = [self.throttled_until, self.refusals]
        refused = [[refusal.at, refusal.opened, refusal.count, refusal.send] for refusal in self._refused]
        learned = {"limit": self.learned, "at": self.learned_at, "from": refused}
        return json.dumps({"peers": peers, "throttle": throttle, "recent": recent, "learned": learned}).encode()

    def restore(self, kept: bytes) -> None:
        """Restore the state that ``as_bytes`` returned. Damaged content counts as never written."""
        found = kept_json(kept)
        for entry in map(items, items(found.get("peers"))):
            # Another number is another version's, or damage: the person's next message opens a window in any case.
            if len(entry) == 7:
                name, opened, sent, closed, late, answer_until, without_id = entry
                why = Cause(text(closed)) if text(closed) in {*Cause} else None
                self.peers[text(name)] = PeerWindow(
                    as_float(opened), integer(sent), why, late is True, as_float(answer_until), integer(without_id)
                )
        throttle = items(found.get("throttle"))
        # 2.3.0 also wrote a limit that it had learned from one refusal.
        if len(throttle) >= 2:
            self.throttled_until, self.refusals = as_float(throttle[0]), integer(throttle[1])
        learned = obj(found.get("learned"))
        self.learned, self.learned_at = integer(learned.get("limit")), as_float(learned.get("at"))
        self._refused = [
            _RefusedSend(as_float(at), as_float(opened), integer(count), text(send))
            for at, opened, count, send in (one for one in map(items, items(learned.get("from"))) if len(one) == 4)
        ]
        recent = [entry for entry in map(items, items(found.get("recent"))) if len(entry) == 3]
        self._recent = deque(
            _Sends(as_float(begun), as_float(last), max(0, integer(number))) for begun, last, number in recent
        )

    def gauge(self, held: dict[str, list[float]], now: float) -> JsonObject:
        """Return the ``windows`` and ``sending`` objects of a status (19.4).

        Args:
            held: when each held send was queued, by peer.
        """
        names = dict.fromkeys([*self.peers, *held])
        limit, until = self.learned_limit(now)
        refused: list[JsonValue] = [{"time": int(one.at), "sent_24h": one.count} for one in self._refused]
        open_ones = [self.left(peer, now) for peer in self.peers.values() if peer.opened]
        return {
            "windows": [self._row(name, held.get(name, []), now) for name in names],
            "sending": {
                "sent_24h": self.sent_today(now),
                "limit_24h": self._daily(now),
                "limit_24h_from": "set" if self.per_day else "learned" if limit else "unset",
                "limit_24h_until": until or None,
                "limit_24h_refusals": refused if limit else [],
                "throttled_until": int(self.throttled_until) if self.is_silent(now) else None,
                "left": min(open_ones, default=None),
                "held": sum(map(len, held.values())),
                "accepted_without_id": sum(peer.without_id for peer in self.peers.values()),
            },
        }

    def _row(self, name: str, held: list[float], now: float) -> JsonObject:
        peer = self.peers.get(name, PeerWindow())
        left = self.left(peer, now)
        return {
            "peer": name,
            "state": self._word(peer, left, now),
            "opened": int(peer.opened) or None,
            "closes": int(peer.opened + self.policy.seconds) if peer.opened else None,
            "sent": peer.sent,
            "limit": self.per_message,
            "left": left if peer.opened else 0,
            "held": len(held),
            "held_since": int(min(held)) if held else None,
            "restricted": peer.restricted,
        }

    def _word(self, peer: PeerWindow, left: int, now: float) -> str:
        if not peer.opened:
            return "never"
        if peer.closed or now >= peer.opened + self.policy.seconds:
            return "closed"
        if self.is_silent(now):
            return "throttled"
        if left == 0:
            return "spent"
        return "low" if left <= _KEPT_FOR_FINALS else "open"


def as_float(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
