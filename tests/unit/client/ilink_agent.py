"""An agent that uses an account's iLink API at its own port, as the controller passes it on."""

import asyncio
import hashlib
import io
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

from yarl import URL

from tests.patience import until
from tests.unit.sandbox import agent
from tests.unit.sandbox.agent import Json
from wxcontroller.core.aes import encrypted, padded_size
from wxcontroller.openwx import credentials

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


class Agent(agent.Agent):
    """A consumer. ``client`` is a running account of any kind, with its ``http``, ``port`` and ``paths``."""

    def __init__(self, client: Any, name: str = "agent") -> None:
        super().__init__("", client.http)
        self.name = name
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

    async def messages(self, cursor: str | None = None) -> list[Json]:
        answer = await self.updates(cursor)
        assert answer["ret"] == 0, answer
        return list(answer["msgs"])

    async def until(self, number: int = 1) -> list[Json]:
        found: list[Json] = []
        while len(found) < number:
            found += await self.messages()
        return found

    async def attend(self) -> None:
        """Become a consumer that gets messages from now on."""
        polling = asyncio.ensure_future(self.updates())
        await until(
            self.consumers, lambda found: any(one["name"] == self.name and one["behind"] == 0 for one in found)
        )
        polling.cancel()
        await asyncio.wait({polling})

    # -- content

    async def uploaded(self, kind: int, content: bytes, key: bytes) -> str:
        answer = await self.permit(**announcement(kind, content, key))
        assert answer["ret"] == 0, answer
        status, parameter = await self.put(answer["upload_full_url"], b"".join(encrypted(io.BytesIO(content), key)))
        assert status == 200, parameter
        return parameter

    def locate(self, url: str) -> URL:
        """Return where the controller passes on a link; it finds the account by the link's parameter alone."""
        assert url.startswith(f"{ORIGIN}/ilink/c2c/")
        assert parse_qs(urlsplit(url).query)["encrypted_query_param"][0].startswith(f"alice.{self.name}.")
        return super().locate(url.replace(ORIGIN, self.base))

    async def get(self, url: str, **headers: str) -> tuple[int, bytes]:
        return await super().get(url, **self.port_header, **headers)

    async def put(self, url: str, body: bytes, **headers: str) -> tuple[int, str]:
        return await super().put(url, body, **self.port_header, **headers)

    # -- as an administrator

    async def manage(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        async with self.http.request(method, self.base + path, json=body) as answer:
            return answer.status, await answer.json()

    async def consumers(self) -> list[Json]:
        status, found = await self.manage("GET", "/v1/consumers")
        assert status == 200
        return list(found["consumers"])

    async def set(self, **options: Json) -> None:
        status, found = await self.manage("PUT", f"/v1/consumers/{self.name}", options)
        assert status in (200, 201), found

    async def shown(self) -> Json:
        return next(one for one in await self.consumers() if one["name"] == self.name)

    async def until_polling(self) -> None:
        await until(self.shown, lambda shown: shown["polling"])
