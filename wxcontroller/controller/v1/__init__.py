"""The API for what the original has no word for: /v1.

A module for each part of it. A call is declared once, above its handler (``calls``); ``index`` collects them, and
routes and the OpenAPI document (``described``, ``openapi``) are made from that; scopes are in ``core.access``.
``rows`` keeps all accounts' rows for lists and streams. What only an account's program knows is asked of it and
passed on (``messages``, ``sends``, ``deliveries``); ``olderclients`` answers where that program is older than the
call.
"""

from functools import cache

from aiohttp import web

from wxcontroller.controller.context import CONTEXT
from wxcontroller.controller.v1 import moves
from wxcontroller.controller.v1.index import CALLS
from wxcontroller.controller.v1.openapi import DOCUMENT, Document
from wxcontroller.controller.v1.rows import ACCOUNT_ROWS, AccountRows
from wxcontroller.openwx.replies import to_bytes


def add_routes(app: web.Application) -> None:
    """Route all of /v1."""
    app[ACCOUNT_ROWS] = AccountRows(app[CONTEXT])
    app[DOCUMENT] = Document(document)
    moves.setup(app)
    for each in CALLS:
        each.add_to(app.router)


@cache
def document() -> bytes:
    from wxcontroller.controller.v1.described import openapi  # only who asks pays for it

    return to_bytes(openapi())
