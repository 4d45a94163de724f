"""Handling requests of iLink clients: routing, injected faults, responses."""

from aiohttp import web

from wxcontroller.sandbox.faults import faulteffects
from wxcontroller.sandbox.hosts import Host, Role
from wxcontroller.sandbox.ilink import calls, cdn
from wxcontroller.sandbox.ilink.call import ILinkCall, ILinkEndpoint, ILinkRefusal
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.world.ilinkbots import RecordedCall

ENDPOINTS: tuple[ILinkEndpoint, ...] = (*calls.ENDPOINTS, *cdn.ENDPOINTS)
NAMES = frozenset(endpoint.name for endpoint in ENDPOINTS)


def find(path: str, host: Host | None) -> ILinkEndpoint | None:
    """Return the endpoint behind a path, which may have a prefix, at a real host or (None) at any other name."""
    for endpoint in ENDPOINTS:
        if path.endswith(endpoint.path) and host_serves(host, endpoint):
            return endpoint
    return None


def host_serves(host: Host | None, endpoint: ILinkEndpoint) -> bool:
    """Return whether a host serves this endpoint."""
    return host is None or host.role is (Role.ILINK_CDN if endpoint in cdn.ENDPOINTS else Role.ILINK)


async def serve(sandbox: Sandbox, request: web.Request, endpoint: ILinkEndpoint) -> web.StreamResponse:
    """Answer one request, faults included."""
    call = ILinkCall(sandbox, request, endpoint)
    if not endpoint.streams:
        await call.read()
    uin = call.who()
    sandbox.ledger.count(uin, endpoint.name)
    exchange = record(call, uin)
    faults = sandbox.faults.take(endpoint.name, uin)
    for fault in faults:
        early = await faulteffects.before(request, fault, call.refuse)
        if early is not None:
            exchange.status, exchange.answer = early.status, call.answer
            return early
    response: web.StreamResponse = await _answer(call)
    exchange.answer = call.answer  # also of one that does not arrive: what it held is gone
    for fault in faults:
        response = await faulteffects.after(request, response, fault)
    exchange.status = response.status
    sandbox.ilink.bell.ring()
    return response


async def _answer(call: ILinkCall) -> web.StreamResponse:
    endpoint = call.endpoint
    if call.request.method not in endpoint.methods:
        call.note(f"method is {call.request.method}")
        return web.Response(status=405)
    try:
        if endpoint not in cdn.ENDPOINTS:
            call.check_headers()
        return await endpoint.handler(call)
    except ILinkRefusal as refusal:
        if refusal.why:
            call.note(refusal.why, refused=refusal.ret)
        return call.refuse(refusal.ret, refusal.words)


def record(call: ILinkCall, uin: int | None) -> RecordedCall:
    ilink, request = call.sandbox.ilink, call.request
    ilink.exchange_count += 1
    exchange = RecordedCall(
        seq=ilink.exchange_count,
        time=call.now,
        uin=uin,
        endpoint=call.endpoint.name,
        method=request.method,
        host=call.host,
        path=request.path_qs,
        headers=dict(request.headers),
        body=call.body,
    )
    ilink.exchanges.append(exchange)
    ilink.bell.ring()
    return exchange
