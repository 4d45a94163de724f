"""One message on its way out, as the queue holds it in memory."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from wxcontroller.client.sends.outcomes import End
from wxcontroller.client.sends.parcel import Parcel
from wxcontroller.client.store.sends import Part, RequestRow, SendRow
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.limits import DEFAULTS
from wxcontroller.core.model import MessageKind
from wxcontroller.openwx.media import MediaFacts
from wxcontroller.openwx.reports import SendResult


@dataclass(frozen=True, slots=True)
class Item:
    """What is to be sent to whom: a text, or media when there is a parcel."""

    target: str
    is_group: bool
    content: str = ""
    parcel: Parcel | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came with a key. ``answer`` is None when it is to be made of how its messages end."""

    key: str
    fingerprint: str
    call: str
    answer: JsonObject | None = None

    def row(self, jobs: "Iterable[Job]" = ()) -> RequestRow:
        """Return what is stored of it, with messages that have not ended."""
        found = list(jobs)
        target = found[0].target if found else ""
        return RequestRow(self.key, self.fingerprint, self.call, target, {job.part: {} for job in found}, self.answer)


@dataclass(frozen=True, slots=True)
class Order:
    """Messages that are queued together or not at all.

    ``reply_to``: the sequence of the event they answer, 0 for none. ``login``: one's own id in the login that the
    receivers' ids are of, "" for the present one.
    """

    items: tuple[Item, ...]
    origin: str = "api"
    request: Request | None = None
    reply_to: int = 0
    login: str = ""


@dataclass(slots=True, eq=False)
class Job:
    """One message. ``seq`` is its number in the store; the rest of what is stored is as in SendRow.

    ``result`` is what an answer says of how it ended, and never fails; None: it has not, and stays for the next
    start. ``unsure``: a try of it got no answer, so that it may have arrived.
    """

    item: Item
    login: str
    client_id: str
    result: "asyncio.Future[JsonObject | None]"
    origin: str = "api"
    request: str = ""
    seq: int = 0
    queued_at: float = field(default_factory=time.time)
    tried: float = 0.0
    attempts_left: int = DEFAULTS.calls.send_tries
    unsure: bool = False
    never: str = ""  # why it can't go out any more, "" while it may
    ended: bool = False
    in_flight: bool = False  # handed to WeChat, whatever came of it
    marked: bool = False  # stored as handed to WeChat, and not handed yet

    @property
    def target(self) -> str:
        return self.item.target

    @property
    def parcel(self) -> Parcel | None:
        return self.item.parcel

    @property
    def kind(self) -> MessageKind:
        return self.item.parcel.facts.kind if self.item.parcel else MessageKind.TEXT

    @property
    def part(self) -> Part:
        """What it is to its request."""
        return Part.MEDIA if self.item.parcel is not None else Part.TEXT

    def tell(self, outcome: JsonObject | None) -> None:
        """Let who waits for it know, once."""
        if not self.result.done():
            self.result.set_result(outcome)

    def ended_as(self, end: End, message_id: str = "", media: MediaFacts | None = None) -> SendResult:
        """Return what is told of its end."""
        return SendResult(
            message_id=message_id,
            local_id=self.client_id,
            target=self.item.target,
            is_group=self.item.is_group,
            content=self.item.content,
            time=int(time.time()),
            code=end.code,
            status=end.status,
            info=end.info,
            attempts_left=self.attempts_left,
            media=media,
            origin=self.origin,
        )

    def row(self, sides: str) -> SendRow:
        """Return what is stored of it."""
        return SendRow(
            login=self.login,
            target=self.item.target,
            is_group=self.item.is_group,
            content=self.item.content,
            client_id=self.client_id,
            attempts_left=self.attempts_left,
            origin=self.origin,
            sides=sides,
            request=self.request,
            time=self.queued_at,
            tried=self.tried,
            parcel=-1 if self.item.parcel is not None else 0,
        )


def job_of(row: SendRow, parcel: Parcel | None) -> Job:
    """Return a job as it was stored."""
    return Job(
        item=Item(row.target, row.is_group, row.content, parcel),
        login=row.login,
        client_id=row.client_id,
        result=asyncio.get_running_loop().create_future(),
        origin=row.origin,
        request=row.request,
        seq=row.seq,
        queued_at=row.time,
        tried=row.tried,
        unsure=row.tried > 0,
        attempts_left=row.attempts_left,
    )
