"""Deliveries of reports to the webhook, as an account answers them."""

from msgspec import UNSET, UnsetType

from wxcontroller.core.records.decoding import Free, FreeRecord, Number, Whole, WireRecord, Word
from wxcontroller.core.records.texts import TextData


class AttemptRecord(WireRecord, kw_only=True):
    """The last post to the webhook."""

    time: Number | None = None
    status: Whole | None = None
    milliseconds: Number | None = None


class CountsRecord(WireRecord, kw_only=True):
    """Numbers of waiting reports and dead letters."""

    account: str | None | UnsetType = UNSET
    instance: str | None | UnsetType = UNSET
    to: str | None | UnsetType = UNSET
    held: Whole | None | UnsetType = UNSET
    pending: Whole | None | UnsetType = UNSET
    retrying: Whole | None | UnsetType = UNSET
    dead: Whole | None | UnsetType = UNSET
    unacknowledged: Whole | None | UnsetType = UNSET
    dropped: Whole | None | UnsetType = UNSET
    dropped_at: Whole | None | UnsetType = UNSET
    damaged_at: Whole | None | UnsetType = UNSET
    oldest_since: Whole | None | UnsetType = UNSET
    last_error: str | None | UnsetType = UNSET
    last_error_text: TextData | None | UnsetType = UNSET
    trouble: str | None | UnsetType = UNSET
    trouble_text: TextData | None | UnsetType = UNSET
    last_attempt: AttemptRecord | None | UnsetType = UNSET

    def locate(self, account: str) -> None:
        self.account = account


class Changed(CountsRecord, kw_only=True):
    """The counts after reports were sent again, discarded or acknowledged."""

    replayed: Whole | None | UnsetType = UNSET
    purged: Whole | None | UnsetType = UNSET
    acknowledged: Whole | None | UnsetType = UNSET


class ProgressRecord(WireRecord, kw_only=True):
    """How far the delivery of an event's report is; ``id`` is the event's."""

    id: str
    state: Word
    lane: Word | None | UnsetType = UNSET
    attempts: Whole | None | UnsetType = UNSET
    next_at: Number | None | UnsetType = UNSET
    last_error: str | None | UnsetType = UNSET
    last_error_text: TextData | None | UnsetType = UNSET
    last_status: Whole | None | UnsetType = UNSET
    settled_at: Number | None | UnsetType = UNSET


class DeliveryRecord(ProgressRecord, FreeRecord, kw_only=True):
    """A report and the state of its delivery. ``report`` is its content, where one is asked for."""

    delivery: str | None | UnsetType = UNSET
    seq: Whole
    time: Number | None | UnsetType = UNSET
    type: Word
    bytes: Whole | None | UnsetType = UNSET
    direction: Word | None | UnsetType = UNSET
    sender: str | None | UnsetType = UNSET
    receiver: str | None | UnsetType = UNSET
    group: str | None | UnsetType = UNSET
    report: Free | None | UnsetType = UNSET

    free = ("report",)
    holds_reports = True


class DeliveryPage(CountsRecord, kw_only=True):
    """Reports with their deliveries."""

    deliveries: list[DeliveryRecord]
    next: Whole | None | UnsetType = UNSET
