"""The dashboard at ``/``: one page, one script, one style sheet, nothing inline and nothing from elsewhere."""

from functools import cache
from importlib.resources import files

import jinja2
from aiohttp import web

from wxcontroller import __version__

_HERE = __package__ or "wxcontroller.controller.page"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_ASSETS = {
    "dashboard.js": "text/javascript; charset=utf-8",
    "dashboard.css": "text/css; charset=utf-8",
    "login.js": "text/javascript; charset=utf-8",
    "login.css": "text/css; charset=utf-8",
    "api.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def add_routes(app: web.Application) -> None:
    """Render the page once and serve it from memory."""
    here = files(_HERE)
    loader = jinja2.FunctionLoader(lambda name: (here / name).read_text(encoding="utf-8"))
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.get_template("dashboard.html.j2").render(version=__version__)
    _add(app, "/", page.encode(), "text/html; charset=utf-8")

    @cache
    def api() -> bytes:
        from wxcontroller.controller.page.api import rendered  # only who asks pays for it

        return rendered(environment)

    async def serve_api(_: web.Request) -> web.Response:
        return web.Response(body=api(), headers={**_HEADERS, "Content-Type": "text/html; charset=utf-8"})

    app.router.add_get("/page/api", serve_api)
    for name, kind in _ASSETS.items():
        _add(app, f"/page/{name}", (here / name).read_bytes(), kind)


def _add(app: web.Application, path: str, content: bytes, kind: str) -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=content, headers={**_HEADERS, "Content-Type": kind})

    app.router.add_get(path, serve)
