"""The one web application: WeChat's hosts by their names, the phone page and scripting under any other. Clients of
iLink can use another address, so its paths are served under any name except the web route's.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from wxcontroller.sandbox.hosts import place
from wxcontroller.sandbox.ilink import wire as ilink_wire
from wxcontroller.sandbox.page import Page
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.script import scripting
from wxcontroller.sandbox.script.inputs import SANDBOX
from wxcontroller.sandbox.web import webwire

MAX_BODY = 32 * 1024 * 1024


def make_app(sandbox: Sandbox) -> web.Application:
    """Return the application that serves ``sandbox``.

    Run it with handler cancellation on, so that polls end with their clients.
    """

    @web.middleware
    async def by_host(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        host = place(request.headers.get("Host"))
        endpoint = ilink_wire.find(request.path, host)
        if endpoint is not None:
            return await ilink_wire.serve(sandbox, request, endpoint)
        if host is not None:
            return await webwire.serve(sandbox, request, host)
        return await handler(request)

    app = web.Application(
        middlewares=[by_host, scripting.own_pages_only, scripting.errors_as_json], client_max_size=MAX_BODY
    )
    app[SANDBOX] = sandbox
    app.add_routes(scripting.routes())
    app.add_routes(Page().routes())
    return app
