"""An agent that uses an account's iLink API at its own port, as the controller passes it on, and accounts for it."""

import asyncio
import contextlib
import hashlib
import io
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from yarl import URL

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook
from tests.unit.client.test_ilink_account import quickly as ilink_driver
from tests.unit.drivers.ilink_kit import Bench, bench
from tests.unit.drivers.kit import HURRY, Wechat, friend, wechat
from tests.unit.sandbox.agent import waiting_code
from wxcontroller.core.aes import encrypted, padded_size
from wxcontroller.core.jsontypes import text
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.openwx import credentials
from wxcontroller.sandbox import compose
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.compose import Draft
from wxcontroller.sandbox.contents import ContentItem
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.items import ItemMedia, KeyForm

ORIGIN = "http://gate.example:2000"
# JSON of answers.
Json = Any


@dataclass
class Agent:
    """A consumer. Its cursor and the last context token of each conversation are as a client keeps them."""

    client: Any  # a running account of any kind, with its ``http``, ``port`` and ``paths``
    name: str = "agent"
    cursor: str = ""
    contexts: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        secret = self.client.paths.port_secret("alice").read_text().strip()
        return {credentials.PORT_HEADER: f"ilink {secret}", "X-Wx-Consumer": self.name, "X-Wx-Origin": ORIGIN}

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.client.port}{path}"

    async def call(self, name: str, expected: int = 200, **body: Json) -> Json:
        body = {**body, "base_info": {"channel_version": "2.4.9", "bot_agent": "Test/1.0"}}
        async with (
            asyncio.timeout(PATIENCE),
            self.client.http.post(self.url(f"/ilink/bot/{name}"), json=body, headers=self.headers) as answer,
        ):
            assert answer.status == expected, await answer.text()
            return await answer.json()

    async def updates(self, cursor: str | None = None) -> list[Json]:
        """Poll once, with the last cursor; return the messages."""
        answer = await self.call("getupdates", get_updates_buf=self.cursor if cursor is None else cursor)
        assert answer["ret"] == 0, answer
        self.cursor = answer["get_updates_buf"] or self.cursor
        for message in answer["msgs"]:
            self.contexts[message["group_id"] or message["from_user_id"]] = message["context_token"]
        return list(answer["msgs"])

    async def until(self, number: int = 1) -> list[Json]:
        found: list[Json] = []
        while len(found) < number:
            found += await self.updates()
        return found

    async def attend(self) -> None:
        """Poll for the first time ever, which says from where on it gets messages."""
        poll = asyncio.ensure_future(self.updates())
        shown = None
        async with asyncio.timeout(PATIENCE):
            while shown is None or shown["behind"] != 0:
                shown = next((one for one in await self.consumers() if one["name"] == self.name), None)
        poll.cancel()
        await asyncio.wait({poll})

    async def send(self, to: str, *texts: str, context: str | None = None, **fields: Json) -> Json:
        """Send texts as one message; ``context`` is by default that of the conversation."""
        items = [{"type": 1, "text_item": {"text": each}} for each in texts]
        return await self.send_items(to, items, context, **fields)

    async def send_items(self, to: str, items: list[Json], context: str | None = None, **fields: Json) -> Json:
        token = self.contexts.get(to, "") if context is None else context
        message = {"from_user_id": "", "to_user_id": to, "message_type": 2, "message_state": 2, "item_list": items}
        return await self.call("sendmessage", msg={**message, "context_token": token, **fields})

    # -- content

    async def permit(self, kind: int, content: bytes, key: bytes, **changes: Json) -> Json:
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        facts = {
            "media_type": kind,
            "rawsize": len(content),
            "rawfilemd5": digest,
            "filesize": padded_size(len(content)),
        }
        fixed = {"filekey": secrets.token_hex(16), "to_user_id": "", "aeskey": key.hex(), "no_need_thumb": True}
        return await self.call("getuploadurl", **{**fixed, **facts, **changes})

    async def put(self, url: str, ciphertext: bytes) -> tuple[int, str]:
        """Upload as an agent does, without any header; return the status and the parameter, or why not."""
        async with self.client.http.post(self.local(url), data=ciphertext, headers=self.passing) as answer:
            found = answer.headers.get("x-encrypted-param") or answer.headers.get("x-error-message") or ""
            return answer.status, found

    async def uploaded(self, kind: int, content: bytes, key: bytes) -> str:
        answer = await self.permit(kind, content, key)
        assert answer["ret"] == 0, answer
        status, parameter = await self.put(answer["upload_full_url"], b"".join(encrypted(io.BytesIO(content), key)))
        assert status == 200, parameter
        return parameter

    async def get(self, url: str) -> tuple[int, bytes]:
        async with self.client.http.get(self.local(url), headers=self.passing) as answer:
            return answer.status, await answer.read()

    def local(self, url: str) -> URL:
        """Return where the controller passes on a link to; by its parameter alone it finds the account."""
        assert url.startswith(f"{ORIGIN}/ilink/c2c/")
        assert parse_qs(urlsplit(url).query)["encrypted_query_param"][0].startswith(f"alice.{self.name}.")
        return URL(self.url(url.removeprefix(ORIGIN)), encoded=True)

    @property
    def passing(self) -> dict[str, str]:
        return {credentials.PORT_HEADER: self.headers[credentials.PORT_HEADER]}

    # -- as an administrator

    async def manage(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        async with self.client.http.request(method, self.url(path), json=body) as answer:
            return answer.status, await answer.json()

    async def consumers(self) -> list[Json]:
        status, found = await self.manage("GET", "/v1/consumers")
        assert status == 200
        return list(found["consumers"])

    async def set(self, **options: Json) -> Json:
        status, found = await self.manage("PUT", f"/v1/consumers/{self.name}", options)
        assert status in (200, 201), found
        return found

    async def shown(self) -> Json:
        return next(one for one in await self.consumers() if one["name"] == self.name)

    async def until_polling(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not (await self.shown())["polling"]:
                await asyncio.sleep(0.01)


@dataclass
class Stage:
    """An account of one route on the sandbox. ``hear`` lets a person write to it, ``sent`` is what WeChat took."""

    route: str
    start: Start
    webhook: Webhook
    ilink: Bench | None = None
    web: Wechat | None = None

    @property
    def account(self) -> ServerAccount:
        if self.ilink is not None:
            return self.ilink.account
        assert self.web is not None
        return next(iter(self.web.sandbox.accounts.values()))

    def begin(self, **environ: str) -> RunningClient:
        server = self.ilink or self.web
        assert server is not None
        route = {"WXCLIENT_DRIVER": self.route, "WXCLIENT_SERVER": server.url, POST_API: self.webhook.address}
        if self.ilink is not None:
            return self.start(make=lambda context: ilink_driver(context, pace=0.0), **route, **environ)
        pauses = dict.fromkeys(("MOJO_WEIXIN_SYNCCHECK_INTERVAL", "MOJO_WEIXIN_SYNCCHECK_DELAY"), "0")
        return self.start(make=lambda context: WebDriver(context, HURRY), **route, **pauses, **environ)

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
            logins = self.web.sandbox.logins
            login = logins.newest_first()[0]
            logins.scan(login, self.account.uin)
            logins.confirm(login)
        await client.until_state("running")

    def hear(self, words: str, chat: str | None = None, sender: str | None = None) -> None:
        """Let a person write: on the web route by default the first friend."""
        if self.ilink is not None:
            phone.write_text(self.ilink.sandbox, self.account, words)
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
        draft = Draft(self.web.sandbox.next_msg_id(), self.friend, self.friend)
        if kind == "video":
            made = compose.video(draft, item, 3, False)
        else:
            made = compose.image(draft, item) if kind == "image" else compose.file(draft, item)
        if media_id := text(made.fields.get("MediaId")):
            self.account.hold(media_id, item)
        self.web.sandbox.bring(self.account, made, "peer", "")

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
            world.sandbox.add_account("Alice")
            yield Stage(route, start, webhook, web=world)
