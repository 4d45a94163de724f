"""Messages whose media an earlier process had not fetched completely."""

import asyncio
import logging
import time
from dataclasses import dataclass
from urllib.parse import quote

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.incoming.mediafetcher import MediaFetcher
from wxcontroller.client.incoming.reporting import Reporter
from wxcontroller.client.store.eventlog import Held
from wxcontroller.client.store.mediaids import media_from_json
from wxcontroller.core.files.receivedmedia import file_of
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.model import Direction, Message
from wxcontroller.openwx.contract import media
from wxcontroller.openwx.contract.media import MediaFacts

log = logging.getLogger(__name__)
# A login from a stored session takes seconds. A report must not wait until a code is scanned.
MEDIA_RESUME_SECONDS = 120.0


@dataclass(slots=True)
class Resuming:
    """Fetches held media again once ``running`` is set. Otherwise they are reported without content."""

    reporter: Reporter
    fetcher: MediaFetcher
    running: asyncio.Event
    may_log_in: bool = True  # without a login nothing can be fetched

    async def run(self, held: "asyncio.Future[list[Held]]") -> None:
        """Resume ``held``; return once each is being fetched or was dropped."""
        found = await held
        if not found:
            return
        log.info("resuming the media of %d messages from the previous run", len(found))
        try:
            # Later events wait until the account is back.
            async with asyncio.timeout(MEDIA_RESUME_SECONDS if self.may_log_in else 0):
                await self.running.wait()
        except TimeoutError:
            for entry in found:
                self.reporter.resume(entry.place, {**entry.report, "media_error": "the account was not back in time"})
            return
        for entry in found:
            self._fetch(entry)

    def _fetch(self, held: Held) -> None:
        content = media_from_json(held.source)
        if content is None:
            self.reporter.resume(held.place, None)
            return
        report = held.report
        # Only the parts of a message needed for fetching: the report itself exists already.
        message = Message(
            id=str(report.get("id", "")),
            chat="",
            is_group=False,
            sender="",
            direction=Direction.RECEIVED,
            kind=content.kind,
            text="",
            time=int(time.time()),
            media=content,
        )

        def done(facts: MediaFacts) -> None:
            self.reporter.resume(
                held.place, with_media(report, facts, self.fetcher.config), facts.path if facts.data else ""
            )

        self.fetcher.take(message, done)


def with_media(report: JsonObject, facts: MediaFacts, config: ClientConfig) -> JsonObject:
    """Return the report of a message whose media are now known.

    If the report has no content, ``media_url`` refers to it.
    """
    content = media.with_words(media.content_of(facts), text(report.get("media_text")))
    complete = {**report, **media.fields(facts, own=False), "content": content}
    if config.flag("plugin_openwx_post_media_data") and facts.size <= config.limits.report_media_bytes:
        return complete
    return {**complete, "media_url": _url_of(config, facts.path)}


def _url_of(config: ClientConfig, path: str) -> str:
    """Return the controller's URL of a received file, for the webhook; "" for anything else."""
    name = file_of(path)
    target = f"/v1/accounts/{quote(config.name.name, safe='')}/media/{name}"
    return config.options["public_url"].rstrip("/") + target if name else ""
