"""A whole account for the tests of message kinds: sandbox, driver, client and a webhook, on real sockets."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.unit.client.conftest import POST_API, RunningClient, Webhook, hooked, starting
from tests.unit.drivers.kit import Wechat, hurried, script, wechat
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, text
from wxcontroller.drivers.base import DriverFactory
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.sandbox.account import ServerAccount, WebSend
from wxcontroller.sandbox.world import Relation


@dataclass
class Launched:
    """An account that runs, and its webhook; ``begin`` starts its client."""

    begin: Callable[[], RunningClient]
    webhook: Webhook
    client: RunningClient

    async def restart(self) -> None:
        """Stop the client in an orderly way and start it again; its session goes on."""
        await self.client.stop()
        self.client = self.begin()
        await self.client.until_state("running")

    async def report(self, message_id: str) -> JsonObject:
        got = await self.webhook.until(lambda reports: any(one.get("id") == message_id for one in reports))
        return dict(next(one for one in got if one.get("id") == message_id))

    async def call(self, name: str, data: bytes = b"", **parameters: str) -> JsonValue:
        """Use the account's API; ``data`` is media_data."""
        return await self.client.post(name, data, **parameters)


@contextlib.asynccontextmanager
async def launched(directory: Path, make: DriverFactory, **environ: str) -> AsyncIterator[Launched]:
    """Run an account that nobody has logged in yet."""
    async with hooked() as hook, starting(directory) as start:
        begin = partial(start, make=make, **{POST_API: hook.address, **environ})
        yield Launched(begin, hook, begin())


@dataclass
class Stage(Launched):
    """``friend``, ``member`` and ``group`` are real ids of people that messages come from and go to."""

    wechat: Wechat = field(kw_only=True)
    account: ServerAccount = field(kw_only=True)
    friend: str = field(kw_only=True)
    official: str = field(kw_only=True)
    group: str = field(kw_only=True)
    member: str = field(kw_only=True)
    me: JsonObject = field(default_factory=dict)

    def username(self, wxid: str) -> str:
        """The id of somebody in the present session."""
        assert self.account.session is not None
        return self.account.session.username(wxid)

    async def sandbox(self, path: str, body: JsonObject) -> JsonObject:
        """Use the sandbox's scripting API."""
        return obj(await script(self.wechat.url, self.account, "POST", path, body))

    async def sent(self, answer: JsonValue) -> WebSend:
        """What the recipient of a send got."""
        message_id = text(obj(answer).get("id")).partition(":")[0]
        return next(one for one in self.account.sent if one.msg_id == message_id)


@contextlib.asynccontextmanager
async def staged(directory: Path, **environ: str) -> AsyncIterator[Stage]:
    # Sandbox and client share a loop, and some messages here take long.
    timing = hurried(offline_after=3600.0)
    pauses = {"MOJO_WEIXIN_SYNCCHECK_INTERVAL": "0", "MOJO_WEIXIN_SYNCCHECK_DELAY": "0"}
    async with wechat() as world:
        account = world.sandbox.add_account("Alice & 😄")
        make = launched(
            directory, lambda context: WebDriver(context, timing), WXCLIENT_SERVER=world.url, **pauses, **environ
        )
        async with make as one:
            await world.scan(account)
            await one.client.until_state("running")
            everybody = account.world.people
            room = next(room for room in account.world.groups.values() if room.saved and len(room.members) > 3)
            stage = Stage(
                **vars(one),
                wechat=world,
                account=account,
                friend=next(each.wxid for each in everybody.values() if each.kind is Relation.FRIEND),
                official=next(each.wxid for each in everybody.values() if each.kind is Relation.OFFICIAL),
                group=room.wxid,
                member=next(m.wxid for m in room.members if everybody[m.wxid].kind is Relation.STRANGER),
            )
            stage.me = obj(await stage.call("get_user_info"))
            yield stage
