"""POST /v1/webhook/test and /v1/proxy/test at the account's port: whether this process reaches them."""

import asyncio

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.configured import policy_of
from wxcontroller.client.deliveries.trial import try_webhook
from wxcontroller.client.sends.content.callbodies import BODIES
from wxcontroller.client.v1.forms.selecting import bad, read_body
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.core.errors import BadOption, reason_of
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.net.egress import parse_proxy
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers import ROUTES

_REMEDY = N_('send {"proxy": "socks5://HOST:PORT"}, or nothing to test the one in use')


class Trials:
    """The calls. ``parts`` are the running account's. One trial at a time: others wait."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turn = asyncio.Lock()

    async def webhook(self, _: web.Request) -> web.StreamResponse:
        """POST: send a signed test event to the webhook in use and return what it answers."""
        parts = self._parts
        if not parts.delivery.address:
            raise RequestRefused(
                409, "no-webhook", N_("this account has no webhook"), N_("set post_api and restart it")
            )
        async with self._turn:
            name = parts.config.name.name
            trial = await try_webhook(parts.delivery.receiver, policy_of(parts.config, ()), name, parts.config.epoch)
        return json_answer({"account": name, **trial.as_json()})

    async def proxy(self, request: web.Request) -> web.StreamResponse:
        """POST ``{"proxy": …}``: ask WeChat's host through this proxy, by default through the one in use."""
        from wxcontroller.drivers.connection.probe import reach  # few ask, and memory is multiplied by hundreds

        options = self._parts.config.options
        body = obj(read_body(await request.app[BODIES].small(request), _REMEDY))
        proxy = body.get("proxy", options["proxy"])
        if not isinstance(proxy, str):
            raise bad(N_("proxy must be a text"), _REMEDY)
        try:
            if proxy:
                parse_proxy(proxy)
        except ValueError as problem:
            raise bad(Text("proxy {why}", why=reason_of(problem)), _REMEDY) from None
        host = ROUTES[options["driver"]].host
        async with self._turn:
            try:
                found = await reach(host, options["server"], options["ca_file"], proxy)
            except BadOption as problem:
                raise bad(problem.text, problem.remedy_text) from None
        return json_answer({"account": self._parts.config.name.name, **found.as_json()})
