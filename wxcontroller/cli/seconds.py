"""A number of seconds on the command line, with errors that name the accepted range."""

import click

from wxcontroller.cli.language import say
from wxcontroller.core.messages import Text


class SecondsRange(click.FloatRange):
    """As FloatRange, whose messages name Python's types and inequalities."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(say(self._problem(f"{value!r}")), param, ctx)

    def _problem(self, value: str) -> Text:
        if self.max is not None:
            return Text("{value} is not a number of seconds from 0 to {most}", value=value, most=f"{self.max:g}")
        if self.min_open:
            return Text("{value} is not a number of seconds greater than 0", value=value)
        return Text("{value} is not a number of seconds, 0 or more", value=value)
