"""The HTTP edge of an account: who may call, parameters in, JSON out, errors that say what to do."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.openwx import callers, parameters, replies
from wxcontroller.openwx.parameters import BadParameter

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MOST_BODY = 64 * 1024 * 1024
NOT_ALLOWED = -6


async def parameters_of(request: web.Request) -> dict[str, str]:
    """Return query, then form body; the last value of a name wins (openwx-api 0). Raises BadParameter."""
    query = parameters.query_pairs(parameters.query_of(request.raw_path))
    kind = request.headers.get("Content-Type", "")
    if not request.can_read_body or not parameters.is_form(kind):
        return parameters.merged(query)
    return parameters.merged(query, parameters.form_pairs(kind, await request.read()))


def json_answer(value: JsonValue, status: int = 200) -> web.Response:
    return web.Response(status=status, body=replies.to_bytes(value), headers={"Content-Type": replies.CONTENT_TYPE})


@web.middleware
async def no_foreign_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a web page sends through somebody's browser: this port is for the controller and local programs."""
    host = request.headers.get("Host")
    foreign = callers.foreign_origin(
        request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site"), host, allowed=()
    )
    if foreign or not callers.own_host(host, allowed=()):
        words = "web pages may not call an account's own port; use the controller's, port 2000"
        return json_answer(replies.reply(NOT_ALLOWED, words), 403)
    return await handler(request)


@web.middleware
async def errors_as_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return web.Response(status=403, body=b"api not found", headers={"Content-Type": "text/html;charset=UTF-8"})
    except BadParameter as problem:
        return json_answer(replies.reply(-1, str(problem)), 400)
    except web.HTTPRequestEntityTooLarge:
        return json_answer(replies.reply(-1, f"the request is larger than {MOST_BODY} bytes"), 413)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return json_answer(replies.reply(-1, "internal error, see the journal of this account"), 500)
