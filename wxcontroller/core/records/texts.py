"""Texts as data, and failures, in answers of accounts and hosts."""

from msgspec import UNSET, UnsetType

from wxcontroller.core.records.decoding import Free, FreeRecord, WireRecord, Word


class TextData(FreeRecord, kw_only=True):
    """A text with its values (core/messages.py)."""

    template: str
    plural: str | UnsetType = UNSET
    values: Free

    free = ("values",)


class Reason(FreeRecord, kw_only=True):
    """Why a request failed."""

    code: Word
    message: str
    remedy: str = ""
    message_text: TextData | None | UnsetType = UNSET
    remedy_text: TextData | None | UnsetType = UNSET
    values: Free | UnsetType = UNSET

    free = ("values",)


class FailureRecord(WireRecord, kw_only=True):
    """The answer to a request that failed."""

    error: Reason
