"""An account's program that answers all calls alike: python3 -m bench.standin PORT."""

import sys

from aiohttp import web

# A page of messages without any.
PAGE = b'{"account":"bench","log":"0badcafe","messages":[],"pending":[],"more":false,"next":null}'
STATUS = b'{"account":"bench","version":"1","pid":1}'


async def answer(request: web.Request) -> web.Response:
    await request.read()
    size = int(request.query.get("size", 0))
    body = b"x" * size if size else PAGE if request.path.startswith("/v1/") else b'{"code":0,"status":"success"}'
    body = STATUS if request.path == "/v1/status" else body
    return web.Response(body=body, content_type="application/json")


def main() -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
