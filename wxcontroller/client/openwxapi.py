"""The single-account HTTP API (openwx-api 2), on the account's own loopback port."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from wxcontroller.client import v1api
from wxcontroller.client.calls.avatar import Avatars
from wxcontroller.client.calls.call import Handler, Parts, json_answer, jsonp_answer, read_call
from wxcontroller.client.calls.contactcalls import Contacts
from wxcontroller.client.calls.readingcalls import Reading
from wxcontroller.client.calls.sendingcalls import SendCalls
from wxcontroller.client.calls.unsupported import offered
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.ilink.agentroutes import POLL, ConsumerRoutes
from wxcontroller.client.portguard import Guard, no_page
from wxcontroller.client.sends.content.callbodies import BODIES, BODY_SECONDS, Bodies, TooLarge
from wxcontroller.core.access.rights import call_path, loggable
from wxcontroller.openwx.contract.replies import PREFLIGHT_HEADERS
from wxcontroller.openwx.http.admission import ADMISSION, Admission, Busy, PortLimits, Resource
from wxcontroller.openwx.http.parameters import BadParameter

log = logging.getLogger(__name__)
SERVER = "wxclient"
# The controller's defaults for its own port (idle_timeout and others), through which most callers come.
PORT_IDLE_SECONDS = 75.0
PORT_HEAD_SECONDS = 20.0
PORT_SEND_SECONDS = 60.0
PORT_HEAD_BYTES = 64 << 10
PORT_HEADERS = 100
LONG_POLLS = frozenset({"/openwx/check_event", "/openwx/consult", "/v1/events", POLL})


def application(parts: Parts, guard: Guard, consumers: ConsumerRoutes) -> web.Application:
    """Build the web application. Every path answers in every state, with an error where it cannot serve."""
    config, limits = parts.config, port_limits(parts.config)
    admission = Admission(lambda: limits)
    # In this order: a request is counted before its token is looked for, and errors of both get an answer.
    app = web.Application(middlewares=[errors, admission.middleware(guard.claim, _resource), web.middleware(guard)])
    app[ADMISSION] = admission
    app[BODIES] = Bodies(admission, config.number("api_body_max"), config.media_dir)
    app.on_response_prepare.append(no_page)
    jsonp = config.flag("jsonp")
    calls = {
        **Reading(parts).calls(),
        **SendCalls(parts).calls(),
        **Contacts(parts).calls(),
        **Avatars(parts).calls(),
    }
    endpoints = {name: _endpoint(offered(name, handler, parts), jsonp) for name, handler in calls.items()}

    async def with_format(request: web.Request) -> web.StreamResponse:
        endpoint = endpoints.get(request.match_info["name"])
        if endpoint is None:
            raise web.HTTPNotFound
        return await endpoint(request)

    # The original's framework takes a slash or a format at the end.
    paths = {f"/openwx/{name}{end}": endpoint for name, endpoint in endpoints.items() for end in ("", "/")}
    for path, endpoint in {**paths, "/openwx/{name:[a-z_]+}.{format:[^/]+}": with_format}.items():
        app.router.add_get(path, endpoint)
        app.router.add_post(path, endpoint)
    v1api.add_routes(app, parts, consumers)
    app.router.add_options("/{path:.+}", options)
    app.on_response_prepare.append(_name)
    return app


def port_limits(config: ClientConfig) -> PortLimits:
    """Return the shares of an account's port. All its callers are on this machine and have one address."""
    connections = config.number("api_connections_max")
    return PortLimits(
        idle=PORT_IDLE_SECONDS,
        head=PORT_HEAD_SECONDS,
        unread=PORT_SEND_SECONDS,
        head_bytes=PORT_HEAD_BYTES,
        headers=PORT_HEADERS,
        connections=connections,
        per_peer=connections,
        requests=connections,
        long_polls=config.number("api_long_polls_max"),
        bodies=config.number("api_bodies_max"),
        line_bytes=config.limits.request_line_bytes,
    )


def _resource(request: web.Request) -> Resource:
    return Resource.LONG_POLLS if call_path(request.path.rstrip("/")) in LONG_POLLS else Resource.REQUESTS


async def _name(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER


def _endpoint(handler: Handler, jsonp: bool) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            call = await read_call(request)
        except TimeoutError:
            words = f"the body did not arrive within {BODY_SECONDS:g} s"
            return json_answer({"code": -1, "status": words}, 408)
        except web.RequestPayloadError:
            return json_answer(
                {
                    "code": -1,
                    "status": "the body cannot be read; send it complete, in the encoding that its headers name",
                },
                400,
            )
        except OSError as problem:
            return json_answer({"code": -1, "status": f"the body cannot be kept meanwhile: {problem.strerror}"}, 507)
        result = await handler(call)
        if isinstance(result, web.Response):
            return result
        if jsonp and call.get("datatype") == "jsonp":
            return jsonp_answer(result, call.parameters.get("callback"))
        return json_answer(result)

    return answer


async def options(_: web.Request) -> web.StreamResponse:
    """Answer a preflight without Access-Control-Allow-Origin: pages of other origins have no access (5.3 no. 43)."""
    return web.Response(headers=PREFLIGHT_HEADERS)


@web.middleware
async def errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return web.Response(status=403, body=b"api not found", headers={"Content-Type": "text/html;charset=UTF-8"})
    except TooLarge as problem:
        return refused(request, 413, "too-large", f"the request is larger than {problem.limit} bytes")
    except web.HTTPUnsupportedMediaType:
        return refused(request, 415, "packed", "the body is packed, send it without Content-Encoding")
    except Busy as problem:
        answer = refused(request, 503, "busy", f"{problem.words}; try again in a moment")
        answer.headers["Retry-After"] = "1"
        return answer
    except BadParameter as problem:
        # The old API reports errors by code, at the controller's port as well.
        return refused(request, 400 if request.path.startswith("/v1/") else 200, "bad-request", str(problem))
    except (web.HTTPException, ConnectionError):  # also if the caller has disconnected
        raise
    except Exception:
        log.exception("%s %s failed", request.method, loggable(request.path))
        return json_answer({"code": -1, "status": "internal error, see the journal of this account"}, 500)


def refused(request: web.Request, status: int, code: str, words: str) -> web.Response:
    """Return a refusal in the form of the path's API."""
    if request.path.startswith("/v1/"):
        return json_answer({"error": {"code": code, "message": words, "remedy": ""}}, status)
    return json_answer({"code": -1, "status": words}, status)
