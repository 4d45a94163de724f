"""Errors in arguments, as click detects them, in the words of this project: for wxctl and wxsandbox."""

import click

from wxcontroller.core.errors import BadUsage
from wxcontroller.core.text.templates import N_, Text

# An option with one of these takes seconds.
_SECONDS = ("S", "SECONDS")


def bad_usage(problem: click.ClickException, program: str) -> BadUsage:
    """Return an error of click in the usual form: lower case, no period, with a remedy.

    For numbers and choices, click's messages show Python's types and inequalities. These name the accepted values.
    """
    context = problem.ctx if isinstance(problem, click.UsageError) else None
    if isinstance(problem, click.NoSuchOption) and context is not None and problem.possibilities:
        hidden = {name for each in context.command.params if getattr(each, "hidden", False) for name in each.opts}
        problem.possibilities = [each for each in problem.possibilities if each not in hidden]
    words = problem.format_message().rstrip(".").replace(" Did you mean", "; did you mean")
    text = Text(N_("{what}"), what=words[:1].lower() + words[1:])
    if isinstance(problem, click.BadParameter) and not isinstance(problem, click.MissingParameter):
        text = (_requirement(problem.param) if problem.param is not None else None) or text
    return BadUsage(text, N_("see: {command} --help"), command=context.command_path if context else program)


def _requirement(param: click.Parameter) -> Text | None:
    """Return which values a parameter accepts; None if it is neither a number nor a choice."""
    accepted = param.type
    name = max(param.opts, key=len) if isinstance(param, click.Option) else param.human_readable_name
    if isinstance(accepted, click.Choice):
        return Text("{name} must be one of {allowed}", name=name, allowed=", ".join(map(str, accepted.choices)))
    if isinstance(accepted, click.types.IntParamType):
        kind = Text("an integer")
    elif isinstance(accepted, click.types.FloatParamType):
        kind = Text("a number of seconds") if param.metavar in _SECONDS else Text("a number")
    else:
        return None
    low, high = (getattr(accepted, end, None) for end in ("min", "max"))
    if low is not None and high is not None:
        return Text("{name} must be {kind} from {low} to {high}", name=name, kind=kind, low=low, high=high)
    if low is not None and getattr(accepted, "min_open", False):
        return Text("{name} must be {kind} greater than {low}", name=name, kind=kind, low=low)
    if low is not None:
        return Text("{name} must be {kind} of at least {low}", name=name, kind=kind, low=low)
    return Text("{name} must be {kind}", name=name, kind=kind)
