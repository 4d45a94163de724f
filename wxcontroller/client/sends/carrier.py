"""What carries sends to WeChat, and tells how they ended."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from wxcontroller.client.deliveries.bodies import content_of
from wxcontroller.client.people import send_chat
from wxcontroller.client.reporting import Reporter
from wxcontroller.client.roster import Roster
from wxcontroller.client.sends.job import Job
from wxcontroller.client.sends.mediaout import MediaOut
from wxcontroller.client.sends.parcel import Parcel
from wxcontroller.client.store.eventlog import Within
from wxcontroller.core.jsontypes import kept_json
from wxcontroller.core.vitals import Vitals
from wxcontroller.drivers.base import Driver
from wxcontroller.openwx import reports
from wxcontroller.openwx.reports import SendResult

# A send takes no longer, unless something is wrong with the waiting: 600 s is the longest request that can be set,
# and uploads may be slow.
STUCK_SECONDS = 900.0
SLOWEST_UPLOAD = 1024  # bytes a second


@dataclass(slots=True)
class Carrier:
    """What the queue needs of the account. ``with_data``: reports bring the content of media."""

    driver: Driver
    roster: Roster
    reporter: Reporter
    media_out: MediaOut
    with_data: bool
    vitals: Vitals = field(default_factory=Vitals)
    _left: frozenset[Path] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        self._left = self.media_out.left()

    def new_id(self) -> str:
        """Return an id for a message, as Driver.new_client_id."""
        return self.driver.new_client_id()

    def login(self) -> str:
        """Return one's own id in the present login: while it is the same, so are those of others."""
        return self.roster.own

    def knows(self, job: Job) -> bool:
        """Whether it is known now who a job's receiver is."""
        return job.target in (self.roster.groups if job.item.is_group else self.roster.contacts)

    def sides(self, job: Job) -> str:
        """Return who a message is between, for a report that is made when nobody knows any more."""
        is_group, target = job.item.is_group, job.target
        return json.dumps(reports.sent_sides(is_group, target, send_chat(self.roster, is_group, target)))

    async def pack(self, parcel: Parcel) -> Parcel:
        """Return a parcel, ready; raises as MediaOut.pack."""
        with self.vitals.within(STUCK_SECONDS, "finding what to send"):
            return await self.media_out.pack(parcel)

    async def upload(self, parcel: Parcel) -> None:
        """Give content to WeChat, unless it has it; raises as Driver.upload."""
        try:
            with self.vitals.within(longest(parcel), "an upload"):
                _ = await parcel.upload(self.driver)
        finally:
            self.media_out.remember(parcel)

    async def transmit(self, job: Job) -> str:
        """Hand a message to WeChat and return its id there; raises as Driver.send_text."""
        with self.vitals.within(longest(job.parcel), "a send"):
            if job.parcel is None:
                return (await self.driver.send_text(job.target, job.item.content, job.client_id)).id
            try:
                return (await job.parcel.send(self.driver, job.target, job.client_id)).id
            finally:
                self.media_out.remember(job.parcel)

    async def content(self, parcel: Parcel) -> str:
        """Return what a report is to bring of content, as base64; "" for nothing."""
        if not self.with_data or parcel.kept is None:
            return ""
        most = self.media_out.config.limits.media.report_media_bytes
        return await asyncio.to_thread(content_of, str(parcel.kept), most)

    def report(self, result: SendResult, sides: str, within: Within) -> "asyncio.Future[object]":
        """Tell how a send ended, see Reporter.sent; ``sides`` are what ``sides`` returned once, "" to look anew."""
        body = reports.sent(result, send_chat(self.roster, result.is_group, result.target))
        if sides:
            body.update(kept_json(sides))
        return self.reporter.sent(body, within)

    def tidy(self, kept: frozenset[Path]) -> None:
        """Delete what an earlier process has left of sends, but for ``kept``."""
        for path in self._left - kept:
            with contextlib.suppress(OSError):
                path.unlink()
        self._left = frozenset()


def longest(parcel: Parcel | None) -> float:
    """Return after how many seconds handing something to WeChat counts as stuck."""
    size = parcel.file.size if parcel is not None and parcel.file is not None else 0
    return STUCK_SECONDS + size / SLOWEST_UPLOAD
