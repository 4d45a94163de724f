"""/v1/contacts and /v1/groups at the account's port: known people and groups, by the ids for sending."""

from collections.abc import Iterable

from aiohttp import web

from wxcontroller.client.calls import Parts, json_answer
from wxcontroller.client.directory import id_of
from wxcontroller.client.v1.answers import RequestRefused
from wxcontroller.client.v1.selecting import number_of
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.messages import N_
from wxcontroller.core.model import Contact, Group, Member
from wxcontroller.openwx.objects import member_displayname
from wxcontroller.openwx.paging import PAGE_PEOPLE


class PeopleCalls:
    """The calls. ``parts`` are the running account's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def contacts(self, request: web.Request) -> web.StreamResponse:
        """GET: contacts in WeChat's order, those with ``q`` in a name or id; ``limit`` of them after ``after``."""
        return self._page(request, "contacts", self._parts.roster.contacts.values())

    async def groups(self, request: web.Request) -> web.StreamResponse:
        """GET: groups likewise, without their members."""
        return self._page(request, "groups", self._parts.roster.groups.values())

    async def members(self, request: web.Request) -> web.StreamResponse:
        """GET: the members of a group, oneself among them."""
        wanted = request.match_info["id"]
        group = self._parts.directory.find(wanted)
        if not isinstance(group, Group):
            raise RequestRefused(
                404,
                "no-such-peer",
                N_("the account has no group with the id {id}"),
                N_("use an id from GET …/groups"),
                id=f"{wanted[:64]!r}",
            )
        members: list[JsonValue] = [_member(one) for one in group.members]
        return json_answer({"account": self._account, "group": id_of(group), "members": members})

    @property
    def _account(self) -> str:
        return self._parts.config.name.name

    def _page(self, request: web.Request, name: str, people: Iterable[Contact | Group]) -> web.Response:
        query = request.query
        limit = max(1, number_of(query, "limit", PAGE_PEOPLE, PAGE_PEOPLE))
        wanted, after = query.get("q", "").casefold(), query.get("after")
        shown: list[JsonValue] = []
        begun, more = after is None, False
        for one in people:
            if begun and matches(one, wanted):
                if len(shown) == limit:
                    more = True
                    break
                shown.append(self._contact(one) if isinstance(one, Contact) else self._group(one))
            begun = begun or after in (id_of(one), one.id)
        if not begun:
            raise RequestRefused(
                404,
                "no-such-peer",
                N_("the account knows no person or group with the id {id}"),
                N_("list them from the beginning"),
                id=f"{str(after)[:64]!r}",
            )
        return json_answer({"account": self._account, name: shown, "more": more})

    def _contact(self, one: Contact) -> JsonObject:
        return {
            "id": id_of(one),
            "name": self._parts.directory.name_of(one),
            "kind": one.kind.value,
            "remark": one.markname,
            "nickname": one.name,
            "wechat_id": one.account,
            "province": one.province,
            "city": one.city,
            "signature": one.signature,
            "sex": one.sex.value,
        }

    def _group(self, one: Group) -> JsonObject:
        return {
            "id": id_of(one),
            "name": self._parts.directory.name_of(one),
            "members": len(one.members),
            "owner": next((id_of(member) for member in one.members if member.id == one.owner), None),
        }


def matches(one: Contact | Group, wanted: str) -> bool:
    if not wanted:
        return True
    names = (one.name, one.markname, one.display, one.account) if isinstance(one, Contact) else (one.name,)
    return any(wanted in name.casefold() for name in (id_of(one), one.id, *names))


def _member(one: Member) -> JsonObject:
    return {
        "id": id_of(one),
        "name": member_displayname(one),
        "display": one.display,
        "nickname": one.nickname,
    }
