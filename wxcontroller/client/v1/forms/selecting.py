"""Which entries of the event log a request means: its query or its JSON body, checked."""

from collections.abc import Mapping

from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables.eventtables import EntryState, Selection
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.core.jsontypes import JsonValue, obj, read_json
from wxcontroller.core.text.templates import N_, Text, Value
from wxcontroller.openwx.contract.paging import SELECTED_IDS

_STATES = ", ".join(state.value for state in EntryState)


def bad(message: str | Text, remedy: str | Text, /, **values: Value) -> RequestRefused:
    """An invalid request."""
    return RequestRefused(400, "bad-request", message, remedy, **values)


def read_body(body: bytes, remedy: str) -> JsonValue:
    """Return the JSON that a body is, None for no body. Raises RequestRefused."""
    try:
        return read_json(body or b"null")
    except ValueError:
        raise bad(N_("the body is not JSON"), remedy) from None


def states_of(words: str) -> tuple[EntryState, ...]:
    """Return the states named, separated by commas. Raises RequestRefused."""
    try:
        return tuple(EntryState(word) for word in words.split(",") if word)
    except ValueError:
        raise bad(
            N_("{words} is not a state"), N_("use some of: {states}"), words=words[:64], states=_STATES
        ) from None


def number_of(query: Mapping[str, str], name: str, default: int, limit: int) -> int:
    """Return an integer of a query. Raises RequestRefused."""
    value = query.get(name, str(default))
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise bad(N_("{key} is not an integer"), N_("use a number of at most {most}"), key=name, most=limit)
    return min(int(value), limit)


async def chosen(log: EventLog, body: bytes) -> Selection:
    """Return what ``{"ids": […]}`` or ``{"state": "dead"}``, both or ``{"all": true}`` mean. Raises RequestRefused.

    An empty body is refused, so that nothing is sent again by mistake.
    """
    found = obj(read_body(body, N_('send {"ids": ["…"]} or {"state": "dead"}')))
    if unknown := sorted(found.keys() - {"ids", "state", "all"}):
        raise bad(N_("unknown key {unknown}"), N_("ids, state and all are known"), unknown=unknown[0][:64])
    ids, state, everything = found.get("ids"), found.get("state"), found.get("all")
    if state is not None and not isinstance(state, str):
        raise bad(N_("state is not a text"), N_("use some of: {states}"), states=_STATES)
    states = states_of(state or "")
    if ids is None and not states and everything is not True:
        raise bad(N_("no reports are selected"), N_('send {"ids": ["…"]}, {"state": "dead"} or {"all": true}'))
    if ids is None:
        return Selection(states)
    if not isinstance(ids, list) or not ids or len(ids) > SELECTED_IDS:
        raise bad(
            N_("ids is not a list of 1 to {selected_ids} ids"),
            N_("listed by GET /v1/deliveries"),
            selected_ids=SELECTED_IDS,
        )
    texts = [id_ if isinstance(id_, str) else "" for id_ in ids]
    seqs = await log.seqs(texts)
    for each, seq in zip(texts, seqs, strict=True):
        if not seq:
            raise RequestRefused(
                404,
                "no-such-event",
                N_("there is no event {id}"),
                N_("it may be too old (event_keep_days), or belong to another account"),
                id=f"{each[:64]!r}",
            )
    return Selection(states, tuple(seqs))
