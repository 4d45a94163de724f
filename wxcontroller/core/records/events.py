"""Events of accounts, in a stream or a page."""

from typing import Annotated
from urllib.parse import quote

from msgspec import UNSET, Meta, UnsetType

from wxcontroller.core.records.decoding import Free, FreeRecord, Number, Whole, WireRecord, Word

EventId = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9]{1,18}\Z")]
EventType = Annotated[str, Meta(pattern=r"^[a-z_]{1,64}\Z")]


class EventRecord(FreeRecord, kw_only=True):
    """An event with its report. ``host`` is set by hosts of a fleet only.

    A stream leaves out a report that is too long for it, and what is known only from its content: ``omitted`` is then
    its size, and ``see`` the path of the call that returns it.
    """

    host: str | UnsetType = UNSET
    id: EventId
    delivery: str | UnsetType = UNSET
    account: str
    type: EventType
    seq: Whole
    stamp: Whole | UnsetType = UNSET
    epoch: Whole | UnsetType = UNSET
    time: Number | UnsetType = UNSET
    report: Free
    omitted: Whole | UnsetType = UNSET
    see: str | UnsetType = UNSET

    free = ("report",)

    def locate(self, account: str) -> None:
        self.account, self.host = account, UNSET
        delivery = f"/v1/accounts/{quote(account, safe='')}/deliveries/{self.id}"
        self.see = UNSET if self.omitted is UNSET else delivery


class Opening(WireRecord, kw_only=True):
    """The beginning of an account's stream: where in its log it begins."""

    account: str
    log: Word = ""
    first: Whole = 0
    last: Whole = 0
    after: str = ""

    def locate(self, account: str) -> None:
        self.account = account


class EventPage(WireRecord, kw_only=True):
    """A page of an account's events."""

    account: str
    log: Word
    first: Whole
    last: Whole
    events: list[EventRecord]
    more: bool

    holds_reports = True

    def locate(self, account: str) -> None:
        self.account = account
        for event in self.events:
            event.locate(account)
