"""The account's own part of /v1, on its loopback port: what only the running process knows.

The controller asks here and shows the answers under its own /v1; who may call is checked as for /openwx.
"""

from aiohttp import web

from wxcontroller.client.calls import Parts, json_answer
from wxcontroller.client.inbox import Inbox
from wxcontroller.client.v1.status import status_of


def add_routes(app: web.Application, parts: Parts, inbox: Inbox) -> None:
    """Route all of /v1."""

    async def status(_: web.Request) -> web.StreamResponse:
        return json_answer(status_of(parts, inbox))

    app.router.add_get("/v1/status", status)
    app.router.add_get("/v1/openapi.json", _openapi)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        app.router.add_route(method, "/v1/{rest:.*}", _no_such_path)


async def _openapi(_: web.Request) -> web.StreamResponse:
    from wxcontroller.client.v1.described import openapi  # memory: hardly anybody asks an account for it

    return json_answer(openapi())


async def _no_such_path(request: web.Request) -> web.StreamResponse:
    error = {
        "code": "no-such-path",
        "message": f"there is no {request.method} {request.path} at an account's own port",
        "remedy": "GET /v1/status is here; the controller's port has the rest",
    }
    return json_answer({"error": {**error}}, 404)
