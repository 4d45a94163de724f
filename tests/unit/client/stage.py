"""An account of any route in this process, with the sandbox as WeChat."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook
from tests.unit.client.ilink_agent import Agent
from tests.unit.client.test_ilink_account import quickly as ilink_driver
from tests.unit.drivers.ilink_kit import Bench, bench
from tests.unit.drivers.kit import HURRY, Wechat, friend, wechat
from tests.unit.sandbox.agent import waiting_code
from wxcontroller.drivers.filehelper.driver import FileHelperDriver
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.sandbox import compose
from wxcontroller.sandbox.account import ServerAccount, WebLogin
from wxcontroller.sandbox.compose import Draft
from wxcontroller.sandbox.contents import ContentItem
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.items import ItemMedia, KeyForm


@dataclass
class Stage:
    """An account of one route on the sandbox. ``hear`` lets a person write to it, ``sent`` is what WeChat took."""

    route: str
    start: Start
    webhook: Webhook
    ilink: Bench | None = None
    web: Wechat | None = None

    @property
    def wechat(self) -> Wechat:
        assert self.web is not None
        return self.web

    @property
    def account(self) -> ServerAccount:
        if self.ilink is not None:
            return self.ilink.account
        return next(iter(self.wechat.sandbox.accounts.values()))

    def begin(self, **environ: str) -> RunningClient:
        server = self.ilink or self.web
        assert server is not None
        route = {"WXCLIENT_DRIVER": self.route, "WXCLIENT_SERVER": server.url, POST_API: self.webhook.address}
        if self.ilink is not None:
            return self.start(make=lambda context: ilink_driver(context, pace=0.0), **route, **environ)
        pauses = dict.fromkeys(("MOJO_WEIXIN_SYNCCHECK_INTERVAL", "MOJO_WEIXIN_SYNCCHECK_DELAY"), "0")
        driver = FileHelperDriver if self.route == "filehelper" else WebDriver
        return self.start(make=lambda context: driver(context, HURRY), **route, **pauses, **environ)

    async def enter(self, **environ: str) -> RunningClient:
        client = self.begin(**environ)
        await self.scan(client)
        return client

    async def attended(self, **environ: str) -> Agent:
        """Start a process and log it in; return an agent that gets messages from now on."""
        agent = Agent(await self.enter(**environ))
        await agent.attend()
        return agent

    async def scan(self, client: RunningClient) -> None:
        await client.until_state("scaning")
        if self.ilink is not None:
            sandbox = self.ilink.sandbox
            phone.confirm(sandbox, await waiting_code(sandbox), self.account)
        elif self.web is not None:
            await self.web.scan(self.account)
        await client.until_state("running")

    def hear(self, words: str, chat: str | None = None, sender: str | None = None) -> None:
        """Let a person write: by default the first friend on the web route, the owner to File Transfer."""
        if self.ilink is not None:
            phone.write_text(self.ilink.sandbox, self.account, words)
        elif self.web is not None and self.route == "filehelper":
            self.web.sandbox.deliver(self.account, "filehelper", self.account.wxid, words, "phone")
        elif self.web is not None:
            self.web.hear(self.account, words, chat, sender)

    def show(self, kind: str, content: bytes, name: str, form: KeyForm = KeyForm.RAW) -> None:
        """Let a person send a picture, video or file; ``form`` is that of its key on the iLink route."""
        if self.ilink is not None:
            item = ContentItem(kind, self.ilink.sandbox.contents.add(content), len(content), name)
            phone.write_media(self.ilink.sandbox, self.account, ItemMedia(item, bytes(range(16)), form))
            return
        assert self.web is not None
        item = ContentItem(kind, self.web.sandbox.contents.add(content), len(content), name)
        is_own = self.route == "filehelper"
        people = ("filehelper", self.account.wxid) if is_own else (self.friend, self.friend)
        draft = Draft(self.web.sandbox.next_msg_id(), *people)
        if kind == "video":
            made = compose.video(draft, item, 3, False)
        else:
            made = compose.image(draft, item) if kind == "image" else compose.file(draft, item)
        self.web.put(self.account, made, "phone" if is_own else "peer")

    def taken(self) -> list[Any]:
        return [*(self.account.sent if self.ilink is None else self.ilink.sent())]

    def contents(self) -> list[tuple[str, int]]:
        """Return kind and size of the content that WeChat took."""
        return [(one.kind, one.item.size) for one in self.taken() if one.item is not None]

    @property
    def friend(self) -> str:
        return friend(self.account)

    def sent(self) -> list[str]:
        return [one.text for one in self.taken()]

    async def until_sent(self, number: int) -> list[str]:
        await until(lambda: len(self.sent()) >= number)
        return self.sent()


@contextlib.asynccontextmanager
async def stage_of(route: str, start: Start, webhook: Webhook) -> AsyncIterator[Stage]:
    if route == "ilink":
        async with bench() as found:
            yield Stage(route, start, webhook, ilink=found)
    else:
        async with wechat() as world:
            # File Transfer is for those whom web login refuses.
            login = WebLogin.REFUSED if route == "filehelper" else WebLogin.BOTH
            world.sandbox.add_account("Alice", web_login=login)
            yield Stage(route, start, webhook, web=world)
