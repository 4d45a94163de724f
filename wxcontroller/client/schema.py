"""The versions of the account's SQLite file. Each is applied once, in this order, and never changed."""

from wxcontroller.client import eventtables, sendtables

SCHEMA = (*eventtables.SCHEMA, sendtables.SENDS, eventtables.REPLAYED)
