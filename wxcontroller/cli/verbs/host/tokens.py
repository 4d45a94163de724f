"""The verb token: making, showing and revoking the API's tokens, in their file. Needs no controller."""

import grp
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from wxcontroller.cli.clierrors import BadUsage, file_problems
from wxcontroller.cli.context import WxctlRun, complete_name, json_option
from wxcontroller.cli.language import tell
from wxcontroller.cli.verbhelp import verb_group
from wxcontroller.core.access.porttokens import publish
from wxcontroller.core.access.rights import MEANINGS, Scope
from wxcontroller.core.access.tokenfile import KEPT_SCOPES, Token, TokenFile, Tokens, UnknownToken, may_bind, minted
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_, Text

_GROUP = "wxcontroller"
_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
# For tests, and to inspect a copy of a system.
_ROOT = click.option("--root", type=click.Path(path_type=Path), default=Path("/"), hidden=True)


@verb_group(
    "Create, list and revoke API tokens.", "wxctl token create bot --scope send --account alice", "wxctl token list"
)
def token() -> None:
    """Create, list and revoke API tokens, as root on the controller's machine.

    Without any token, every program on that machine may call the API. As soon as one exists, every caller needs a
    token. Changes take effect immediately, without restarting the controller.
    """


@token.verb(
    "Create a token and print it.",
    "wxctl token create bot --scope send --account alice",
    "wxctl token create panel --scope control --expires 90d",
    options=json_option,
)
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in KEPT_SCOPES]),
    default=Scope.READ.value,
    show_default=True,
    help="Permissions of the token: " + "; ".join(f"{scope}: {MEANINGS[scope]}" for scope in KEPT_SCOPES) + ".",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_name,
    help="Bind the token to this account; may be repeated.",
)
@click.option("--expires", metavar="WHEN", help="After a time (12h, 30d, 8w, 1y), or at a date (2030-01-31).")
@_ROOT
def create(
    session: WxctlRun, name: str, scope: str, accounts: tuple[str, ...], expires: str | None, root: Path
) -> None:
    """Create a token and print it on standard output. Only its hash is stored, so it cannot be shown again."""
    if not may_bind(Scope(scope), len(set(accounts))):
        if scope == Scope.FLEET:
            raise BadUsage(N_("a token of scope fleet cannot be bound to accounts"), N_("leave out --account"))
        raise BadUsage(
            N_("a token of scope {scope} must be bound to exactly one account"),
            N_("add one --account NAME"),
            scope=scope,
        )
    if scope == Scope.ILINK:
        for_agent(session, name, accounts[0], expiry(expires))
        return
    shown, made = minted(name, Scope(scope), accounts, expiry(expires))
    tokens = change_tokens(lambda file: file.add(made), root)
    if not session.emitted({**without_hash(made), "token": shown}):
        click.echo(shown)
        tell(
            "wxctl: token {token} ({id}): {words}; it is not shown again",
            err=True,
            token=made.name,
            id=made.id,
            words=_words(made),
        )
    for account in missing_accounts(made, root):
        tell("wxctl: there is no account {account} yet", err=True, account=account)
    if made.scope.in_ladder and sum(each.scope.in_ladder for each in tokens.by_id.values()) == 1:
        tell(
            "wxctl: this is the first token: from now on every caller needs one, including programs on this machine",
            err=True,
        )
        if made.scope != Scope.ADMIN:
            tell(
                "wxctl: it only has scope {scope}; to allow everything: wxctl token create NAME --scope admin",
                err=True,
                scope=str(made.scope),
            )
    _publish(tokens, root)


@token.verb("List tokens.", "wxctl token list --json", options=json_option)
@_ROOT
def list_(session: WxctlRun, root: Path) -> None:
    """List tokens with id, name, scope, bound accounts, creation time and expiry."""
    tokens = change_tokens(lambda file: file.read(), root)
    _publish(tokens, root)
    listed = [*tokens.by_id.values(), *agent_tokens(root)]
    if session.emitted([without_hash(each) for each in listed]):
        return
    if not tokens.required:
        tell(
            "no tokens: every program on this machine may call the API; to require one: "
            "wxctl token create NAME --scope admin",
            err=True,
        )
    if listed:
        from wxcontroller.cli.output.terminal import print_tokens

        print_tokens(listed, time.time())


@token.verb("Revoke a token.", "wxctl token revoke bot", "wxctl token revoke 1f3c09aa", options=json_option)
@click.argument("which", metavar="ID|NAME")
@_ROOT
def revoke(session: WxctlRun, which: str, root: Path) -> None:
    """Revoke a token by its id or name, effective immediately."""
    listed = [*change_tokens(lambda file: file.read(), root).by_id.values(), *agent_tokens(root)]
    found = [each for each in listed if which in (each.id, each.name)]
    if not found:
        raise UnknownToken(N_("there is no token {token}"), N_("wxctl token list shows them"), token=which)
    if len(found) > 1:
        ids = ", ".join(each.id for each in found)
        raise BadUsage(N_("several tokens are named {token}"), N_("use an id: {ids}"), token=which, ids=ids)
    [gone] = found
    tokens = change_tokens(lambda file: file.revoke(gone.id)[1], root, agents=gone.scope is Scope.ILINK)
    if gone.scope is not Scope.ILINK:
        _publish(tokens, root)
    if not session.emitted(without_hash(gone)):
        tell("token {token} ({id}) is revoked", token=gone.name, id=gone.id)
    if gone.scope.in_ladder and not tokens.required:
        tell(
            "wxctl: this was the last token: every program on this machine may call the API now; a "
            "controller that other machines reach refuses all requests",
            err=True,
        )


def for_agent(session: WxctlRun, name: str, account: str, expires: int | None) -> None:
    """Let the controller create an agent's token. It stores these tokens, because agents are also approved
    remotely."""
    api = session.api()
    made = api.put_consumer(api.resolve(account), name, {"token": True, "expires": expires})
    if session.emitted(made):
        return
    click.echo(text(made.get("token")))
    tell("wxctl: token of {name}, for {account} only; it is not shown again", err=True, name=name, account=account)


def agent_tokens(root: Path) -> list[Token]:
    """Return the tokens of agents, by the names of the agents, which are unique for one account."""
    tokens = change_tokens(lambda file: file.read(), root, agents=True).by_id.values()
    return [replace(token, name=token.name.partition(".")[2]) for token in tokens]


def change_tokens(change: Callable[[TokenFile], Tokens], root: Path, agents: bool = False) -> Tokens:
    """Change the tokens file, or that of agents' tokens, which is the controller's. Raises WxError."""
    path = Paths(root).ilink_tokens if agents else Paths(root).tokens_file
    remedy = N_("check that wxcontroller is installed here and the disk is not full")
    with file_problems(N_("{file}: {reason}"), remedy, kind=WxError, file=path), _reserved(path):
        return change(TokenFile(path, _group(root), follow=not agents))


@contextmanager
def _reserved(path: Path) -> Iterator[None]:
    """Raise a PermissionError of the block as a WxError: only root can use the tokens in ``path``."""
    try:
        yield
    except PermissionError:
        raise WxError(
            N_("{file} belongs to root"), N_("run it as root, on the controller's machine"), file=path
        ) from None


def missing_accounts(made: Token, root: Path) -> list[str]:
    """Return the accounts that a token is bound to and that do not exist."""
    paths = Paths(root)
    return [name for name in made.accounts if not paths.account_file(parse_name(name).instance).exists()]


def _publish(tokens: Tokens, root: Path) -> None:
    """Publish the tokens for the accounts' ports."""
    paths = Paths(root)
    unused = file_problems(
        N_("the accounts' own ports do not use this yet: {port_tokens}: {reason}"),
        N_("systemd-tmpfiles --create wxcontroller.conf creates the directory; then: wxctl token list"),
        kind=WxError,
        port_tokens=paths.port_tokens,
    )
    with unused, _reserved(paths.tokens_file):
        publish(paths, tokens, _group(root))


def _group(root: Path) -> int | None:
    if root != Path("/"):
        return None
    try:
        return grp.getgrnam(_GROUP).gr_gid
    except KeyError:
        raise WxError(
            N_("there is no group {group}: wxcontroller is not installed here"),
            N_("create tokens on the controller's machine"),
            group=_GROUP,
        ) from None


def without_hash(kept: Token) -> JsonObject:
    content = kept.as_json()
    del content["sha256"]
    return content


def _words(kept: Token) -> Text:
    bound = ", ".join(kept.accounts)
    return (
        Text("scope {scope}, for {bound} only", scope=kept.scope, bound=bound)
        if bound
        else Text("scope {scope}, for all accounts", scope=kept.scope)
    )


def expiry(when: str | None) -> int | None:
    """Read --expires. Raises BadUsage."""
    if when is None:
        return None
    if match := re.fullmatch(r"([1-9][0-9]{0,4})([hdwy])", when):
        return int(time.time()) + int(match[1]) * _UNITS[match[2]]
    try:
        moment = int(datetime.fromisoformat(when).astimezone().timestamp())
    except (ValueError, OverflowError):
        raise BadUsage(
            N_("invalid --expires: {given}"), N_("write it like 12h, 30d, 8w, 1y or 2030-01-31"), given=when
        ) from None
    if moment <= time.time():
        raise BadUsage(N_("--expires {given} is in the past"), N_("use a time in the future"), given=when)
    return moment
