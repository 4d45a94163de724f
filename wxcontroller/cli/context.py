"""Shared by all verbs: the controller's address, the token, --json, and the NAME argument."""

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.connection.credential import Finder
from wxcontroller.cli.exits import word_of
from wxcontroller.cli.language import tell
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.names import AccountName

DEFAULT_URL = "http://127.0.0.1:2000"
FILE = click.Path(allow_dash=True)  # shells complete it by files
_F = TypeVar("_F", bound=Callable[..., object])
# Control characters, which JSON passes on and terminals obey, and lone surrogates, which cannot be encoded.
_ACTING = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(slots=True)
class WxctlRun:
    """One run of wxctl."""

    url: str = field(default_factory=lambda: os.environ.get("WXCTL_URL") or DEFAULT_URL)
    json: bool = False
    token_file: str | None = None
    insecure: bool = False

    def api(self) -> Api:
        """Return the controller's API; raises BadUsage for an invalid URL, or a token file that cannot be read."""
        return Api(self.url, Finder(self.token_file), self.insecure)

    def account(self, name_or_id: str) -> tuple[Api, AccountName]:
        """Return the API, and the account that a NAME means. Raises also UnknownAccount."""
        api = self.api()
        return api, api.resolve(name_or_id)

    def emit(self, value: JsonValue) -> None:
        """Write the result of ``--json`` to standard output: an object, for a list an array."""
        click.echo(printable(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)))

    def emitted(self, value: JsonValue) -> bool:
        """Write the result if it is wanted as JSON; return whether it is."""
        if self.json:
            self.emit(value)
        return self.json

    def report(self, problem: WxError) -> None:
        """Write an error to standard error, with ``--json`` as an object."""
        if self.json:
            click.echo(json.dumps(error_as_json(problem), ensure_ascii=False), err=True)
            return
        tell("wxctl: {problem}", err=True, problem=problem.text)
        if problem.remedy:
            tell("  {remedy}", err=True, remedy=problem.remedy_text)

    def emit_line(self, value: JsonValue) -> None:
        """Write one of an unknown number of results of ``--json``: one line each."""
        click.echo(printable(json.dumps(value, ensure_ascii=False, sort_keys=True)))


def error_as_json(problem: WxError) -> JsonObject:
    """Return an error for programs: in English, with the word for its exit code."""
    content: JsonObject = {"code": word_of(problem), "message": problem.message, "remedy": problem.remedy}
    return {"error": {**content, "exit_code": problem.exit_code}}


def printable(written: str) -> str:
    """Return equivalent JSON that is safe to show on any terminal."""
    return _ACTING.sub(lambda match: f"\\u{ord(match[0]):04x}", written)


def session(context: click.Context) -> WxctlRun:
    return context.ensure_object(WxctlRun)


def remember(context: click.Context, option: click.Parameter, value: str | bool | None) -> None:
    """Set the run's attribute of the option's name, unless it was not given."""
    if value is not None and value is not False:
        setattr(session(context), str(option.name), value)


class GlobalOption(click.Option):
    """An option that every verb takes, and ``wxctl --help`` alone describes."""

    def __init__(self, name: str, **attributes: object) -> None:
        super().__init__([name], expose_value=False, callback=remember, **attributes)  # type: ignore[arg-type]  # click's

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return super().get_help_record(ctx) if ctx.parent is None else None


def json_option() -> list[GlobalOption]:
    """Return ``--json``, so that it can stand before the verb and after it."""
    return [GlobalOption("--json", is_flag=True, help="Print the result as JSON.")]


def global_options() -> list[GlobalOption]:
    """Return the options about which controller and how to print, which can stand before the verb and after it."""
    return [
        GlobalOption("--url", metavar="URL", help=f"The controller [default: $WXCTL_URL or {DEFAULT_URL}]."),
        *json_option(),
        GlobalOption(
            "--token-file",
            metavar="FILE",
            type=FILE,
            help="File with the API token, - for standard input [default: $WXCTL_TOKEN, or a token file "
            "that is found].",
        ),
        GlobalOption(
            "--insecure",
            is_flag=True,
            help="Allow sending the token to another machine over http://, where others can read it.",
        ),
    ]


def name_argument(command: _F) -> _F:
    """Give a verb its NAME, completed in the shell from the accounts that exist."""
    return click.argument("name", shell_complete=complete_name)(command)


def names_argument(command: _F) -> _F:
    """Give a verb one NAME or several, which may be patterns like shop-*."""
    return click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_name)(command)


def optional_name_argument(command: _F) -> _F:
    """Add an optional NAME to a verb (None if it is omitted)."""
    return click.argument("name", required=False, shell_complete=complete_name)(command)


def complete_name(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the accounts; where the controller does not answer, those of the registry, for users who may read it."""
    try:
        api = session(context).api()
        found = {account.name: account.condition.value for account in api.accounts(wait=3.0)}
    except WxError:
        found = registered()
    return [CompletionItem(name, help=words) for name, words in found.items() if name.startswith(incomplete)]


def complete_option(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the options that a request may set: KEY, or KEY= where values are expected."""
    from wxcontroller.core.config.options import OPTIONS, Origin
    from wxcontroller.core.config.tables import Choice

    key, equals, begun = incomplete.partition("=")
    if equals:
        kind = OPTIONS[key].kind if key in OPTIONS else None
        values = kind.words if isinstance(kind, Choice) else ()
        return [CompletionItem(f"{key}={value}") for value in values if value.startswith(begun)]
    settable = [option for option in OPTIONS.values() if option.origin is Origin.REQUEST]
    return [CompletionItem(f"{o.name}=", help=o.meaning) for o in settable if o.name.startswith(incomplete)]


def complete_key(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the same without a value."""
    found = complete_option(context, parameter, incomplete.partition("=")[0])
    return [CompletionItem(str(each.value).rstrip("="), help=each.help) for each in found]


def registered() -> dict[str, str]:
    """Return the registry's accounts with their desired states, as far as it can be read."""
    from wxcontroller.core.paths import Paths
    from wxcontroller.core.registry.accountfiles import AccountFiles

    files, found = AccountFiles(Paths()), {}
    with suppress(OSError):  # no place for a message
        for instance in files.instances():
            with suppress(WxError, OSError):
                account = files.load(instance)
                found[account.name.name] = account.desired.value
    return found
