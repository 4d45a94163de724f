"""Events of accounts, in a stream or a page."""

from typing import Annotated
from urllib.parse import quote

from msgspec import UNSET, Meta, UnsetType

from wxcontroller.core.records.decoding import Free, FreeRecord, Number, Presence, Whole, WireRecord, Word

EventId = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9]{1,18}\Z")]
EventType = Annotated[str, Meta(pattern=r"^[a-z_]{1,64}\Z")]


class EventRecord(FreeRecord, kw_only=True):
    """An event, with its report as posted to post_api.

    ``host`` is set by hosts of a fleet only. A stream leaves out a report that is too long for it, and what is known
    only from its content.
    """

    schema_name = "Event"

    host: Annotated[str | UnsetType, Presence.UNDESCRIBED] = UNSET
    id: Annotated[EventId, "its place in the account's log"]
    delivery: Annotated[
        str | UnsetType, "the id by which the webhook gets its report; absent from older versions"
    ] = UNSET
    account: Annotated[str, "name of the account"]
    type: Annotated[EventType, "name of the event, or friend_message, group_message, group_notice"]
    seq: Annotated[Whole, "sequence number of the event"]
    stamp: Annotated[Whole | UnsetType, "when it was stored, in microseconds since 1970; no two are the same"] = UNSET
    epoch: Annotated[Whole | UnsetType, "the account's epoch at that time; absent from older versions"] = UNSET
    time: Annotated[Number | UnsetType, "time of the event, in seconds since 1970"] = UNSET
    report: Annotated[Free, "the report, as posted to post_api"]
    omitted: Annotated[
        Whole | UnsetType,
        "in a stream: the size of an event that is too long for it; its report is left out",
    ] = UNSET
    see: Annotated[str | UnsetType, "then: the path of the call that returns it"] = UNSET

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
