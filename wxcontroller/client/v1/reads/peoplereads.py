"""/v1/contacts and /v1/groups at the account's port: known people and groups, by the ids for sending."""

import asyncio
from collections.abc import Iterable

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.calls.contactcalls import CONTACTS_ANSWER_SECONDS
from wxcontroller.client.calls.remarks import set_remark
from wxcontroller.client.incoming.lastingids import id_of
from wxcontroller.client.sends.content.callbodies import BODIES
from wxcontroller.client.v1.forms.selecting import bad, number_of, read_body
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.client.v1.forms.v1outcomes import check_state
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, one_line
from wxcontroller.core.model import Contact, Group, Member
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.openwx.contract.objects import member_displayname
from wxcontroller.openwx.contract.paging import PAGE_PEOPLE

_REMEDY = N_('send {"remark": "a name"}, at most 64 characters; "" removes it')
_LONGEST_REMARK = 64


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

    async def rename(self, request: web.Request) -> web.StreamResponse:
        """PATCH ``{"remark": …}``: set the name that is shown for a contact."""
        wanted = request.match_info["id"]
        body = obj(read_body(await request.app[BODIES].small(request), _REMEDY))
        remark = body.get("remark")
        if body.keys() != {"remark"} or not isinstance(remark, str) or len(remark) > _LONGEST_REMARK:
            raise bad(N_("the body is not a remark"), _REMEDY)
        if not self._parts.at_work:
            check_state(self._parts, 0)
        contact = self._parts.directory.find(wanted)
        if not isinstance(contact, Contact):
            raise RequestRefused(
                404,
                "no-such-peer",
                N_("the account has no contact with the id {id}"),
                N_("use an id from GET …/contacts"),
                id=f"{wanted[:64]!r}",
            )
        try:
            async with asyncio.timeout(CONTACTS_ANSWER_SECONDS):
                await set_remark(self._parts, contact, one_line(remark).strip())
        except TimeoutError:
            raise RequestRefused(504, "too-slow", N_("WeChat did not answer in time"), N_("try it again")) from None
        except WxError as problem:
            why = Text(N_("the remark is not set: {reason}"), reason=problem.text)
            raise RequestRefused(409, "remark-refused", why, problem.remedy_text) from None
        return json_answer(self._contact(self._parts.roster.contacts.get(contact.id, contact)))

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
        members: list[JsonValue] = [_member(member) for member in group.members]
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
        for person in people:
            if begun and matches(person, wanted):
                if len(shown) == limit:
                    more = True
                    break
                shown.append(self._contact(person) if isinstance(person, Contact) else self._group(person))
            begun = begun or after in (id_of(person), person.id)
        if not begun:
            raise RequestRefused(
                404,
                "no-such-peer",
                N_("the account knows no person or group with the id {id}"),
                N_("list them from the beginning"),
                id=f"{str(after)[:64]!r}",
            )
        return json_answer({"account": self._account, name: shown, "more": more})

    def _contact(self, contact: Contact) -> JsonObject:
        return {
            "id": id_of(contact),
            "name": self._parts.directory.name_of(contact),
            "kind": contact.kind.value,
            "remark": contact.markname,
            "nickname": contact.name,
            "wechat_id": contact.account,
            "province": contact.province,
            "city": contact.city,
            "signature": contact.signature,
            "sex": contact.sex.value,
        }

    def _group(self, group: Group) -> JsonObject:
        return {
            "id": id_of(group),
            "name": self._parts.directory.name_of(group),
            "members": len(group.members),
            "owner": next((id_of(member) for member in group.members if member.id == group.owner), None),
        }


def matches(entry: Contact | Group, wanted: str) -> bool:
    if not wanted:
        return True
    names = (
        (entry.name, entry.markname, entry.display, entry.account) if isinstance(entry, Contact) else (entry.name,)
    )
    return any(wanted in name.casefold() for name in (id_of(entry), entry.id, *names))


def _member(member: Member) -> JsonObject:
    return {
        "id": id_of(member),
        "name": member_displayname(member),
        "display": member.display,
        "nickname": member.nickname,
    }
