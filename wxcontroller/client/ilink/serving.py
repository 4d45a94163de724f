"""The calls of the iLink API (ilink-bot-protocol 20.7) and their shared state. Loaded by the first request for
one."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.ilink.agentcdn import Cdn, TransferRefused
from wxcontroller.client.ilink.agentmessages import MessageMapping
from wxcontroller.client.ilink.consumerbook import ANSWER_SECONDS, NAME, Consumer, ConsumerBook
from wxcontroller.client.ilink.getupdates import HOLD_SECONDS, SESSION_OVER, Polling
from wxcontroller.client.ilink.ids import Ids
from wxcontroller.client.ilink.management import Management
from wxcontroller.client.ilink.sealing import Seals
from wxcontroller.client.ilink.sendmessage import AgentSending
from wxcontroller.client.sends.content.callbodies import BODIES
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.store.tables import consumertables as tables
from wxcontroller.client.v1.acts.typing import Typing
from wxcontroller.core.aes import padded_size
from wxcontroller.core.jsontypes import JsonObject, integer, obj, read_json, text

CONSUMER_HEADER = "X-Wx-Consumer"
ORIGIN_HEADER = "X-Wx-Origin"
# Messages that a consumer may put into the queue.
SENDS_PER_SECOND = 10
_UNAVAILABLE_SECONDS = 1.0
_STORE_SECONDS = 10.0  # for one that is new
_PARAMETER = "encrypted_query_param"
_Call = Callable[[Consumer, JsonObject, str], Awaitable[JsonObject]]


@dataclass(slots=True)
class Serving:
    """Answers requests under ``/ilink/``; ``management`` is what administrators call."""

    parts: Parts
    consumers: ConsumerBook
    ids: Ids
    seals: Seals
    cdn: Cdn
    polling: Polling
    sending: AgentSending
    management: Management
    typing: Typing
    _sent: dict[str, deque[float]] = field(default_factory=dict)  # when, by consumer

    async def call(self, request: web.Request) -> web.StreamResponse:
        """Answer a request. The guard has checked that it comes from the controller."""
        call = request.match_info["call"]
        if call == "c2c/upload" and request.method == "POST":
            return await self._upload(request)
        if call == "c2c/download" and request.method in ("GET", "HEAD"):
            return await self._download(request)
        found = self._calls.get(call) if request.method in ("GET", "POST") else None
        if found is None:
            return json_answer({"ret": -1, "errmsg": "no such call"}, 404)
        name = request.headers.get(CONSUMER_HEADER, "")
        if not NAME.fullmatch(name):
            return json_answer({"ret": -1, "errmsg": "the controller names no consumer"}, 403)
        try:
            body = _read(await request.app[BODIES].small(request))
        except ValueError:
            return json_answer({"ret": -2, "errmsg": "invalid arguments"})
        except (TimeoutError, web.RequestPayloadError):
            return json_answer({"ret": -1, "errmsg": "the request's body did not arrive"}, 408)
        if call == "bot/sendmessage" and (seconds := self._too_fast(name)):
            answer = json_answer({"ret": -2, "errmsg": f"more than {SENDS_PER_SECOND} sends a second"}, 429)
            answer.headers["Retry-After"] = str(seconds)
            return answer
        try:
            # A new consumer is stored before it gets anything: its id is in all that is sealed for it.
            async with asyncio.timeout(_STORE_SECONDS):
                consumer = await self._consumer(name, obj(body.get("base_info")))
            async with asyncio.timeout(HOLD_SECONDS + ANSWER_SECONDS):
                return json_answer(await found(consumer, body, request.headers.get(ORIGIN_HEADER, "")))
        except (Unavailable, TimeoutError) as problem:
            return await unavailable(call, str(problem) or "the disk is slow", text(body.get("get_updates_buf")))

    @property
    def _calls(self) -> dict[str, _Call]:
        return {
            "bot/getupdates": lambda consumer, body, origin: self.polling.poll(
                consumer, text(body.get("get_updates_buf")), origin
            ),
            "bot/sendmessage": lambda consumer, body, _: self.sending.send(consumer, obj(body.get("msg"))),
            "bot/getconfig": self._get_config,
            "bot/sendtyping": self._send_typing,
            "bot/getuploadurl": self._get_upload_url,
            "bot/msg/notifystart": lambda consumer, *_: self._note(consumer, online=True),
            "bot/msg/notifystop": lambda consumer, *_: self._note(consumer, online=False),
        }

    async def _consumer(self, name: str, base_info: JsonObject) -> Consumer:
        consumer = await self.consumers.take(name)
        user = self.management.user_of(consumer)
        if consumer.describe(base_info) or user != consumer.user_id:
            consumer.user_id = user
            _ = self.consumers.keep(consumer)
        return consumer

    def _too_fast(self, name: str) -> int:
        """Return for how many seconds a consumer may send nothing, 0 when it may."""
        now, times = time.monotonic(), self._sent.setdefault(name, deque(maxlen=SENDS_PER_SECOND))
        if len(times) == SENDS_PER_SECOND and now - times[0] < 1.0:
            return 1
        times.append(now)
        return 0

    # -- around messages

    async def _get_config(self, consumer: Consumer, body: JsonObject, _: str) -> JsonObject:
        peer = text(body.get("ilink_user_id"))
        if not self._has_written(peer) or not consumer.options.allows(peer):
            return {"ret": -4, "errmsg": "this person has not written yet"}
        return {"ret": 0, "typing_ticket": self.seals.seal("typing", consumer.bot + peer.encode())}

    def _has_written(self, peer: str) -> bool:
        windows = self.parts.sends.windows
        return self.ids.is_given(peer) if windows is None else peer in windows.peers

    async def _send_typing(self, consumer: Consumer, body: JsonObject, _: str) -> JsonObject:
        peer = text(body.get("ilink_user_id"))
        if self.seals.open("typing", text(body.get("typing_ticket"))) != consumer.bot + peer.encode():
            return {"ret": -2, "errmsg": "invalid arguments"}
        if target := self.ids.target(peer):
            await self.typing.is_shown(target, integer(body.get("status"), 1) == 1)
        return {"ret": 0}

    async def _note(self, consumer: Consumer, online: bool) -> JsonObject:
        if consumer.online != online:
            consumer.online = online
            await self.consumers.stored(consumer)
        return {"ret": 0} if not consumer.is_deleted else SESSION_OVER

    # -- content

    async def _get_upload_url(self, consumer: Consumer, body: JsonObject, origin: str) -> JsonObject:
        sending = obj(self.parts.sends.gauge().get("sending"))
        if sending.get("media") == "refused":
            return {"ret": -2, "errmsg": "media-refused: WeChat does not let this account send media at present"}
        try:
            return self.cdn.permit(consumer, body, origin)
        except TransferRefused as problem:
            return {"ret": -2, "errmsg": str(problem)}

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        try:
            parameter = await self.cdn.upload(request.query.get(_PARAMETER, ""), request.content)
        except TransferRefused as problem:
            return refused(problem.status, str(problem))
        except (web.RequestPayloadError, Unavailable) as problem:
            return refused(500, str(problem))
        except OSError as problem:
            return refused(500, f"the content cannot be stored: {problem.strerror}")
        return web.Response(headers={"x-encrypted-param": parameter})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        try:
            found = await self.cdn.download(request.query.get(_PARAMETER, ""))
        except TransferRefused as problem:
            return refused(problem.status, str(problem))
        except Unavailable as problem:
            return refused(500, str(problem))
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        response.content_length = padded_size(found.size)
        await response.prepare(request)
        if request.method != "HEAD":
            async for piece in found.pieces():
                await response.write(piece)
        await response.write_eof()
        return response


def _read(raw: bytes) -> JsonObject:
    """Parse a body; halves of characters, which cannot be stored, are replaced. Raises ValueError."""
    found = read_json(raw or b"{}")
    if b"\\u" in raw:  # only so can it have any
        found = read_json(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    return obj(found)


async def unavailable(call: str, why: str, cursor: str = "") -> web.Response:
    """Return the answer while the account's database cannot be used. Nothing is wrong with the agent's poll."""
    if call != "bot/getupdates":
        return json_answer({"ret": -2, "errmsg": f"not done: {why}"})
    await asyncio.sleep(_UNAVAILABLE_SECONDS)
    return json_answer({"ret": 0, "msgs": [], "get_updates_buf": cursor})


def refused(status: int, words: str) -> web.Response:
    return web.Response(status=status, headers={"x-error-message": words.encode("ascii", "replace").decode()})


async def load(parts: Parts) -> Serving:
    """Return the service of an account's iLink API, with the stored data of earlier processes. Raises Unavailable."""
    rows, key, peers = await parts.log.read(lambda db: (tables.consumers(db), tables.key(db), tables.peer_ids(db)))
    seals = Seals(key or await parts.log.write(tables.make_key))
    consumers = ConsumerBook(parts.log, rows)
    ids = Ids(parts.log, parts.roster, peers, parts.driver.capabilities.oneself)
    cdn = Cdn(parts.config, parts.log, consumers, seals)
    polling = Polling(parts.log, consumers, MessageMapping(parts.config.name.name, ids, seals, cdn), seals)
    sending = AgentSending(parts, consumers, ids, seals, cdn)
    management = Management(parts, consumers, ids, polling, sending)
    return Serving(parts, consumers, ids, seals, cdn, polling, sending, management, Typing(parts))
