"""Incoming messages, and their reports.

A text is reported at once. A message with media keeps its place in the log while its content is fetched: it is
durable before it is acknowledged to WeChat, and no later one is delivered before it.
"""

import logging
from dataclasses import dataclass

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.incoming.consult import Consults
from wxcontroller.client.incoming.mediafetcher import MediaFetcher
from wxcontroller.client.incoming.messagepeople import chat_of
from wxcontroller.client.incoming.quotes import Quotes
from wxcontroller.client.incoming.reporting import Reporter
from wxcontroller.client.incoming.resuming import with_media
from wxcontroller.client.incoming.roster import Roster
from wxcontroller.client.store.mediaids import MediaIndex, media_to_json
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.drivers.base import MessageArrived
from wxcontroller.openwx.contract import reports
from wxcontroller.openwx.contract.media import MediaFacts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Incoming:
    """Handles the messages that the driver receives."""

    config: ClientConfig
    roster: Roster
    reporter: Reporter
    consults: Consults
    fetcher: MediaFetcher
    media: MediaIndex
    quotes: Quotes

    async def take(self, event: MessageArrived) -> None:
        """Report a message, or hold its place until its media are here."""
        message = event.message
        self.consults.heard(message)
        try:
            # Resolved now: the roster may change while media are fetched.
            report = reports.received(message, chat_of(self.roster, message))
            if message.quote is not None:
                report |= await self.quotes.fields(message.quote)
        except Exception:  # one bad message must not affect the others (openwx-api 5.4 no. 62)
            log.exception("cannot report message %s", message.id)
            return
        if not message.kind.is_media:
            self.reporter.message(report, message.id, is_notice=message.kind is MessageKind.NOTICE)
            return
        source = media_to_json(message.media) if message.media else {}
        slot = self.reporter.hold(report, message.id, source)

        def publish(facts: MediaFacts) -> None:
            content = message.media or MessageMedia(message.kind, message.id)
            # Before the report, which makes the id known. Writes keep their order.
            _ = self.media.add_received(content, facts.path if facts.size else "")
            slot.fill(with_media(report, facts, self.config), facts.path if facts.data else "")

        self.fetcher.take(message, publish)
