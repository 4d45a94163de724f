"""An agent that uses an account's iLink API at its own port, as the controller passes it on."""

import asyncio
import hashlib
import io
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from yarl import URL

from tests.patience import PATIENCE, until
from wxcontroller.core.aes import encrypted, padded_size
from wxcontroller.openwx.http import credentials

# JSON of responses, which only tests read.
Json = Any
ORIGIN = "http://gate.example:2000"


def announcement(kind: int, content: bytes, key: bytes) -> dict[str, Json]:
    """Return how the upload of content is announced."""
    return {
        "filekey": secrets.token_hex(16),
        "media_type": kind,
        "rawsize": len(content),
        "rawfilemd5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "filesize": padded_size(len(content)),
        "aeskey": key.hex(),
        "to_user_id": "",
        "no_need_thumb": True,
    }


class Agent:
    """A consumer. ``client`` is a running account of any kind, with its ``http``, ``port`` and ``paths``."""

    def __init__(self, client: Any, name: str = "agent") -> None:
        self.name, self.cursor = name, ""
        self.http: aiohttp.ClientSession = client.http
        self.contexts: dict[str, str] = {}  # the last context token of each chat
        self.use(client)

    def use(self, client: Any) -> None:
        """Talk to another process of the account."""
        self.client, self.base = client, f"http://127.0.0.1:{client.port}"

    @property
    def port_header(self) -> dict[str, str]:
        return {credentials.PORT_HEADER: f"ilink {self.client.paths.port_secret('alice').read_text().strip()}"}

    @property
    def headers(self) -> dict[str, str]:
        return {**self.port_header, "X-Wx-Consumer": self.name, "X-Wx-Origin": ORIGIN}

    async def call(self, name: str, expected: int = 200, **fields: Json) -> Json:
        body = {**fields, "base_info": {"channel_version": "2.4.9", "bot_agent": "Test/1.0"}}
        url = f"{self.base}/ilink/bot/{name}"
        async with asyncio.timeout(PATIENCE), self.http.post(url, json=body, headers=self.headers) as answer:
            assert answer.status == expected, (answer.status, await answer.text())
            return await answer.json()

    async def messages(self, cursor: str | None = None) -> list[Json]:
        """Poll once, by default with the last cursor."""
        answer = await self.call("getupdates", get_updates_buf=self.cursor if cursor is None else cursor)
        assert answer["ret"] == 0, answer
        self.cursor = answer["get_updates_buf"] or self.cursor
        for message in answer["msgs"]:
            self.contexts[message["group_id"] or message["from_user_id"]] = message["context_token"]
        return list(answer["msgs"])

    async def send(self, *listed: Json, to: str, **changes: Json) -> Json:
        message = {
            "from_user_id": "",
            "to_user_id": to,
            "client_id": f"test:{secrets.token_hex(4)}",
            "message_type": 2,
            "message_state": 2,
            "context_token": self.contexts.get(to, ""),
            "item_list": [*listed],
        }
        return await self.call("sendmessage", msg=message | changes)

    async def send_text(self, content: str, to: str, **changes: Json) -> Json:
        return await self.send({"type": 1, "text_item": {"text": content}}, to=to, **changes)

    async def until(self, number: int = 1) -> list[Json]:
        found: list[Json] = []
        while len(found) < number:
            found += await self.messages()
        return found

    async def attend(self) -> None:
        """Become a consumer that gets messages from now on."""
        polling = asyncio.ensure_future(self.messages())
        await until(
            self.consumers, lambda found: any(one["name"] == self.name and one["behind"] == 0 for one in found)
        )
        polling.cancel()
        await asyncio.wait({polling})

    # -- content

    async def uploaded(self, kind: int, content: bytes, key: bytes) -> str:
        answer = await self.call("getuploadurl", **announcement(kind, content, key))
        assert answer["ret"] == 0, answer
        status, parameter = await self.put(answer["upload_full_url"], b"".join(encrypted(io.BytesIO(content), key)))
        assert status == 200, parameter
        return parameter

    def locate(self, url: str) -> URL:
        """Return where the controller passes on a link; it finds the account by the link's parameter alone."""
        assert url.startswith(f"{ORIGIN}/ilink/c2c/")
        assert parse_qs(urlsplit(url).query)["encrypted_query_param"][0].startswith(f"alice.{self.name}.")
        return URL(url.replace(ORIGIN, self.base), encoded=True)

    async def get(self, url: str) -> tuple[int, bytes]:
        async with self.http.get(self.locate(url), headers=self.port_header) as answer:
            return answer.status, await answer.read()

    async def put(self, url: str, ciphertext: bytes | AsyncIterator[bytes]) -> tuple[int, str]:
        """Upload; return the status and the parameter, or why it was refused."""
        async with self.http.post(self.locate(url), data=ciphertext, headers=self.port_header) as answer:
            found = answer.headers.get("x-encrypted-param") or answer.headers.get("x-error-message") or ""
            return answer.status, found

    # -- as an administrator

    async def manage(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        async with self.http.request(method, self.base + path, json=body) as answer:
            return answer.status, await answer.json()

    async def consumers(self) -> list[Json]:
        status, body = await self.manage("GET", "/v1/consumers")
        assert status == 200
        return list(body["consumers"])

    async def set(self, **options: Json) -> None:
        status, body = await self.manage("PUT", f"/v1/consumers/{self.name}", options)
        assert status in (200, 201), body

    async def shown(self) -> Json:
        return next(consumer for consumer in await self.consumers() if consumer["name"] == self.name)

    async def until_polling(self) -> None:
        await until(self.shown, lambda shown: shown["polling"])
