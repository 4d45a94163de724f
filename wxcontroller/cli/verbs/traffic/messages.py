"""The verb messages: the messages of all chats or one."""

import click

from wxcontroller.cli.context import WxctlRun, name_argument
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.localtime import local_time
from wxcontroller.cli.verbhelp import verb
from wxcontroller.cli.verbs.traffic.send import find
from wxcontroller.core.jsontypes import JsonObject, field, items, obj, one_line, text
from wxcontroller.core.text.templates import N_, Text, text_in

STATES = {
    "waiting": N_("waiting"),
    "sending": N_("sending"),
    "held": N_("held"),
    "refused": N_("not sent"),
    "unknown": N_("unknown"),
    "accepted": N_("accepted without an id"),
}
KINDS = {
    "image": N_("picture"),
    "emoticon": N_("sticker"),
    "voice": N_("voice message"),
    "video": N_("video"),
    "microvideo": N_("video"),
    "file": N_("file"),
}


@verb(
    "Show the history of messages.",
    "wxctl messages alice",
    "wxctl messages alice --chat 王芳 -n 100",
    "wxctl messages alice --before 4f2a91c0-5120 --json",
)
@name_argument
@click.option("--chat", metavar="CHAT", help="Only messages with this person or group: an id or an exact name.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1, 200),
    default=20,
    show_default=True,
    metavar="N",
    help="Show at most N messages.",
)
@click.option("--before", metavar="CURSOR", help="Show messages before this cursor, as shown by --json.")
@click.option("--after", metavar="CURSOR", help="Show messages after this cursor.")
def messages(
    session: WxctlRun, name: str, chat: str | None, lines: int, before: str | None, after: str | None
) -> None:
    """Show the messages that the account received and sent, oldest first, and whether the webhook has them.

    The id in each line is that of the message's event and delivery: wxctl deliveries show and replay take it.
    Messages are read from the account's event log, so the account must be running. Unfinished sends come last.
    """
    api, account = session.account(name)
    query = {"limit": str(lines)}
    query |= {key: value for key, value in (("before", before), ("after", after)) if value}
    if chat:
        query["chat"] = find(api, account, chat, only_groups=False).id
    page = api.ask("GET", account, "messages", query=query)
    if session.emitted(page):
        return
    shown = [obj(entry) for entry in (*items(page.get("messages")), *items(page.get("pending")))]
    for message in shown:
        click.echo(line(message))
    if not shown:
        tell("no messages", err=True)


def line(message: JsonObject) -> str:
    """Return a message as a line: time, id, chat, sender, content, state and delivery."""
    delivery = obj(message.get("delivery"))
    known_as = one_line(delivery.get("id")) or one_line(message.get("id"))
    clock = local_time(message.get("time"), "%m-%d %H:%M:%S")
    chat = one_line(message.get("chat_name")) or one_line(message.get("chat"))
    sender = one_line(field(message.get("sender"), "name"))
    own, words = message.get("direction") == "out", one_line(message.get("text"))
    kind = KINDS.get(text(message.get("kind")))
    if kind:
        named = one_line(field(message.get("media"), "name"))
        words = " ".join(part for part in (f"[{say(kind)}]", named, words) if part)
    state = STATES.get(text(message.get("state")))
    if message.get("recalled") is True:
        state = N_("recalled")
    who = f"→ {chat}" if own else f"{chat} {sender}" if message.get("is_group") else chat
    notes = [say(each) for each in (state, _delivery_words(delivery)) if each]
    return f"{clock} {known_as} {who}: {words}" + (f" ({', '.join(notes)})" if notes else "")


def _delivery_words(delivery: JsonObject) -> Text | None:
    """Return how far the report of a message is, None if it is not for the webhook."""
    state = text(delivery.get("state"))
    if state in ("", "kept"):
        return None
    more = say(text_in(delivery, "last_error")) or local_time(delivery.get("settled_at"), "%m-%d %H:%M:%S")
    template = N_("webhook: {state}") if more == "-" else N_("webhook: {state}, {more}")
    return Text(template, state=Text(state), more=more)
