"""What the checks of the contract send: one table by parameter name, and what a call's parameters have in common."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import TypeAlias

from tests.contract.document import Parameter, Row
from tests.system.actors import SANDBOX, Json, until
from tests.system.contract_world import Account, World

Value: TypeAlias = str | bytes
Given: TypeAlias = dict[str, Value]
_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
# A friend that nothing is changed of, one whose remark is set, one who is written to and asked.
_PINNED, _MARKED, _WRITTEN = 20, 21, 22
# Ways to name somebody or a group instead of by id.
SELECTORS = frozenset({"account", "displayname", "markname"})
# Kinds and codes of media that only a film can be sent as.
FILMS = frozenset({"video", "microvideo", "43", "62"})
BY_ID_ONLY = frozenset({"create_group", "accept_friend_request", "start_client"})

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
    "media_id": lambda world, account: uploaded(world, account)["media_id"],
    "media_path": lambda world, account: _hosted(world, account),  # noqa: PLW0108 - it stands below
    "media_name": lambda world, account: world.unique("a") + ".gif",
    "media_mime": lambda world, account: "image/gif",
    "media_ext": lambda world, account: "gif",
    "media_mtime": lambda world, account: "1700000000",
    "post_api": lambda world, account: world.hook.address,
    "poll_api": lambda world, account: "http://127.0.0.1:8901/beat",
    "plugin_openwx_poll_interval": lambda world, account: "60",
    "*": lambda world, account: "",
}
# Where a row says more of a parameter than its name, and where it says nothing that is known here.
_BY_TYPE: Mapping[str, str] = {"url": "http://127.0.0.1:8901/x", "seconds": "1", "int": "43"}
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


def arguments(world: World, account: Account, row: Row, also: Parameter | None = None) -> Given:
    """What makes a call succeed; with ``also`` in it, and without what that parameter replaces."""
    prepared = _PREPARED.get(row.call, lambda *_: {})(world, account)
    needed = _NEEDED.get(row.call, ())
    given: Given = {}
    for parameter in row.parameters:
        if parameter.name == "*":
            continue
        if parameter.required or parameter.name in needed or parameter is also:
            given[parameter.name] = prepared.get(parameter.name) or argument(world, account, parameter)
    if also is None:
        return given
    name = also.name
    if row.call.startswith("search_"):
        return _search(world, account, row, name)
    if name in SELECTORS and row.call not in BY_ID_ONLY:
        given[name] = _selector(world, account, row, given, name)
        del given["id"]
    if name == "group_id":
        given["id"] = next(
            one["username"]
            for one in world.group(account, account.groups["kick"])["members"]
            if one["kind"] == "friend"
        )
    if name.startswith("media_"):
        given.pop("content", None)
        if name not in ("media_data", "media_id", "media_path"):
            given["media_data"] = picture(world)
        elif "media_data" in given and name != "media_data":
            del given["media_data"]
    return given


def argument(world: World, account: Account, parameter: Parameter) -> Value:
    """One value for a parameter: by its name, else by its type."""
    if parameter.name in ARGUMENTS:
        return ARGUMENTS[parameter.name](world, account)
    return placeholder(parameter)


def placeholder(parameter: Parameter) -> str:
    """A value of a parameter's type, for nobody who exists."""
    if "|" in parameter.type:
        return parameter.type.partition("|")[0]
    return _BY_TYPE.get(parameter.type, "x")


def picture(world: World) -> bytes:
    """A picture that nobody has sent before."""
    return _GIF + world.unique("picture ").encode()


def film(world: World) -> bytes:
    """The beginning of a film, as far as anybody looks."""
    return b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + world.unique("film ").encode()


def uploaded(world: World, account: Account) -> Json:
    """Something that was uploaded before: upload_media's answer."""
    content = picture(world)
    answer = world.put(account, "upload_media", [("media_data", content)])
    assert answer["code"] == 0, answer
    world.digests[answer["media_id"]] = hashlib.md5(content).hexdigest()
    return answer


def _hosted(world: World, account: Account) -> str:
    """The URL of a picture."""
    digest = world.digests[uploaded(world, account)["media_id"]]
    url = f"{SANDBOX}/sandbox/contents/{digest}"
    world.digests[url] = digest
    return url


def strange(row: Row) -> Given:
    """What a call needs, for people who don't exist: where nobody is logged in, nobody is looked for."""
    needed = _NEEDED.get(row.call, ())
    return {
        each.name: _GIF if each.name == "media_data" else placeholder(each)
        for each in row.parameters
        if each.name != "*" and (each.required or each.name in needed)
    }


def _friend(world: World, account: Account, number: int) -> str:
    return str(world.friends(account)[number]["username"])


def _selector(world: World, account: Account, row: Row, given: Given, name: str) -> str:
    """A group's display name, or an attribute of the friend who has all of them."""
    if row.call in _GROUP_CALLS:
        groups = world.direct(account, "get_group_basic_info")
        return str(next(one["displayname"] for one in groups if one["id"] == given["id"]))
    person = next(one for one in world.direct(account, "get_friend_info") if one["account"] and one["markname"])
    return str(person[name])


def _search(world: World, account: Account, row: Row, name: str) -> Given:
    """The parameter alone, with the value that somebody has; what is no attribute goes beside an id."""
    found = world.direct(account, "get_friend_info" if row.call == "search_friend" else "get_group_basic_info")
    person = next((one for one in found if one.get("account") and one.get("markname")), found[0])
    if name.startswith("_"):
        return {"id": str(person["id"]), name: "1"}
    return {name: str(person[name])}


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

    return {"id": identifier, "members": str(until(look, 10, "somebody to remove"))}


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


_GROUP_CALLS = frozenset(
    {"search_group", "send_group_message", "invite_friend", "kick_group_member", "set_group_displayname"}
)
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
