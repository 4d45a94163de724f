"""The format of a verb's ``--help``: its own options, one line about the global ones, and examples.

The global options can stand before and after a verb, so each verb has them, but only ``wxctl --help`` describes them:
they would be longer than most verbs' own. Examples are one per line, each a command that can be pasted.
"""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TypeAlias

import click

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.context import GlobalOption, global_options
from wxcontroller.cli.language import say
from wxcontroller.core.text.templates import N_

Options: TypeAlias = Callable[[], list[GlobalOption]]
# Other programs' names for it.
_OTHER_WORDS = {
    **dict.fromkeys(("ls", "ps", "accounts"), "list"),
    **dict.fromkeys(("rm", "delete", "del", "purge"), "remove"),
    **dict.fromkeys(("log", "journal", "tail"), "logs"),
    **dict.fromkeys(("login", "run", "up"), "start"),
    **dict.fromkeys(("create", "new"), "add"),
    **dict.fromkeys(("down", "kill"), "stop"),
    **dict.fromkeys(("info", "state"), "status"),
    **dict.fromkeys(("get", "options"), "show"),
    **dict.fromkeys(("unset", "edit"), "set"),
    **dict.fromkeys(("tokens",), "token"),
    **dict.fromkeys(("check",), "config check"),
    **dict.fromkeys(("adopt", "takeover"), "claim"),
    **dict.fromkeys(("allow-desktop", "allow", "input"), "answer"),
}


class VerbCommand(click.Command):
    """A verb with ``examples``, which are complete commands."""

    def __init__(self, name: str | None, *, examples: Sequence[str] = (), **attributes: object) -> None:
        super().__init__(name, **attributes)  # type: ignore[arg-type]  # click's own attributes, passed on
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        shared = [param.opts[0] for param in self.params if isinstance(param, GlobalOption)]
        if shared:
            formatter.write(f"\n  {', '.join(shared)}: {say(N_('see wxctl --help'))}\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


class VerbGroup(click.Group):
    """A group that lists its verbs as they were added: by use, not by alphabet."""

    def __init__(self, name: str | None, *, examples: Sequence[str] = (), **attributes: object) -> None:
        super().__init__(name, **attributes)  # type: ignore[arg-type]  # click's own attributes, passed on
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)

    def verb(
        self, short_help: str, *examples: str, name: str = "", options: Options = global_options
    ) -> Callable[[Callable[..., object]], VerbCommand]:
        """Make a function one of the group's verbs, as ``verb``."""

        def made(function: Callable[..., object]) -> VerbCommand:
            command = verb(short_help, *examples, name=name, options=options)(function)
            self.add_command(command)
            return command

        return made

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] == "help" and "help" not in self.commands:
            args = [*args[1:2], "--help"]
            if args == ["--help"]:
                click.echo(ctx.get_help(), color=ctx.color)
                ctx.exit()
        typed = args[0]
        if self.get_command(ctx, typed) is None and not typed.startswith("-") and not ctx.resilient_parsing:
            like = (_OTHER_WORDS.get(typed) if ctx.parent is None else None) or next(
                iter(get_close_matches(typed, self.commands)), None
            )
            if like:
                raise BadUsage(
                    N_("there is no command {typed}; did you mean {like}?"),
                    N_("see: {command} --help"),
                    typed=typed,
                    like=like,
                    command=ctx.command_path,
                )
            raise BadUsage(
                N_("there is no command {typed}"), N_("see: {command} --help"), typed=typed, command=ctx.command_path
            )
        return super().resolve_command(ctx, args)


def verb(
    short_help: str, *examples: str, name: str = "", options: Options = global_options
) -> Callable[[Callable[..., object]], VerbCommand]:
    """Turn a function, whose first argument is the run, into a verb of its name, with its own and the global
    options."""

    def made(function: Callable[..., object]) -> VerbCommand:
        own = name or function.__name__.rstrip("_").replace("_", "-")
        command = click.command(own, VerbCommand, short_help=short_help, examples=examples)(click.pass_obj(function))
        command.params += options()
        return command

    return made


def verb_group(short_help: str, *examples: str) -> Callable[[Callable[..., object]], VerbGroup]:
    """Turn a function, of which only the docstring is used, into a group of verbs."""
    return click.group(cls=VerbGroup, short_help=short_help, examples=examples)


def write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    if examples:
        formatter.write(f"\n{say(N_('Examples:'))}\n" + "".join(f"  {line}\n" for line in examples))
