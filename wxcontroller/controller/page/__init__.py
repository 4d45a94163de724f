"""The dashboard at ``/``, in two languages: templates, style sheets and small script modules without a build step.

``render`` renders the page for each language and choice of colours (``readerlanguage``), ``assets`` has scripts,
styles and texts, ``apireference`` and ``examples`` make the API reference. In ``static``, ``main.js`` connects the
views: start there. ``store.js`` keeps the accounts up to date, ``api.js`` makes the calls, and ``paths.js`` the paths
that they may have. The page uses only /v1 and /openwx, like any other client, and nothing is inline or loaded from
another host.
"""

import asyncio
from functools import cache

from aiohttp import web

from wxcontroller.controller.context import context
from wxcontroller.controller.page.assets import Served, bundle, served
from wxcontroller.controller.page.readerlanguage import chosen_language, chosen_theme
from wxcontroller.controller.page.render import dashboard, small_page

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
# The page of pairing is below the root, and all its addresses are the dashboard's.
_PAIR_CSP = _CSP.replace("base-uri 'none'", "base-uri 'self'")
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
}
# An asset's URL contains a digest of all assets, so its content never changes.
_FOR_GOOD = "public, max-age=31536000, immutable"
_BY_READER = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding, Accept-Language, Cookie"}


def add_routes(app: web.Application) -> None:
    """Serve the pages from memory. Each is rendered for the first request, in a thread: a controller starts without
    them, as rendering all of them takes as long as the rest of its start.
    """

    async def small(request: web.Request, name: str, place: str) -> Served:
        digest = (await asyncio.to_thread(bundle)).digest
        language, theme = chosen_language(request), chosen_theme(request)
        return await asyncio.to_thread(small_page, name, language, theme, place + digest)

    async def root(request: web.Request) -> web.Response:
        is_open = context(request).gate.is_open
        page = await asyncio.to_thread(dashboard, chosen_language(request), chosen_theme(request), is_open)
        return answer(request, page, _BY_READER)

    async def pair(request: web.Request) -> web.Response:
        if not context(request).settings.ilink_serve:
            raise web.HTTPNotFound
        page = await small(request, "pair", "page/")
        return answer(request, page, {**_BY_READER, "Content-Security-Policy": _PAIR_CSP})

    async def asset(request: web.Request) -> web.Response:
        assets = await asyncio.to_thread(bundle)
        found = assets.files.get(request.match_info["file"])
        if found is None or request.match_info["digest"] != assets.digest:
            raise web.HTTPNotFound
        return answer(request, found, {"Cache-Control": _FOR_GOOD, "Vary": "Accept-Encoding"})

    @cache
    def api(language: str, theme: str) -> Served:
        from wxcontroller.controller.page.apireference import rendered as api_page  # imported only if requested

        return served(api_page(language, theme, bundle().digest), "text/html; charset=utf-8")

    async def api_as_a_page(request: web.Request) -> web.Response:
        language = chosen_language(request, request.query.get("language", ""))  # a link: the page has no script
        return answer(request, await asyncio.to_thread(api, language, chosen_theme(request)), _BY_READER)

    async def login_link(request: web.Request) -> web.Response:
        return answer(request, await small(request, "link", ""), _BY_READER)

    app.router.add_get("/", root)
    app.router.add_get("/ilink/pair/{code}", pair)
    app.router.add_get("/page/login", login_link)
    app.router.add_get("/page/api", api_as_a_page)
    app.router.add_get("/page/{digest}/{file}", asset)


def answer(request: web.Request, served: Served, headers: dict[str, str]) -> web.Response:
    headers = {**_HEADERS, **headers, "Content-Type": served.kind, "ETag": served.etag}
    if request.headers.get("If-None-Match") == served.etag:
        return web.Response(status=304, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=served.packed, headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=served.content, headers=headers)
