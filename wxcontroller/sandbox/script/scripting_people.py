"""The scripting API's people: changes of names, friendships and groups."""

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.sandbox.hosts import FILE_PAGES
from wxcontroller.sandbox.script.inputs import (
    SANDBOX,
    BadInput,
    body_of,
    choice,
    flag,
    its_account,
    member_of,
    one_of,
    query_number,
    reply,
    string,
    when,
    word,
)
from wxcontroller.sandbox.web import socialevents
from wxcontroller.sandbox.world.phone import GroupOperations, ServerAccount
from wxcontroller.sandbox.world.world import Relation, ServerGroup


async def change(request: web.Request) -> web.Response:
    """Change the name or remark of a person or group; with ``by``, a notice in the group says who did it."""
    account = its_account(request)
    body = await body_of(request, ("who", "name", "remark", "by"))
    wxid = one_of(account, string(body, "who"), "who")
    group = account.world.groups.get(wxid)
    name = string(body, "name") if "name" in body else None
    remark = string(body, "remark", "") if "remark" in body else None
    if name is None and remark is None:
        raise BadInput("'name' or 'remark' is needed")
    if remark is not None and group is not None:
        raise BadInput("a group has no remark")
    if "by" not in body:
        request.app[SANDBOX].change(account, wxid, name, remark)
    elif group is None or name is None:
        raise BadInput("'by' is for the name of a group")
    else:
        socialevents.rename(
            request.app[SANDBOX], account, group, name, member_of(account, wxid, string(body, "by"), "by")
        )
    return reply({"wxid": wxid, "name": account.name_of(wxid)})


async def remove(request: web.Request) -> web.Response:
    """End a friendship, or leave a group."""
    account = its_account(request)
    body = await body_of(request, ("who",))
    wxid = one_of(account, string(body, "who"), "who")
    person = account.world.people.get(wxid)
    if person is not None and person.kind not in (Relation.FRIEND, Relation.OFFICIAL):
        raise BadInput("'who' must be a friend, an official account or a group")
    request.app[SANDBOX].remove(account, wxid)
    return reply({"wxid": wxid})


def _group(account: ServerAccount, body: JsonObject) -> ServerGroup:
    group = account.world.groups.get(one_of(account, string(body, "group"), "group"))
    if group is None:
        raise BadInput("'group' is a person")
    return group


async def join(request: web.Request) -> web.Response:
    """Add a person to a group: a friend, or a new person with that name."""
    account = its_account(request)
    body = await body_of(request, ("group", "who", "by"))
    group, name = _group(account, body), string(body, "who")
    by = member_of(account, group.wxid, string(body, "by"), "by") if "by" in body else ""
    wxid = one_of(account, name, "who") if account.find(name) else socialevents.meet(account, name).wxid
    if wxid in account.world.groups or wxid in {member.wxid for member in group.members}:
        raise BadInput(f"'who' {name!r} is a group, or in the group already")
    socialevents.join(request.app[SANDBOX], account, group, [wxid], by)
    return reply({"wxid": wxid, "members": len(group.members)})


async def leave(request: web.Request) -> web.Response:
    """Remove a member, possibly the account itself, from a group."""
    account = its_account(request)
    body = await body_of(request, ("group", "who", "by"))
    group = _group(account, body)
    wxid = member_of(account, group.wxid, string(body, "who"), "who")
    by = member_of(account, group.wxid, string(body, "by"), "by") if "by" in body else ""
    socialevents.leave(request.app[SANDBOX], account, group, [wxid], by)
    return reply({"wxid": wxid, "members": len(group.members)})


async def befriend(request: web.Request) -> web.Response:
    """Make a person a friend, for instance because they accepted the client's request."""
    account = its_account(request)
    body = await body_of(request, ("who",))
    name = string(body, "who")
    person = (
        account.world.people[one_of(account, name, "who")] if account.find(name) else socialevents.meet(account, name)
    )
    if person.kind is not Relation.STRANGER:
        raise BadInput(f"'who' {name!r} is known already")
    socialevents.befriend(request.app[SANDBOX], account, person)
    return reply({"wxid": person.wxid, "name": person.name})


async def asked(request: web.Request) -> web.Response:
    """List the client's friend requests; with ``wait``, wait for more than ``after``."""
    account = its_account(request)
    after = int(query_number(request, "after"))

    def newer() -> list[JsonValue]:
        return [request.as_json() for request in list(account.asked)[after:]]

    return reply(await when(request, newer, account.bell.wait))


async def settings(request: web.Request) -> web.Response:
    """Change what the service allows the account."""
    account = its_account(request)
    body = await body_of(request, ("group_operations", "resend", "file_page", "echo"))
    operations = group_operations(body, account.group_operations)
    page = word(body, "file_page", FILE_PAGES, account.file_page)
    account.resend = flag(body, "resend", account.resend)
    account.echo = flag(body, "echo", account.echo)
    account.group_operations, account.file_page = operations, page
    request.app[SANDBOX].touch()
    return reply(
        {
            "group_operations": operations.value,
            "resend": account.resend,
            "file_page": account.file_page,
            "echo": account.echo,
        }
    )


def group_operations(body: JsonObject, default: GroupOperations = GroupOperations.WORKING) -> GroupOperations:
    """Return the value in a body."""
    return choice(body, "group_operations", GroupOperations, default)


def routes() -> list[web.RouteDef]:
    """Return these routes."""
    account = "/sandbox/accounts/{uin}"
    return [
        web.post(account + "/change", change),
        web.post(account + "/remove", remove),
        web.post(account + "/join", join),
        web.post(account + "/leave", leave),
        web.post(account + "/befriend", befriend),
        web.get(account + "/asked", asked),
        web.post(account + "/settings", settings),
    ]
