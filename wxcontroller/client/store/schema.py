"""The versions of the account's SQLite file. Each is applied once, in this order, and never changed."""

from wxcontroller.client.store import events, sends, state

SCHEMA = (*events.SCHEMA, sends.SENDS, events.REPLAYED, state.SCHEMA, events.ASIDE)
