"""Swagger UI and Redoc, as they are published, show all of /v1/openapi.json and complain about nothing.

`make test-deps` fetches them; one that is not there is skipped.
"""

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.page.browser import Browser, browsing
from tests.thirdparty.stage import ROOT
from wxcontroller.controller.v1.described import openapi
from wxcontroller.core.jsontypes import JsonObject, obj, text

pytestmark = [pytest.mark.timeout(200)]
FETCHED = ROOT / ".cache" / "thirdparty" / "api-viewers" / "node_modules"
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>viewer</title><link rel="icon" href="data:,">{head}</head>
<body><div id="here"></div>{scripts}</body></html>
"""
SWAGGER = _PAGE.format(
    head='<link rel="stylesheet" href="swagger-ui-dist/swagger-ui.css">',
    scripts="""<script src="swagger-ui-dist/swagger-ui-bundle.js"></script><script>
SwaggerUIBundle({ url: "openapi.json", dom_id: "#here", docExpansion: "list", validatorUrl: null });
</script>""",
)
REDOC = _PAGE.format(
    head="",
    scripts="""<script src="redoc/bundles/redoc.standalone.js"></script><script>
Redoc.init("openapi.json", { expandResponses: "200", disableGoogleFont: true }, document.getElementById("here"));
</script>""",
)


class Quiet(SimpleHTTPRequestHandler):
    """Serves the files of a directory, and logs nothing."""

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  # its name where it comes from


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser on a directory with the viewers and the document."""
    if not FETCHED.exists():
        pytest.skip("api-viewers is not there: make test-deps")
    if shutil.which("chromedriver") is None:
        pytest.skip("chromium-driver is not installed")
    for viewer in ("swagger-ui-dist", "redoc"):
        (tmp_path / viewer).symlink_to(FETCHED / viewer)
    (tmp_path / "openapi.json").write_text(json.dumps(openapi()))
    (tmp_path / "swagger.html").write_text(SWAGGER)
    (tmp_path / "redoc.html").write_text(REDOC)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        with browsing(f"http://127.0.0.1:{server.server_port}") as started:
            yield started
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def operations() -> list[JsonObject]:
    return [obj(one) for methods in obj(openapi()["paths"]).values() for one in obj(methods).values()]


def complaints(browser: Browser) -> list[str]:
    """Return warnings and errors of the console, except that Redoc's logo is on a host that is out of reach."""
    entries = browser.driver.get_log("browser")  # type: ignore[no-untyped-call]
    found = [str(each["message"]) for each in entries if each["level"] in ("WARNING", "SEVERE")]
    return [each for each in found if not each.startswith("https://cdn.redoc.ly/redoc/logo-mini.svg ")]


def test_swagger_ui(browser: Browser) -> None:
    wanted = [text(one["operationId"]) for one in operations()]
    browser.open("swagger.html")
    shown = "return [...document.querySelectorAll('.opblock')].map((one) => one.id.split('-').at(-1))"
    browser.until(lambda: sorted(browser.script(shown)) == sorted(wanted), "all operations", 120)
    # It resolves and draws parameters, bodies and schemas of what is opened.
    for opened in ("post_v1_accounts", "get_v1_accounts_name", "post_openwx_send_friend_message", "get_v1_events"):
        browser.script("arguments[0].click()", browser.find(f"[id$='-{opened}'] .opblock-summary-control"))
        browser.find(f"[id$='-{opened}'] .responses-table")
    browser.picture("viewer-swagger")
    assert browser.driver.find_elements("css selector", ".errors-wrapper, .fallback") == []
    assert complaints(browser) == []


def test_redoc(browser: Browser) -> None:
    wanted = {text(one["operationId"]) for one in operations()}
    browser.open("redoc.html")
    shown = "return [...document.querySelectorAll('[data-section-id]')].map((one) => one.dataset.sectionId)"
    browser.until(
        lambda: wanted <= {each.rpartition("/")[2] for each in browser.script(shown)}, "all operations", 120
    )
    browser.picture("viewer-redoc")
    assert complaints(browser) == []
