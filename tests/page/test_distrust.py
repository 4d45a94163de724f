"""The page sends its token nowhere else, and repeats no refused call, whatever the server answers."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.inthread import in_thread
from tests.page.browser import Browser
from tests.serving import serving
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
    """Serves the page's own scripts, and answers their calls as a hostile proxy would."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path[1:]
        self.calls[path] += 1
        match path:
            case "page/any/messages-.js":
                return web.Response(text="export default {};", content_type="text/javascript")
            case "v1/access":
                accepted = "X-Auth-Token" in request.headers
                return web.json_response({"needed": True, "accepted": accepted, "scope": "admin"})
            case "openwx/away":
                return web.Response(status=307, headers={"Location": "/openwx/start_client?client=victim"})
            case "openwx/refused":
                return web.json_response({"error": {"message": "no"}}, status=401)
        if path.startswith("page/any/"):
            return web.FileResponse(STATIC / path.removeprefix("page/any/"))
        return web.Response(text="<p>page</p>", content_type="text/html")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def address(server: Server) -> Iterator[str]:
    with in_thread(serving(server.answer)) as running:
        yield f"http://127.0.0.1:{running.entered}"


def test_the_token_follows_no_redirect(server: Server, browser: Browser) -> None:
    browser.open()
    assert browser.driver.execute_async_script(_CALL, "openwx/away") != "answered"
    assert server.calls["openwx/away"] == 1
    assert server.calls["openwx/start_client"] == 0


def test_a_token_refused_after_login_causes_no_loop(server: Server, browser: Browser) -> None:
    browser.open()
    assert browser.driver.execute_async_script(_CALL, "openwx/refused") != "answered"
    assert server.calls["openwx/refused"] <= 2
