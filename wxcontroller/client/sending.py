"""Calls that send: texts, media, consult, upload, revoke (openwx-api 2.4)."""

import asyncio
import math
from dataclasses import dataclass

from wxcontroller.client.calls import NOT_FOUND_ID, Answer, Call, Handler, Parts
from wxcontroller.client.mediaout import BadMedia
from wxcontroller.client.outgoing import TOO_MANY_TODAY, UNREADABLE, USED_UP, Job
from wxcontroller.client.parcel import Parcel
from wxcontroller.client.replies import Reply
from wxcontroller.core.errors import Unsupported, WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Message
from wxcontroller.openwx import media
from wxcontroller.openwx.formats import shape
from wxcontroller.openwx.reports import SendResult

# A call is answered within this, fetching and uploading included: shorter than the controller's request timeout
# (120 s), so that the caller hears it from us.
SEND_WAIT_SECONDS = 100.0
CALL_SECONDS = 60.0
CONSULT_SECONDS = 30.0
STILL_QUEUED = -7
FAILED = -1
# What is not WeChat's own code.
_OUR_CODES = frozenset({0, UNREADABLE, USED_UP, TOO_MANY_TODAY})
_FRIEND_KEYS = ("id", "account", "displayname", "markname")
_GROUP_KEYS = ("id", "displayname")
_ACCEPTED: JsonObject = {"code": 0, "status": "request already in execution"}
_UPLOAD_FIELDS = ("code", "ext", "id", "mime", "mtime", "name", "path", "size", "type")


@dataclass(slots=True)
class Sending:
    """The calls; they go out only while the account is logged in."""

    parts: Parts

    def calls(self) -> dict[str, Handler]:
        return {
            "send_friend_message": self.send_friend_message,
            "send_group_message": self.send_group_message,
            "consult": self.consult,
            "upload_media": self.upload_media,
            "revoke_message": self.revoke_message,
        }

    async def send_friend_message(self, call: Call) -> Answer:
        if refusal := self._unsendable(call):
            return refusal
        if call.get("id") == "@all":
            self.parts.tasks.leave(self._send_all(call))  # the reports tell how each ended
            return {"id": 0, "code": 0, "status": "request already executed"}
        found = self.parts.roster.find_contacts(call.whom(*_FRIEND_KEYS))
        return await self._answer(found[0].id, False, call) if found else NOT_FOUND_ID

    async def send_group_message(self, call: Call) -> Answer:
        if refusal := self._unsendable(call):
            return refusal
        found = self.parts.roster.find_groups(call.whom(*_GROUP_KEYS))
        return await self._answer(found[0].id, True, call) if found else NOT_FOUND_ID

    async def consult(self, call: Call) -> Answer:
        """Send, and wait for the next message of that friend; ``timeout`` always holds (5.5 no. 73)."""
        seconds = _seconds(call.get("timeout"), self.parts.config.seconds("consult_max"))
        if refusal := self._unsendable(call):
            return refusal
        if seconds is None:
            return {"id": None, "code": FAILED, "status": "timeout is not a number of seconds above 0"}
        found = self.parts.roster.find_contacts(call.whom(*_FRIEND_KEYS))
        if not found:
            return NOT_FOUND_ID
        if call.has_media:
            return await self._answer(found[0].id, False, call)
        job, latest = self.parts.outgoing.put(found[0].id, False, call.get("content")), _latest()
        with self.parts.consults.asked(job) as answer:
            sent = await self._outcome(job, latest)
            if sent is None:
                return self._still_queued()
            if sent.code != 0:
                return _told(sent)
            until = _now() + seconds
            if seconds <= SEND_WAIT_SECONDS:  # who asks for more can wait for more
                until = min(until, latest)
            try:
                async with asyncio.timeout_at(until):
                    reply: Message = await answer
            except TimeoutError:
                return {**_told(sent), "reply": None, "reply_status": "reply timeout"}
        return {"id": reply.id, "reply": shape(reply).content, "code": 0, "status": "success"}

    async def upload_media(self, call: Call) -> Answer:
        nothing: JsonObject = {f"media_{name}": None for name in _UPLOAD_FIELDS}
        if not self.parts.at_work:
            return {**nothing, **self.parts.not_running()}
        latest = _latest()
        too_slow: JsonObject = {
            "code": FAILED,
            "status": f"media upload failure: not done in {SEND_WAIT_SECONDS:g} s",
        }
        try:
            async with asyncio.timeout_at(latest):
                parcel = await self.parts.media_out.parcel(call.media, call.media_data)
        except TimeoutError:
            return {**nothing, **too_slow}
        except BadMedia as problem:
            return {**nothing, "code": FAILED, "status": problem.message, "reason": problem.reason}
        parcel.hold()
        try:
            async with asyncio.timeout_at(latest):
                await parcel.upload(self.parts.driver)
        except TimeoutError:
            return {**nothing, **too_slow}
        except WeChatError as problem:
            code = FAILED if problem.ret is None else problem.ret
            return {**nothing, "code": code, "status": f"media upload failure: {problem.message}"}
        except (Unsupported, OSError) as problem:
            return {**nothing, "code": FAILED, "status": f"media upload failure: {problem}"}
        finally:
            parcel.release()
        self.parts.media_out.remember(parcel)
        body = media.fields(parcel.facts, own=True)
        return {**{f"media_{name}": body[f"media_{name}"] for name in _UPLOAD_FIELDS}, "code": 0, "status": "success"}

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
                async with asyncio.timeout(CALL_SECONDS):
                    await self.parts.driver.revoke(message_id, target)
                return {"id": handle, "code": 0, "status": "revoke success"}
            except TimeoutError:
                reason = f"WeChat did not answer within {CALL_SECONDS:g} s"
            except (WeChatError, Unsupported) as problem:
                reason = str(problem)
        return {"id": handle, "code": FAILED, "status": "revoke failure", "reason": reason}

    async def reply(self, reply: Reply) -> None:
        """Send what a webhook answered: text, then media from its URL only."""
        if reply.content:
            self.parts.outgoing.put(reply.target, reply.is_group, reply.content, origin="code")
        if reply.media:
            call = Call({"media_path": reply.media})
            self.parts.tasks.leave(self._put_media(reply.target, reply.is_group, call, "code"))

    async def _answer(self, target: str, is_group: bool, call: Call) -> Answer:
        """One answer for text and media together: the first failure, else the media's (5.2 no. 24)."""
        latest = _latest()
        text = self.parts.outgoing.put(target, is_group, call.get("content")) if call.get("content") else None
        later = call.get("async") not in ("", "0")
        if call.has_media:
            if later:
                self.parts.tasks.leave(self._put_media(target, is_group, call))
                return _ACCEPTED
            return await self._with_media(text, target, is_group, call, latest)
        if later:
            return _ACCEPTED
        assert text is not None
        result = await self._outcome(text, latest)
        return _told(result) if result else self._still_queued()

    async def _with_media(self, text: Job | None, target: str, is_group: bool, call: Call, latest: float) -> Answer:
        putting = self.parts.tasks.begin(self._put_media(target, is_group, call))
        try:
            async with asyncio.timeout_at(latest):
                # Shielded: fetching goes on when the caller hangs up, as the text does.
                found = await asyncio.shield(putting)
        except TimeoutError:
            return {**self._still_queued(), "media_id": ""}
        result = await self._outcome(found, latest) if isinstance(found, Job) else found[0]
        said = await self._outcome(text, latest) if text else None
        if result is None or (text and said is None):
            return {**self._still_queued(), "media_id": ""}
        answer: JsonObject = {**_told(result), "media_id": result.media.id if result.media else ""}
        if said and said.code != 0:
            answer.update(_told(said))
        if not isinstance(found, Job) and found[1]:
            answer["reason"] = found[1]
        return answer

    async def _put_media(
        self, target: str, is_group: bool, call: Call, origin: str = "api"
    ) -> Job | tuple[SendResult, str]:
        """Queue media, or report at once, and say why, that they can't be sent."""
        try:
            parcel = await self.parts.media_out.parcel(call.media, call.media_data)
        except BadMedia as problem:
            refused = Parcel(problem.facts)
            return self.parts.outgoing.refuse(target, is_group, refused, problem.message, origin), problem.reason
        return self.parts.outgoing.put(target, is_group, parcel=parcel, origin=origin)

    async def _send_all(self, call: Call) -> None:
        targets = list(self.parts.roster.contacts)
        if call.get("content"):
            for target in targets:
                self.parts.outgoing.put(target, False, call.get("content"))
        if not call.has_media:
            return
        try:
            parcel = await self.parts.media_out.parcel(call.media, call.media_data)
        except BadMedia as problem:
            for target in targets:
                self.parts.outgoing.refuse(target, False, Parcel(problem.facts), problem.message)
            return
        for target in targets:
            self.parts.outgoing.put(target, False, parcel=parcel)

    async def _outcome(self, job: Job, latest: float) -> SendResult | None:
        """Wait for how a send ends; None when it has not by ``latest`` (the loop's time), it is sent all the same."""
        try:
            async with asyncio.timeout_at(latest):
                # Shielded: the message goes out even when the caller hangs up.
                return await asyncio.shield(job.result)
        except TimeoutError:
            return None

    def _still_queued(self) -> JsonObject:
        return {
            "id": None,
            "code": STILL_QUEUED,
            "status": f"still queued, {len(self.parts.outgoing)} sends wait; the send_message report will tell",
        }

    def _unsendable(self, call: Call) -> JsonObject | None:
        if not call.get("content") and not call.has_media:
            return {"id": None, "code": FAILED, "status": "content and media are empty, nothing to send"}
        if self.parts.outgoing.full:
            return {"id": None, "code": FAILED, "status": self.parts.outgoing.fullness}
        return None if self.parts.at_work else {"id": None, **self.parts.not_running()}


def _now() -> float:
    return asyncio.get_running_loop().time()


def _latest() -> float:
    """When a call that begins now is to be answered, by the loop's time."""
    return _now() + SEND_WAIT_SECONDS


def _told(result: SendResult) -> JsonObject:
    """An answer; for a refusal by WeChat, which gives a code and no words, the original's word and our reason."""
    answer: JsonObject = {"id": result.handle, "code": result.code, "status": result.info}
    return answer if result.code in _OUR_CODES else {**answer, "status": "unknown error", "reason": result.info}


def _seconds(given: str, most: float) -> float | None:
    if not given:
        return min(CONSULT_SECONDS, most)
    try:
        value = float(given)
    except ValueError:
        return None
    return min(value, most) if math.isfinite(value) and value > 0 else None
