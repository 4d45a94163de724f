"""The order of sends: which goes next, and which parts of a message wait for others.

The parts of one message to one receiver stay together and in order. An urgent message goes before all that wait,
whoever gets them, but never before one that may have arrived already, before the rest of one that has begun, nor
before the answer to the message that opened a reply window. Urgent ones keep their order.

Pure functions of the sends in the queue and their steps: the queue acts on what they return. The ranks of sends are
the policy's.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator

from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.sends.model.sendstates import CANCELLABLE

# The rank of a send that goes before all others: WeChat may have it, and knows its id for some minutes only.
FIRST = 0


def prepared(sends: Iterable[Send], line: Callable[[Send], Hashable]) -> Iterator[Send]:
    """Yield the sends that can go: of the parts of a message only the first one, once the content of all is there,
    and none before one that is earlier in its ``line``; None is no line.
    """
    listed = list(sends)
    incomplete = {send.bundle for send in listed if not send.ready}
    bundles: set[str] = set()
    blocked: set[Hashable] = set()
    for send in listed:
        if send.bundle in bundles:
            continue
        bundles.add(send.bundle)
        if send.bundle in incomplete:
            blocked.add(line(send))
        elif line(send) is None or line(send) not in blocked:
            yield send


def following(ready: Iterable[Send], rank: Callable[[Send], int]) -> Send | None:
    """Return the first of the sends with the lowest rank, or None."""
    sends = list(ready)
    return min(sends, key=lambda send: rank(send) if send.step in CANCELLABLE else FIRST) if sends else None


def bundled(sends: Iterable[Send]) -> list[Send]:
    """Return the sends of one request with the parts for each receiver together, as a bundle."""
    bundles: dict[tuple[bool, str], list[Send]] = {}
    for send in sends:
        parts = bundles.setdefault((send.is_group, send.target), [])
        parts.append(send)
        send.bundle = parts[0].client_id
    return [send for parts in bundles.values() for send in parts]
