"""The verb send: a text message or a file to a friend or group."""

import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from wxcontroller.cli.api import Api
from wxcontroller.cli.connection import Body
from wxcontroller.cli.context import Session, global_options, name_argument
from wxcontroller.cli.errors import BadUsage, Unanswered
from wxcontroller.cli.hints import command
from wxcontroller.cli.language import tell
from wxcontroller.cli.multipart import file_body
from wxcontroller.cli.verbs import Verb
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonValue, field, integer, items, obj, one_line
from wxcontroller.core.jsontypes import text as json_text
from wxcontroller.core.names import AccountName

# In this order: the first by which somebody is found decides.
_FRIEND_KEYS = ("id", "displayname", "markname", "name")
_GROUP_KEYS = ("id", "displayname", "name")
_NOT_FOUND = 100  # openwx-api 0
_NOT_RUNNING = -3
_QUEUED = -7  # taken, and still behind others after a long wait
_UNKNOWN = -1, "unknown data"  # it may have arrived
_GROWTH, _LONGEST_PAUSE = 2.0, 8.0


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody to write to."""

    id: str
    shown: str
    group: bool

    def __str__(self) -> str:
        return f"{'group' if self.group else 'friend'} {self.shown}"


@click.command(
    cls=Verb,
    short_help="Send a text message or a file.",
    examples=(
        "wxctl send alice filehelper hello",
        "wxctl send alice 王芳 '晚上好'",
        "wxctl send alice --group 家人 '到了'",
        "wxctl send alice filehelper --file report.pdf",
        "uptime | wxctl send alice filehelper -",
    ),
)
@name_argument
@click.argument("to")
@click.argument("text", metavar="[TEXT]", required=False)
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Send this file in place of a text: an image or video as such, by its name's ending.",
)
@click.option("--group", is_flag=True, help="TO is a group; without it friends and groups are looked through.")
@click.option("--key", metavar="KEY", help="A send that is repeated with its key is one message. Default: a new one.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600),
    default=60.0,
    show_default=True,
    metavar="S",
    help="When no answer comes it is asked for again, for so many seconds.",
)
@global_options
@click.pass_obj
def send(
    session: Session,
    name: str,
    to: str,
    text: str | None,
    file: Path | None,
    group: bool,
    key: str | None,
    timeout: float,
) -> None:
    """Send TEXT, or a file, to a friend or group.

    TO is an id, or the displayname, remark (markname) or name, exactly. TEXT "-" is read from standard input.
    """
    if (text is None) == (file is None):
        raise BadUsage("give either TEXT or --file FILE", "see: wxctl send --help")
    content = sys.stdin.read() if text == "-" else text or ""
    if file is None and not content.strip():
        raise BadUsage("the text is empty", "nothing is sent then")
    api = session.api()
    account = api.resolve(name)
    recipient = find(api, account, to, group)
    endpoint = "send_group_message" if recipient.group else "send_friend_message"
    thing = f"the file {file.name}" if file else "the message"
    what = f"{account.name}: {thing} to {recipient}"
    chosen = key or str(uuid.uuid4())
    form = {"id": recipient.id, "idempotency_key": chosen}
    body = file_body({**form, "media_name": file.name}, "media_data", file) if file else None
    answer = _Keyed(api, account, what, chosen, timeout).ask(endpoint, body or {**form, "content": content})
    code = integer(field(answer, "code"))
    queued = code == _QUEUED
    if (code, field(answer, "status")) == _UNKNOWN:
        words = json_text(field(answer, "reason"))
        raise WxError(f"{what} may have been sent or not: {words}", "look on the phone before you send it again")
    if not queued:
        _raise_for(api, answer, account, f"{thing} to {recipient} was not sent")
    if session.json:
        session.emit(answer)
    elif queued:
        tell(f"not sent yet, but it will be: {one_line(field(answer, 'status'))}")
    else:
        tell(f"sent to {recipient}")


@dataclass(frozen=True, slots=True)
class _Keyed:
    """A request that is made again, under its key, after one that may have been done: until an answer comes."""

    api: Api
    account: AccountName
    what: str
    key: str
    seconds: float

    def ask(self, endpoint: str, keyed: Mapping[str, str] | Body) -> JsonValue:
        """Return the answer. Raises Unanswered when none comes in time."""
        try:
            return self.api.openwx(endpoint, self.account, keyed)
        except Unanswered as problem:
            lost = problem.message
        until, pause = time.monotonic() + self.seconds, 0.5
        while time.monotonic() + pause <= until:
            time.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
            try:
                if not self._heeded():
                    continue
                answer = self.api.openwx(endpoint, self.account, keyed)
            except WxError as problem:
                lost = problem.message
            else:
                if integer(field(answer, "code")) != _NOT_RUNNING:
                    return answer
        raise Unanswered(
            f"{self.what} may have been sent or not: {lost}",
            f"repeat the command with --key {self.key}: it is not sent twice then",
        )

    def _heeded(self) -> bool:
        """Whether the account's program runs and heeds keys: another one, or an old one, would send it twice."""
        return "held" in obj(self.api.account(self.account).raw.get("queue"))


def find(api: Api, account: AccountName, to: str, only_groups: bool) -> Recipient:
    """Return who ``to`` is. Raises WxError when that is nobody or more than one."""
    found: list[Recipient] = []
    if not only_groups:
        found += _search(api, account, "search_friend", _FRIEND_KEYS, to)
    # An id belongs to one; names are looked for among both.
    if not any(one.id == to for one in found):
        found += _search(api, account, "search_group", _GROUP_KEYS, to)
    if not found:
        kind = "group" if only_groups else "friend or group"
        raise WxError(
            f"{account.name} has no {kind} {to!r}",
            "give the id, or the displayname, remark or name exactly; "
            "a group that was not saved to the contacts is known after its first message",
        )
    if len(found) > 1:
        several = "\n".join(f"    {one.id}  {one}" for one in found)
        raise WxError(f"{account.name}: {to!r} is more than one:\n{several}", "give the id, or --group for a group")
    return found[0]


def _search(api: Api, account: AccountName, endpoint: str, keys: tuple[str, ...], to: str) -> list[Recipient]:
    group = endpoint == "search_group"
    for key in keys:
        answer = api.openwx(endpoint, account, {key: to})
        if isinstance(answer, list):
            matches = [
                Recipient(json_text(field(one, "id")), one_line(field(one, "displayname")) or to, group)
                for one in items(answer)
                if json_text(field(one, "id"))
            ]
            if matches:
                return matches
        elif integer(field(answer, "code")) != _NOT_FOUND:
            _raise_for(api, answer, account, "its contacts can't be searched")
    return []


def _raise_for(api: Api, answer: JsonValue, account: AccountName, what: str) -> None:
    """Raise for an answer of the old shape whose code is not 0."""
    code, why = field(answer, "code"), one_line(field(answer, "status")) or "no reason given"
    if code is None or integer(code) == 0:
        return
    if why in ("client not exists", "client not found"):
        # The old API says the same of a stopped account; this raises UnknownAccount for one that is not there at all.
        known = api.account(account)
        raise WxError(f"{account.name} is {known.condition.value}", f"start it: {command('start', account.name)}")
    # An account says it, too.
    why = (one_line(field(answer, "reason")) or why).removeprefix("not sent: ")
    state = one_line(field(answer, "state"))
    told = f"{why} (state {state}), code {json_text(code)}" if state else f"{why}, code {json_text(code)}"
    raise WxError(
        f"{account.name}: {what}: {told}",
        f"see: {command('status', account.name)}",
    )
