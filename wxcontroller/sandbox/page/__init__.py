"""The phone page: a template, a script, a style sheet and pictures.

Every action is a call of the scripting API.
"""

import json
from pathlib import Path

from aiohttp import web

from wxcontroller import __version__
from wxcontroller.core.text.catalog import LANGUAGES, entries, translations
from wxcontroller.sandbox.hosts import DOMAINS
from wxcontroller.sandbox.media import jpeg
from wxcontroller.sandbox.script.inputs import SANDBOX
from wxcontroller.sandbox.world.logins import link
from wxcontroller.sandbox.world.phone import WebLogin

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


# The dashboard's: both pages look the same, and it is always installed with the sandbox.
_SHARED = _HERE.parents[1] / "controller/page/static"
_SHEETS = {"palette.css": _SHARED, "dashboard.css": _SHARED, "phone.css": _HERE}


class Page:
    """The page's files, read once when first asked for."""

    def __init__(self) -> None:
        self._html: dict[str, str] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the page's routes."""
        return [
            web.get("/", self.front),
            web.get("/phone.js", self.asset),
            *(web.get(f"/{name}", self.asset) for name in _SHEETS),
            web.get("/messages-{language}.js", self.messages),
            web.get("/pictures/qr/{uuid}.jpg", self.qr),
            web.get("/pictures/avatar/{seed}.jpg", self.avatar),
        ]

    async def front(self, request: web.Request) -> web.Response:
        """Serve the page in the requested language, by default the browser's first."""
        preferred = request.query.get("language", request.headers.get("Accept-Language", ""))
        language = LANGUAGES[1] if preferred.lower().startswith("zh") else LANGUAGES[0]
        if language not in self._html:
            self._html[language] = rendered(language)
        headers = {**_HEADERS, "Vary": "Accept-Language"}
        return web.Response(text=self._html[language], content_type="text/html", headers=headers)

    async def messages(self, request: web.Request) -> web.Response:
        """Serve the translations for the script."""
        found = entries(request.match_info["language"]) if request.match_info["language"] in LANGUAGES else {}
        text = f"const MESSAGES = {json.dumps(dict(found), ensure_ascii=False)};\n"
        return web.Response(text=text, content_type="text/javascript", headers=_HEADERS)

    async def asset(self, request: web.Request) -> web.Response:
        """Serve the script or a style sheet; the routes match no other name."""
        name = request.path.removeprefix("/")
        kind = "text/javascript" if name.endswith(".js") else "text/css"
        text = (_SHEETS.get(name, _HERE) / name).read_text("utf-8")
        return web.Response(text=text, content_type=kind, headers=_HEADERS)

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


def rendered(language: str) -> str:
    import jinja2  # imported here, because many sandboxes never show their page

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n"]
    )
    catalog = translations(language)
    # The extension has added this method.
    environment.install_gettext_callables(catalog.gettext, catalog.ngettext, newstyle=True)  # type: ignore[attr-defined]
    template = environment.from_string((_HERE / "phone.html.j2").read_text("utf-8"))
    return template.render(
        language=language, version=__version__, domains=DOMAINS, web_logins=[kind.value for kind in WebLogin]
    )
