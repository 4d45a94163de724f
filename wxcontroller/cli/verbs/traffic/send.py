"""The verb send: a text message or a file to a friend or group."""

import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from wxcontroller.cli.clierrors import BadUsage, NeedsHuman, NoResponse
from wxcontroller.cli.connection.api import SEND, Api, path
from wxcontroller.cli.connection.follow import exit_code
from wxcontroller.cli.connection.multipart import file_body
from wxcontroller.cli.connection.requests import json_body
from wxcontroller.cli.context import WxctlRun, name_argument
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.verbhelp import verb
from wxcontroller.core.condition.verdict import SendState, words_of
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, objects, one_line
from wxcontroller.core.jsontypes import text as json_text
from wxcontroller.core.names import AccountName
from wxcontroller.core.states import LoginState
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text, text_in
from wxcontroller.openwx.http.idempotencykey import key_of
from wxcontroller.openwx.http.parameters import BadParameter

# In this order: the first with a match decides.
_KEYS = ("id", "name", "remark", "nickname")
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 0.5, 2.0, 8.0


@dataclass(frozen=True, slots=True)
class Recipient:
    """The recipient of a message."""

    id: str
    shown: str
    group: bool

    @property
    def text(self) -> Text:
        """Return a description for people."""
        return Text("group {url}", url=self.shown) if self.group else Text("friend {url}", url=self.shown)


@verb(
    "Send a text message or a file.",
    "wxctl send alice filehelper hello",
    "wxctl send alice 王芳 '晚上好'",
    "wxctl send alice --group 家人 '到了'",
    "wxctl send alice filehelper --file report.pdf",
    "uptime | wxctl send alice filehelper -",
)
@name_argument
@click.argument("to")
@click.argument("text", metavar="[TEXT]", required=False)
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Send this file instead of a text; the file name extension decides whether it is sent as "
    "an image, a video or a file.",
)
@click.option("--group", is_flag=True, help="TO is a group. By default, friends and groups are searched.")
@click.option(
    "--key", metavar="KEY", help="Idempotency key: sends with the same key are sent once. Default: a new key."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600),
    default=60.0,
    show_default=True,
    metavar="S",
    help="Retry for S seconds if the controller does not respond.",
)
def send(
    session: WxctlRun,
    name: str,
    to: str,
    text: str | None,
    file: Path | None,
    group: bool,
    key: str | None,
    timeout: float,
) -> None:
    """Send TEXT, or a file, to a friend or group.

    TO is an id, or the exact displayname, remark (markname) or name. TEXT "-" is read from standard input.
    """
    if (text is None) == (file is None):
        raise BadUsage(N_("give either TEXT or --file FILE"), N_("see: wxctl send --help"))
    content = sys.stdin.read() if text == "-" else text or ""
    if file is None and not content.strip():
        raise BadUsage(N_("the text is empty"), N_("nothing was sent; give a text"))
    if key is not None:
        try:
            key = key_of([key], "")
        except BadParameter as problem:
            raise BadUsage(problem.text, N_("nothing was sent; give another key, or omit --key")) from None
    api, account = session.account(name)
    recipient = find(api, account, to, group)
    thing = Text("the file {file}", file=file.name) if file else Text("the message")
    what = Text("{account}: {thing} to {text}", account=account.name, thing=thing, text=recipient.text)
    keyed = _Keyed(api, account, what, key or str(uuid.uuid4()), timeout)
    answer = posted(keyed, recipient, content, file)
    state, words = answer.get("state"), words_of(answer)
    if state == SendState.UNKNOWN:
        raise WxError(
            N_("{what} may have been sent or not: {words}"),
            text_in(answer, "remedy") or N_("check on the phone before you send it again"),
            what=what,
            words=text_in(answer, "detail"),
        )
    if state == SendState.REFUSED:
        raise WxError(
            N_("{account}: {thing} to {text} was not sent: {why}, code {code}"),
            text_in(answer, "remedy"),
            account=account.name,
            thing=thing,
            text=recipient.text,
            # Not "was not sent: not sent: …".
            why=(detail := text_in(answer, "detail")).values.get("why", detail),
            code=json_text(answer.get("code")),
        )
    if session.json:
        session.emit(answer)
    elif state == SendState.HELD:
        tell("not yet sent to {recipient}: {words}", recipient=recipient.text, words=words)
    elif state == SendState.ACCEPTED:
        tell("sent to {recipient}: {reason}", recipient=recipient.text, reason=words)
    elif state == SendState.DELIVERED:
        tell("sent to {recipient}", recipient=recipient.text)
    else:
        tell("not sent yet, but it will be: {status}", status=words or Text(N_("it waits in the queue")))


def posted(keyed: "_Keyed", recipient: Recipient, content: str, file: Path | None) -> JsonObject:
    """Send by /v1; return its answer with the members that --json has had before: the old API's."""
    message: JsonObject = {"to": recipient.id, "text": content}
    body = file_body({"to": recipient.id, "media_name": file.name}, "file", file) if file else json_body(message)
    place = path("accounts", keyed.account.name, "messages")
    headers = {"Idempotency-Key": keyed.key}
    answer = obj(keyed.ask(lambda: keyed.api.call("POST", place, body, keyed.account, SEND, headers)))
    held, done, detail = answer.get("state") == SendState.HELD, answer.get("code") == 0, answer.get("detail")
    words: JsonObject = {"status": "success" if done else detail or say("it waits in the queue")}
    # For a held send its cause; else the text of the old API.
    words["reason"] = answer.get("reason") if held else detail
    return {**answer, **words, "id": answer.get("handle") or answer.get("id"), "message": answer.get("id")}


@dataclass(frozen=True, slots=True)
class _Keyed:
    """Repeats a request with its key until an answer arrives, because the first one may have been carried out."""

    api: Api
    account: AccountName
    what: Text
    key: str
    seconds: float

    def ask(self, request: Callable[[], JsonValue]) -> JsonValue:
        """Return the answer. Raises NoResponse when none comes in time."""
        try:
            return request()
        except NoResponse as problem:
            lost = problem.text
        until, pause = time.monotonic() + self.seconds, _FIRST_PAUSE
        while time.monotonic() + pause <= until:
            time.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
            try:
                return request()
            except WxError as problem:
                lost = problem.text
        raise NoResponse(
            N_("{what} may have been sent or not: {lost}"),
            N_("repeat the command with --key {key}: it is not sent twice then"),
            what=self.what,
            lost=lost,
            key=self.key,
        )


def find(api: Api, account: AccountName, to: str, only_groups: bool) -> Recipient:
    """Return the person or group ``to`` names. Raises WxError if there is none or more than one."""
    found = people_named(api, account, to, only_groups)
    if not found:
        check_login(api, account)
        raise WxError(
            N_("{account} has no group {to}") if only_groups else N_("{account} has no friend or group {to}"),
            N_(
                "give the id, or the exact displayname, remark or name; a group that was not saved "
                "to the contacts is known after its first message"
            ),
            account=account.name,
            to=f"{to!r}",
        )
    if len(found) > 1:
        several = "\n".join(f"    {person.id}  {say(person.text)}" for person in found)
        raise WxError(
            N_("{account}: {to} is more than one:\n{several}"),
            N_("give the id, or --group for a group"),
            account=account.name,
            to=f"{to!r}",
            several=several,
        )
    return found[0]


def check_login(api: Api, account: AccountName) -> None:
    """Raise NeedsHuman or WxError if the account is not logged in: nobody is found then."""
    view = api.account(account)
    if view.login_state in (None, LoginState.RUNNING, LoginState.OFFLINE):
        return
    kind = NeedsHuman if exit_code(view) == NeedsHuman.exit_code else WxError
    advice = view.assessment.advice
    raise kind(
        N_("{account} is not logged in, so its contacts are not known: {reason}"),
        advice.remedy
        if advice
        else Text(N_("wait for the login: {command}"), command=command("status", account.name)),
        account=account.name,
        reason=view.headline or Text(view.condition.value),
    )


def people_named(api: Api, account: AccountName, to: str, only_groups: bool) -> list[Recipient]:
    """Return those with this name, by the first attribute with a match."""
    recipients: list[Recipient] = []
    for kind in ("groups",) if only_groups else ("contacts", "groups"):
        if any(person.id == to for person in recipients):
            break  # an id belongs to one; names are looked for among both
        people = objects(api.ask("GET", account, kind, query={"q": to}).get(kind))
        by_key = ([person for person in people if person.get(key) == to] for key in _KEYS)
        matches = next((some for some in by_key if some), [])
        recipients += [
            Recipient(json_text(person.get("id")), one_line(person.get("name")) or to, kind == "groups")
            for person in matches
        ]
    return recipients
