"""The account's own part of /v1, at its loopback port: data that only the running process has.

The controller forwards these calls under its own /v1; callers are checked as for /openwx. Each module has the calls
of one subject, ``answers`` the form of errors. ``messages``, ``people``, ``sends`` and others are imported with
their first request (``add_routes``, where to start). The calls are described in the controller
(``controller.apis.v1.form.declaring``), next to the routes that forward them.
"""

import asyncio
from functools import cache
from typing import TYPE_CHECKING

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.ilink.agentroutes import ConsumerRoutes
from wxcontroller.client.v1.acts.inputs import Inputs
from wxcontroller.client.v1.acts.typing import Typing
from wxcontroller.client.v1.forms.v1answers import RequestRefused, refusal, with_refusals
from wxcontroller.client.v1.reads.deliveryreads import Deliveries
from wxcontroller.client.v1.reads.eventreads import Events
from wxcontroller.client.v1.reads.mediareads import MediaFiles
from wxcontroller.client.v1.reads.optionreads import options_of
from wxcontroller.client.v1.reads.status import status_of
from wxcontroller.core.errors import reason_of
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers.base import KeepsUser

if TYPE_CHECKING:
    from wxcontroller.client.v1.acts.sendacts import Sends
    from wxcontroller.client.v1.acts.sending import MessageSending
    from wxcontroller.client.v1.acts.trials import Trials
    from wxcontroller.client.v1.reads.messagereads import Messages
    from wxcontroller.client.v1.reads.peoplereads import PeopleCalls

# A few requests to WeChat. The controller waits for the answer, and a person for the controller.
LOGOUT_SECONDS = 20.0


def add_routes(app: web.Application, parts: Parts, consumer_routes: ConsumerRoutes) -> None:
    """Route all of /v1, and the iLink API."""

    async def status(_: web.Request) -> web.StreamResponse:
        return json_answer({**status_of(parts), "consumers": await consumer_routes.shown()})

    async def options(_: web.Request) -> web.StreamResponse:
        return json_answer(options_of(parts.config))

    async def logout(_: web.Request) -> web.StreamResponse:
        """POST: end the session. The process stays, parked, until it is stopped."""
        try:
            async with asyncio.timeout(LOGOUT_SECONDS):
                await parts.driver.logout()
        except TimeoutError:
            raise RequestRefused(
                504, "too-slow", N_("the logout did not finish in time"), N_("try it again")
            ) from None
        except OSError as problem:
            why = Text("the session cannot be deleted: {reason}", reason=reason_of(problem))
            raise RequestRefused(
                500, "disk", why, N_("check the account's state directory, or remove the account")
            ) from None
        return json_answer({"account": parts.config.name.name, "logged_out": True})

    async def keep_user(_: web.Request) -> web.StreamResponse:
        """POST: until the next login, refuse any WeChat user but the last one, if the route can identify them."""
        kept = isinstance(parts.driver, KeepsUser) and parts.driver.keep_user()
        return json_answer({"account": parts.config.name.name, "kept": kept})

    # These are loaded by the first request: most accounts get none, and there may be hundreds.
    @cache
    def messages() -> "Messages":
        from wxcontroller.client.v1.reads.messagereads import Messages

        return Messages(parts)

    @cache
    def sending() -> "MessageSending":
        from wxcontroller.client.v1.acts.sending import MessageSending

        return MessageSending(parts)

    @cache
    def people() -> "PeopleCalls":
        from wxcontroller.client.v1.reads.peoplereads import PeopleCalls

        return PeopleCalls(parts)

    @cache
    def sends() -> "Sends":
        from wxcontroller.client.v1.acts.sendacts import Sends

        return Sends(parts)

    @cache
    def trials() -> "Trials":
        from wxcontroller.client.v1.acts.trials import Trials

        return Trials(parts)

    deliveries = Deliveries(parts)
    app.router.add_get("/v1/status", status)
    app.router.add_get("/v1/options", options)
    app.router.add_post("/v1/logout", with_refusals(logout))
    app.router.add_post("/v1/keep-user", keep_user)
    app.router.add_post("/v1/input", with_refusals(Inputs(parts).answer))
    app.router.add_get("/v1/deliveries", with_refusals(deliveries.listed))
    app.router.add_post("/v1/deliveries/replay", with_refusals(deliveries.replay))
    app.router.add_post("/v1/deliveries/purge", with_refusals(deliveries.purge))
    app.router.add_post("/v1/deliveries/ack", with_refusals(deliveries.acknowledge))
    app.router.add_get("/v1/deliveries/{id:(?!(?:replay|purge|ack)$)[^/]+}", with_refusals(deliveries.one))
    app.router.add_post("/v1/messages", with_refusals(lambda request: sending().post(request)))
    app.router.add_get("/v1/messages", with_refusals(lambda request: messages().listed(request)))
    app.router.add_get("/v1/messages/{id}", with_refusals(lambda request: messages().one(request)))
    app.router.add_delete("/v1/messages/{id}", with_refusals(lambda request: sending().recall(request)))
    app.router.add_get("/v1/chats", with_refusals(lambda request: messages().chats(request)))
    app.router.add_get("/v1/contacts", with_refusals(lambda request: people().contacts(request)))
    app.router.add_patch("/v1/contacts/{id}", with_refusals(lambda request: people().rename(request)))
    app.router.add_get("/v1/groups", with_refusals(lambda request: people().groups(request)))
    app.router.add_get("/v1/groups/{id}/members", with_refusals(lambda request: people().members(request)))
    app.router.add_post("/v1/webhook/test", with_refusals(lambda request: trials().webhook(request)))
    app.router.add_post("/v1/proxy/test", with_refusals(lambda request: trials().proxy(request)))
    app.router.add_post("/v1/typing", with_refusals(Typing(parts).show))
    app.router.add_get("/v1/sends", with_refusals(lambda request: sends().listed(request)))
    app.router.add_get("/v1/sends/{id}", with_refusals(lambda request: sends().one(request)))
    app.router.add_delete("/v1/sends/{id}", with_refusals(lambda request: sends().cancel(request)))
    app.router.add_get("/v1/events", with_refusals(Events(parts.log, parts.config.name.name).get))
    app.router.add_get("/v1/media/{file}", with_refusals(MediaFiles(parts.config).get))
    consumer_routes.add_routes(app)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        app.router.add_route(method, "/v1/{rest:.*}", no_such_path)


async def no_such_path(request: web.Request) -> web.StreamResponse:
    what = Text("there is no {method} {path} at an account's own port", method=request.method, path=request.path)
    return refusal(RequestRefused(404, "no-such-path", what, N_("use the controller's port, which has all calls")))
