"""Reports and heartbeats go only where the settings allow them, wherever a receiver redirects to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.patience import until
from tests.serving import serving
from tests.unit.client.conftest import POLL_API, POST_API, RunningClient, Start, running
from tests.unit.client.scripted import message
from tests.unit.client.webhook import Server
from wxcontroller.core.jsontypes import obj

TARGETS = "WXCLIENT_WEBHOOK_TARGETS"


@dataclass
class Place(Server):
    """A server on one address. ``lead_to`` is where it redirects."""

    host: str = ""
    lead_to: str = ""

    @property
    def root(self) -> str:
        return f"http://{self.host}:{self.port}/"

    async def answer_to(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.lead_to and request.path in ("/in", "/beat"):
            return web.Response(status=307, headers={"Location": self.lead_to})
        return web.Response()


@pytest.fixture
async def places() -> AsyncIterator[tuple[Place, Place]]:
    """An allowed server, and one that is not allowed at the same port of another address."""
    near, far = Place(host="127.0.0.1"), Place(host="127.0.0.2")
    async with serving(near.serve, near.host) as near.port, serving(far.serve, far.host, port=near.port) as far.port:
        yield near, far


async def status(client: RunningClient) -> str:
    return str(obj((await client.get_v1())["reports"])["last_error"])


async def held_back(client: RunningClient, place: Place) -> None:
    """Wait until a report was held back; the error names the address and the remedy."""
    error = await until(lambda: status(client), lambda error: "is not among webhook_targets" in error)
    assert place.root in error
    assert "restart the account" in error
    assert "hidden" not in error


async def test_nothing_is_sent_to_unlisted_addresses(
    start: Start, places: tuple[Place, Place], caplog: pytest.LogCaptureFixture
) -> None:
    near, far = places
    root = f"http://u:hidden@127.0.0.2:{far.port}"
    addresses = {POST_API: f"{root}/in?key=hidden", POLL_API: f"{root}/beat", "MOJO_WEIXIN_POLL_INTERVAL": "0.1"}
    client = await running(start, **addresses, **{TARGETS: near.root})
    await held_back(client, far)
    client.driver.play([message("hi")])
    fails = f"the heartbeat of {far.root}beat fails: {far.root}beat is not among webhook_targets"
    await until(lambda: fails in caplog.text)
    assert obj(await client.get("get_client_info"))["state"] == "running"
    assert far.asked == []
    assert "hidden" not in f"{caplog.text} {await client.get_v1()} {await client.get_v1('deliveries')}"


@pytest.mark.parametrize("target", ["", "sub/"])
async def test_redirect_to_an_unlisted_address_is_not_followed(
    start: Start, places: tuple[Place, Place], target: str
) -> None:
    near, far = places
    near.lead_to = f"http://127.0.0.2:{far.port}/in" if not target else f"{near.root}{target}../out"
    allowed = near.root if not target else f"{near.root}in {near.root}{target}"
    client = await running(start, **{POST_API: near.root + "in", TARGETS: allowed})
    await held_back(client, far if not target else near)
    assert set(near.calls) == {"POST /in"}
    assert far.asked == []
