"""Checks of single values of a settings file. Each returns the value, or raises ValueError with the requirement."""

from collections.abc import Callable
from typing import TypeAlias

from wxcontroller.core.messages import Text
from wxcontroller.core.options import url

Parser: TypeAlias = Callable[[object], object]


def number(low: float, high: float) -> Parser:
    def parse(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(Text("must be a number from {low} to {high}", low=f"{low:g}", high=f"{high:g}"))
        return value

    return parse


def int_between(low: int, high: int) -> Parser:
    def parse(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(Text("must be an integer from {low} to {high}", low=low, high=high))
        return value

    return parse


def web_address(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(Text('must be a URL in quotes, or ""'))
    return url(value)
