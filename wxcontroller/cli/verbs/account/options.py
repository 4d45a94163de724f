"""The verbs about an account's options: show and set."""

import click

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.connection.account import account_view
from wxcontroller.cli.context import WxctlRun, complete_key, complete_option, name_argument
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.verbhelp import verb
from wxcontroller.cli.verbs.account.lifecycle import ignored, option_pairs
from wxcontroller.core.access.systemdcredentials import PLACE
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.jsontypes import field, items, obj, text
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text


@verb(
    "Show the options of an account.",
    "wxctl show alice",
    "wxctl show alice --all",
    "wxctl show alice --json | jq .options.lang",
)
@name_argument
@click.option("--all", "all_", is_flag=True, help="Show options with their default value, too.")
def show(session: WxctlRun, name: str, all_: bool) -> None:
    """Show the options and limits that an account starts with, and the source of each.

    request: stored with the account, by start, add or set. settings: from [client] and [limits] of the settings, the
    template or /etc/wxcontroller/clients. Passwords and queries of addresses are not shown.
    """
    api, account = session.account(name)
    found = api.options(account)
    if session.emitted(found):
        return
    waiting = [text(one) for one in items(found.get("waiting"))]
    rows = [
        (f"{prefix}{option}", text(field(entry, "value")), say(text(field(entry, "from"))))
        for kind, prefix in (("options", ""), ("limits", "limits."))
        for option, entry in sorted(obj(found.get(kind)).items())
        if all_ or field(entry, "from") != "default" or option in waiting
    ]
    if not rows:
        tell(
            "{account} has no options but the defaults: {command}",
            err=True,
            account=account.name,
            command=command("show", account.name, "--all"),
        )
        return
    from wxcontroller.cli.output.terminal import print_rows

    print_rows((N_("OPTION"), N_("VALUE"), N_("FROM")), rows, wraps="VALUE")
    if waiting:
        options = obj(found.get("options"))
        now = ", ".join(f"{one}={text(field(options.get(one), 'in_force'))}" for one in waiting)
        tell(
            "until its next start it runs with {now}: {command}",
            err=True,
            now=now,
            command=command("restart", account.name),
        )


@verb(
    "Set options of an account.",
    "wxctl set alice send_interval=5",
    "wxctl set alice post_api=@url.txt",
    "wxctl set alice --unset proxy",
)
@name_argument
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_option)
@click.option(
    "--unset",
    multiple=True,
    metavar="KEY",
    shell_complete=complete_key,
    help="Reset this option to its default; may be repeated.",
)
def set_(session: WxctlRun, name: str, pairs: tuple[str, ...], unset: tuple[str, ...]) -> None:
    """Set options of an account; other options keep their values. Changes apply from its next start.

    KEY=@FILE takes the value from a file, KEY=@- from standard input, so that passwords do not show in ps(1).
    """
    changes: dict[str, str | None] = {**option_pairs(pairs), **dict.fromkeys(unset)}
    if not changes:
        raise BadUsage(N_("no options given"), N_("give KEY=VALUE or --unset KEY; wxclient(8) lists the options"))
    if wrong := [key for key in changes if key not in OPTIONS]:
        from difflib import get_close_matches  # for this alone

        like = get_close_matches(wrong[0], OPTIONS, 1)
        raise BadUsage(
            Text("unknown option {option}, did you mean {similar}?", option=wrong[0], similar=like[0])
            if like
            else Text("unknown option {option}", option=wrong[0]),
            N_("wxclient(8) lists the options"),
        )
    api, account = session.account(name)
    changed = account_view(api.ask("PATCH", account, "options", body=changes))
    if session.emitted(changed.raw):
        return
    for note in ignored(changed):
        tell(note, err=True)
    tell("{account}: {changes} stored", account=account.name, changes=", ".join(sorted(changes)))
    if "proxy" in changes and field(obj(api.options(account).get("options")).get("proxy"), "from") == "credential":
        tell(
            "wxctl: a credential overrides the option proxy: see {place}/{instance}.proxy and {place}/proxy",
            err=True,
            place=PLACE,
            instance=account.instance,
        )
    if field(changed.raw, "note"):  # it runs
        restart = command("restart", account.name)
        tell(Text(N_("wxctl: effective after a restart: {command}"), command=restart), err=True)
