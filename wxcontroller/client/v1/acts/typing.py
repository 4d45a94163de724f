"""POST /v1/typing at the account's port: "… is typing" at a person's phone, where the route has that.

Nothing depends on it: if WeChat does not show it, the answer says "not shown" and is not a failure.
"""

import time

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.sends.content.callbodies import BODIES
from wxcontroller.client.v1.forms.selecting import bad, read_body
from wxcontroller.core.errors import Unsupported, WeChatError
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.text.templates import N_
from wxcontroller.drivers.base import ShowsTyping

_REMEDY = N_('send {"peer": "the person\'s id", "on": true}')
# A phone shows it for some seconds; clients repeat it every five.
_REPEAT_SECONDS = 5.0


class Typing:
    """The call. ``parts`` are the running account's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._shown: dict[str, float] = {}  # until when showing it again would have no effect

    async def show(self, request: web.Request) -> web.StreamResponse:
        """POST ``{"peer": …, "on": true}``: show it, or end it with false."""
        body = obj(read_body(await request.app[BODIES].small(request), _REMEDY))
        peer, on = body.get("peer"), body.get("on", True)
        if not isinstance(peer, str) or not peer or not isinstance(on, bool):
            raise bad(N_("peer must be a text, and on true or false"), _REMEDY)
        return json_answer({"peer": peer, "on": on, "shown": await self.is_shown(peer, on)})

    async def is_shown(self, peer: str, on: bool) -> bool:
        """Show it to a person, or end that; return whether it is shown."""
        driver, now = self._parts.driver, time.monotonic()
        # While WeChat throttles the bot, each request would lengthen that (ilink-bot-protocol 19.3).
        if not isinstance(driver, ShowsTyping) or self._parts.sends.is_silent:
            return False
        if on and now < self._shown.get(peer, 0.0):
            return True
        try:
            await driver.show_typing(peer, on)
        except (WeChatError, Unsupported):
            return False
        self._shown = {other: until for other, until in self._shown.items() if until > now and other != peer}
        if on:
            self._shown[peer] = now + _REPEAT_SECONDS
        return True
