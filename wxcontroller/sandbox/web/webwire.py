"""Handling requests to WeChat's hosts: routing, injected faults, responses."""

from aiohttp import web

from wxcontroller.sandbox.faults import faulteffects
from wxcontroller.sandbox.hosts import Host
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.web import (
    weixin_contacts,
    weixin_login,
    weixin_media,
    weixin_messages,
    weixin_people,
    weixin_send,
    weixin_upload,
)
from wxcontroller.sandbox.web.webcall import NO_SESSION, WebCall, WebEndpoint, WebRefusal, page, read_cookies

CGI = "/cgi-bin/mmwebwx-bin/"
ENDPOINTS: dict[str, WebEndpoint] = {
    ("/jslogin" if endpoint.name == "jslogin" else CGI + endpoint.name): endpoint
    for endpoint in (
        *weixin_login.ENDPOINTS,
        *weixin_contacts.ENDPOINTS,
        *weixin_messages.ENDPOINTS,
        *weixin_media.ENDPOINTS,
        *weixin_upload.ENDPOINTS,
        *weixin_send.ENDPOINTS,
        *weixin_people.ENDPOINTS,
    )
}
NAMES = frozenset({*(endpoint.name for endpoint in ENDPOINTS.values()), "qrcode", "page", "l"})


def find(path: str) -> WebEndpoint | None:
    """Return the endpoint behind a path."""
    if path.startswith("/qrcode/"):
        return weixin_login.QRCODE
    if path.startswith("/l/"):
        return weixin_login.SCAN_LINK
    return weixin_login.FRONT_PAGE if path == "/" else ENDPOINTS.get(path)


async def serve(sandbox: Sandbox, request: web.Request, host: Host) -> web.StreamResponse:
    """Answer one request to a WeChat host, faults included."""
    endpoint = find(request.path)
    if endpoint is None:
        sandbox.ledger.count(None, "unknown")
        return page("Not Found", status=404)
    call = WebCall(sandbox, request, host, endpoint, read_cookies(request.headers.get("Cookie", "")))
    uin = call.who()
    sandbox.ledger.count(uin, endpoint.name)
    agent = request.headers.get("User-Agent", "")
    if not agent or "python" in agent.lower():
        call.note("User-Agent is missing or a library's")
    call.body = await request.read()
    faults = sandbox.faults.take(endpoint.name, uin)
    for fault in faults:
        early = await faulteffects.before(request, fault, endpoint.refusal, host)
        if early is not None:
            return early
    response: web.StreamResponse = await answer(call)
    for fault in faults:
        response = await faulteffects.after(request, response, fault)
    return response


async def answer(call: WebCall) -> web.StreamResponse:
    endpoint = call.endpoint
    if call.host.role not in endpoint.roles:
        call.note(f"asked for on a {call.host.role.value} host")
        return endpoint.refusal(NO_SESSION) if endpoint.name == "synccheck" else page("Not Found", status=404)
    if call.request.method not in endpoint.methods:
        call.note(f"method is {call.request.method}")
        return page("Method Not Allowed", status=405)
    try:
        return await endpoint.handler(call)
    except WebRefusal as refusal:
        call.note(refusal.why, refused=refusal.ret)
        return endpoint.refusal(refusal.ret)
