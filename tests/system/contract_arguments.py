"""What makes each call of the contract succeed: one table by parameter name, and what a call needs prepared."""

import base64
from collections.abc import Callable, Mapping
from typing import TypeAlias

from tests.contract.document import Row
from tests.system.actors import until
from tests.system.contract_world import Account, World

Value: TypeAlias = str | bytes
Given: TypeAlias = dict[str, Value]
_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
# A friend that nothing is changed of, one whose remark is set, one who is written to and asked.
_PINNED, _MARKED, _WRITTEN = 20, 21, 22
ARGUMENTS: Mapping[str, Callable[[World, Account], Value]] = {
    "client": lambda world, account: account.name,
    "id": lambda world, account: _friend(world, account, _WRITTEN),
    "group_id": lambda world, account: account.groups["kick"],
    "friends": lambda world, account: ",".join(_friend(world, account, n) for n in (3, 4)),
    "content": lambda world, account: world.unique("hello "),
    "verify": lambda world, account: world.unique("it is me "),
    "op": lambda world, account: "1",
    "timeout": lambda world, account: "10",
    "async": lambda world, account: "1",
    "new_displayname": lambda world, account: world.unique("named "),
    "new_markname": lambda world, account: world.unique("called "),
    "media_data": lambda world, account: picture(world),
}
# The least that makes a call succeed, beyond what the contract calls required.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "search_friend": ("id",),
    "search_group": ("id",),
    "get_avatar": ("id",),
    "send_friend_message": ("id", "content"),
    "send_group_message": ("id", "content"),
    "consult": ("id", "content", "timeout"),
    "upload_media": ("media_data",),
    "invite_friend": ("id",),
    "kick_group_member": ("id",),
    "set_group_displayname": ("id",),
    "set_markname": ("id", "new_markname"),
    "set_friend_markname": ("id", "new_markname"),
    "create_group": ("displayname",),
    "make_friend": ("verify",),
}


def arguments(world: World, account: Account, row: Row) -> Given:
    """What makes a call succeed."""
    prepared = _PREPARED.get(row.call, lambda *_: {})(world, account)
    needed = _NEEDED.get(row.call, ())
    return {
        each.name: prepared.get(each.name) or ARGUMENTS[each.name](world, account)
        for each in row.parameters
        if each.name != "*" and (each.required or each.name in needed)
    }


def picture(world: World) -> bytes:
    """A picture that nobody has sent before."""
    return _GIF + world.unique("picture ").encode()


def _friend(world: World, account: Account, number: int) -> str:
    return str(world.friends(account)[number]["username"])


def _group_for(purpose: str) -> Callable[[World, Account], Given]:
    return lambda world, account: {"id": account.groups[purpose]}


def _invited(world: World, account: Account) -> Given:
    """Somebody who is not in the group."""
    group = world.group(account, account.groups["invite"])
    inside = {one["username"] for one in group["members"]}
    return {
        "id": group["username"],
        "friends": next(f["username"] for f in world.friends(account) if f["username"] not in inside),
    }


def _kicked(world: World, account: Account) -> Given:
    """A friend who is in the group, and whom the account knows to be."""
    identifier = account.groups["kick"]

    def look() -> str:
        groups = world.direct(account, "get_group_info")
        known = {one["id"] for group in groups if group["id"] == identifier for one in group["member"]}
        inside = world.group(account, identifier)["members"]
        return next((one["username"] for one in inside if one["kind"] == "friend" and one["username"] in known), "")

    return {"id": identifier, "members": str(until(look, "somebody to remove"))}


def _taken_back(world: World, account: Account) -> Given:
    sent = world.direct(account, "send_friend_message", id="filehelper", content=world.unique("never mind "))
    return {"id": str(sent["id"])}


def _pinned(world: World, account: Account) -> Given:
    """Somebody, and the other way of what is."""
    friend = world.friends(account)[_PINNED]
    return {"id": friend["username"], "op": "0" if friend["pinned"] else "1"}


def _marked(world: World, account: Account) -> Given:
    return {"id": _friend(world, account, _MARKED)}


def _stranger(world: World, account: Account) -> Given:
    members = (one for group in world.side(account)["groups"] for one in group["members"])
    known = {one["id"] for group in world.direct(account, "get_group_info") for one in group["member"]}
    return {"id": next(one["username"] for one in members if one["kind"] == "stranger" and one["username"] in known)}


def _asked(world: World, account: Account) -> Given:
    """Somebody who wants to be a friend; id and ticket are those of the event."""
    name = world.unique("新朋友")
    body = {"from": name, "kind": "friend_request", "text": "你好"}
    world.phone.call("POST", f"/accounts/{account.uin}/receive", body)
    report = world.hook.wait_for(
        lambda report: report.get("event") == "friend_request" and report["params"][1] == name, what="friend request"
    )
    person, _, _, ticket = report["params"]
    return {"id": person, "displayname": name, "ticket": ticket}


_PREPARED: Mapping[str, Callable[[World, Account], Given]] = {
    "search_group": _group_for("invite"),
    "send_group_message": _group_for("invite"),
    "set_group_displayname": _group_for("rename"),
    "create_group": lambda world, account: {"displayname": world.unique("new group ")},
    "invite_friend": _invited,
    "kick_group_member": _kicked,
    "revoke_message": _taken_back,
    "stick": _pinned,
    "set_markname": _marked,
    "set_friend_markname": _marked,
    "make_friend": _stranger,
    "accept_friend_request": _asked,
}
