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

    account: str | UnsetType = UNSET
    instance: str | UnsetType = UNSET
    to: str | None | UnsetType = UNSET
    held: Whole | UnsetType = UNSET
    pending: Whole | UnsetType = UNSET
    retrying: Whole | UnsetType = UNSET
    dead: Whole | UnsetType = UNSET
    unacknowledged: Whole | UnsetType = UNSET
    dropped: Whole | UnsetType = UNSET
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

    replayed: Whole | UnsetType = UNSET
    purged: Whole | UnsetType = UNSET
    acknowledged: Whole | UnsetType = UNSET


class DeliveryRecord(FreeRecord, kw_only=True):
    """A report and the state of its delivery. ``report`` is its content, where one is asked for."""

    id: str
    delivery: str | UnsetType = UNSET
    seq: Whole
    time: Number
    type: Word
    state: Word
    lane: Word | None
    attempts: Whole
    next_at: Number | None
    last_error: str | None
    last_error_text: TextData | None | UnsetType = UNSET
    last_status: Whole | None
    settled_at: Number | None
    bytes: Whole
    direction: Word | None | UnsetType = UNSET
    sender: str | None | UnsetType = UNSET
    receiver: str | None | UnsetType = UNSET
    group: str | None | UnsetType = UNSET
    report: Free | UnsetType = UNSET

    free = ("report",)
    holds_reports = True


class DeliveryPage(CountsRecord, kw_only=True):
    """Reports with their deliveries."""

    deliveries: list[DeliveryRecord]
    next: Whole | None
