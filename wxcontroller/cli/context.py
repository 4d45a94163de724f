"""What all verbs share: the controller's address, --json, and the NAME argument."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from wxcontroller.cli.api import Api
from wxcontroller.cli.credential import VARIABLE, Finder
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonValue

DEFAULT_URL = "http://127.0.0.1:2000"
_F = TypeVar("_F", bound=Callable[..., object])


@dataclass(slots=True)
class Session:
    """One run of wxctl."""

    url: str = DEFAULT_URL
    json: bool = False
    token: str | None = None

    def api(self) -> Api:
        """Return the controller's API; raises BadUsage for a URL that is none, or a token that can't be read."""
        return Api(self.url, Finder(self.token))

    def emit(self, value: JsonValue) -> None:
        """Write the result of ``--json`` to standard output."""
        click.echo(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))


def json_option(command: _F) -> _F:
    """Give a verb ``--json``, so that it can stand before the verb and after it."""

    def remember_json(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.ensure_object(Session).json = True

    return click.option(
        "--json", expose_value=False, is_flag=True, callback=remember_json, help="Print the result as JSON."
    )(command)


def global_options(command: _F) -> _F:
    """Give a verb ``--url``, ``--token`` and ``--json``, so that they can stand before the verb and after it."""

    def remember_url(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.ensure_object(Session).url = value

    def remember_token(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.ensure_object(Session).token = value

    command = click.option(
        "--token",
        metavar="TOKEN",
        expose_value=False,
        callback=remember_token,
        help=f"The API's token, or @FILE [default: ${VARIABLE}, or one that is found].",
    )(command)
    command = json_option(command)
    return click.option(
        "--url",
        metavar="URL",
        expose_value=False,
        callback=remember_url,
        help=f"The controller [default: $WXCTL_URL or {DEFAULT_URL}].",
    )(command)


def name_argument(command: _F) -> _F:
    """Give a verb its NAME, completed in the shell from the accounts that exist."""
    return click.argument("name", shell_complete=_complete)(command)


def optional_name_argument(command: _F) -> _F:
    """Give a verb a NAME that may be left out (None)."""
    return click.argument("name", required=False, shell_complete=_complete)(command)


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        accounts = context.ensure_object(Session).api().accounts()
    except WxError:
        return []  # no place for a message
    return [
        CompletionItem(account.name, help=account.condition.value)
        for account in accounts
        if account.name.startswith(incomplete)
    ]
