"""A whole account for the tests of message kinds: sandbox, driver, client and a webhook, on real sockets."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.patience import PATIENCE
from tests.ports import free_port
from tests.unit.client.conftest import Webhook, hooked
from tests.unit.drivers.kit import Wechat, hurried, wechat
from wxcontroller.client.config import read_config
from wxcontroller.client.service import Client
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.core.paths import Paths
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.sandbox.account import ServerAccount, WebSend
from wxcontroller.sandbox.world import Relation


@dataclass
class Stage:
    """``friend``, ``member`` and ``group`` are real ids of people that messages come from and go to."""

    wechat: Wechat
    account: ServerAccount
    webhook: Webhook
    http: aiohttp.ClientSession
    port: int
    paths: Paths
    friend: str
    official: str
    group: str
    member: str
    life: "Life"
    me: JsonObject = field(default_factory=dict)

    async def restart(self) -> None:
        """Stop the client in an orderly way and start it again; its session goes on."""
        await self.life.end()
        self.life.begin()
        await until_running(self.paths)

    def username(self, wxid: str) -> str:
        """The id of somebody in the present session."""
        assert self.account.session is not None
        return self.account.session.username(wxid)

    async def sandbox(self, path: str, body: JsonObject) -> JsonObject:
        """Use the sandbox's scripting API."""
        url = f"{self.wechat.url}/sandbox/accounts/{self.account.uin}/{path}"
        async with self.http.post(url, json=body) as answer:
            found = obj(await answer.json())
            assert answer.status == 200, found
            return found

    async def report(self, message_id: str) -> JsonObject:
        """Wait for the report of a message."""
        got = await self.webhook.until(lambda reports: any(one.get("id") == message_id for one in reports))
        return next(one for one in got if one.get("id") == message_id)

    async def call(self, name: str, data: bytes = b"", **parameters: str) -> JsonValue:
        """Use the account's API; ``data`` is media_data."""
        form = aiohttp.FormData(parameters)
        if data:
            form.add_field("media_data", data, filename="x")
        async with self.http.post(f"http://127.0.0.1:{self.port}/openwx/{name}", data=form) as answer:
            assert answer.status == 200, await answer.text()
            found: JsonValue = json.loads(await answer.read())
            return found

    async def sent(self, answer: JsonValue) -> WebSend:
        """What the recipient of a send got."""
        message_id = text(obj(answer).get("id")).partition(":")[0]
        return next(one for one in self.account.sent if one.msg_id == message_id)

    async def people(self) -> dict[str, JsonObject]:
        """FRIEND objects by id, as the API gives them."""
        return {text(obj(one)["id"]): obj(one) for one in items(await self.call("search_friend", category="好友"))}


@dataclass
class Life:
    """A client that can be started and stopped."""

    client: Client
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[int] | None" = None

    def begin(self) -> None:
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(self.client.run(self.stopping))

    async def end(self) -> None:
        assert self.task is not None
        self.stopping.set()
        async with asyncio.timeout(PATIENCE):
            await self.task


@contextlib.asynccontextmanager
async def staged(directory: Path, **environ: str) -> AsyncIterator[Stage]:
    """Run everything, logged in."""
    paths = Paths(directory)
    for place in (paths.runtime("alice"), paths.state("alice")):
        place.mkdir(parents=True)
    async with contextlib.AsyncExitStack() as stack:
        hook = await stack.enter_async_context(hooked())
        world = await stack.enter_async_context(wechat())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        account = world.sandbox.add_account("Alice & 😄")
        port = free_port()
        environ = {
            "MOJO_WEIXIN_PLUGIN_OPENWX_PORT": str(port),
            "MOJO_WEIXIN_PLUGIN_OPENWX_POST_API": hook.address,
            "MOJO_WEIXIN_SEND_INTERVAL": "0",
            "MOJO_WEIXIN_SYNCCHECK_INTERVAL": "0",
            "MOJO_WEIXIN_SYNCCHECK_DELAY": "0",
            "WXCLIENT_SERVER": world.url,
            **environ,
        }
        config = read_config("alice", environ, paths)
        # Sandbox and client share a loop, and some messages here take it their time.
        timing = hurried(offline_after=3600.0)
        life = Life(Client(config, lambda context: WebDriver(context, timing), paths=paths))
        life.begin()
        stack.push_async_callback(life.end)
        await _log_in(world, account, paths)
        people = account.world.people.values()
        room = next(room for room in account.world.groups.values() if room.saved and len(room.members) > 3)
        stranger = next(m.wxid for m in room.members if account.world.people[m.wxid].kind is Relation.STRANGER)
        stage = Stage(
            world,
            account,
            hook,
            http,
            port,
            paths,
            friend=next(one.wxid for one in people if one.kind is Relation.FRIEND),
            official=next(one.wxid for one in people if one.kind is Relation.OFFICIAL),
            group=room.wxid,
            member=stranger,
            life=life,
        )
        stage.me = obj(await stage.call("get_user_info"))
        yield stage


async def _log_in(world: Wechat, account: ServerAccount, paths: Paths) -> None:
    logins, deadline = world.sandbox.logins, time.monotonic() + PATIENCE
    while not (waiting := [one for one in logins.newest_first() if one.uin is None]):
        assert time.monotonic() < deadline, "no login"
        await asyncio.sleep(0.01)
    logins.scan(waiting[0], account.uin)
    logins.confirm(waiting[0])
    await until_running(paths)


async def until_running(paths: Paths) -> None:
    """Wait until the account is logged in."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(FileNotFoundError):
            if json.loads(paths.state_file("alice").read_bytes()).get("state") == "running":
                return
        assert time.monotonic() < deadline, "not running"
        await asyncio.sleep(0.01)
