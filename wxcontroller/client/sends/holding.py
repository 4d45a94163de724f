"""Reply windows and the send queue: which sends are held, and why.

``window`` knows people and budgets but no sends, ``order`` knows whose turn it is. This module joins both for the
queue: it holds and releases sends, ends those held too long or too many, and records in the windows the
outcome of each send. On a route without windows it holds nothing.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from wxcontroller.client.sends import order
from wxcontroller.client.sends.model import (
    NOT_SENT,
    TAKEN,
    Outcome,
    Refusal,
    Send,
    SendState,
    held_answer,
    refused,
)
from wxcontroller.client.sends.window import INTERIM_SECONDS, REMINDER, RESTRICTED_WORDS, Hold, Windows
from wxcontroller.core.errors import FailureHandling, WeChatError
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.messages import Text
from wxcontroller.drivers.base import ServiceState

log = logging.getLogger(__name__)
# Both limits are the protocol's (19.3). Without them a closed window would fill disk and queue for a week.
MAX_HELD = 500  # for one person
MAX_HELD_BYTES = 50 << 20  # media of all that is held
_STRIKES = 2  # refusals in fresh windows after which a message is taken for one that WeChat dislikes


@dataclass(slots=True)
class Holding:
    """Holds sends of an account for its ``windows``, None on a route that has none.

    ``seconds``: the default time, 0 for no holding. ``restricted`` gets the number of people to whom WeChat shows no
    sends.
    """

    windows: Windows | None = None
    seconds: float = 0.0
    restricted: Callable[[int], None] = lambda _: None
    _writer: str = ""  # the person whose message ended a silence: their sends go first
    _reminding: set[str] = field(default_factory=set)  # people who are being asked to write

    # -- questions

    @property
    def as_bytes(self) -> bytes:
        """The state of the windows, for the store."""
        return self.windows.as_bytes() if self.windows is not None else b""

    @property
    def is_silent(self) -> bool:
        """Whether WeChat throttles the account: no calls may be made."""
        return self.windows is not None and self.windows.is_silent(time.time())

    def why(self, send: Send) -> Hold | None:
        """Return why a send cannot go now, None if it can."""
        if self.windows is None:
            return None
        return self.windows.hold(send.target, send.interim, time.time(), send.reminder)

    def may_repeat(self, send: Send) -> bool:
        """Whether a send whose answer was lost can be repeated, as both may count."""
        return self.windows is None or self.windows.may_repeat(send.target, time.time())

    def following(self, ready: Iterable[Send]) -> Send | None:
        """Return the ready send to go next, or None."""
        if self.windows is None:
            return order.first(ready)
        found = order.following(ready, self.windows, time.time(), self._writer)
        # No answer to the person, which would precede others, is left.
        if found is not None and found.target != self._writer:
            self._writer = ""
        return found

    def change_in(self, held: Sequence[Send], blocked: bool) -> float | None:
        """Return the seconds until time alone changes a ``held`` send, None for never. ``blocked``: none is sent."""
        if self.windows is None:
            return None
        now, times = time.time(), [send.hold_until for send in held]
        change = None if blocked else self.windows.next_change(now)
        if change is not None and (times or self.windows.reminder):
            times.append(change)
        return max(0.01, min(times) - now) if times else None

    def gauge(self, held: Iterable[Send], service: ServiceState) -> JsonObject:
        """Return the windows' status as JSON, nothing on a route without windows."""
        if self.windows is None:
            return {}
        since: dict[str, list[float]] = {}
        for send in held:
            since.setdefault(send.target, []).append(send.queued_at)
        gauge, refused_since = self.windows.gauge(since, time.time()), service.media_refused
        more: JsonObject = {"media": "refused" if refused_since else "allowed", "media_since": refused_since or None}
        return {**gauge, "sending": {**obj(gauge["sending"]), **more, "revived": service.revived}}

    # -- holding and releasing

    def limit(self, send: Send) -> None:
        """Note until when a new send may be held."""
        if self.windows is not None:
            longest = self.seconds if send.hold is None else send.hold
            longest = min(longest, INTERIM_SECONDS) if send.interim else longest
            send.hold_until = send.queued_at + longest if longest else 0.0

    def review(self, waiting: Sequence[Send], blocked: Hold | None) -> Iterator[tuple[Send, Outcome]]:
        """Hold sends that cannot be sent now and release those that can; yield those that cannot be held and end.
        ``blocked`` is the reason why nothing is sent.
        """
        if self.windows is None:
            return
        now = time.time()
        found = list(all_held(waiting, blocked) if blocked else order.held(waiting, self.windows, now))
        for held in found:
            if not isinstance(held, order.HeldSend):
                held.state, held.held = SendState.WAITING, ""
            elif outcome := self._refusal(held, waiting, now):
                yield held.send, outcome
            elif held.send.held != held.why:
                held.send.state, held.send.held = SendState.HELD, held.why
                held.send.tell(held_answer(held.send, held.why, held.place))

    def _refusal(self, held: order.HeldSend, waiting: Sequence[Send], now: float) -> Outcome | None:
        """Return how a send ends that cannot be held, or not for longer; None when it can."""
        send, words, refusal = held.send, "", ""
        if not send.hold_until:
            words, refusal = held.why.words, Refusal.NOT_WANTED
        elif now >= send.hold_until:
            words, refusal = f"held too long: {held.why.words}", Refusal.EXPIRED
        elif held.place > MAX_HELD:
            words = f"{MAX_HELD} messages are held for this person"
        # Sends that are held already stay: only the newest is refused.
        elif send.media is not None and send.state is not SendState.HELD:
            # A file for several people is on disk once.
            contents = {id(other.media): other.media for other in held_of(waiting) if other.media is not None}
            if sum(media.facts.size for media in contents.values()) + send.media.facts.size > MAX_HELD_BYTES:
                words, refusal = f"{MAX_HELD_BYTES >> 20} MB of media are held", Refusal.TOO_LARGE
        return refused(NOT_SENT, f"not sent: {words}", refusal=refusal) if words else None

    def overtaken(self, final: Send, waiting: Iterable[Send]) -> Iterator[tuple[Send, Outcome]]:
        """Yield progress messages that are older than a sent answer, and are dropped."""
        if self.windows is None or final.interim:
            return
        for send in [other for other in waiting if other.interim and other.target == final.target]:
            if send.queued_at <= final.queued_at and send.state is not SendState.SENDING and not send.marked:
                words = "not sent: an answer went out before it"
                yield send, refused(NOT_SENT, words, refusal=Refusal.OVERTAKEN)

    def reminders(self, held: Iterable[Send]) -> Iterator[Send]:
        """Yield reminders for people whose windows have one send left."""
        if self.windows is None or not self.windows.reminder:
            return
        now, waiting = time.time(), {send.target for send in held if not send.interim}
        for peer in list(self.windows.peers):
            if peer not in self._reminding and self.windows.needs_reminder(peer, peer in waiting, now):
                self._reminding.add(peer)
                # hold=0: a reminder that cannot be sent now is useless later.
                send = Send(peer, False, REMINDER, origin="reminder", reminder=True, hold=0.0)
                send.answer.add_done_callback(partial(self.reminded, peer))
                yield send

    def reminded(self, peer: str, _: object = None) -> None:
        """A reminder has ended, or could not be stored."""
        self._reminding.discard(peer)

    # -- what happens

    def heard(self, peer: str, waiting: Iterable[Send]) -> bool:
        """A person wrote; return whether held sends for them go out now."""
        if self.windows is None:
            return False
        has_held = any(send.target == peer for send in held_of(waiting))
        if has_held and self.is_silent:
            self._writer = peer
        self.windows.heard(peer, time.time(), has_held)
        return has_held

    def restore(self, kept: bytes) -> None:
        """Take over the state of an earlier process."""
        if self.windows is not None:
            self.windows.restore(kept)
            self.restricted(self.windows.restricted)

    def attempted(self, send: Send) -> None:
        """A send is handed to WeChat."""
        if self.windows is not None:
            now = time.time()
            self.windows.attempted(send.target, now, send.unsure, order.is_answer(send, self.windows, now))

    def keeps(self, send: Send, problem: WeChatError) -> bool:
        """Return whether to hold a send that WeChat refused for a temporary reason, or until the person writes."""
        windows, now = self.windows, time.time()
        assert windows is not None
        if problem.handling is FailureHandling.WAIT_FOR_PEER:
            windows.close(send.target, Hold.NO_CONTEXT if problem.ret is None else Hold.WINDOW)
        elif windows.throttle(send.target, now):
            opened = windows.peers[send.target].opened
            # Two refusals in one window prove nothing: the bot may be throttled.
            if send.struck != opened:
                send.strikes, send.struck = send.strikes + 1, opened
        # A send that may have arrived is not held: it would arrive twice.
        return not send.unsure and send.strikes < _STRIKES

    def ended(self, send: Send, outcome: Outcome) -> None:
        """Count a send that WeChat took, or may have taken."""
        windows = self.windows
        if windows is None or outcome.state not in TAKEN:
            return
        if windows.taken(send.target, outcome.state is not SendState.ACCEPTED, time.time()):
            self.restricted(windows.restricted)
            if windows.is_restricted(send.target):
                log.error("%s", Text(RESTRICTED_WORDS, peer=send.target))
            else:
                log.info("WeChat shows messages for %s again", send.target)


def held_of(waiting: Iterable[Send]) -> Iterator[Send]:
    """Return those of the waiting sends that are held."""
    return (send for send in waiting if send.state is SendState.HELD)


def all_held(waiting: Iterable[Send], why: Hold) -> Iterator[order.HeldSend]:
    """Hold every send that WeChat cannot have."""
    places: Counter[str] = Counter()
    for send in waiting:
        if not send.unsure and not send.marked and send.state is not SendState.SENDING:
            places[send.target] += 1
            yield order.HeldSend(send, why, places[send.target])
