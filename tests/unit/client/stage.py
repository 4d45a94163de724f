"""An account of any route in this process, with the sandbox as WeChat."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, hooked, starting
from tests.unit.client.ilink_agent import Agent
from tests.unit.drivers.ilink_kit import QUICK, Bench
from tests.unit.drivers.kit import Wechat, hurried, wechat
from tests.unit.durability.routes import PICTURE, Route
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj
from wxcontroller.drivers.base import Driver, DriverContext, ReplyWindow
from wxcontroller.drivers.filehelper.driver import FileHelperDriver
from wxcontroller.drivers.ilink.driver import ILinkDriver
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.sandbox.sandbox import Options
from wxcontroller.sandbox.world.phone import ServerAccount

# Sandbox and client share a loop, so a response may take long.
TIMING = hurried(offline_after=3600.0)
S = TypeVar("S", bound="Stage")


def ilink_driver(context: DriverContext, pace: float = 0.0) -> Driver:
    driver = ILinkDriver(context, QUICK)
    driver.capabilities = replace(driver.capabilities, window=ReplyWindow(pace=pace))
    return driver


@dataclass
class Stage:
    """An account of one route on the sandbox. ``client`` is its latest process."""

    route: Route
    start: Start
    webhook: Webhook
    wechat: Wechat
    account: ServerAccount
    client: RunningClient = field(init=False)

    @property
    def ilink(self) -> Bench:
        """The account at the sandbox's iLink API."""
        return Bench(self.wechat.sandbox, self.wechat.url)

    def begin(self, pace: float = 0.0, /, **environ: str) -> RunningClient:
        """Start a process of the account; ``pace`` are the least seconds between two sends on the iLink route."""

        def make(context: DriverContext) -> Driver:
            if self.route.name == "web":
                return WebDriver(context, TIMING)
            if self.route.name == "filehelper":
                return FileHelperDriver(context, TIMING)
            return ilink_driver(context, pace)

        place = {"WXCLIENT_DRIVER": self.route.name, "WXCLIENT_SERVER": self.wechat.url}
        pauses = dict.fromkeys(("MOJO_WEIXIN_SYNCCHECK_INTERVAL", "MOJO_WEIXIN_SYNCCHECK_DELAY"), "0")
        self.client = self.start(make=make, **place, **pauses, **{POST_API: self.webhook.address, **environ})
        return self.client

    async def enter(self, pace: float = 0.0, /, **environ: str) -> RunningClient:
        client = self.begin(pace, **environ)
        await self.scan()
        return client

    async def restart(self, **environ: str) -> RunningClient:
        """Stop the process and start another, which needs no scan."""
        assert await self.client.stop() == 0
        client = self.begin(**environ)
        await client.until_state("running")
        return client

    async def scan(self) -> None:
        await self.client.until_state("scaning")
        await self.route.scan(self)
        await self.client.until_state("running")

    async def attended(self, **environ: str) -> Agent:
        """Start a process and log it in; return an agent that gets messages from now on."""
        agent = Agent(await self.enter(**environ))
        await agent.attend()
        return agent

    async def hear(self, words: str) -> JsonObject:
        """Let a person write; return the report once it is delivered."""
        return await self.report(self.route.write(self, words))

    async def show(self, kind: str = "image", content: bytes = PICTURE, name: str = "") -> JsonObject:
        """Let a person send content; return the report once it is delivered."""
        return await self.report(await self.route.show(self, kind, content, name))

    async def report(self, message_id: str) -> JsonObject:
        got = await self.webhook.until(lambda reports: any(report.get("id") == message_id for report in reports))
        return dict(next(one for one in got if one.get("id") == message_id))

    async def call(self, name: str, data: bytes = b"", filename: str = "x", /, **parameters: str) -> JsonValue:
        """Use the account's API; ``data`` is media_data."""
        return await self.client.post(name, data, filename, **parameters)

    async def send(self, content: str = "", data: bytes = b"", /, **more: str) -> JsonObject:
        """Send to the person who writes."""
        parameters = {"id": self.route.recipient(self), "content": content, **more}
        return obj(await self.call("send_friend_message", data, **parameters))

    def contents(self) -> list[tuple[str, int]]:
        """Return kind and size of the content that WeChat accepted."""
        return [(one.kind, one.item.size) for one in self.route.accepted(self) if one.item is not None]

    def sent(self) -> list[str]:
        return [one.text for one in self.route.accepted(self)]

    async def until_sent(self, number: int) -> list[str]:
        return await until(self.sent, lambda texts: len(texts) >= number)


@contextlib.asynccontextmanager
async def staged(directory: Path, route: Route, kind: type[S], name: str = "Alice") -> AsyncIterator[S]:
    """An account that is not started yet."""
    options = Options(poll_hold=0.3, sync_hold=0.3, updates_hold=0.3, batch_rate=0, takeover=0.0, strict=True)
    async with hooked() as hook, wechat(options) as world, starting(directory) as start:
        yield kind(route, start, hook, world, world.sandbox.add_account(name))
