"""The order of sends: which goes next and, on a route with reply windows, which are held.

An urgent send goes before all that wait, whoever gets them, but never before one that may have arrived already, nor
before the answer to the message that opened a window. Urgent sends keep their order. One may come between the pieces
of a long text that is not urgent. Held sends stay held: windows and their limits apply to urgent sends too.

On a route with reply windows, each person has their own first-come order, and one person's window delays nobody
else's. Within it:

- A send that may have arrived already goes first, while WeChat would know its repetition.
- The answer to the message that opened a window overtakes what was held before, and the last send of the window is
  kept for it.
- Urgent finals go before other finals, and finals before interims; after a silence of the bot, first those of the
  person whose message ended it.
- A send behind a held one is held for the same reason, untried.

Pure functions of the waiting sends and the windows: the queue acts on what they return.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from wxcontroller.client.sends.model import Send, SendState
from wxcontroller.client.sends.window import Hold, Windows


@dataclass(frozen=True, slots=True)
class HeldSend:
    """A send that cannot go now; ``place`` is its place among those of its person, from 1."""

    send: Send
    why: Hold
    place: int


def held(waiting: Iterable[Send], windows: Windows, now: float) -> Iterator[Send | HeldSend]:
    """Yield each send that has not been passed to WeChat, with the reason why it is held, if it is."""
    ahead: dict[tuple[str, bool], Hold] = {}
    places: Counter[str] = Counter()
    for send in waiting:
        # It may have arrived: holding it would make it arrive a second time when the window opens.
        if send.marked or send.unsure or send.state is SendState.SENDING:
            continue
        why = windows.hold(send.target, send.interim, now, send.reminder)
        if not send.reminder and not is_answer(send, windows, now):
            # Finals wait for finals, interims for both.
            before = ahead.get((send.target, False)) or (ahead.get((send.target, True)) if send.interim else None)
            why = before or kept_back(send, windows, now) or why
        if why is None:
            yield send
            continue
        ahead.setdefault((send.target, send.interim), why)
        places[send.target] += 1
        yield HeldSend(send, why, places[send.target])


def prepared(waiting: Iterable[Send], per_peer: bool) -> Iterator[Send]:
    """Yield each send whose content is ready, but none before an earlier part of its request. ``per_peer``: also none
    before an earlier send to the same person, final and interim ones counted separately (ilink-bot-protocol 19.1).
    """
    behind: set[str | tuple[str, bool]] = set()
    for send in waiting:
        lines: set[str | tuple[str, bool]] = {send.request} if send.request else set()
        if per_peer:
            lines.add((send.target, send.interim))
        if not send.ready:
            behind |= lines
        elif behind.isdisjoint(lines):
            yield send


def first(ready: Iterable[Send]) -> Send | None:
    """Return the ready send to go next on a route without windows, or None."""
    head = None
    for send in ready:
        if send.unsure or send.marked:
            return send
        if head is None or (send.urgent and not head.urgent):
            head = send
    return head


def following(ready: Iterable[Send], windows: Windows, now: float, writer: str = "") -> Send | None:
    """Return the ready send that is not held to go next, or None.

    ``writer`` is the person whose message ended a silence, or "".
    """
    candidates = [send for send in ready if send.state is not SendState.HELD]
    ranks: tuple[Callable[[Send], bool], ...] = (
        lambda send: send.unsure or send.marked,
        lambda send: is_answer(send, windows, now),
        lambda send: send.urgent and not send.interim,
        lambda send: not send.interim and send.target == writer,
        lambda send: not send.interim,
        lambda send: True,
    )
    return next((send for rank in ranks for send in candidates if rank(send)), None)


def is_answer(send: Send, windows: Windows, now: float) -> bool:
    """Whether a send answers a message that arrived while others were held. Interim ones never do (19.3)."""
    final = not send.interim and not send.reminder
    return final and windows.awaits_answer(send.target, now) and send.queued_at >= windows.peers[send.target].opened


def kept_back(send: Send, windows: Windows, now: float) -> Hold | None:
    if not windows.awaits_answer(send.target, now):
        return None
    # The last send is reserved for the answer, and the one before it for the reminder, if enabled.
    least = 1 + windows.reminder
    return Hold.BUDGET if windows.left(windows.peers[send.target], now) <= least else None
