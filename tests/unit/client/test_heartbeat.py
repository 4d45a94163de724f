"""The heartbeat: commands that poll_api may and may not give by a redirect (openwx-api 3.6, 5.3 no. 55)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.certificates import tls_server
from tests.patience import PATIENCE
from tests.serving import serving
from tests.unit.client.conftest import POLL_API, POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import message
from tests.unit.client.webhook import Server
from wxcontroller.client.login.pollheartbeat import command_of
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.base import Offline, Online


@dataclass
class Commander(Server):
    """A heartbeat server that redirects to ``locations`` in turn, then answers plainly."""

    locations: list[str] = field(default_factory=list)
    status: int = 302

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/beat?client=alice"

    async def answer_to(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.locations and request.path == "/beat":
            return web.Response(status=self.status, headers={"Location": self.locations.pop(0)})
        return web.Response()

    async def beats(self, number: int) -> None:
        await self.wait(lambda: len(self.asked) >= number)


@pytest.fixture
async def commander() -> AsyncIterator[Commander]:
    one = Commander()
    async with serving(one.serve, "0.0.0.0") as one.port:
        yield one


def beating(start: Start, commander: Commander, interval: str = "0.1") -> RunningClient:
    return start(**{POLL_API: commander.address, "MOJO_WEIXIN_POLL_INTERVAL": interval})


@pytest.mark.parametrize("status", [302, 307])
async def test_redirect_to_the_own_api_is_a_command(commander: Commander, start: Start, status: int) -> None:
    client = beating(start, commander)
    commander.status = status
    commander.locations = [f"http://127.0.0.1:{client.port}/openwx/send_friend_message?id=@ann&content=%E5%A5%BD"]
    await client.login()
    await commander.beats(2)
    assert [(to, text) for to, text, _ in client.driver.sends] == [("@ann", "好")]


# PORT is the account's own, TRAP that of somebody else, who would notice.
STOP = "/openwx/stop_client"
_HOSTS = """127.0.0.1:TRAP 127.0.0.2:PORT 0.0.0.0:PORT [::1]:PORT 2130706433:PORT 127.1:PORT 127.0.0.1:PORTx
localhost [] 127.0.0.1:99999 127.0.0.1.nip.example:PORT user@127.0.0.1:PORT :secret@127.0.0.1:PORT 127.0.0.1:PORT/
127.0.0.1:PORT@127.0.0.1:TRAP 127.0.0.1:PORT\\@127.0.0.1:TRAP 127.0.0.1:TRAP\\@127.0.0.1:PORT
127.0.0.1:TRAP#@127.0.0.1:PORT 127.0.0.1:TRAP?@127.0.0.1:PORT"""
_PATHS = """openwx//stop_client openwx/stop_client/ openwx/..%2fopenwx/stop_client openwx/%2e%2e/x
openwx%2fstop_client openwx/../v1/accounts v1/accounts"""
HOSTILE = [
    *(f"http://{host}{STOP}" for host in _HOSTS.split()),
    *(f"http://127.0.0.1:PORT/{path}" for path in ("", *_PATHS.split())),
    *(
        f"{root}{STOP}"
        for root in ("https://127.0.0.1:PORT", "ftp://127.0.0.1:PORT", "//127.0.0.1:PORT", "", "file://")
    ),
    *(f"http://127.0.0.1:2000/openwx/{verb}_client?client=other" for verb in ("start", "stop")),
    *("openwx/stop_client", "", "\x00", "http://[", "javascript:alert(1)"),
]


def test_foreign_redirects_are_not_commands() -> None:
    for location in HOSTILE:
        assert command_of(location.replace("PORT", "3000").replace("TRAP", "3001"), 3000) is None, location


async def test_other_redirects_are_not_followed(
    commander: Commander, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    client = beating(start, commander)
    sendable = [each for each in HOSTILE[::3] if each.strip() and each.isprintable()]
    commander.locations = [
        each.replace("PORT", str(client.port)).replace("TRAP", str(commander.port)) for each in sendable
    ]
    await client.login()
    await commander.beats(len(sendable) + 1)
    assert set(commander.calls) == {"GET /beat?client=alice"}
    # A stop takes 3 s, so look whether one was requested.
    await asyncio.sleep(0.1)
    assert obj(await client.get("get_client_info"))["state"] == "running"
    assert not client.stopping.is_set()
    # Logged once: it would repeat all day.
    assert [record.getMessage() for record in caplog.records].count(
        "poll_api redirects to something that is not this account's API; it is not followed"
    ) == 1


async def test_heartbeat_is_sent_only_while_the_account_is_running(commander: Commander, start: Start) -> None:
    client = beating(start, commander)
    await client.until_state("loading")
    assert commander.asked == []
    await client.login()
    await commander.beats(3)
    client.driver.play([Offline(Text("no answer"))])
    await client.until_state("updating")
    await asyncio.sleep(0.1)  # one may be under way
    before = len(commander.asked)
    await asyncio.sleep(0.3)
    assert len(commander.asked) == before
    client.driver.play([Online()])
    await commander.beats(before + 1)


async def test_webhook_and_heartbeat_trust_the_authorities_of_ca_file(
    start: Start, webhook: Webhook, tmp_path: Path
) -> None:
    authority, context = tls_server(tmp_path)
    beaten = asyncio.Event()

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return await webhook.serve(request)
        beaten.set()
        return web.Response()

    async with serving(serve, tls=context) as port:
        root = f"https://127.0.0.1:{port}"
        options = {POST_API: f"{root}/in", POLL_API: f"{root}/beat", "WXCLIENT_CA_FILE": str(authority)}
        client = await running(start, **options)
        client.driver.play([message("hi")])
        assert [report["content"] for report in await webhook.messages()] == ["hi"]
        async with asyncio.timeout(PATIENCE):
            await beaten.wait()
