"""The small commands of wxsandbox: each is one request to a running sandbox's scripting API."""

import base64
import json
from pathlib import Path

import click

from wxcontroller.core.errors import BadUsage
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, text
from wxcontroller.sandbox.commands_ilink import ILINK
from wxcontroller.sandbox.commands_trouble import TROUBLE
from wxcontroller.sandbox.printing import cell, json_flag, show, table
from wxcontroller.sandbox.scriptclient import NotThere, Remote


@click.command()
@json_flag
@click.pass_obj
def accounts(url: str, as_json: bool) -> None:
    """List the accounts."""
    rows = items(Remote(url).ask("GET", "accounts"))
    table(rows, ("uin", "nickname", "domain", "web_login", "online", "bot_id"), as_json)


@click.command("add-account")
@click.option("--nickname", default="", help="Default: generated.")
@click.option("--domain", default="wx.qq.com", show_default=True, help="WeChat host of the account.")
@click.option("--friends", default=30, show_default=True)
@click.option("--groups", default=4, show_default=True)
@click.option("--members", default=12, show_default=True, help="Members of each group.")
@click.option("--seed", type=int, help="The same seed creates the same people.")
@click.option(
    "--web-login", default="both", show_default=True, type=click.Choice(["both", "desktop", "normal", "refused"])
)
@click.pass_obj
def add_account(
    url: str, nickname: str, domain: str, friends: int, groups: int, members: int, seed: int | None, web_login: str
) -> None:
    """Add an account and print its uin."""
    body: JsonObject = {
        "nickname": nickname,
        "domain": domain,
        "friends": friends,
        "groups": groups,
        "members": members,
        "web_login": web_login,
    }
    if seed is not None:
        body["seed"] = seed
    click.echo(cell(field(Remote(url).ask("POST", "accounts", body=body), "uin")))


@click.command()
@click.argument("uin")
@click.pass_obj
def account(url: str, uin: str) -> None:
    """Show an account, its contacts and its logins, as JSON."""
    show(Remote(url).ask("GET", "accounts", uin))


@click.command()
@click.option("--state", help="Only logins in this state, for example waiting.")
@click.option("--wait", default=0.0, metavar="SECONDS", help="Wait until there is one.")
@json_flag
@click.pass_obj
def logins(url: str, state: str | None, wait: float, as_json: bool) -> None:
    """List the logins, oldest first."""
    query = {"wait": str(wait)} | ({"state": state} if state else {})
    rows = items(Remote(url).ask("GET", "logins", query=query))
    table(rows, ("uuid", "route", "state", "desktop", "push", "digits", "uin"), as_json)


_uuid = click.argument("uuid", required=False)
_wait = click.option("--wait", default=0.0, metavar="SECONDS", help="Wait for a login if there is none.")


def find_login(remote: Remote, uuid: str | None, states: tuple[str, ...], wait: float) -> str:
    """Return the uuid given, or that of the newest login in one of the states."""
    if uuid:
        return uuid
    for state in states:
        last = state == states[-1]
        found = items(remote.ask("GET", "logins", query={"state": state, "wait": str(wait if last else 0)}))
        if found:
            return text(field(found[-1], "uuid"))
    raise NotThere(f"no login is {' or '.join(states)}", "start a client first, or give --wait")


def move(url: str, uuid: str, verb: str, body: JsonValue = None) -> None:
    login = Remote(url).ask("POST", "logins", uuid, verb, body=body)
    digits = text(field(login, "digits"))
    click.echo(f"{uuid} {cell(field(login, 'state'))}" + (f", the phone shows {digits}" if digits else ""))


@click.command()
@_uuid
@click.option("--as", "uin", required=True, type=int, metavar="UIN", help="Scan with this account's phone.")
@click.option("--verify", is_flag=True, help="iLink: show digits that the client must enter.")
@click.option("--redirect", is_flag=True, help="iLink: redirect the client to another host name.")
@_wait
@click.pass_obj
def scan(url: str, uuid: str | None, uin: int, verify: bool, redirect: bool, wait: float) -> None:
    """Scan a code (default: the newest waiting one)."""
    body: JsonObject = {
        "uin": uin,
        **({"verify": True} if verify else {}),
        **({"redirect": True} if redirect else {}),
    }
    move(url, find_login(Remote(url), uuid, ("waiting",), wait), "scan", body)


@click.command()
@_uuid
@click.option("--as", "uin", type=int, metavar="UIN", help="Scan it first with this account's phone.")
@_wait
@click.pass_obj
def confirm(url: str, uuid: str | None, uin: int | None, wait: float) -> None:
    """Confirm a login.

    By default, the newest scanned or waiting one.
    """
    states = ("scanned", "waiting")
    move(url, find_login(Remote(url), uuid, states, wait), "confirm", None if uin is None else {"uin": uin})


@click.command()
@_uuid
@_wait
@click.pass_obj
def cancel(url: str, uuid: str | None, wait: float) -> None:
    """Decline a login on the phone."""
    move(url, find_login(Remote(url), uuid, ("scanned", "waiting"), wait), "cancel")


@click.command()
@_uuid
@_wait
@click.pass_obj
def expire(url: str, uuid: str | None, wait: float) -> None:
    """Let a code expire."""
    move(url, find_login(Remote(url), uuid, ("waiting", "scanned"), wait), "expire")


_kind = click.option("--kind", default="text", show_default=True, help="image, file, link, … (see wxsandbox(1)).")
_existing = click.Path(path_type=Path, exists=True, dir_okay=False)
_file = click.option("--file", "path", type=_existing, help="File with the content.")
_set = click.option("--set", "fields", multiple=True, metavar="FIELD=VALUE", help="Another field of this kind.")
_NOT_TEXT = frozenset(
    {"size", "length", "app_type", "latitude", "longitude", "msg_type", "scene", "store", "fields", "full_url"}
)


def message(content: str, kind: str, path: Path | None, fields: tuple[str, ...]) -> JsonObject:
    body: JsonObject = {"kind": kind, **({"text": content} if content else {})}
    if path is not None:
        body |= {"name": path.name, "content": base64.b64encode(path.read_bytes()).decode()}
    for pair in fields:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadUsage(f"--set {pair} has no value", "write it as FIELD=VALUE")
        try:
            body[name] = json.loads(value) if name in _NOT_TEXT else value
        except ValueError:
            raise BadUsage(f"--set {pair} is invalid", f"{name} is a number, true, false or an object") from None
    return body


@click.command()
@click.argument("uin")
@click.argument("sender")
@click.argument("said", metavar="[TEXT]", required=False, default="")
@click.option("--group", default="", help="Let SENDER write in this group.")
@_kind
@_file
@_set
@click.pass_obj
def receive(
    url: str, uin: str, sender: str, said: str, group: str, kind: str, path: Path | None, fields: tuple[str, ...]
) -> None:
    """Send a message from SENDER to account UIN.

    Prints its id.
    """
    body: JsonObject = {"from": sender, **message(said, kind, path, fields), **({"group": group} if group else {})}
    click.echo(cell(field(Remote(url).ask("POST", "accounts", uin, "receive", body=body), "msg_id")))


@click.command("phone-send")
@click.argument("uin")
@click.argument("to")
@click.argument("said", metavar="[TEXT]", required=False, default="")
@_kind
@_file
@_set
@click.pass_obj
def phone_send(url: str, uin: str, to: str, said: str, kind: str, path: Path | None, fields: tuple[str, ...]) -> None:
    """Send a message from the phone of account UIN.

    Prints its id.
    """
    body: JsonObject = {"to": to, **message(said, kind, path, fields)}
    click.echo(cell(field(Remote(url).ask("POST", "accounts", uin, "phone-send", body=body), "msg_id")))


@click.command()
@click.argument("uin")
@click.argument("group")
@click.argument("who")
@click.option("--by", help="The member who invites; without it WHO scans a code.")
@click.pass_obj
def join(url: str, uin: str, group: str, who: str, by: str | None) -> None:
    """Let WHO join GROUP; an unknown name creates a person."""
    member(url, uin, "join", group, who, by)


@click.command()
@click.argument("uin")
@click.argument("group")
@click.argument("who")
@click.option("--by", help="The member who removes WHO.")
@click.pass_obj
def leave(url: str, uin: str, group: str, who: str, by: str | None) -> None:
    """Remove WHO from GROUP."""
    member(url, uin, "leave", group, who, by)


def member(url: str, uin: str, verb: str, group: str, who: str, by: str | None) -> None:
    body: JsonObject = {"group": group, "who": who, **({"by": by} if by else {})}
    click.echo(cell(field(Remote(url).ask("POST", "accounts", uin, verb, body=body), "wxid")))


@click.command()
@click.argument("uin")
@click.argument("who")
@click.pass_obj
def befriend(url: str, uin: str, who: str) -> None:
    """Make WHO a friend."""
    click.echo(cell(field(Remote(url).ask("POST", "accounts", uin, "befriend", body={"who": who}), "wxid")))


@click.command("group-operations")
@click.argument("uin")
@click.argument("value", type=click.Choice(["working", "removed", "pretend"]))
@click.pass_obj
def group_operations(url: str, uin: str, value: str) -> None:
    """Choose the outcome of account UIN's group operations."""
    body: JsonObject = {"group_operations": value}
    click.echo(cell(field(Remote(url).ask("POST", "accounts", uin, "settings", body=body), "group_operations")))


@click.command()
@click.argument("uin")
@click.argument("seq")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@click.pass_obj
def save(url: str, uin: str, seq: str, file: Path) -> None:
    """Write the content of the sent message SEQ to FILE."""
    data = Remote(url).content("accounts", uin, "sent", seq, "content")
    file.write_bytes(data)
    click.echo(f"{len(data)} bytes")


@click.command()
@click.argument("uin")
@click.argument("who")
@click.option("--name", help="New name of the person or group.")
@click.option("--remark", help="New remark of the account for the person.")
@click.option("--by", help="The member who renames the group.")
@click.pass_obj
def change(url: str, uin: str, who: str, name: str | None, remark: str | None, by: str | None) -> None:
    """Change the name or remark of a person or group."""
    changes = {"name": name, "remark": remark, "by": by}
    body: JsonObject = {"who": who, **{key: value for key, value in changes.items() if value is not None}}
    click.echo(cell(field(Remote(url).ask("POST", "accounts", uin, "change", body=body), "wxid")))


@click.command()
@click.argument("uin")
@click.argument("who")
@click.pass_obj
def remove(url: str, uin: str, who: str) -> None:
    """End a friendship, or leave a group."""
    click.echo(cell(field(Remote(url).ask("POST", "accounts", uin, "remove", body={"who": who}), "wxid")))


@click.command()
@click.argument("uin")
@click.option("--after", default=0, metavar="SEQ", help="Only entries after this number.")
@click.option("--wait", default=0.0, metavar="SECONDS", help="Wait for an entry.")
@json_flag
@click.pass_obj
def sent(url: str, uin: str, after: int, wait: float, as_json: bool) -> None:
    """Show what the web client of account UIN sent."""
    rows = items(Remote(url).ask("GET", "accounts", uin, "sent", query={"after": str(after), "wait": str(wait)}))
    table(rows, ("seq", "kind", "to", "name", "size", "text"), as_json)


@click.command()
@click.argument("uin")
@click.option(
    "--retcode", default=1101, show_default=True, type=click.IntRange(1100, 1102), help="Return code for the client."
)
@click.option("--forget", is_flag=True, help="Also end push login.")
@click.pass_obj
def logout(url: str, uin: str, retcode: int, forget: bool) -> None:
    """End the web login of account UIN."""
    answer = Remote(url).ask("POST", "accounts", uin, "logout", body={"retcode": retcode, "forget": forget})
    click.echo("ended" if field(answer, "ended") else "there was none")


COMMANDS = (
    accounts,
    add_account,
    account,
    logins,
    scan,
    confirm,
    cancel,
    expire,
    receive,
    phone_send,
    change,
    remove,
    join,
    leave,
    befriend,
    group_operations,
    sent,
    save,
    logout,
    *ILINK,
    *TROUBLE,
)
