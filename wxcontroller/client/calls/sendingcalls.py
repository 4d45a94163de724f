"""Calls that send: texts, media, consult, upload, revoke (openwx-api 2.4)."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wxcontroller.client.calls.call import NOT_FOUND_ID, Answer, Call, Handler, Parts, json_answer
from wxcontroller.client.incoming.consult import reply_after
from wxcontroller.client.sends.acceptance import MAX_HOLD, RECALL_ANSWER_SECONDS, Order
from wxcontroller.client.sends.content.preparing import BadMedia
from wxcontroller.client.sends.idempotency import OtherRequest, fingerprint_of
from wxcontroller.client.sends.model.causes import OTHER_REQUEST, refusal_of, upload_failure
from wxcontroller.client.sends.model.send import Media, Part, Request, Send
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.core.condition.verdict import (
    FAILED,
    STILL_QUEUED,
    TAKEN,
    UNKNOWN_WORD,
    WORST_FIRST,
    Cause,
    SendState,
)
from wxcontroller.core.config.limits import Limits
from wxcontroller.core.errors import Unsupported, UploadFailed, WeChatError
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.model import Message
from wxcontroller.core.text.templates import Text
from wxcontroller.openwx.contract import media as contract
from wxcontroller.openwx.contract.formats import shape
from wxcontroller.openwx.http.idempotencykey import KEY_HEADER

# How long consult waits for a reply by default: the original's.
_CONSULT_SECONDS = 30.0
# For answers that only look something up, or that are stored for a repeated request.
_STORE_SECONDS = 5.0
_FRIEND_KEYS = ("id", "account", "displayname", "markname")
_GROUP_KEYS = ("id", "displayname")
_ACCEPTED: JsonObject = {"code": 0, "status": "request already in execution"}
_ALL_ACCEPTED: JsonObject = {"id": 0, "code": 0, "status": "request already executed"}
_UPLOAD_FIELDS = ("code", "ext", "id", "mime", "mtime", "name", "path", "size", "type")

_Work = Callable[[Call, Request | None], Awaitable[JsonObject]]
_Again = Callable[[Call, Request], Awaitable[JsonObject]]


@dataclass(slots=True)
class SendCalls:
    """The calls; they go out only while the account is logged in."""

    parts: Parts

    def calls(self) -> dict[str, Handler]:
        return {
            "send_friend_message": self._once("send_friend_message", self.send_friend_message, self._again),
            "send_group_message": self._once("send_group_message", self.send_group_message, self._again),
            "consult": self._once("consult", self.consult, self._consult_again),
            "upload_media": self._once("upload_media", self.upload_media, self._again),
            "revoke_message": self.revoke_message,
        }

    async def send_friend_message(self, call: Call, request: Request | None = None) -> JsonObject:
        if refusal := self._unsendable(call):
            return refusal
        if call.get("id") == "@all":  # the reports tell how each ended
            return await self._send([*self.parts.roster.contacts], False, call, request, _ALL_ACCEPTED)
        # The first of several, as the original does.
        contacts = self.parts.roster.find_contacts(call.whom(*_FRIEND_KEYS))
        return await self._send([contacts[0].id], False, call, request) if contacts else NOT_FOUND_ID

    async def send_group_message(self, call: Call, request: Request | None = None) -> JsonObject:
        if refusal := self._unsendable(call):
            return refusal
        groups = self.parts.roster.find_groups(call.whom(*_GROUP_KEYS))
        return await self._send([groups[0].id], True, call, request) if groups else NOT_FOUND_ID

    async def consult(self, call: Call, request: Request | None = None) -> JsonObject:
        """Send, and wait for the next message of that friend; ``timeout`` always holds (5.5 no. 73)."""
        seconds = self._seconds(call)
        if refusal := self._unsendable(call):
            return refusal
        if seconds is None:
            return {"id": None, "code": FAILED, "status": "timeout is not a number of seconds above 0"}
        contacts = self.parts.roster.find_contacts(call.whom(*_FRIEND_KEYS))
        if not contacts:
            return NOT_FOUND_ID
        if call.has_media:
            return await self._send([contacts[0].id], False, call, request)
        latest = self._latest()
        sends = self.parts.sending.sends(Order((contacts[0].id,), False, call.get("content")))
        # Before they are stored: the reply may come before the answer of the disk.
        with self.parts.consults.asked(contacts[0].id, sends[-1]) as reply:
            if refusal := await self._stored(sends, request, call, latest):
                return refusal
            sent = await self._outcome(sends, {}, latest)
            if sent["code"] != 0:
                return sent
            answer = await self._replied(sent, reply, seconds, latest)
        return await self._store_answer(request, answer)

    async def upload_media(self, call: Call, request: Request | None = None) -> JsonObject:
        nothing: JsonObject = {f"media_{name}": None for name in _UPLOAD_FIELDS}
        if not self.parts.at_work:
            return {**nothing, **self.parts.not_running()}
        latest = self._latest()
        too_slow: JsonObject = {
            "code": FAILED,
            "status": f"media upload failure: not done in {self._limits.send_answer_seconds:g} s",
        }
        media: Media | None = None
        try:
            async with asyncio.timeout_at(latest):
                media = await self.parts.media.describe(call.media, call.media_data)
                await self.parts.media.prepare(media)
                await self.parts.sends.sender.upload(media)
        except TimeoutError:
            return {**nothing, **too_slow}
        except BadMedia as problem:
            return {**nothing, "code": FAILED, "status": problem.message, "reason": problem.reason}
        except UploadFailed as problem:
            return {**nothing, "code": FAILED, "status": upload_failure(problem), "reason": str(problem)}
        except (WeChatError, Unsupported, OSError) as problem:
            return {**nothing, "code": FAILED, "status": f"media upload failure: {problem}"}
        finally:
            if media is not None:
                media.discard()
        await self.parts.log.settled(_STORE_SECONDS)  # the id is valid once the call is answered
        body = contract.fields(media.facts, own=True)
        answer: JsonObject = {f"media_{name}": body[f"media_{name}"] for name in _UPLOAD_FIELDS}
        return await self._store_answer(request, {**answer, "code": 0, "status": "success"})

    async def revoke_message(self, call: Call) -> Answer:
        handle = call.get("id")
        if not handle:
            return {"id": None, "code": FAILED, "status": "msg id not found"}
        if not self.parts.at_work:
            return {"id": handle, **self.parts.not_running()}
        message_id, _, target = handle.partition(":")
        reason = "the id is not one that a send has answered"
        if message_id.isdecimal() and target:
            try:
                await self.parts.sending.recall(message_id, target)
                return {"id": handle, "code": 0, "status": "revoke success"}
            except TimeoutError:
                reason = f"it may be revoked: WeChat did not answer within {RECALL_ANSWER_SECONDS:g} s"
            except WeChatError as problem:
                reason = f"it may be revoked: {problem}" if problem.unsure else str(problem)
            except Unsupported as problem:
                reason = str(problem)
        return {"id": handle, "code": FAILED, "status": "revoke failure", "reason": reason}

    # -- sends

    async def _send(
        self,
        targets: Sequence[str],
        is_group: bool,
        call: Call,
        request: Request | None,
        at_once: JsonObject | None = None,
    ) -> JsonObject:
        """Queue a text, media or both. ``at_once`` is the answer if it does not wait for the result."""
        latest, media, content = self._latest(), None, call.get("content")
        number = len(targets) * (bool(content) + call.has_media)
        if refusal := self.parts.sends.no_room(number):
            return unsent_answer(refusal)
        if at_once is None and call.flag("async"):
            at_once = _ACCEPTED
        try:
            if call.has_media:
                media = await self.parts.media.describe(call.media, call.media_data)
        except BadMedia as problem:
            return {**unsent_answer(problem.message), "reason": problem.reason, "media_id": ""}
        try:
            hold = hold_of(call)
        except ValueError:
            return unsent_answer(f"hold is not a number of seconds from 0 to {MAX_HOLD}")
        order = Order(targets, is_group, content, media, call.flag("interim"), call.flag("urgent"), hold)
        sends = self.parts.sending.sends(order)
        keyed = replace(request, answer=at_once) if request else None
        refused = await self._stored(sends, keyed, call, latest)
        if answer := refused or at_once:
            return answer
        answer = await self._outcome(sends, {}, latest)
        sent = sum(send.state in TAKEN for send in sends)
        # Where each uses up a message of a reply window, or if not all were sent.
        if len(sends) < 2 or (self.parts.sends.windows is None and sent in (0, len(sends))):
            return answer
        answer["parts"] = [sent, len(sends)]
        return await self._store_answer(request, answer) if all(send.state.is_final for send in sends) else answer

    async def _stored(
        self, sends: Sequence[Send], request: Request | None, call: Call, latest: float
    ) -> JsonObject | None:
        """Queue messages, and wait until they are on disk; return the failure if they are not. On a slow disk the
        call waits, because the send may still be stored.
        """
        if request is not None:
            request = replace(request, target=sends[0].target, parts={send.part: {} for send in sends})
        try:
            added = await self.parts.sending.store(sends, request, latest)
        except TimeoutError:
            why = self.parts.log.trouble or Text("the disk is slow")
            words = f"it cannot be stored for now ({why}); it is sent once stored, unless the account stops first"
            return {"id": None, "code": FAILED, "status": UNKNOWN_WORD, "reason": words}
        except Unavailable as problem:
            return unsent_answer(f"not sent: {problem}")
        if added.earlier is None:
            return None
        # The same request was being written to disk when this one looked it up.
        if request is None or added.earlier.fingerprint != request.fingerprint:
            raise OtherRequest
        again = self._consult_again if added.earlier.call == "consult" else self._again
        return await again(call, added.earlier)

    async def _outcome(self, sends: Iterable[Send], ended: Mapping[Part, JsonObject], latest: float) -> JsonObject:
        """Wait for the outcomes of messages; return one answer for text and media together.

        The first failure, else the media's (5.2 no. 24). Messages that have not ended by ``latest`` (the loop's time)
        are still sent. ``ended`` are the known outcomes.
        """
        outcomes = dict(ended)
        for send in sends:
            try:
                async with asyncio.timeout_at(latest):
                    # Shielded: the message is sent even if the caller disconnects.
                    outcome = await asyncio.shield(send.answer)
                before = outcomes.get(send.part)
                # Of the pieces of one text, the worst is the answer.
                if not before or is_worse(outcome or {}, before):
                    outcomes[send.part] = send.at_present(outcome or {})
            except TimeoutError:
                outcomes[send.part] = {}
        text, content = outcomes.get(Part.TEXT), outcomes.get(Part.MEDIA)
        if not outcomes or text == {} or content == {}:
            return {**self._still_queued(), **({} if content is None else {"media_id": ""})}
        if content is None:
            return text or {}
        return {**content, **text} if text and text["code"] != 0 else content

    def _still_queued(self) -> JsonObject:
        stall, number = self.parts.sends.stall, len(self.parts.sends)
        why = f" {stall.ends}" if stall else ""
        answer: JsonObject = {
            "id": None,
            "code": STILL_QUEUED,
            "status": f"still queued, {number} sends wait{why}; the send_message report will tell",
        }
        if stall is not None:
            answer["reason"] = str(stall.evidence or stall.reason)
        if stall is not None and math.isfinite(stall.when):
            answer["held_until"] = int(stall.when)
        return answer

    def _unsendable(self, call: Call) -> JsonObject | None:
        if not call.get("content") and not call.has_media:
            return unsent_answer("content and media are empty, nothing to send")
        if (refusal := refusal_of(self.parts)) is None:
            return None
        if refusal.cause is Cause.NOT_LOGGED_IN:
            return {"id": None, **self.parts.not_running()}
        return unsent_answer(str(refusal.evidence))

    # -- requests that are made again

    def _once(self, name: str, work: _Work, again: _Again) -> Handler:
        """Return the call's handler: with a key, it is done once."""

        async def answer(call: Call) -> Answer:
            if not call.key:
                return await work(call, None)
            # Hashed in a thread: it may be 64 MB.
            content = await asyncio.to_thread(call.media_data.digest) if call.media_data else b""
            request = Request(call.key, fingerprint_of(name, call.parameters, content), name)
            try:
                return await self.parts.requests.once(
                    request, lambda: work(call, request), lambda earlier: again(call, earlier)
                )
            except OtherRequest:
                words = f"this {KEY_HEADER} came with another request before; a new request needs a new key"
                return json_answer({"id": None, "code": OTHER_REQUEST, "status": words}, 422)
            except Unavailable as problem:
                return unsent_answer(f"not sent: whether it was sent before cannot be looked up: {problem.message}")

        return answer

    def _seconds(self, call: Call) -> float | None:
        """Return how long a call may wait in seconds, None if the parameter is not a time."""
        requested, limit = call.get("timeout"), self.parts.config.seconds("consult_max")
        try:
            value = float(requested) if requested else _CONSULT_SECONDS
        except ValueError:
            return None
        return min(value, limit) if math.isfinite(value) and value > 0 else None

    async def _again(self, _: Call, earlier: Request) -> JsonObject:
        if earlier.answer is not None:
            return earlier.answer
        sends, ended = await self._parts_of(earlier)
        return await self._outcome(sends, ended, self._latest())

    async def _consult_again(self, call: Call, earlier: Request) -> JsonObject:
        """Wait for the reply again: the first caller's may have arrived between two waits."""
        if earlier.answer is not None:
            return earlier.answer
        latest, seconds = self._latest(), self._seconds(call)
        sends, ended = await self._parts_of(earlier)
        with self.parts.consults.asked(earlier.target, sends[-1] if sends else None) as reply:
            sent = await self._outcome(sends, ended, latest)
            if sent["code"] != 0 or Part.MEDIA in earlier.parts or seconds is None:
                return sent
            found = None
            if not sends:
                # Events received just before are still being written to the log, where they are searched for.
                await self.parts.log.settled(_STORE_SECONDS)
                found = await reply_after(self.parts.log, earlier.target, earlier.event)
            answer = found or await self._replied(sent, reply, seconds, latest)
        return await self._store_answer(earlier, answer)

    async def _parts_of(self, earlier: Request) -> tuple[list[Send], Mapping[Part, JsonObject]]:
        """Return the unfinished messages of a request, and the outcomes of the others."""
        sends = [send for send in await self.parts.sending.unsettled() if send.request == earlier.key]
        found = await self.parts.requests.store.request(earlier.key)  # after it: one of both has each
        return sends, found.parts if found else {}

    def _latest(self) -> float:
        """When a call that begins now is to be answered, by the loop's time."""
        return now() + self._limits.send_answer_seconds

    @property
    def _limits(self) -> Limits:
        return self.parts.config.limits

    async def _replied(
        self, sent: JsonObject, reply: "asyncio.Future[Message]", seconds: float, latest: float
    ) -> JsonObject:
        until = now() + seconds
        if seconds <= self._limits.send_answer_seconds:  # a caller with a longer timeout can wait longer
            until = min(until, latest)
        try:
            async with asyncio.timeout_at(until):
                message = await reply
        except TimeoutError:
            return {**sent, "reply": None, "reply_status": "reply timeout"}
        return {"id": message.id, "reply": shape(message).content, "code": 0, "status": "success"}

    async def _store_answer(self, request: Request | None, answer: JsonObject) -> JsonObject:
        """Store the answer of a request that cannot be derived from its messages."""
        if request is not None:
            kept = self.parts.requests.store.keep(replace(request, answer=answer))
            await asyncio.wait({kept}, timeout=_STORE_SECONDS)
        return answer


def hold_of(call: Call) -> float | None:
    """Return for how many seconds a send may be held, None if unspecified. Raises ValueError."""
    requested = call.get("hold")
    if not requested:
        return None
    seconds = float(requested)
    if not 0 <= seconds <= MAX_HOLD:
        raise ValueError(requested)
    return seconds


def is_worse(answer: JsonObject, other: JsonObject) -> bool:
    """Whether an answer, rather than ``other`` of the piece before it, gives the result of a text."""
    rank, best = _rank(answer), _rank(other)
    return rank < best or (rank == best and other.get("code") == 0)


def _rank(answer: JsonObject) -> int:
    # Routes without reply windows report no state.
    state = text(answer.get("state")) or ("delivered" if answer.get("code") == 0 else "refused")
    return WORST_FIRST.index(SendState(state)) if state in set(SendState) else 0


def unsent_answer(words: str) -> JsonObject:
    return {"id": None, "code": FAILED, "status": words}


def now() -> float:
    return asyncio.get_running_loop().time()
