"""The heartbeat: what poll_api may command by a redirect, and what it may not (openwx-api 3.6, 5.3 no. 55)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.patience import PATIENCE
from tests.serving import serving
from tests.unit.client.conftest import POLL_API, RunningClient, Start
from tests.unit.client.scripted import logged_in
from wxcontroller.client.heartbeat import command_of
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.messages import Text
from wxcontroller.drivers.base import LossReason, Offline, SessionLost


@dataclass
class Commander:
    """A heartbeat server that redirects to ``locations`` in turn, then answers plainly. ``asked`` has all."""

    port: int = 0
    locations: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 302
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/beat?client=alice"

    async def poll(self, request: web.Request) -> web.StreamResponse:
        async with self._news:
            self.asked.append(request.path_qs)
            self.headers.append(dict(request.headers))
            self._news.notify_all()
        if self.locations and request.path == "/beat":
            return web.Response(status=self.status, headers={"Location": self.locations.pop(0)})
        return web.Response()

    async def beats(self, number: int) -> None:
        """Wait for so many requests."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.asked) >= number)


@pytest.fixture
async def commander() -> AsyncIterator[Commander]:
    one = Commander()
    async with serving(one.poll, "0.0.0.0") as one.port:
        yield one


def beating(start: Start, commander: Commander, interval: str = "0.1") -> RunningClient:
    return start(**{POLL_API: commander.address, "MOJO_WEIXIN_POLL_INTERVAL": interval})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_the_accounts_own_api_is_a_command(
    commander: Commander, start: Start, status: int
) -> None:
    client = beating(start, commander)
    commander.status = status
    commander.locations = [f"http://127.0.0.1:{client.port}/openwx/send_friend_message?id=@ann&content=%E5%A5%BD"]
    await client.login()
    await commander.beats(2)
    assert [(to, text) for to, text, _ in client.driver.sends] == [("@ann", "好")]


async def test_there_is_no_heartbeat_but_while_the_account_runs(commander: Commander, start: Start) -> None:
    client = beating(start, commander)
    await client.until_state("loading")
    assert commander.asked == []
    await client.login()
    await commander.beats(3)
    client.driver.play([Offline(Text("no answer"))])
    await client.until_state("updating")
    await asyncio.sleep(0.1)  # one may be under way
    before = len(commander.asked)
    client.driver.play([SessionLost(LossReason.LOGGED_OUT, 1100)])
    await client.until_state("loading")
    await asyncio.sleep(0.3)
    assert len(commander.asked) == before
    client.driver.play(logged_in())
    await commander.beats(before + 1)


# PORT is the account's own, TRAP that of somebody else, who would notice.
HOSTILE = [
    "http://127.0.0.1:TRAP/openwx/stop_client",
    "http://127.0.0.2:PORT/openwx/stop_client",
    "http://0.0.0.0:PORT/openwx/stop_client",
    "http://[::1]:PORT/openwx/stop_client",
    "http://2130706433:PORT/openwx/stop_client",
    "http://127.1:PORT/openwx/stop_client",
    "https://127.0.0.1:PORT/openwx/stop_client",
    "ftp://127.0.0.1:PORT/openwx/stop_client",
    "http://127.0.0.1:PORT@127.0.0.1:TRAP/openwx/stop_client",
    "http://user@127.0.0.1:PORT/openwx/stop_client",
    "http://:secret@127.0.0.1:PORT/openwx/stop_client",
    "http://127.0.0.1:PORT\\@127.0.0.1:TRAP/openwx/stop_client",
    "http://127.0.0.1:TRAP\\@127.0.0.1:PORT/openwx/stop_client",
    "http://127.0.0.1:TRAP#@127.0.0.1:PORT/openwx/stop_client",
    "http://127.0.0.1:TRAP?@127.0.0.1:PORT/openwx/stop_client",
    "http://127.0.0.1.nip.example:PORT/openwx/stop_client",
    "//127.0.0.1:PORT/openwx/stop_client",
    "/openwx/stop_client",
    "openwx/stop_client",
    "",
    "http://127.0.0.1:PORT//openwx/stop_client",
    "http://127.0.0.1:PORT/openwx//stop_client",
    "http://127.0.0.1:PORT/openwx/stop_client/",
    "http://127.0.0.1:PORT/openwx/..%2fopenwx/stop_client",
    "http://127.0.0.1:PORT/openwx/%2e%2e/x",
    "http://127.0.0.1:PORT/openwx%2fstop_client",
    "http://127.0.0.1:PORT/openwx/../v1/accounts",
    "http://127.0.0.1:PORT/v1/accounts",
    "http://127.0.0.1:PORT/",
    "http://127.0.0.1:2000/openwx/start_client?client=other",
    "http://127.0.0.1:2000/openwx/stop_client?client=other",
    "http://localhost/openwx/stop_client",
    "file:///openwx/stop_client",
    "javascript:alert(1)",
    "http://[",
    "http://[]/openwx/stop_client",
    "http://127.0.0.1:99999/openwx/stop_client",
    "http://127.0.0.1:PORTx/openwx/stop_client",
    "\x00",
]


@pytest.mark.parametrize("location", HOSTILE)
def test_other_redirects_are_no_commands(location: str) -> None:
    assert command_of(location.replace("PORT", "3000").replace("TRAP", "3001"), 3000) is None


async def test_redirects_elsewhere_are_not_followed(
    commander: Commander, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    client = beating(start, commander)
    sendable = [each for each in HOSTILE if each.strip() and each.isprintable()]
    commander.locations = [
        each.replace("PORT", str(client.port)).replace("TRAP", str(commander.port)) for each in sendable
    ]
    await client.login()
    await commander.beats(len(sendable) + 1)
    assert set(commander.asked) == {"/beat?client=alice"}
    # A stop would have come after 3 s; this says that none was asked for.
    await asyncio.sleep(0.1)
    assert obj(await client.get("get_client_info"))["state"] == "running"
    assert not client.stopping.is_set()
    # Told once: it would go on so all day long.
    assert [record.getMessage() for record in caplog.records].count(
        "poll_api redirects to something that is not this account's API; it is not followed"
    ) == 1


async def test_a_heartbeat_that_redirects_to_itself_is_one_request_a_beat(commander: Commander, start: Start) -> None:
    client = beating(start, commander, "0.2")
    commander.locations = ["/beat"] * 50
    await client.login()
    await commander.beats(1)
    await asyncio.sleep(0.5)
    assert len(commander.asked) <= 4
