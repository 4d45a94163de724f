"""A proxy as one writes it with aiohttp, to compare with: python3 -m bench.plain PORT BACKEND."""

import sys

import aiohttp
from aiohttp import web

_OWN = ("Connection", "Transfer-Encoding", "Content-Length")


async def pass_on(request: web.Request) -> web.Response:
    url = f"http://127.0.0.1:{sys.argv[2]}{request.rel_url}"
    session = request.app[SESSION]
    async with session.request(request.method, url, data=await request.read(), headers=request.headers) as answer:
        headers = {name: value for name, value in answer.headers.items() if name not in _OWN}
        return web.Response(status=answer.status, body=await answer.read(), headers=headers)


SESSION = web.AppKey("session", aiohttp.ClientSession)


async def application() -> web.Application:
    app = web.Application()
    app[SESSION] = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))
    app.router.add_route("*", "/{path:.*}", pass_on)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
