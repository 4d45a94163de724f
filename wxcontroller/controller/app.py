"""The web application: the handlers of all paths (openwx-api 1.2)."""

from aiohttp import web

from wxcontroller.controller import openwxcalls, page
from wxcontroller.controller.apis import mcp, metrics, v1
from wxcontroller.controller.apis.ilink import ilinkroutes as ilink
from wxcontroller.controller.apis.metrics.scrape import FIGURES, Figures
from wxcontroller.controller.apis.notify import notifyroutes as notify
from wxcontroller.controller.apis.v1 import index
from wxcontroller.controller.context import CONTEXT, Context
from wxcontroller.controller.edge.authorization import ENDPOINTS, authorize
from wxcontroller.controller.edge.browserheaders import harden
from wxcontroller.controller.edge.failureanswers import FORMS, Forms, Handler, json_errors, json_response
from wxcontroller.controller.edge.foreignpages import mark_allowed, no_foreign_pages
from wxcontroller.controller.edge.portadmission import claim_of, resource_of
from wxcontroller.controller.forwarding import proxy
from wxcontroller.core.access.rights import by_method
from wxcontroller.openwx.contract.replies import API_NOT_FOUND
from wxcontroller.openwx.http.connection import conclusion_of


@web.middleware
async def conclude(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request that was on its way to an account, and ended before it had an answer, with its conclusion."""
    conclusion = conclusion_of(request)
    return await (handler if conclusion is None else conclusion.handler)(request)


def application(shared: Context) -> web.Application:
    """Build the application with the shared state of its handlers."""
    figures = Figures()
    app = web.Application(
        middlewares=[
            # The order matters: every request is counted, and every error becomes JSON. Limits apply before the body
            # is read. Pages of other sites are refused even with a token.
            figures.requests.count,
            json_errors,
            conclude,
            shared.admission.middleware(claim_of, resource_of),
            no_foreign_pages,
            authorize,
        ]
    )
    app.on_response_prepare.append(mark_allowed)
    app.on_response_prepare.append(harden)
    app[CONTEXT] = shared
    app[FIGURES] = figures
    app[ENDPOINTS] = by_method(index.ENDPOINTS)
    app[FORMS] = Forms(openwxcalls.FAILURE_FORM)
    openwxcalls.add_routes(app)
    v1.add_routes(app)
    mcp.add_routes(app)
    metrics.add_routes(app)
    page.add_routes(app)
    ilink.add_routes(app)
    notify.add_routes(app)
    # Last: it takes every path under /openwx/ that the routes above have left.
    proxy.add_routes(app)
    # `/openwx` and `/openwx/` for every method; other unknown paths end in the middleware.
    app.router.add_route("*", "/openwx", no_api)
    app.router.add_route("*", "/openwx/", no_api)
    return app


async def no_api(_: web.Request) -> web.Response:
    return json_response(API_NOT_FOUND, 403)
