"""The phone page: a template, a script and a style sheet, and the pictures they show."""

from pathlib import Path

from aiohttp import web

from wxcontroller import __version__
from wxcontroller.sandbox import jpeg
from wxcontroller.sandbox.account import WebLogin
from wxcontroller.sandbox.hosts import DOMAINS
from wxcontroller.sandbox.logins import link
from wxcontroller.sandbox.reading import SANDBOX

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Page:
    """The page's files, read once when first asked for."""

    def __init__(self) -> None:
        self._html = ""

    def routes(self) -> list[web.RouteDef]:
        """Return the page's routes."""
        return [
            web.get("/", self.front),
            web.get("/phone.js", self.asset),
            web.get("/phone.css", self.asset),
            web.get("/pictures/qr/{uuid}.jpg", self.qr),
            web.get("/pictures/avatar/{seed}.jpg", self.avatar),
        ]

    async def front(self, request: web.Request) -> web.Response:
        """Serve the page."""
        if not self._html:
            import jinja2  # here, because many sandboxes never show their page

            environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
            template = environment.from_string((_HERE / "phone.html.j2").read_text("utf-8"))
            self._html = template.render(
                version=__version__, domains=DOMAINS, web_logins=[kind.value for kind in WebLogin]
            )
        return web.Response(text=self._html, content_type="text/html", headers=_HEADERS)

    async def asset(self, request: web.Request) -> web.Response:
        """Serve the script or the style sheet; the routes let no other name through."""
        name = request.path.removeprefix("/")
        kind = "text/javascript" if name.endswith(".js") else "text/css"
        return web.Response(text=(_HERE / name).read_text("utf-8"), content_type=kind, headers=_HEADERS)

    async def qr(self, request: web.Request) -> web.Response:
        """Draw the code of a uuid, known or not."""
        uuid = request.match_info["uuid"][:64]
        login = request.app[SANDBOX].logins.all.get(uuid)
        return web.Response(
            body=jpeg.qr_code(link(uuid) if login is None else login.link),
            content_type="image/jpeg",
            headers=_HEADERS,
        )

    async def avatar(self, request: web.Request) -> web.Response:
        """Draw somebody's picture."""
        return web.Response(
            body=jpeg.avatar(request.match_info["seed"]),
            content_type="image/jpeg",
            headers={**_HEADERS, "Cache-Control": "max-age=86400"},
        )
