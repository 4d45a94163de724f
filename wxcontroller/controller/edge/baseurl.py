"""The base URL at which an agent reaches the controller.

An agent stores the URL from pairing, and sends its token and its users' texts there from then on. So pairing returns
only an address that certainly belongs to the controller: ``public_url``, an allowed origin or host, or the very
address and port of the connection. The header Host counts only if it names one of these. With an empty base URL
agents would use WeChat's own host.
"""

from aiohttp import web
from yarl import URL

from wxcontroller.controller.callers.refusals import Refused
from wxcontroller.controller.context import context
from wxcontroller.core.net.addresses import is_loopback, parse_ip
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.http.crosssite import host_alone

# Of a request: where the agent reaches the host that has forwarded it.
HOP_ORIGIN = "origin at the calling host"


def base_url(request: web.Request) -> str:
    """Return the base URL that an authenticated agent uses, for the URLs of its media.

    The Host has been checked as that of every request (controller/edge/foreignpages.py).
    """
    if (origin := request.get(HOP_ORIGIN)) is not None:
        return str(origin)
    origin = context(request).settings.public_url or f"{scheme(request)}://{request.host}"
    return origin + prefix(request)


def certain_origin(request: web.Request) -> str:
    """Return the origin to announce to an agent that pairs, without a slash at its end. Raises Refused."""
    settings, host = context(request).settings, request.headers.get("Host", "").lower()
    if settings.public_url:
        return settings.public_url
    for origin in settings.allow_origins:
        if origin.partition("://")[2].lower() == host:
            return origin
    own_name = host_alone(host)
    listed = own_name and own_name in {host_alone(host) for host in settings.allow_hosts if host != "*"}
    if listed or is_own_socket(request, host):
        return f"{scheme(request)}://{host}"
    raise Refused(
        "unknown-origin",
        N_("agents cannot pair at {host}: it is not a configured address of the controller"),
        N_("use the address and port that the controller listens on, or set public_url in its settings"),
        host=host[:200] or '""',
    )


def prefix(request: web.Request) -> str:
    """Return the path before /ilink, as the agent wrote it."""
    return request.raw_path.partition("?")[0].partition("/ilink/")[0] if "account" in request.match_info else ""


def scheme(request: web.Request) -> str:
    return "https" if request.secure else "http"


def is_own_socket(request: web.Request, host: str) -> bool:
    """Return whether a Host is the address and port that this connection was made to."""
    transport = request.transport
    own: object = transport.get_extra_info("sockname") if transport is not None else None
    if not isinstance(own, tuple):
        return False
    try:
        named = URL(f"http://{host}")
        name, port = named.host or "", named.port
    except ValueError:
        return False
    is_same = parse_ip(name) == parse_ip(str(own[0])) or (name == "localhost" and is_loopback(own))
    return is_same and port == own[1]
