"""Headers for browsers in every response: only our own pages may be rendered."""

from aiohttp import web

from wxcontroller.controller.context import context
from wxcontroller.core.config.settings import Settings

# An account's program could answer with a page and scripts; in a browser they would have the dashboard's origin.
# A sandbox gives them an opaque origin and runs no scripts.
_NO_PAGE = "sandbox; default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def added(settings: Settings) -> dict[str, str]:
    """Return the headers of an answer without any of them, for callers other than a browser with a foreign page."""
    pages = {"Vary": "Origin"} if settings.allow_origins else {"Cross-Origin-Resource-Policy": "same-origin"}
    return {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": _NO_PAGE,
        "Cache-Control": "no-store",
        **pages,
    }


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that a response lacks. For ``on_response_prepare``."""
    for name, value in added(context(request).settings).items():
        response.headers.setdefault(name, value)
