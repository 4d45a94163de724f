"""The verb remove: delete an account and everything that belongs to it alone."""

import grp
import os
from pathlib import Path

import click

from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.connection.systemd import is_this_machines
from wxcontroller.cli.context import WxctlRun, names_argument
from wxcontroller.cli.language import tell
from wxcontroller.cli.verbhelp import verb
from wxcontroller.cli.verbs.account.lifecycle import confirm
from wxcontroller.cli.work import ActionWatch, Work, run
from wxcontroller.core.access.porttokens import publish
from wxcontroller.core.access.systemdcredentials import PLACE
from wxcontroller.core.access.tokenfile import TokenFile, Unbound
from wxcontroller.core.errors import BadSettings, WxError, reason_of
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, one_line
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_, Text, in_file

_PATHS = Paths()


@verb("Stop accounts and delete them.", "wxctl remove alice --yes", "wxctl remove 'test-*'")
@names_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--keep-tokens", is_flag=True, help="Keep tokens that are bound to the accounts.")
def remove(session: WxctlRun, names: tuple[str, ...], yes: bool, keep_tokens: bool) -> None:
    """Stop accounts and delete their options, logins and stored data.

    A NAME like 'shop-*' matches accounts. As root on the controller's machine, the command also removes the account
    from API tokens, so that they cannot access a later account of that name: a token bound to this account alone
    expires, and a token for several accounts remains valid for the others. Otherwise it lists these tokens for you to
    revoke. Files in /etc that belong to the account are kept.
    """

    def ask(api: Api, accounts: list[AccountName]) -> None:
        if not yes:
            listed = ", ".join(account.name for account in accounts)
            question = Text(
                "Remove {names} with its login and all stored data?",
                "Remove {n} accounts with their logins and all they have stored: {names}?",
                n=len(accounts),
                names=listed,
            )
            confirm(
                api,
                accounts,
                question,
                Text("{names} is not removed", "{names} are not removed", n=len(accounts), names=listed),
            )

    def act(api: Api, account: AccountName, _: ActionWatch) -> tuple[bool, JsonObject]:
        return os.geteuid() == 0 and is_this_machines(api), api.remove(account)

    def finish(account: AccountName, removed: tuple[bool, JsonObject]) -> tuple[JsonObject, Text]:
        is_roots, answer = removed
        unbound = _unbound(account) if is_roots and not keep_tokens else None
        left = admins_files(account) if is_roots else []
        _report(account, unbound, [one_line(each) for each in items(field(answer, "tokens"))])
        for file in left:
            tell("wxctl: {file} is kept for the next account {account}", err=True, file=file, account=account.name)
        shown: JsonObject = {**answer, **as_json(unbound), "left": [str(file) for file in left]}
        return shown, Text(N_("{account} is removed"), account=account.name)

    run(session, names, Work(act, finish), ask)


def _unbound(account: AccountName) -> Unbound:
    """Take the account from its tokens. Raises WxError, after which it is removed nevertheless."""
    again = Text(
        "{account} is removed; wxctl token list shows the tokens that are valid for the next account of that name",
        account=account.name,
    )
    try:
        group = grp.getgrnam("wxcontroller").gr_gid
        unbound = TokenFile(_PATHS.tokens_file, group).unbind(account.name)
        publish(_PATHS, unbound.tokens, group)
    except (OSError, KeyError) as problem:
        raise WxError(in_file(_PATHS.tokens_file, reason_of(problem)), again) from None
    except BadSettings as problem:
        raise WxError(problem.text, Text("{what}; {remedy}", what=problem.remedy_text, remedy=again)) from None
    return unbound


def as_json(unbound: Unbound | None) -> JsonObject:
    """Return the tokens that are still valid for the name, and the changes to others."""
    if unbound is None:
        return {}
    ended: list[JsonValue] = [token.name for token in unbound.ended]
    narrowed: list[JsonValue] = [token.name for token in unbound.narrowed]
    return {"tokens": [], "tokens_ended": ended, "tokens_for_others": narrowed}


def _report(account: AccountName, unbound: Unbound | None, kept: list[str]) -> None:
    if unbound is None:
        for each in kept:
            tell(
                "wxctl: the token {item} is still valid for the next account {account}\n  on the "
                "controller's machine: wxctl token revoke {item}",
                err=True,
                item=each,
                account=account.name,
            )
        return
    for token in unbound.ended:
        tell(
            "wxctl: the token {token} ({id}) was for {account} only and is revoked",
            err=True,
            token=token.name,
            id=token.id,
            account=account.name,
        )
    for token in unbound.narrowed:
        others = ", ".join(each for each in token.accounts if each != account.name)
        tell(
            "wxctl: the token {token} ({id}) is now for {others} only",
            err=True,
            token=token.name,
            id=token.id,
            others=others,
        )


def admins_files(account: AccountName) -> list[Path]:
    """Return the administrator's files for the account, which are not removed with it."""
    instance, unit = account.instance, account.unit
    found = [_PATHS.override_file(instance), *sorted(PLACE.glob(f"{instance}.*"))]
    found += sorted(Path("/etc/systemd/system").glob(f"{unit}.d/*"))
    return [file for file in found if file.exists()]
