"""The rules of a route with reply windows: which sends are held, and why (ilink-bot-protocol, section 19).

``window`` knows people and budgets but no sends. This module joins both: it holds and releases sends, ends those held
too long or too many, and records in the windows the outcome of each send.

Each person has their own first-come order, and one person's window delays nobody else's. Within it:

- The answer to the message that opened a window overtakes what was held before, and the last send of the window is
  kept for it.
- Urgent finals go before other finals, and finals before interims; after a silence of the bot, first those of the
  person whose message ended it.
- A send behind a held one is held for the same reason, untried.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wxcontroller.client.sends.model.send import REMINDER, Send, held_answer
from wxcontroller.client.sends.model.sendstates import CANCELLABLE, QueuedSends, SendStep
from wxcontroller.client.sends.rules.policy import RoutePolicy
from wxcontroller.client.sends.rules.window import INTERIM_SECONDS, REMINDER_WORDS, RESTRICTED_WORDS, Windows
from wxcontroller.core.condition.verdict import RULES, TAKEN, Cause, SendState, Verdict
from wxcontroller.core.errors import FailureHandling, WeChatError
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.text.templates import N_, NOTHING, Text
from wxcontroller.drivers.base import ReplyWindow, ServiceState
from wxcontroller.openwx.contract.statefile import SendLimits

log = logging.getLogger(__name__)
# Both limits are the protocol's (19.3). Without them a closed window would fill disk and queue for a week.
MAX_HELD = 500  # for one person
MAX_HELD_BYTES = 50 << 20  # media of all that is held
_STRIKES = 2  # refusals in fresh windows after which a message is taken for one that WeChat dislikes
# Held because of WeChat's answer to an attempt.
_BY_WECHAT = (Cause.THROTTLED, Cause.WINDOW)
# A lost answer is retried once: each attempt may use up a message (19.2).
WINDOW_TRIES = 2


def held_of(sends: Iterable[Send]) -> Iterator[Send]:
    """Return those that are held."""
    return (send for send in sends if send.step is SendStep.HELD)


@dataclass(slots=True, kw_only=True)
class WindowedRoute(RoutePolicy):
    """Holds sends of an account for its ``table`` of windows.

    ``seconds``: how long by default, 0 for no holding. ``notice`` is called when a person is restricted, a limit
    learned, or media are refused, and when one of these ends.
    """

    window: ReplyWindow
    table: Windows
    seconds: float = 0.0
    notice: Callable[[SendLimits], None] = lambda _: None
    tries: int = WINDOW_TRIES
    _writer: tuple[str, float] = "", 0.0  # whose message ended a silence, and when: their sends until then go first
    _reminding: set[str] = field(default_factory=set)  # people who are being asked to write
    _noticed: SendLimits | None = None
    _media_refused: int = 0  # since when

    verdicts = True

    # -- questions

    @property
    def windows(self) -> Windows | None:
        """See RoutePolicy."""
        return self.table

    @property
    def as_bytes(self) -> bytes:
        """See RoutePolicy."""
        return self.table.as_bytes()

    @property
    def is_silent(self) -> bool:
        """Whether WeChat throttles the account."""
        return self.table.is_silent(self.now())

    def waits_until(self, send: Send, since: float) -> float:
        """See RoutePolicy. Each send has its own time (``limit``)."""
        return math.inf

    def may_go(self, send: Send) -> bool:
        """See RoutePolicy."""
        return self.table.hold(send.target, send.interim, self.now(), send.reminder) is None

    def may_repeat(self, send: Send) -> bool:
        """See RoutePolicy. Both attempts may count."""
        return self.table.may_repeat(send.target, self.now())

    def line(self, send: Send) -> Hashable:
        """See RoutePolicy: one for each person, final and interim ones separately (19.1)."""
        return send.target, send.interim

    def rank(self, send: Send) -> int:
        """See RoutePolicy."""
        if self._is_answer(send, self.now()):
            return 1
        if send.interim:
            return 6
        if send.begun:
            return 2
        if send.urgent:
            return 3
        writer, when = self._writer
        return 4 if send.target == writer and send.queued_at <= when else 5

    @property
    def repeat_pause(self) -> float:
        """See RoutePolicy (19.2)."""
        return self.window.again

    def change_in(self, sends: QueuedSends, blocked: bool) -> float | None:
        """See RoutePolicy."""
        now, times = self.now(), [send.hold_until for send in held_of(sends)]
        change = None if blocked else self.table.next_change(now)
        if change is not None and (times or self.table.reminder):
            times.append(change)
        return max(0.01, min(times) - now) if times else None

    def gauge(self, sends: Iterable[Send], service: ServiceState) -> JsonObject:
        """See RoutePolicy."""
        since: dict[str, list[float]] = {}
        for send in held_of(sends):
            since.setdefault(send.target, []).append(send.queued_at)
        gauge, refused_since = self.table.gauge(since, self.now()), service.media_refused
        more: JsonObject = {"media": "refused" if refused_since else "allowed", "media_since": refused_since or None}
        return {**gauge, "sending": {**obj(gauge["sending"]), **more, "revived": service.revived}}

    # -- holding and releasing

    def limit(self, send: Send) -> None:
        """See RoutePolicy."""
        longest = self.seconds if send.hold is None else send.hold
        longest = min(longest, INTERIM_SECONDS) if send.interim else longest
        send.hold_until = send.queued_at + longest if longest else 0.0

    def review(self, sends: QueuedSends, blocked: Cause | None) -> Iterator[tuple[Send, Verdict]]:
        """See RoutePolicy."""
        now, places = self.now(), Counter[str]()
        ahead: dict[tuple[str, bool], Cause] = {}
        for send in sends:
            # One that may have arrived is not held: it would arrive twice when the window opens.
            if send.step not in (SendStep.QUEUED, SendStep.HELD):
                continue
            why = blocked or self._why_held(send, ahead, now)
            if why is None:
                if send.step is SendStep.HELD:
                    sends.move(send, SendStep.QUEUED)
                continue
            ahead.setdefault((send.target, send.interim), why)
            places[send.target] += 1
            place = places[send.target]
            if verdict := self._refusal(send, why, place, sends, now):
                yield send, verdict
            elif send.verdict.cause is not why:
                evidence = send.evidence if why in _BY_WECHAT else NOTHING
                sends.move(send, SendStep.HELD, Verdict(SendState.HELD, why, evidence, send.hold_until))
                send.tell(held_answer(send, place))

    def _why_held(self, send: Send, ahead: Mapping[tuple[str, bool], Cause], now: float) -> Cause | None:
        """Return why a send cannot go now, None if it can. ``ahead``: why others of that person cannot."""
        why = self.table.hold(send.target, send.interim, now, send.reminder)
        if send.reminder or self._is_answer(send, now):
            return why
        # Finals wait for finals, interims for both.
        before = ahead.get((send.target, False)) or (ahead.get((send.target, True)) if send.interim else None)
        if before is None and self.table.keeps_for_answer(send.target, now):
            return why or Cause.ANSWER
        return before or why

    def _is_answer(self, send: Send, now: float) -> bool:
        """Whether a send answers a message that arrived while others were held. Interim ones never do (19.3)."""
        if send.interim or send.reminder or not self.table.awaits_answer(send.target, now):
            return False
        return send.queued_at >= self.table.peers[send.target].opened

    def _refusal(self, send: Send, why: Cause, place: int, sends: QueuedSends, now: float) -> Verdict | None:
        """Return how a send ends that cannot be held, or not for longer; None when it can."""
        reason, cause = Text(RULES[why].text), Cause.QUEUE_FULL
        if not send.hold_until:
            cause = Cause.NOT_WANTED
        elif now >= send.hold_until:
            reason, cause = Text(N_("held too long: {why}"), why=reason), Cause.EXPIRED
        elif place > MAX_HELD:
            reason = Text(N_("{number} messages are held for this person"), number=MAX_HELD)
        # Sends that are held already stay: only the newest is refused.
        elif send.media is not None and send.step is not SendStep.HELD:
            # A file for several people is on disk once.
            contents = {id(other.media): other.media for other in held_of(sends) if other.media is not None}
            if sum(media.facts.size for media in contents.values()) + send.media.facts.size <= MAX_HELD_BYTES:
                return None
            reason = Text(N_("{megabytes} MB of media are held"), megabytes=MAX_HELD_BYTES >> 20)
        else:
            return None
        return Verdict(SendState.REFUSED, cause, reason)

    def overtaken(self, sent: Send, sends: Iterable[Send]) -> Sequence[tuple[Send, Verdict]]:
        """Return progress messages that are older than a sent answer."""
        return [
            (other, Verdict(SendState.REFUSED, Cause.OVERTAKEN))
            for other in sends
            if not sent.interim
            and other.interim
            and other.target == sent.target
            and other.queued_at <= sent.queued_at
            and other.step in CANCELLABLE
        ]

    def new_sends(self, sends: QueuedSends) -> Iterator[Send]:
        """Yield reminders for people whose windows have one send left."""
        if not self.table.reminder:
            return
        now, asked = self.now(), {send.target for send in held_of(sends) if not send.interim}
        reminded = {send.target for send in sends.all if send.reminder}
        for peer in list(self.table.peers):
            if peer not in reminded and self.table.needs_reminder(peer, peer in asked, now):
                # hold=0: a reminder that cannot be sent now is useless later.
                yield Send(peer, False, REMINDER_WORDS, origin=REMINDER, hold=0.0, queued_at=now)

    # -- what happens

    def heard(self, peer: str, sends: Iterable[Send]) -> bool:
        """See RoutePolicy."""
        has_held = any(send.target == peer for send in held_of(sends))
        if has_held and self.is_silent:
            self._writer = peer, self.now()
        self.table.heard(peer, self.now(), has_held)
        return has_held

    def note_service(self, service: ServiceState) -> None:
        """See RoutePolicy."""
        self._media_refused = service.media_refused
        if self._noticed is not None:  # else the earlier process's state is still to be read
            self._notice()

    def login_changed(self) -> None:
        """See RoutePolicy: people have to write before they can be sent to."""
        self.table.login_changed()

    def restore(self, kept: bytes) -> None:
        """See RoutePolicy."""
        self.table.restore(kept)
        self._notice()

    def _notice(self) -> None:
        limit, until = self.table.learned_limit(self.now())
        limits, before = SendLimits(self.table.restricted, limit, until, self._media_refused), self._noticed
        if limits == before:
            return
        self._noticed = limits
        self.notice(limits)
        if limits.limit_24h and not (before and before.limit_24h):
            log.warning("WeChat refused several sends after %d in 24 hours: more are held", limits.limit_24h)
        elif before and before.limit_24h and not limits.limit_24h:
            log.info("WeChat accepts more than %d sends in 24 hours again", before.limit_24h)

    def attempted(self, send: Send, again: bool) -> None:
        """See RoutePolicy."""
        now = self.now()
        self.table.attempted(send.target, now, again, self._is_answer(send, now))

    def not_attempted(self, send: Send) -> None:
        """See RoutePolicy."""
        self.table.not_attempted(send.target)

    def keeps(self, send: Send, problem: WeChatError) -> bool | None:
        """See RoutePolicy: a send waits for the person's next message, unless WeChat seems to dislike the message."""
        if problem.handling not in (FailureHandling.WAIT, FailureHandling.WAIT_FOR_PEER):
            return None
        if problem.handling is FailureHandling.WAIT_FOR_PEER:
            self.table.close(send.target, Cause.NO_CONTEXT if problem.ret is None else Cause.WINDOW)
        elif self.table.throttle(send.target, self.now(), send.client_id):
            self._notice()
            opened = self.table.peers[send.target].opened
            # Two refusals in one window prove nothing: the bot may be throttled.
            if send.struck != opened:
                send.strikes, send.struck = send.strikes + 1, opened
        return send.strikes < _STRIKES

    def ended(self, send: Send) -> None:
        """Count a send that WeChat took, or may have taken."""
        if send.state not in TAKEN:
            return
        changed = self.table.taken(send.target, send.state is not SendState.ACCEPTED, self.now())
        self._notice()
        if changed:
            if self.table.is_restricted(send.target):
                log.error("%s", Text(RESTRICTED_WORDS, peer=send.target))
            else:
                log.info("WeChat shows messages for %s again", send.target)
