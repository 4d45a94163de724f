"""The page keeps its token to itself, and asks no more than it must, whatever answers it."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from aiohttp import web

from tests.page.browser import Browser
from wxcontroller.controller import page

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
STATIC = Path(page.__file__).parent / "static"
_CALL = """
const [path, done] = arguments;
import("/page/any/api.js").then(async ({ call, onTokenNeeded }) => {
  onTokenNeeded(async () => "wxc_secret");
  await call("GET", path).then(() => done("answered"), (problem) => done(String(problem)));
});
"""


class Server:
    """Serves the page's own scripts, and answers their calls as a hostile program in between would."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.port: Future[int] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._ended = asyncio.Event()

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    async def _run(self) -> None:
        app = web.Application()
        app.router.add_get("/page/any/messages-.js", _messages)
        app.router.add_static("/page/any/", STATIC)
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port.set_result(runner.addresses[0][1])
        await self._ended.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.calls[path] += 1
        match path:
            case "v1/access":
                accepted = "X-Auth-Token" in request.headers
                return web.json_response({"needed": True, "accepted": accepted, "scope": "admin"})
            case "openwx/away":
                return web.Response(status=307, headers={"Location": "/openwx/start_client?client=victim"})
            case "openwx/refused":
                return web.json_response({"error": {"message": "no"}}, status=401)
        return web.Response(text="<p>page</p>", content_type="text/html")


async def _messages(_: web.Request) -> web.Response:
    return web.Response(text="export default {};", content_type="text/javascript")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.port.result(10)}"


def test_the_token_follows_no_redirect(server: Server, browser: Browser) -> None:
    browser.open()
    assert browser.driver.execute_async_script(_CALL, "openwx/away") != "answered"
    assert server.calls["openwx/away"] == 1
    assert server.calls["openwx/start_client"] == 0


def test_a_token_that_is_accepted_and_then_refused_is_no_loop(server: Server, browser: Browser) -> None:
    browser.open()
    assert browser.driver.execute_async_script(_CALL, "openwx/refused") != "answered"
    assert server.calls["openwx/refused"] <= 2
