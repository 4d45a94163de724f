"""Sends that have not ended: listed, and given up one by one.

How a send ended is told by its report, and by the answer under its idempotency key; it is not listed any more.
"""

from aiohttp import web

from wxcontroller.client.calls import Parts, json_answer
from wxcontroller.client.sends.model import Send, SendState
from wxcontroller.client.v1.answers import RequestRefused
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.messages import N_


class Sends:
    """The calls. ``parts`` are the running account's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def listed(self, _: web.Request) -> web.StreamResponse:
        """GET: all of them, in order."""
        return json_answer({"sends": [self._row(send) for send in self._parts.sends.waiting()]})

    async def one(self, request: web.Request) -> web.StreamResponse:
        """GET one by its id."""
        return json_answer(self._row(self._found(request)))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """DELETE: give one up that WeChat does not have. It is reported as not sent."""
        send = self._found(request)
        if not await self._parts.sends.cancel(send.client_id):
            raise RequestRefused(
                409,
                "being-sent",
                N_("the message is being sent, or WeChat may have it already"),
                N_("its report tells how it ends"),
            )
        return json_answer({"id": send.client_id, "state": SendState.REFUSED.value})

    def _found(self, request: web.Request) -> Send:
        wanted = request.match_info["id"]
        for send in self._parts.sends.waiting():
            if send.client_id == wanted:
                return send
        raise RequestRefused(
            404,
            "no-such-send",
            N_("no send with this id waits or is held"),
            N_("if it has ended, its send_message report tells how; GET /v1/events lists reports"),
        )

    def _row(self, send: Send) -> JsonObject:
        return {
            "id": send.client_id,
            "state": send.state.value,
            "reason": send.held or None,
            "peer": send.target,
            "is_group": send.is_group,
            "kind": send.kind.value,
            "interim": send.interim,
            "urgent": send.urgent,
            "queued_at": int(send.queued_at),
            "held_until": int(send.hold_until) or None,
            "attempts_left": send.attempts_left,
        }
