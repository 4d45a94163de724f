"""An agent that uses an account's iLink API at its own port, as the controller passes it on."""

import asyncio
import hashlib
import io
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from yarl import URL

from tests.patience import PATIENCE, until
from wxcontroller.core.aes import encrypted, padded_size
from wxcontroller.openwx import credentials

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
        await until(
            self.consumers, lambda found: any(one["name"] == self.name and one["behind"] == 0 for one in found)
        )
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
        await until(self.shown, lambda shown: shown["polling"])
