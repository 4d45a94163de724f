"""The API for what the original has no word for: /v1. ``described`` has an entry for each of its routes."""

from aiohttp import web

from wxcontroller.controller.account_port.proxy import pass_on_v1
from wxcontroller.controller.context import CONTEXT
from wxcontroller.controller.v1 import (
    accounts,
    admission,
    alerts,
    deliveries,
    events,
    health,
    journalstream,
    openapi,
    options,
    qr,
)
from wxcontroller.controller.v1.board import BOARD, Board


def add_routes(app: web.Application) -> None:
    """Route all of /v1."""
    app[BOARD] = Board(app[CONTEXT])
    router = app.router
    router.add_get("/v1/openapi.json", openapi.openapi)
    router.add_get("/v1/access", admission.admission)
    router.add_get("/v1/health", health.health)
    router.add_get("/v1/health/units", health.may_act)
    router.add_get("/v1/accounts", accounts.all_accounts)
    router.add_post("/v1/accounts", accounts.add)
    router.add_get("/v1/accounts/{name}", accounts.one_account)
    router.add_delete("/v1/accounts/{name}", accounts.remove)
    router.add_post("/v1/accounts/{name}/start", accounts.start)
    router.add_post("/v1/accounts/{name}/stop", accounts.stop)
    router.add_post("/v1/accounts/{name}/restart", accounts.restart)
    router.add_post("/v1/accounts/{name}/logout", accounts.logout)
    router.add_post("/v1/accounts/{name}/input", accounts.answer_input)
    router.add_get("/v1/accounts/{name}/options", options.shown)
    router.add_patch("/v1/accounts/{name}/options", options.change)
    router.add_get("/v1/accounts/{name}/qr", qr.qrcode)
    router.add_get("/v1/accounts/{name}/journal", journalstream.page_or_stream)
    router.add_get("/v1/events", events.events)
    router.add_get("/v1/deliveries", deliveries.summary)
    router.add_get("/v1/accounts/{name}/events", pass_on_v1)
    router.add_get("/v1/accounts/{name}/deliveries", pass_on_v1)
    router.add_post("/v1/accounts/{name}/deliveries/replay", pass_on_v1)
    router.add_post("/v1/accounts/{name}/deliveries/purge", pass_on_v1)
    router.add_post("/v1/accounts/{name}/deliveries/ack", deliveries.acknowledge)
    router.add_get("/v1/accounts/{name}/deliveries/{id:(?!(?:replay|purge|ack)$)[^/]+}", pass_on_v1)
    router.add_get("/v1/accounts/{name}/sends", pass_on_v1)
    router.add_get("/v1/accounts/{name}/sends/{id}", pass_on_v1)
    router.add_delete("/v1/accounts/{name}/sends/{id}", pass_on_v1)
    router.add_get("/v1/accounts/{name}/media/{file}", pass_on_v1)
    router.add_get("/v1/alerts", alerts.alerts)
    router.add_post("/v1/alerts/test", alerts.test)
