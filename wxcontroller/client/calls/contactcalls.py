"""Calls about people and groups: new groups, members, names, remarks, friend requests (openwx-api 2.5)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from wxcontroller.client.calls.call import NOT_FOUND, Answer, Call, Handler, Parts
from wxcontroller.core.condition.verdict import FAILED, UNKNOWN_WORD
from wxcontroller.core.errors import WeChatError, WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Group

log = logging.getLogger(__name__)
# Below ua_request_timeout, so that a caller behind the controller still gets our answer and its reason.
CONTACTS_ANSWER_SECONDS = 100.0
# WeChat sends a new group's details soon after its creation.
KNOWN_SECONDS = 3.0
_SUCCESS: JsonObject = {"code": 0, "status": "success"}
_NO_FRIENDS: JsonObject = {"code": 200, "status": "friend id empty"}
_NO_MEMBERS: JsonObject = {"code": 200, "status": "member id empty"}


@dataclass(slots=True)
class Contacts:
    """The calls. A change that WeChat accepted is applied at once; its later notice of it changes nothing."""

    parts: Parts

    def calls(self) -> dict[str, Handler]:
        found: dict[str, Callable[[Call], Awaitable[Answer]]] = {
            "create_group": self.create_group,
            "invite_friend": self.invite_friend,
            "kick_group_member": self.kick_group_member,
            "set_group_displayname": self.set_group_displayname,
            "stick": self.stick,
            "set_markname": self.set_markname,
            "set_friend_markname": self.set_friend_markname,
            "make_friend": self.make_friend,
            "accept_friend_request": self.accept_friend_request,
        }
        return {name: self._at_work(handler) for name, handler in found.items()}

    async def create_group(self, call: Call) -> Answer:
        people = ids(call.get("friends"))
        if refusal := self._no_friends(people):
            return refusal
        made: list[str] = []

        async def create() -> None:
            made.append(await self.parts.driver.create_group(people, call.get("displayname")))

        failure = await self._done(create())
        if failure:
            return {**failure, "id": None}
        # Callers write to a new group immediately, so it must be known when the call is answered.
        try:
            async with asyncio.timeout(KNOWN_SECONDS):
                await self.parts.roster.until_group(made[0])
        except TimeoutError:
            self._update_roster(Group(made[0], call.get("displayname")))
        return {**_SUCCESS, "group_id": made[0]}

    async def invite_friend(self, call: Call) -> Answer:
        group = self._group(call)
        if group is None:
            return NOT_FOUND
        people = ids(call.get("friends"))
        if refusal := self._no_friends(people):
            return refusal
        return await self._done(self.parts.driver.invite(group.id, people)) or _SUCCESS

    async def kick_group_member(self, call: Call) -> Answer:
        group = self._group(call)
        if group is None:
            return NOT_FOUND
        people = ids(call.get("members"))
        if not people:
            return _NO_MEMBERS
        members = {member.id for member in group.members}
        for person in people:
            if person not in members:
                return {"code": 100, "status": f"member id {person[:100]} not found"}
        if failure := await self._done(self.parts.driver.kick(group.id, people)):
            return failure
        current = self.parts.roster.groups.get(group.id)
        if current:
            left = tuple(member for member in current.members if member.id not in people)
            self._update_roster(replace(current, members=left))
        return _SUCCESS

    async def set_group_displayname(self, call: Call) -> Answer:
        group, name = self._group(call), call.get("new_displayname")
        if group is None:
            return NOT_FOUND
        if not name.strip():
            return {"code": -1, "status": "new_displayname is empty"}
        if failure := await self._done(self.parts.driver.rename_group(group.id, name)):
            return failure
        if current := self.parts.roster.groups.get(group.id):
            self._update_roster(replace(current, name=name))
        return _SUCCESS

    async def stick(self, call: Call) -> Answer:
        chat = call.get("id")
        if chat not in self.parts.roster.contacts and chat not in self.parts.roster.groups:
            return NOT_FOUND
        on = call.flag("op", "1")
        return await self._done(self.parts.driver.pin(chat, on)) or _SUCCESS

    async def set_markname(self, call: Call) -> Answer:
        group_id = call.get("group_id")
        if not group_id:
            return await self.set_friend_markname(call)
        if group_id not in self.parts.roster.groups:
            return {"code": 100, "status": "group not found"}
        member = self.parts.roster.member(group_id, call.get("id"))
        if member is None:
            return NOT_FOUND
        return await self._done(self.parts.driver.set_remark(member.id, call.get("new_markname"))) or _SUCCESS

    async def set_friend_markname(self, call: Call) -> Answer:
        contacts = self.parts.roster.find_contacts(call.whom("id", "account", "displayname", "markname"))
        if not contacts:
            return NOT_FOUND
        from wxcontroller.client.calls.remarks import set_remark

        return await self._done(set_remark(self.parts, contacts[0], call.get("new_markname"))) or _SUCCESS

    async def make_friend(self, call: Call) -> Answer:
        person, roster = call.get("id"), self.parts.roster
        if person and person == roster.own:
            return {"code": 101, "status": "can not be yourself"}
        if person in roster.contacts:
            return {"code": 101, "status": "already a friend"}
        if not any(member.id == person for group in roster.groups.values() for member in group.members):
            return NOT_FOUND
        return await self._done(self.parts.driver.ask_friend(person, call.get("verify"))) or _SUCCESS

    async def accept_friend_request(self, call: Call) -> Answer:
        echo: JsonObject = {name: call.parameters.get(name) for name in ("id", "displayname", "ticket")}
        if not call.get("id") or not call.get("ticket"):
            return {**echo, "code": -1, "status": "failure", "reason": "id or ticket is missing"}
        failure = await self._done(self.parts.driver.accept_friend(call.get("id"), call.get("ticket")))
        return {**echo, **failure, "code": -1} if failure else {**echo, **_SUCCESS}

    def _at_work(self, handler: Callable[[Call], Awaitable[Answer]]) -> Handler:
        async def checked(call: Call) -> Answer:
            return await handler(call) if self.parts.at_work else self.parts.not_running()

        return checked

    def _group(self, call: Call) -> Group | None:
        groups = self.parts.roster.find_groups(call.whom("id", "displayname"))
        return groups[0] if groups else None

    def _no_friends(self, people: list[str]) -> JsonObject | None:
        if not people:
            return _NO_FRIENDS
        for person in people:
            if person not in self.parts.roster.contacts:
                return {"code": 100, "status": f"friend id {person[:100]} not found"}
        return None

    async def _done(self, work: Awaitable[None]) -> JsonObject | None:
        """Wait for a change at WeChat; return the contract's failure with our reason, None if it succeeded."""
        try:
            async with asyncio.timeout(CONTACTS_ANSWER_SECONDS):
                await work
        except TimeoutError:
            # Not "failure": a caller that repeats it could make the group twice.
            return unknown_outcome(f"WeChat did not answer within {CONTACTS_ANSWER_SECONDS:g} s")
        except WxError as problem:
            if isinstance(problem, WeChatError) and problem.unsure:
                return unknown_outcome(str(problem))
            log.warning("WeChat refused: %s", problem)
            return {"code": 201, "status": "failure", "reason": str(problem)}
        return None

    def _update_roster(self, group: Group) -> None:
        self.parts.reporter.events(self.parts.roster.update([], [group], ()))


def unknown_outcome(why: str) -> JsonObject:
    log.warning("result unknown, WeChat may have done it: %s", why)
    return {"code": FAILED, "status": UNKNOWN_WORD, "reason": f"it may have been done: {why}"}


def ids(listed: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in listed.split(",") if part.strip()))
