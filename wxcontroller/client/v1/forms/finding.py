"""Messages found by their ids: in the queue, else in the log."""

from dataclasses import dataclass

from wxcontroller.client.calls.call import Parts
from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.store.tables import eventtables, history
from wxcontroller.client.store.tables.history import Found
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.core.text.templates import N_

_SETTLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class IdMatch:
    """The match of an id: a ``send`` of the queue, or its entry in the ``log``, or neither."""

    send: Send | None = None
    logged: Found | None = None
    log: str = ""


async def settle(parts: Parts) -> None:
    """Wait, up to a limit, until written entries are on disk."""
    await parts.log.settled(_SETTLE_SECONDS)


async def look_up(parts: Parts, identifier: str) -> IdMatch:
    """Return a message by its id.

    While the disk fails, a send that has ended is in the queue only.
    """
    ended = None
    for send in await parts.sending.unsettled():
        if send.client_id == identifier:
            if not send.state.is_final:
                return IdMatch(send)
            ended = send
    await settle(parts)
    found, name = await parts.log.read(lambda db: (history.by_id(db, identifier), eventtables.name_of(db)))
    return IdMatch(ended if found is None else None, found, name)


def no_such_message(identifier: str) -> RequestRefused:
    return RequestRefused(
        404,
        "no-such-message",
        N_("there is no message {id}"),
        N_("it may be too old (event_keep_days), or belong to another account"),
        id=f"{identifier[:64]!r}",
    )
