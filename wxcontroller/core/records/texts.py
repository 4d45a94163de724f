"""Texts as data, and failures, in answers of accounts and hosts."""

from typing import Annotated

from msgspec import UNSET, UnsetType

from wxcontroller.core.records.decoding import Free, FreeRecord, WireRecord, Word


class TextData(FreeRecord, kw_only=True):
    """A text as data: fill the values in at their names; values that are texts are filled in first.

    See core/text/templates.py.
    """

    schema_name = "Text"

    template: Annotated[str, "the English text; {NAME} stands for a value"]
    plural: Annotated[str | UnsetType, "the same for any number n but one"] = UNSET
    values: Annotated[Free, "value of each name: text, a number, or a text as data"]

    free = ("values",)


class Reason(FreeRecord, kw_only=True):
    """Why a request failed."""

    code: Annotated[Word, "code of the failure"]
    message: Annotated[str, "the failure"]
    message_text: TextData | None | UnsetType = UNSET
    remedy: Annotated[str, "remedy"] = ""
    remedy_text: TextData | None | UnsetType = UNSET
    values: Annotated[Free | UnsetType, "values used in message and remedy, by name"] = UNSET

    free = ("values",)


class FailureRecord(WireRecord, kw_only=True):
    """The answer to a request that failed."""

    error: Reason
