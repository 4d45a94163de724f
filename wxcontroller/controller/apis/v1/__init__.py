"""The API for everything that the original lacks: /v1.

A module for each subject, in ``account`` and ``host``. A call is declared once, above its handler
(``controller.apis.v1.form.declaring``, where to start); ``index`` collects all calls, from which the routes, the
check of access and the OpenAPI document (``v1described``, ``openapi``) are made. ``accesscheck`` answers whether a
caller has access. Calls about data that only an account's process has are forwarded to it
(``controller.apis.v1.account.messagecalls`` and others).
"""

from functools import cache

from aiohttp import web

from wxcontroller.controller.apis.v1.account.rows import ACCOUNT_ROWS, AccountRows
from wxcontroller.controller.apis.v1.form.v1failures import FAILURE_FORM
from wxcontroller.controller.apis.v1.host import moves
from wxcontroller.controller.apis.v1.index import CALLS
from wxcontroller.controller.apis.v1.openapi import DOCUMENT, Document
from wxcontroller.controller.context import CONTEXT
from wxcontroller.controller.edge.failureanswers import FORMS
from wxcontroller.controller.forwarding.rewriting import RECORDS
from wxcontroller.openwx.contract.replies import to_bytes


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
    from wxcontroller.controller.apis.v1.v1described import openapi  # imported only if requested

    return to_bytes(openapi())
