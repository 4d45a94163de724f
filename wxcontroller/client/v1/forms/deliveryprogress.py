"""The progress of a report's delivery in the form of /v1, for deliveries and for the messages that they report."""

from wxcontroller.client.deliveries.lanes import Lane
from wxcontroller.client.deliveries.receivers import stored_error
from wxcontroller.client.store.tables.eventtables import Entry, EntryState
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.text.templates import text_fields


def progress_of(entry: Entry) -> JsonObject:
    """Return how far the delivery of an event's report is."""
    return {
        "id": entry.id,
        "state": entry.state.value,
        "lane": (Lane.RETRY if entry.aside else Lane.QUEUE).value if entry.state is EntryState.PENDING else None,
        "attempts": entry.attempts,
        "next_at": round(entry.next_at, 3) or None if entry.state is EntryState.PENDING else None,
        **text_fields(last_error=stored_error(entry.error, entry.status)),
        "last_status": entry.status or None,
        "settled_at": round(entry.settled_at, 3) or None,
    }
