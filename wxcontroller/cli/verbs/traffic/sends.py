"""The verbs about sends: list those that wait or are held, and cancel them."""

from collections.abc import Iterator

import click

from wxcontroller.cli.clierrors import NotCancelled
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import WxctlRun, json_option, name_argument
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.verbhelp import verb_group
from wxcontroller.cli.verbs.traffic.deliveries import require_selection, when
from wxcontroller.cli.verbs.traffic.messages import KINDS, STATES
from wxcontroller.core.condition.verdict import SendState, words_of
from wxcontroller.core.jsontypes import JsonValue, objects, text
from wxcontroller.core.names import AccountName
from wxcontroller.core.text.templates import N_, NP_

_CANCELLED = NP_("{n} message of {account} cancelled", "{n} messages of {account} cancelled")


@verb_group(
    "List and cancel messages that are not sent yet.",
    "wxctl sends list alice",
    "wxctl sends cancel alice 17962285662250567",
    "wxctl sends cancel alice --all",
)
def sends() -> None:
    """Manage an account's messages that wait to be sent or are held. The account must be running."""


@sends.verb("List waiting and held messages.", "wxctl sends list alice", options=json_option)
@name_argument
def list_(session: WxctlRun, name: str) -> None:
    """List the messages that wait to be sent or are held, in their order, with the reason."""
    api, account = session.account(name)
    found = api.sends(account)
    if session.emitted(found.get("sends")):
        return
    rows = objects(found.get("sends"))
    if not rows:
        tell("{account}: no message waits", err=True, account=account.name)
        return
    from wxcontroller.cli.output.terminal import print_rows

    print_rows(
        (N_("ID"), N_("WHEN"), N_("TO"), N_("KIND"), N_("STATE"), N_("REASON")),
        [
            (
                text(row.get("id")),
                when(row.get("queued_at")),
                text(row.get("peer")),
                say(KINDS.get(text(row.get("kind")), N_("text"))),
                say(STATES.get(text(row.get("state")), text(row.get("state")))),
                say(words_of(row)),
            )
            for row in rows
        ],
        wraps="REASON",
    )
    if found.get("more"):
        tell("there are more; cancel some, or wait", err=True)


@sends.verb(
    "Cancel waiting and held messages.",
    "wxctl sends cancel alice 17962285662250567",
    "wxctl sends cancel alice --all",
)
@name_argument
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "all_", is_flag=True, help="All waiting and held messages.")
def cancel(session: WxctlRun, name: str, ids: tuple[str, ...], all_: bool) -> None:
    """Cancel the messages with these IDs, or all. Each is reported as not sent.

    A message that is being sent cannot be cancelled, because WeChat may have it already.
    """
    require_selection(ids, all_, "wxctl sends cancel NAME --all cancels all")
    api, account = session.account(name)
    cancelled: list[JsonValue] = []
    problems: list[NotCancelled] = []
    is_done = False
    try:
        for send in ids or _cancellable(api, account):
            try:
                api.ask("DELETE", account, "sends", send)
            except NotCancelled as failed:
                words = N_("{send}: {problem}")
                problems.append(NotCancelled(words, failed.remedy, send=send, problem=failed.text))
            else:
                cancelled.append(send)
        is_done = True
    finally:  # also if the controller or the account ends meanwhile
        if (cancelled or is_done) and not session.emitted(cancelled):
            tell(*_CANCELLED, account=account.name, n=len(cancelled))
    for problem in problems[:-1]:
        session.report(problem)
    if problems:
        raise problems[-1]


def _cancellable(api: Api, account: AccountName) -> Iterator[str]:
    """Yield the ids of all messages that are not being sent, each once; one answer may not have all."""
    tried: set[str] = set()
    while True:
        rows = objects(api.sends(account).get("sends"))
        new = [text(row.get("id")) for row in rows if row.get("state") != SendState.SENDING]
        if tried.issuperset(new):
            return
        yield from (send for send in new if send not in tried)
        tried.update(new)
