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
const [what, done] = arguments;
Promise.all([import("/page/any/api.js"), import("/page/any/paths.js")]).then(async ([api, { path }]) => {
  api.onTokenNeeded(async () => "wxc_secret");
  const target = path`openwx/${what}`;
  await api.call("GET", target).then(() => done("answered"), (problem) => done(String(problem)));
});
"""
# Requests of what only resembles a path, with each call that sends the token.
_FORGED = """
const done = arguments[0];
Promise.all([import("/page/any/api.js"), import("/page/any/paths.js")]).then(async ([api, { path }]) => {
  api.onTokenNeeded(async () => "wxc_secret");
  const made = path`openwx/away`;
  const forged = [
    "openwx/away", "/openwx/away", new URL("/openwx/away", location), { raw: ["openwx/away"] }, ["openwx/away"],
    null, undefined, Object.create(made), { ...made }, new made.constructor(), new made.constructor().query({ a: 1 }),
    ...["", ".", "..", null, undefined, 7, ["x"], made].map((value) => path`openwx/${value}/away`),
  ];
  const like = { raw: [], length: 1, 0: "openwx/away" };
  for (const template of ["openwx/away", ["openwx/away"], { raw: ["openwx/away"] }, like]) {
    try { forged.push(path(template)); } catch (problem) { forged.push(String(problem)); }
  }
  const calls = [
    (target) => api.call("GET", target), (target) => api.picture(target), (target) => api.exchange("GET", target),
    (target) => api.stream(target).next(),
  ];
  let refused = 0;
  for (const target of forged) for (const each of calls) await each(target).catch(() => refused++);
  done([refused, forged.length * calls.length]);
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
    assert browser.driver.execute_async_script(_CALL, "away") != "answered"
    assert server.calls["openwx/away"] == 1
    assert server.calls["openwx/start_client"] == 0


def test_a_token_refused_after_login_causes_no_loop(server: Server, browser: Browser) -> None:
    browser.open()
    assert browser.driver.execute_async_script(_CALL, "refused") != "answered"
    assert server.calls["openwx/refused"] <= 2


def test_only_paths_that_the_page_made_are_requested(server: Server, browser: Browser) -> None:
    browser.open()
    refused, tries = browser.driver.execute_async_script(_FORGED)
    assert refused == tries > 80
    assert [path for path in server.calls if "openwx" in path] == []
