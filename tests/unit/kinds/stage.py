"""An account on the web route for the tests of message kinds, and the people whom it knows."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.unit.client import stage
from tests.unit.drivers.kit import friend, script, username
from tests.unit.durability.routes import WEB
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, text
from wxcontroller.sandbox.world.phone import WebSend
from wxcontroller.sandbox.world.world import Relation


@dataclass
class Stage(stage.Stage):
    """``friend``, ``member`` and ``group`` are real ids of people that messages come from and go to."""

    me: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        people = self.account.world.people
        room = next(group for group in self.account.world.groups.values() if group.saved and len(group.members) > 3)
        self.friend, self.group = friend(self.account), room.wxid
        self.official = next(person.wxid for person in people.values() if person.kind is Relation.OFFICIAL)
        self.member = next(member.wxid for member in room.members if people[member.wxid].kind is Relation.STRANGER)

    def username(self, wxid: str) -> str:
        """Return the id of somebody in the present session."""
        return username(self.account, wxid)

    async def sandbox(self, path: str, body: JsonObject) -> JsonObject:
        """Use the sandbox's scripting API."""
        return obj(await script(self.wechat.url, self.account, "POST", path, body))

    async def receive(self, **body: JsonValue) -> JsonObject:
        """Let a friend's message come; return its report."""
        made = await self.sandbox("receive", {"from": self.friend, **body})
        return {**await self.report(text(made["msg_id"])), "md5": made.get("md5", "")}

    def sent_as(self, answer: JsonValue) -> WebSend:
        """Return what the recipient of a send got."""
        message_id = text(obj(answer).get("id")).partition(":")[0]
        return next(one for one in self.account.sent if one.msg_id == message_id)


@contextlib.asynccontextmanager
async def staged(directory: Path, **environ: str) -> AsyncIterator[Stage]:
    """A running account."""
    async with stage.staged(directory, WEB, Stage, "Alice & 😄") as one:
        await one.enter(**environ)
        one.me = obj(await one.call("get_user_info"))
        yield one
