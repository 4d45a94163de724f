"""The routes under /ilink. Each also exists under /for/NAME, the account that pairing suggests."""

from aiohttp import web

from wxcontroller.controller.apis.ilink import agentcalls, agentmedia, pair
from wxcontroller.controller.apis.ilink.ilinkanswers import FAILURE_FORM
from wxcontroller.controller.callers.pairings import PAIRINGS, Pairings
from wxcontroller.controller.edge.failureanswers import FORMS
from wxcontroller.controller.edge.ilinkpaths import CALL_PATHS

_BOT_CALL = "/ilink/bot/{call:" + "|".join(agentcalls.CALLS) + "}"


def add_routes(app: web.Application) -> None:
    """Route the iLink API."""
    app[FORMS].add(CALL_PATHS, FAILURE_FORM)
    app[PAIRINGS] = Pairings()
    app[agentcalls.AGENTS] = agentcalls.Agents()
    for prefix in ("", "/for/{account}"):
        app.router.add_get(f"{prefix}/ilink/bot/get_bot_qrcode", pair.get_bot_qrcode)
        app.router.add_post(f"{prefix}/ilink/bot/get_bot_qrcode", pair.get_bot_qrcode)
        app.router.add_get(f"{prefix}/ilink/bot/get_qrcode_status", pair.get_qrcode_status)
        app.router.add_post(prefix + _BOT_CALL, agentcalls.call)
        app.router.add_post(f"{prefix}/ilink/c2c/upload", agentmedia.pass_on_media)
        app.router.add_get(f"{prefix}/ilink/c2c/download", agentmedia.pass_on_media)
    for prefix in ("", "/for/{account}"):  # after the page of pairing, which is routed elsewhere
        app.router.add_route("*", prefix + "/ilink/{rest:.*}", agentcalls.no_such_call)
