"""The routes under /ilink. Each also exists under /for/NAME, the account that pairing suggests."""

from aiohttp import web

from wxcontroller.controller.errors import FORMS
from wxcontroller.controller.ilink import calls, media, pair
from wxcontroller.controller.ilink.answers import FAILURE_FORM
from wxcontroller.controller.ilink.pairings import PAIRINGS, Pairings
from wxcontroller.controller.ilink.paths import CALL_PATHS

_BOT_CALL = "/ilink/bot/{call:" + "|".join(calls.CALLS) + "}"


def add_routes(app: web.Application) -> None:
    """Route the iLink API."""
    app[FORMS].add(CALL_PATHS, FAILURE_FORM)
    app[PAIRINGS] = Pairings()
    app[calls.AGENTS] = calls.Agents()
    for prefix in ("", "/for/{account}"):
        app.router.add_get(f"{prefix}/ilink/bot/get_bot_qrcode", pair.get_bot_qrcode)
        app.router.add_post(f"{prefix}/ilink/bot/get_bot_qrcode", pair.get_bot_qrcode)
        app.router.add_get(f"{prefix}/ilink/bot/get_qrcode_status", pair.get_qrcode_status)
        app.router.add_post(prefix + _BOT_CALL, calls.call)
        app.router.add_post(f"{prefix}/ilink/c2c/upload", media.pass_on_media)
        app.router.add_get(f"{prefix}/ilink/c2c/download", media.pass_on_media)
    for prefix in ("", "/for/{account}"):  # after the page of pairing, which is routed elsewhere
        app.router.add_route("*", prefix + "/ilink/{rest:.*}", calls.no_such_call)
