"""Deliveries of reports to the webhook, as an account answers them."""

from typing import Annotated

from msgspec import UNSET, UnsetType

from wxcontroller.core.records.decoding import (
    Free,
    FreeRecord,
    Maybe,
    Number,
    Presence,
    Sent,
    SentValue,
    Whole,
    WireRecord,
    Word,
)
from wxcontroller.core.records.texts import TextData

_LAST_ERROR = "error of the last attempt; empty: none"


class AttemptRecord(WireRecord, kw_only=True):
    """The last post to the webhook."""

    time: Annotated[Number | None, Presence.NOT_NULL, {"type": "integer"}] = None
    status: Whole | None = None
    milliseconds: Annotated[Number | None, Presence.NOT_NULL, {"type": "integer"}] = None


class ReportCounts(WireRecord, kw_only=True):
    """Numbers of an account's undelivered reports and dead letters."""

    to: Annotated[Sent[str | None], "URL of the webhook, without secrets; null: none"] = UNSET
    held: Annotated[SentValue[Whole], "reports whose media are being fetched"] = UNSET
    pending: Annotated[SentValue[Whole], "undelivered reports, but for those whose media are being fetched"] = UNSET
    retrying: Annotated[SentValue[Whole], "of these, reports in the retry lane, which do not delay others"] = UNSET
    dead: Annotated[SentValue[Whole], "dead letters"] = UNSET
    unacknowledged: Annotated[SentValue[Whole], "of these, unacknowledged ones"] = UNSET
    dropped: Annotated[SentValue[Whole], "reports lost because the log was full or damaged"] = UNSET
    dropped_at: Annotated[Sent[Whole | None], "time of the last loss, in seconds since 1970; null: never"] = UNSET
    damaged_at: Annotated[
        Sent[Whole | None],
        "when a damaged log was last replaced by a new one, in seconds since 1970; null: never",
    ] = UNSET
    oldest_since: Annotated[Sent[Whole | None], "time when the oldest was queued, in seconds since 1970"] = UNSET
    last_error: Annotated[SentValue[str], _LAST_ERROR] = UNSET
    last_error_text: TextData | None | UnsetType = UNSET
    trouble: Annotated[SentValue[str], "reason why nothing can be stored; empty: none"] = UNSET
    trouble_text: TextData | None | UnsetType = UNSET
    last_attempt: Annotated[
        AttemptRecord | None | UnsetType,
        "when a report was last posted, the HTTP status and the time it took; null: not yet",
    ] = UNSET


class CountsRecord(ReportCounts, kw_only=True):
    """Numbers of undelivered reports and dead letters."""

    schema_name = "Counts"

    account: Annotated[SentValue[str], "name of the account"] = UNSET
    instance: Annotated[str | None | UnsetType, Presence.UNDESCRIBED] = UNSET

    def locate(self, account: str) -> None:
        self.account = account


class Changed(CountsRecord, kw_only=True):
    """The counts after reports were sent again, discarded or acknowledged."""

    replayed: Whole | None | UnsetType = UNSET
    purged: Whole | None | UnsetType = UNSET
    acknowledged: Whole | None | UnsetType = UNSET


class ProgressRecord(WireRecord, kw_only=True):
    """How far the delivery of an event's report is."""

    schema_name = "Progress"

    id: Annotated[str, "the event's id"]
    state: Annotated[Word, "held, pending, delivered, dead, kept or purged"]
    lane: Annotated[Sent[Word | None], "lane in which it waits: queue or retry; null: it does not wait"] = UNSET
    attempts: Annotated[SentValue[Whole], "number of attempts"] = UNSET
    next_at: Annotated[Sent[Number | None], "time of the next attempt, in seconds since 1970"] = UNSET
    last_error: Annotated[SentValue[str], _LAST_ERROR] = UNSET
    last_error_text: TextData | None | UnsetType = UNSET
    last_status: Annotated[Sent[Whole | None], "HTTP status of the last attempt"] = UNSET
    settled_at: Annotated[Sent[Number | None], "time of its delivery or final failure, in seconds since 1970"] = UNSET


class DeliveryRecord(ProgressRecord, FreeRecord, kw_only=True):
    """A report and the state of its delivery.

    ``report`` is its content, where one is asked for.
    """

    schema_name = "Delivery"

    delivery: Annotated[Maybe[str], "the id by which the webhook gets it; absent from older versions"] = UNSET
    seq: Annotated[Whole, "sequence number of the event"]
    time: Annotated[SentValue[Number], "time of the event, in seconds since 1970"] = UNSET
    type: Annotated[Word, "type of the event"]
    bytes: Annotated[SentValue[Whole], "size of its report"] = UNSET
    direction: Annotated[Word | None | UnsetType, "in or out; null: not a message, or a large one"] = UNSET
    sender: Annotated[str | None | UnsetType, "name of the message's sender"] = UNSET
    receiver: Annotated[str | None | UnsetType, "name of its receiver"] = UNSET
    group: Annotated[str | None | UnsetType, "name of its group"] = UNSET
    report: Annotated[Free | None | UnsetType, Presence.UNDESCRIBED] = UNSET

    free = ("report",)
    holds_reports = True


class DeliveryPage(CountsRecord, kw_only=True):
    """Reports with their deliveries."""

    deliveries: list[DeliveryRecord]
    next: Sent[Whole | None] = UNSET
