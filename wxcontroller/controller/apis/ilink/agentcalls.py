"""The calls of an agent that has a token, passed on to the account's own process.

Failures on the way are answered in the API's own terms. A poll is held while the account cannot be reached, and empty
in the end: agents take an error for a broken connection. A poll that a restart of the controller ends is empty, too,
and so is one that another poll of the same agent replaces. None of this acknowledges anything: that is the cursor of
the next poll. Revoking the token ends a poll at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from wxcontroller.controller.account_port.portfailures import NotAnswering, PortFailure
from wxcontroller.controller.apis.ilink.ilinkanswers import FAILED, NO_TICKET, NOT_SENT, answer, failure, session_over
from wxcontroller.controller.callers.agenttokens import TokenHolder
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.edge.baseurl import base_url
from wxcontroller.controller.edge.requestbody import read_body
from wxcontroller.controller.tasks import first_of
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.errors import UnknownAccount
from wxcontroller.core.jsontypes import field as member
from wxcontroller.core.jsontypes import read_json, text
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.openwx.contract.replies import CONTENT_TYPE

CONSUMER_HEADER, ORIGIN_HEADER = "X-Wx-Consumer", "X-Wx-Origin"
BODY_BYTES = 1 << 20
# 50 messages of 16 KiB of text, which JSON may write six times as long.
_ANSWER_BYTES = 8 << 20
# WeChat holds polls for the same time. The account answers by then.
_HOLD_SECONDS = 35.0
_POLL_SECONDS, _CALL_SECONDS = 45.0, 30.0
# Between two tries to reach an account that is down, and between two looks at the token of a poll.
_PAUSE = 1.0
_LOOK = 0.25
# More requests indicate an agent in a loop.
_SENDS_PER_SECOND = 10
_POLL, _SEND, _UPLOAD, _CONFIG = "getupdates", "sendmessage", "getuploadurl", "getconfig"
CALLS = (_POLL, _SEND, _CONFIG, "sendtyping", _UPLOAD, "msg/notifystart", "msg/notifystop")


@dataclass(slots=True)
class Agents:
    """Agents' current calls, by token: the poll that is held, and the times of the last sends."""

    polls: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])
    sends: dict[str, "deque[float]"] = field(default_factory=dict[str, "deque[float]"])
    clock: Callable[[], float] = time.monotonic

    def may_send(self, token: str) -> bool:
        """Count a send, unless the token has reached its limit for this second."""
        now, times = self.clock(), self.sends.setdefault(token, deque(maxlen=_SENDS_PER_SECOND))
        if len(times) == _SENDS_PER_SECOND and now - times[0] < 1:
            return False
        times.append(now)
        return True

    def begin_poll(self, token: str) -> asyncio.Event:
        """End the poll that is held for a token; return what ends the new one."""
        if token in self.polls:
            self.polls[token].set()
        replaced = self.polls[token] = asyncio.Event()
        return replaced

    def end_poll(self, token: str, replaced: asyncio.Event) -> None:
        """Forget a poll."""
        if self.polls.get(token) is replaced:
            del self.polls[token]


AGENTS = web.AppKey("agents", Agents)


async def no_such_call(_: web.Request) -> web.Response:
    """Answer any other path, and all while the API is off."""
    return failure(FAILED, "no such call", 404)


async def call(request: web.Request) -> web.Response:
    """POST /ilink/bot/CALL."""
    shared, name = context(request), request.match_info["call"]
    if not shared.settings.ilink_serve:
        return await no_such_call(request)
    consumer = shared.gate.consumers.consumer(caller(request).token)
    if consumer is None:  # revoked since it was authenticated
        return session_over()
    if name == _SEND and not request.app[AGENTS].may_send(consumer.token.id):
        response = failure(NOT_SENT, Text(N_("more than {most} sends within a second"), most=_SENDS_PER_SECOND), 429)
        response.headers["Retry-After"] = "1"
        return response
    body = await read_body(request, BODY_BYTES)
    if name == _POLL:
        return await poll(request, shared, consumer, body)
    try:
        return await forward_call(request, shared, consumer, body, _CALL_SECONDS)
    except (PortFailure, UnknownAccount) as problem:
        return without_answer(name, problem)


async def poll(request: web.Request, shared: Context, consumer: TokenHolder, body: bytes) -> web.Response:
    agents, token = request.app[AGENTS], consumer.token.id
    replaced = agents.begin_poll(token)

    async def revoked() -> web.Response:
        while shared.gate.is_still_valid(caller(request)):  # noqa: ASYNC110 - the token may also expire
            await asyncio.sleep(_LOOK)
        return session_over()

    async def ended(event: asyncio.Event) -> web.Response:
        await event.wait()
        return empty_poll(body)

    try:
        return await first_of(
            revoked(),
            updates(request, shared, consumer, body),
            ended(replaced),
            ended(shared.draining),
        )
    finally:
        agents.end_poll(token, replaced)


async def updates(request: web.Request, shared: Context, consumer: TokenHolder, body: bytes) -> web.Response:
    """Return the account's answer, or an empty one when the poll times out."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _HOLD_SECONDS
    while True:
        try:
            return await forward_call(request, shared, consumer, body, _POLL_SECONDS)
        # Repeatable: a poll's acknowledgement is in its cursor, so sending it twice does no harm.
        except (PortFailure, UnknownAccount):
            if loop.time() + _PAUSE > end:
                return empty_poll(body)
        await asyncio.sleep(_PAUSE)


def empty_poll(body: bytes) -> web.Response:
    """Return an empty answer to a poll, with the poll's cursor."""
    try:
        cursor = text(member(read_json(body), "get_updates_buf"))
    except ValueError:
        cursor = ""
    return answer(msgs=[], get_updates_buf=cursor, longpolling_timeout_ms=int(_HOLD_SECONDS * 1000))


async def forward_call(
    request: web.Request, shared: Context, consumer: TokenHolder, body: bytes, seconds: float
) -> web.Response:
    """Return the account's answer. Raises PortFailure and UnknownAccount."""
    account = shared.accounts.account(consumer.instance)
    headers = {CONSUMER_HEADER: consumer.name, ORIGIN_HEADER: base_url(request)}
    target = f"/ilink/bot/{request.match_info['call']}"
    status, content = await shared.ports.exchange(
        account, target, seconds, Scope.ILINK, "POST", headers, body, _ANSWER_BYTES
    )
    return web.Response(status=status, body=content, headers={"Content-Type": CONTENT_TYPE})


def without_answer(name: str, problem: PortFailure | UnknownAccount) -> web.Response:
    """Return the answer to a call that the account's program did not answer."""
    if name == _SEND and isinstance(problem, NotAnswering):
        return failure(NOT_SENT, Text(N_("unknown: it may have arrived ({problem})"), problem=problem.text))
    if name in (_SEND, _UPLOAD):
        return failure(NOT_SENT, Text(N_("not sent: {problem}"), problem=problem.text))
    if name == _CONFIG:
        return failure(NO_TICKET, problem.text)
    return answer()  # an agent cannot fix this
