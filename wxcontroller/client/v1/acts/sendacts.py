"""Sends: unfinished ones, one of any age by its id, and cancelling one."""

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.store.tables.history import Found
from wxcontroller.client.v1.forms.conversations import kind_of
from wxcontroller.client.v1.forms.finding import look_up
from wxcontroller.client.v1.forms.fitting import PAGE_SENDS
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.client.v1.forms.v1outcomes import state_of_logged, state_of_send
from wxcontroller.core.condition.verdict import SendState
from wxcontroller.core.jsontypes import JsonObject, JsonValue, text
from wxcontroller.core.text.templates import N_


class Sends:
    """The calls. ``parts`` are the running account's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def listed(self, _: web.Request) -> web.StreamResponse:
        """GET: those that have not ended, in order."""
        waiting = list(self._parts.sends.waiting())
        shown: list[JsonValue] = [self._row(send) for send in waiting[:PAGE_SENDS]]
        return json_answer({"sends": shown, "more": len(waiting) > PAGE_SENDS})

    def _row(self, send: Send) -> JsonObject:
        return {
            "id": send.client_id,
            "peer": send.target,
            "is_group": send.is_group,
            "kind": send.kind.value,
            "interim": send.interim,
            "urgent": send.urgent,
            "queued_at": int(send.queued_at),
            "attempts_left": send.attempts_left,
            **shown(state_of_send(send, self._parts.sends)),
        }

    async def one(self, request: web.Request) -> web.StreamResponse:
        """GET one by its id, including ended ones."""
        looked = await look_up(self._parts, request.match_info["id"])
        if looked.send is not None:
            return json_answer(self._row(looked.send))
        if looked.logged is None or not looked.logged.indexed.send:
            raise no_such_send(N_("there is no send with this id"), N_("it may be too old (event_keep_days)"))
        return json_answer(logged_send_row(looked.logged))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """DELETE: cancel a send that WeChat does not have. It is reported as not sent."""
        wanted = request.match_info["id"]
        if all(send.client_id != wanted for send in self._parts.sends.waiting()):
            raise no_such_send(
                N_("no send with this id waits or is held"), N_("if it has ended, GET …/sends/ID returns its result")
            )
        if not await self._parts.sends.cancel(wanted):
            raise RequestRefused(
                409,
                "being-sent",
                N_("the message is being sent, or WeChat may have it already"),
                N_("its report has the result"),
            )
        return json_answer({"id": wanted, "state": SendState.REFUSED.value})


def no_such_send(words: str, remedy: str) -> RequestRefused:
    return RequestRefused(404, "no-such-send", words, remedy)


# Those of a message, not of a send.
_NOT_SHOWN = ("handle", "code", "recalled")


def shown(state: JsonObject) -> JsonObject:
    return {name: value for name, value in state.items() if name not in _NOT_SHOWN}


def logged_send_row(found: Found) -> JsonObject:
    is_group = found.type != "friend_message"
    return {
        "id": found.indexed.send,
        "peer": text(found.report.get("group_id" if is_group else "receiver_id")),
        "is_group": is_group,
        "kind": kind_of(found).value,
        **shown(state_of_logged(found)),
    }
