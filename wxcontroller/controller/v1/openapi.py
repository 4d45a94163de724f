"""/v1/openapi.json: what this API is, for programs and people."""

from functools import cache

from aiohttp import web

from wxcontroller.openwx.replies import CONTENT_TYPE, to_bytes


async def openapi(_: web.Request) -> web.Response:
    """GET /v1/openapi.json: the OpenAPI document of /v1 and /openwx."""
    return web.Response(body=_written(), headers={"Content-Type": CONTENT_TYPE})


@cache
def _written() -> bytes:
    from wxcontroller.controller.v1.described import openapi as described  # only who asks pays for it

    return to_bytes(described())
