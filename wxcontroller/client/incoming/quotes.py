"""Quoted messages. WeChat often names the quoted message by its id only; the event log has its text."""

import logging
from dataclasses import dataclass

from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables import eventtables
from wxcontroller.core.jsontypes import JsonObject, kept_json, text
from wxcontroller.core.model import Quote

log = logging.getLogger(__name__)
# The quoted message may have just arrived and not be on disk yet.
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Quotes:
    """Finds quoted messages among those that were received and those that the account sent."""

    log: EventLog

    async def fields(self, quote: Quote) -> JsonObject:
        """Return a report's fields about a quote; unknown texts are empty."""
        reported = await self._reported(quote.id) if quote.id else {}
        content = quote.text or text(reported.get("content"))
        return {
            "quote_id": quote.id,
            "quote_content": quote.select(content),
            "quote_sender_id": text(reported.get("sender_id")),
            "quote_media_path": text(reported.get("media_path")),
        }

    async def _reported(self, identifier: str) -> JsonObject:
        await self.log.settled(_SETTLE_SECONDS)
        try:
            return kept_json(await self.log.read(lambda db: eventtables.message(db, identifier)))
        except Unavailable as problem:
            log.warning("a quote is reported without its text: %s", problem)
            return {}
