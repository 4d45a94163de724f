"""The API for everything that the original lacks: /v1.

A module for each subject. A call is declared once, above its handler (``calls``, where to start); ``index`` collects
all calls, from which the routes, the check of access and the OpenAPI document (``described``, ``openapi``) are made.
``rows`` keeps the rows of all accounts for lists and streams. Calls about data that only an account's process has are
forwarded to it (``messages``, ``sends``, ``deliveries``).
"""

from functools import cache

from aiohttp import web

from wxcontroller.controller.account_port.rewriting import RECORDS
from wxcontroller.controller.context import CONTEXT
from wxcontroller.controller.errors import FORMS
from wxcontroller.controller.v1 import moves
from wxcontroller.controller.v1.failures import FAILURE_FORM
from wxcontroller.controller.v1.index import CALLS
from wxcontroller.controller.v1.openapi import DOCUMENT, Document
from wxcontroller.controller.v1.rows import ACCOUNT_ROWS, AccountRows
from wxcontroller.openwx.replies import to_bytes


def add_routes(app: web.Application) -> None:
    """Route all of /v1."""
    app[FORMS].add(r"/v1(?:/|\Z)", FAILURE_FORM)
    app[ACCOUNT_ROWS] = AccountRows(app[CONTEXT])
    app[DOCUMENT] = Document(document)
    moves.setup(app)
    app[RECORDS] = {(each.route.method, each.route.path): each.record for each in CALLS if each.record is not None}
    for each in CALLS:
        each.add_to(app.router)


@cache
def document() -> bytes:
    from wxcontroller.controller.v1.described import openapi  # imported only if requested

    return to_bytes(openapi())
