"""The common path of sends from all APIs. A request becomes sends, which are stored with its key and queued; its
caller can wait until they have ended or are held. The answer is derived from the sends: ``client/calls`` has the
original's format, ``client/v1/acts`` that of /v1.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from wxcontroller.client.sends.content.preparing import described
from wxcontroller.client.sends.content.splitting import split_text
from wxcontroller.client.sends.content.webhookreplies import Reply
from wxcontroller.client.sends.model.send import Media, Quoted, Request, Send
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.store.sendstore import StoredSends
from wxcontroller.drivers.base import Driver

# Until a recall is answered: one request to WeChat, which may be tried again.
RECALL_ANSWER_SECONDS = 60.0
# Seconds that a caller may have a send held.
MAX_HOLD = 604_800
# Until the sends of an earlier process are in the queue.
_TAKE_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Order:
    """A message to send. ``hold``: seconds that it may be held, None for the account's setting."""

    targets: Sequence[str]
    is_group: bool
    text: str = ""
    media: Media | None = None
    interim: bool = False
    urgent: bool = False
    hold: float | None = None
    quoted: Quoted | None = None
    origin: str = "api"


@dataclass(slots=True)
class Sending:
    """Makes sends for ``queue``."""

    queue: SendQueue
    driver: Driver

    def sends(self, order: Order) -> list[Send]:
        """Return the messages that an order is: the pieces of its text, then its media, for each receiver."""
        limit, quoted = self.driver.capabilities.text_length, order.quoted
        # The quote is part of the text and counts against its limit.
        room = max(1, limit - len(quoted.head)) if limit and quoted else limit
        texts = [*split_text(order.text, room)] if order.text else []
        found = [
            Send(target, order.is_group, text, origin=order.origin) for target in order.targets for text in texts
        ]
        if quoted is not None:
            # Only above the first piece, not above each.
            found[0].quoted = quoted
        if order.media is not None:
            found += [
                Send(target, order.is_group, media=order.media, origin=order.origin) for target in order.targets
            ]
        for send in found:
            send.interim, send.urgent, send.hold = order.interim, order.urgent, order.hold
            send.client_id = self.driver.new_client_id()
        return found

    def reply(self, reply: Reply, event: int) -> None:
        """Send a webhook's reply to an event, once: the text, then media, only by URL."""
        media = described({"media_path": reply.media}) if reply.media else None
        sends = self.sends(Order((reply.target,), reply.is_group, reply.content, media, origin="code"))
        if refusal := self.queue.no_room(len(sends)):
            self.queue.refuse(sends, refusal, reply.login)
        else:
            _ = self.queue.place(sends, reply_to=event, login=reply.login)

    async def store(self, sends: Sequence[Send], request: Request | None, latest: float) -> StoredSends:
        """Queue messages, and wait until they are on disk.

        Raises Unavailable if they cannot be stored, and TimeoutError at ``latest`` (the loop's time): on a slow disk
        the sends may still be stored later.
        """
        stored = self.queue.place(sends, request)
        async with asyncio.timeout_at(latest):
            # Shielded: the commit is in progress, and a disconnecting caller must not make the queue consider it
            # cancelled.
            return await asyncio.shield(stored)

    async def wait(self, sends: Sequence[Send], latest: float) -> None:
        """Wait until all have ended or are held, or until ``latest``. They are sent even if the caller has
        disconnected."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(latest):
                for send in sends:
                    await asyncio.shield(send.answer)

    async def unsettled(self) -> list[Send]:
        """Return the sends without a stored outcome, including those of an earlier process."""
        # A process that has just started has not loaded these yet.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TAKE_UP_SECONDS):
                await self.queue.until_taken_up()
        return self.queue.unsettled()

    async def recall(self, message_id: str, target: str) -> None:
        """Recall a message. Raises Unsupported, WeChatError, and TimeoutError, after which it may be recalled."""
        async with asyncio.timeout(RECALL_ANSWER_SECONDS):
            await self.driver.revoke(message_id, target)
