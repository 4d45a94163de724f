"""Pass a send to the driver, and report its result.

The queue's view of the rest of the account: the driver, the roster, and the reporter.
"""

import asyncio
import json
from dataclasses import dataclass, field, replace

from wxcontroller.client.deliveries.reportbodies import content_of
from wxcontroller.client.incoming.messagepeople import send_chat
from wxcontroller.client.incoming.reporting import Reporter
from wxcontroller.client.incoming.roster import Roster
from wxcontroller.client.sends.model.send import Media, Send
from wxcontroller.client.store.eventlog import Within
from wxcontroller.client.store.mediaids import MediaIndex
from wxcontroller.core.errors import ReferenceRefused, WeChatError
from wxcontroller.core.jsontypes import JsonObject, kept_json
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.drivers.base import Driver
from wxcontroller.openwx.contract import reports
from wxcontroller.openwx.contract.media import MediaFacts, media_id
from wxcontroller.openwx.contract.reports import SendResult

# A longer send means that waiting for it has failed: 600 s is the largest request timeout that can be set, and
# uploads may be slow.
STUCK_SECONDS = 900.0
SLOWEST_UPLOAD = 1024  # bytes a second


@dataclass(slots=True)
class Sender:
    """``report_bytes``: reports bring content of media up to this size, 0 for none."""

    driver: Driver
    roster: Roster
    reporter: Reporter
    index: MediaIndex
    report_bytes: int
    deadlines: Deadlines = field(default_factory=Deadlines)

    # -- to WeChat

    async def upload(self, media: Media) -> None:
        """Upload content to WeChat, unless it is there already. Raises as Driver.upload. Sends no message."""
        if media.uploaded is None:
            if media.file is None:
                raise ValueError("media without content")
            try:
                with self.deadlines.within(stuck_after(media), "an upload"):
                    media.uploaded = await self.driver.upload(media.file)
            except WeChatError as problem:
                # An upload alone sends nothing. Repeating it is harmless, so the send may be tried again.
                problem.unsure = False
                raise
            # Not awaited: without the record, only a later request for this media_id fails.
            _ = self.index.add_upload(media.uploaded)
        content = media.uploaded
        media.facts = replace(media.facts, kind=content.kind, id=media_id(content.key, content.kind))

    async def send(self, send: Send) -> str:
        """Send a message and return its id at WeChat. Raises as Driver.upload and Driver.send_media."""
        media = send.media
        if media is None:
            with self.deadlines.within(STUCK_SECONDS, "a send"):
                return (await self.driver.send_text(send.target, send.words, send.client_id)).id
        await self.upload(media)
        try:
            return await self._send_media(send, media)
        # The content, if it is here, is uploaded like any other.
        except ReferenceRefused:
            if media.file is None:
                raise
        media.uploaded = None
        await self.upload(media)
        return await self._send_media(send, media)

    async def _send_media(self, send: Send, media: Media) -> str:
        assert media.uploaded is not None
        with self.deadlines.within(stuck_after(media), "a send"):
            return (await self.driver.send_media(send.target, media.uploaded, send.client_id)).id

    # -- for readers of reports

    def knows(self, send: Send) -> bool:
        """Whether a send's receiver is known now."""
        return send.target in (self.roster.groups if send.is_group else self.roster.contacts)

    def sides(self, send: Send) -> str:
        """Return the people of a message, for a report written when the roster may no longer have them."""
        chat = send_chat(self.roster, send.is_group, send.target)
        return json.dumps(reports.sent_sides(send.is_group, send.target, chat))

    async def facts(self, send: Send) -> MediaFacts | None:
        """Return the media part of a send's report, with content; None for a text."""
        media = send.media
        if media is None:
            return None
        data, failed = "", send.verdict.openwx_code != 0
        if self.report_bytes and media.kept is not None:
            data = await asyncio.to_thread(content_of, str(media.kept), self.report_bytes)
        return replace(
            media.facts,
            id="" if failed else media.facts.id,
            client_id=send.client_id,
            error=str(send.verdict.detail) if failed else "",
            data=data,
        )

    def report(self, send: Send, result: SendResult, within: Within) -> "asyncio.Future[object]":
        """Report the result of a send, see Reporter.sent. The file stays until its report is delivered."""
        body: JsonObject = reports.sent(result, send_chat(self.roster, result.is_group, result.target))
        if not self.knows(send):
            body.update(kept_json(send.sides))
        file, media = "", send.media
        if media is not None and media.kept is not None and body.get("media_data") and self.reporter.delivers(body):
            media.reported, file = True, str(media.kept)
        return self.reporter.sent(body, within, file, send.verdict.mark)


def stuck_after(media: Media) -> float:
    """Return the seconds after which an upload counts as stuck."""
    return STUCK_SECONDS + (media.file.size if media.file is not None else 0) / SLOWEST_UPLOAD
