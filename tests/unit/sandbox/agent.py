"""The sandbox's iLink route on a real socket, a client of it, and its phone: in one process, for any test.

async with ilink_sandbox() as (sandbox, agent):
    bot = await agent.log_in(sandbox)                     # as account UIN, whose phone scans and confirms
    phone.write_text(sandbox, sandbox.accounts[UIN], "hello")
    [message] = (await agent.updates())["msgs"]
    answer = await agent.send_text("yes")
    assert sandbox.ilink.users[UIN].sent[-1].text == "yes"
"""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from tests.patience import PATIENCE
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.codes import ILinkCode
from wxcontroller.sandbox.ilink.model import Bot, RecordedCall
from wxcontroller.sandbox.logins import LoginStage
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import Address, running

UIN = 1_234_567_001
OTHER_UIN = 1_234_567_002
HURRY = Options(poll_hold=0.2, updates_hold=0.2, takeover=0.0)
# JSON of responses, which only tests read.
Json = Any


class Agent:
    """A client of the iLink API: what the official one does, step by step."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = self.base = url
        self.http = http
        self.token = self.bot_id = self.user_id = self.cursor = ""
        self.contexts: dict[str, str] = {}

    @property
    def headers(self) -> dict[str, str]:
        return {
            "iLink-App-Id": "bot",
            "iLink-App-ClientVersion": "132105",
            "AuthorizationType": "ilink_bot_token",
            "X-WECHAT-UIN": base64.b64encode(str(secrets.randbits(32)).encode()).decode(),
            "Authorization": f"Bearer {self.token}",
        }

    async def post(
        self, call: str, body: Json, base: str | None = None, expected: int = 200, /, **headers: str | None
    ) -> Json:
        """POST a call; return the parsed response, ``{}`` if it is empty. A header that is None is left out."""
        url = f"{base or self.base}/ilink/bot/{call}"
        sent = {key: value for key, value in (self.headers | headers).items() if value is not None}
        async with asyncio.timeout(PATIENCE), self.http.post(url, json=body, headers=sent) as response:
            assert response.status == expected, (response.status, await response.text())
            return await response.json() if await response.read() else {}

    async def call(self, name: str, expected: int = 200, **fields: Json) -> Json:
        body = {**fields, "base_info": {"channel_version": "2.4.9", "bot_agent": "Test/1.0"}}
        return await self.post(name, body, None, expected)

    # -- login

    async def code(self, *tokens: str) -> str:
        answer = await self.post("get_bot_qrcode?bot_type=3", {"local_token_list": [*tokens]}, self.url)
        return str(answer["qrcode"])

    async def status(self, code: str, verify_code: str = "", host: str = "") -> Json:
        """Poll a login code once; keeps the credentials."""
        entered = f"&verify_code={quote(verify_code, safe='')}" if verify_code else ""
        headers = {"iLink-App-Id": "bot", "iLink-App-ClientVersion": "132105"}
        place = f"http://{host}" if host else self.url
        url = f"{place}/ilink/bot/get_qrcode_status?qrcode={quote(code, safe='')}{entered}"
        async with self.http.get(url, headers=headers) as response:
            answer = await response.json()
        if answer["status"] == "confirmed":
            self.token, self.bot_id = answer["bot_token"], answer["ilink_bot_id"]
            self.user_id, self.base = answer["ilink_user_id"], answer["baseurl"] or self.url
            self.cursor = ""
        return answer

    async def log_in(self, sandbox: Sandbox, uin: int = UIN) -> Bot:
        """Get a code, let the phone of an account scan and confirm it, and fetch the credentials."""
        await self.code()
        bot = phone.confirm(sandbox, await waiting_code(sandbox), sandbox.accounts[uin])
        assert (await self.status(newest_code(sandbox).uuid))["status"] == "confirmed"
        return bot

    # -- messages

    async def updates(self, cursor: str | None = None) -> Json:
        """Poll once, by default with the last cursor; keeps the cursor and context tokens."""
        answer = await self.call("getupdates", get_updates_buf=self.cursor if cursor is None else cursor)
        self.cursor = answer.get("get_updates_buf") or self.cursor
        for message in answer.get("msgs", []):
            self.contexts[message.get("group_id") or message["from_user_id"]] = message["context_token"]
        return answer

    async def send(self, *listed: Json, to: str | None = None, **changes: Json) -> Json:
        """Send items, by default to the user who scanned."""
        to = self.user_id if to is None else to
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

    async def send_text(self, content: str, to: str | None = None, **changes: Json) -> Json:
        return await self.send({"type": 1, "text_item": {"text": content}}, to=to, **changes)

    # -- content

    async def permit(self, **changes: Json) -> Json:
        """Ask for the upload of a picture of one byte, or of something else by ``changes``."""
        picture = {"filekey": "0" * 32, "media_type": 1, "rawsize": 1, "rawfilemd5": "0" * 32, "filesize": 16}
        return await self.call("getuploadurl", **{**picture, "aeskey": "0" * 32, **changes})

    def locate(self, url: str) -> URL:
        """Return where a link to content is fetched from."""
        return URL(url, encoded=True)

    async def get(self, url: str, **headers: str) -> tuple[int, bytes]:
        async with self.http.get(self.locate(url), headers=headers) as response:
            return response.status, await response.read()

    async def put(self, url: str, body: bytes, **headers: str) -> tuple[int, str]:
        """Upload ciphertext; return the status and the download parameter, or why it was refused."""
        sent = {"Content-Type": "application/octet-stream", **headers}
        async with self.http.post(self.locate(url), data=body, headers=sent) as response:
            found = response.headers.get("x-encrypted-param") or response.headers.get("x-error-message") or ""
            return response.status, found

    async def api(self, method: str, path: str, body: Json = None, status: int | None = None) -> Json:
        """Call the scripting API; ``status`` is the expected one (any 2xx if None)."""
        async with self.http.request(method, f"{self.url}/sandbox{path}", json=body) as response:
            value = await response.json()
            assert response.status == status if status else response.ok, (response.status, value)
            return value


def newest_code(sandbox: Sandbox) -> ILinkCode:
    """Return the code that was handed out last."""
    return next(login for login in reversed(sandbox.logins.all.values()) if isinstance(login, ILinkCode))


async def waiting_code(sandbox: Sandbox, seconds: float = PATIENCE) -> ILinkCode:
    """Wait for a code that nobody has scanned, and return it."""
    async with asyncio.timeout(seconds):
        while True:
            for login in sandbox.logins.newest_first():
                if isinstance(login, ILinkCode) and login.state is LoginStage.WAITING:
                    return login
            await sandbox.logins.bell.wait(seconds)


def requests(sandbox: Sandbox, endpoint: str) -> list[RecordedCall]:
    """Return the requests of an endpoint, oldest first."""
    return [one for one in sandbox.ilink.exchanges if one.endpoint == endpoint]


def notes(sandbox: Sandbox) -> list[str]:
    """Return all departures from the protocol."""
    return [f"{one.endpoint}: {one.what}" for one in sandbox.ledger.violations]


@contextlib.asynccontextmanager
async def ilink_sandbox(options: Options = HURRY, accounts: int = 2) -> AsyncIterator[tuple[Sandbox, Agent]]:
    """Run a sandbox on a free port, with a client that knows it."""
    sandbox = Sandbox(options)
    for _ in range(accounts):
        sandbox.add_account()
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with running(sandbox, Address("127.0.0.1", 0)) as addresses, aiohttp.ClientSession(timeout=timeout) as http:
        yield sandbox, Agent(f"http://{addresses[0]}", http)
