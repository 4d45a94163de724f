"""sendmessage: an agent's message goes through the account's queue, and is answered in WeChat's way (20.5, 20.6).

The queue's guarantees apply: no accepted message is lost or sent twice, and all consumers and the account's API share
the budget of a reply window. An agent that repeats a message, because the answer was that it is held or because it
lost the answer, does not send it again: a repeat is recognized by its ``client_id`` and content. With another
``client_id`` it is one if it has the same content and receiver, answers no later message (its context token), and the
first one was held within the last ten minutes.
"""

import asyncio
import hashlib
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from wxcontroller.client.calls.call import Parts
from wxcontroller.client.ilink.agentcdn import AgentFile, Cdn
from wxcontroller.client.ilink.agentmessages import number_of
from wxcontroller.client.ilink.consumerbook import ANSWER_SECONDS, Consumer, ConsumerBook, WhenHeld
from wxcontroller.client.ilink.contexts import MessageContext, context_of
from wxcontroller.client.ilink.ids import Ids
from wxcontroller.client.ilink.sealing import Seals
from wxcontroller.client.sends.acceptance import Order
from wxcontroller.client.sends.content.preparing import BadMedia
from wxcontroller.client.sends.model.causes import refusal_of
from wxcontroller.client.sends.model.send import Request, Send
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.v1.forms.v1outcomes import outcomes_of, worst_of
from wxcontroller.core.condition.verdict import RULES, SendState, rule_of
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, objects, text
from wxcontroller.core.model import MessageKind

MAX_TEXT = 16 << 10  # bytes, as at WeChat
MAX_ITEMS = 20
# A repeat of a held message within this time is the same message.
_FOLD_SECONDS = 600.0
_MAX_FOLDED = 500
# An Idempotency-Key of a request cannot begin with this.
_PREFIX = "\x01ilink\x01"
_INVALID = "invalid arguments"
_MEDIA_ITEMS = {
    2: ("image_item", MessageKind.IMAGE),
    4: ("file_item", MessageKind.FILE),
    5: ("video_item", MessageKind.VIDEO),
}
_PROGRESS_CARDS = (11, 12)


class NotAccepted(Exception):
    """A message that is not taken. ``ret`` is the protocol's code."""

    def __init__(self, ret: int, words: str) -> None:
        super().__init__(words)
        self.ret = ret

    @property
    def answer(self) -> JsonObject:
        return {"ret": self.ret, "errmsg": str(self)}


@dataclass(frozen=True, slots=True)
class _Content:
    """One item of a message: a text, or a file."""

    words: str = ""
    file: AgentFile | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Recipient:
    """The recipient of a message, by an id that outlasts logins.

    ``member`` is the person addressed instead of a group, still to be found in it, or "". ``answers`` is the context
    of the message that is answered, None without a valid token.
    """

    id: str
    is_group: bool
    member: str = ""
    answers: MessageContext | None = None


@dataclass(frozen=True, slots=True)
class _ToldHeld:
    """A message that was reported to its agent as held, and which the agent may repeat.

    ``key`` is its request, ``answered`` the position of the message that it answers, 0 for none.
    """

    key: str
    time: float
    answered: int


@dataclass(slots=True)
class AgentSending:
    """Answers sendmessage."""

    parts: Parts
    consumers: ConsumerBook
    ids: Ids
    seals: Seals
    cdn: Cdn
    _told_held: OrderedDict[tuple[str, str], _ToldHeld] = field(default_factory=OrderedDict)  # by consumer, content

    async def send(self, consumer: Consumer, message: JsonObject) -> JsonObject:
        """Queue a message and return its state. Raises Unavailable."""
        try:
            contents = await self._contents(consumer, message)
            if not contents:
                return {"ret": 0}
            recipient = self._recipient(consumer, message)
        except NotAccepted as problem:
            return problem.answer
        content = fingerprint(recipient.id, contents)
        key = self._key(consumer, recipient, content, text(message.get("client_id")))
        request = Request(key, content, "ilink")
        interim = consumer.options.interim and bool(message.get("interim"))
        latest = _now() + consumer.options.wait
        begun = await self.parts.requests.once(
            request,
            lambda: self._work(consumer, request, recipient, contents, interim),
            self._again,
        )
        if "ret" in begun:
            return begun
        outcomes = await outcomes_of(self.parts, [text(id_) for id_ in items(begun.get("messages"))], latest)
        # The last of several equal ones: a quote refers to the most recent.
        return self._answer(consumer, recipient, content, key, worst_of(reversed(outcomes)))

    def held(self, consumer: Consumer) -> int:
        """Return how many messages of a consumer are held."""
        return sum(
            send.state is SendState.HELD and send.request.startswith(prefix(consumer))
            for send in self.parts.sends.waiting()
        )

    # -- content and recipient

    async def _contents(self, consumer: Consumer, message: JsonObject) -> list[_Content]:
        """Return a message's items, without cards that show an agent's progress: no route has them.

        Raises NotAccepted and Unavailable.
        """
        if integer(message.get("message_type"), 2) != 2 or integer(message.get("message_state"), 2) != 2:
            raise NotAccepted(-2, _INVALID)
        listed = objects(message.get("item_list"))
        if not 0 < len(listed) <= MAX_ITEMS:
            raise NotAccepted(-2, _INVALID)
        shown = [item for item in listed if integer(item.get("type")) not in _PROGRESS_CARDS]
        return [await self._content(consumer, item) for item in shown]

    async def _content(self, consumer: Consumer, item: JsonObject) -> _Content:
        kind = integer(item.get("type"))
        if kind == 1:
            words = text(obj(item.get("text_item")).get("text"))
            if not words:
                raise NotAccepted(-2, _INVALID)
            if len(words.encode("utf-8", "replace")) > MAX_TEXT:
                raise NotAccepted(-2, f"not sent: the text is longer than {MAX_TEXT} bytes")
            return _Content(words)
        if kind not in _MEDIA_ITEMS:
            raise NotAccepted(-2, _INVALID)
        member, wanted = _MEDIA_ITEMS[kind]
        found = obj(item.get(member))
        file = await self.cdn.uploaded(consumer, obj(found.get("media")), wanted)
        if file is None:
            raise NotAccepted(-2, "not sent: this content was not uploaded here, or is no longer kept")
        return _Content(file=replace(file, kind=wanted), name=text(found.get("file_name")))

    def _recipient(self, consumer: Consumer, message: JsonObject) -> _Recipient:
        """Return a message's recipient. Raises NotAccepted if the consumer may not write to them."""
        to, token = text(message.get("to_user_id")), text(message.get("context_token"))
        context = context_of(self.seals, consumer, token) if token else None
        if token and context is None:  # forged, another consumer's, or WeChat's
            raise NotAccepted(-3, _INVALID)
        options, group = consumer.options, ""
        if context is not None and not context.is_over:
            group = context.group
            if not group and not context.is_from(to):
                raise NotAccepted(-3, _INVALID)
        elif to.endswith("@chatroom"):
            group = to
        peer = group or to
        if not self.ids.is_given(peer) or not (options.allows_group(group) if group else options.allows(to)):
            raise NotAccepted(-3, _INVALID)
        belongs = not group or to == group or (context is not None and context.is_from(to))
        answers = None if context is None or context.is_over else context
        return _Recipient(peer, bool(group), "" if belongs else to, answers)

    def _target(self, recipient: _Recipient, number: int) -> str:
        """Return the recipient's id on the route if this many messages can be queued now. Raises NotAccepted."""
        target = self.ids.target(recipient.id)
        if (refusal := refusal_of(self.parts, number, bool(target))) is not None:
            raise NotAccepted(refusal.rule.ret, f"not sent: {refusal.reason}")
        if recipient.member and not self.ids.is_member(target, recipient.member):
            raise NotAccepted(-3, _INVALID)
        return target

    # -- through the queue

    def _key(self, consumer: Consumer, recipient: _Recipient, content: str, client_id: str) -> str:
        """Return the key of a message: that of the held one that it repeats, or one by its client id and content."""
        folds = consumer.options.when_held is WhenHeld.REFUSE
        if folds and (held := self._held_before(consumer, recipient, content)):
            return held
        unique = hashlib.sha256(f"{client_id or secrets.token_hex(16)} {content}".encode("utf-8", "replace"))
        return f"{prefix(consumer)}{unique.hexdigest()}"

    def _held_before(self, consumer: Consumer, recipient: _Recipient, content: str) -> str:
        """Return the key of an equal message that is or was recently held, or ""."""
        now, answers = time.time(), recipient.answers
        held = [send for send in self.parts.sends.waiting() if send.state is SendState.HELD]
        told = self._told_held.get((consumer.name, content))
        if told is not None and now - told.time < _FOLD_SECONDS:
            # Without a token, the same content is a repetition only while the first message is still held.
            is_repeat = told.answered >= answers.seq if answers else any(send.request == told.key for send in held)
            return told.key if is_repeat else ""
        for send in held:
            # Of an earlier process; messages of one part are enough, longer ones are repeated less often.
            own = send.request.startswith(prefix(consumer)) and (not answers or answers.time <= send.queued_at)
            fresh = own and now - send.queued_at < _FOLD_SECONDS
            same = fresh and fingerprint(recipient.id, [_Content(send.content)]) == content
            if same and send.target == self.ids.target(recipient.id):
                return send.request
        return ""

    async def _work(
        self,
        consumer: Consumer,
        request: Request,
        recipient: _Recipient,
        contents: Sequence[_Content],
        interim: bool,
    ) -> JsonObject:
        """Queue a new message; return the ids of its parts, or the refusal."""
        latest = _now() + ANSWER_SECONDS
        hold = 0.0 if consumer.options.when_held is WhenHeld.DROP else None
        sends: list[Send] = []
        try:
            target = self._target(recipient, len(contents))
            for content in contents:
                order = Order((target,), recipient.is_group, content.words, interim=interim, hold=hold)
                if (file := content.file) is not None:
                    media = await self.parts.media.copy_of(file.path, file.kind, content.name, consumer.bot_id)
                    order = replace(order, media=media)
                sends += self.parts.sending.sends(order)
        except NotAccepted as problem:
            return problem.answer
        except BadMedia as problem:
            _discard(sends)
            return NotAccepted(RULES[problem.cause].ret, f"not sent: {problem.message}").answer
        except OSError as problem:
            _discard(sends)
            gone = isinstance(problem, FileNotFoundError)
            words = "the content is no longer here; upload it again" if gone else str(problem.strerror)
            return NotAccepted(-2, f"not sent: {words}").answer
        begun: JsonObject = {"messages": [send.client_id for send in sends]}
        keyed = replace(request, answer=begun, target=target, parts={send.part: {} for send in sends})
        try:
            added = await self.parts.sending.store(sends, keyed, latest)
        except TimeoutError:  # it may be stored yet
            return begun
        except Unavailable as problem:
            return NotAccepted(-2, f"not sent: {problem}").answer
        if added.earlier is not None:  # the same message was on its way to the disk
            return await self._again(added.earlier)
        consumer.sent += len(sends)
        _ = self.consumers.keep(consumer)
        return begun

    async def _again(self, earlier: Request) -> JsonObject:
        """Return the ids of the parts of a message that is repeated."""
        if earlier.answer is not None:
            return earlier.answer
        # Queued by 2.3.0, which stored no ids.
        waiting = [send for send in await self.parts.sending.unsettled() if send.request == earlier.key]
        return {"messages": [send.client_id for send in waiting]}

    # -- how it is answered

    def _answer(
        self, consumer: Consumer, recipient: _Recipient, content: str, key: str, found: JsonObject
    ) -> JsonObject:
        """Return the answer for the verdict of /v1, and remember what was reported as held."""
        marks = consumer.name, content
        if found["state"] != SendState.HELD:
            self._told_held.pop(marks, None)
        elif (told := self._told_held.get(marks)) is None or told.key != key:
            answered = recipient.answers.seq if recipient.answers else 0
            self._told_held[marks] = _ToldHeld(key, time.time(), answered)
            while len(self._told_held) > _MAX_FOLDED:
                self._told_held.popitem(last=False)
        return form_of(found, key, consumer.options.when_held is WhenHeld.ACCEPT)


def form_of(found: JsonObject, key: str, accepts_held: bool = False) -> JsonObject:
    """Return the verdict of /v1 on a message in iLink's form."""
    ours: JsonObject = {"ret": 0, "message_id": number_of(text(found.get("id")) or key)}
    detail, ret = text(found.get("detail")), rule_of(text(found.get("reason"))).ret
    match SendState(text(found["state"])):
        case SendState.DELIVERED:
            return {"ret": 0, "message_id": number_of(text(found.get("handle")).partition(":")[0])}
        case SendState.ACCEPTED:
            return {"ret": 0}
        case SendState.HELD if not accepts_held:
            return {"ret": ret, "errmsg": f"held: {text(found.get('ends'))}: {detail}"}
        case SendState.REFUSED:
            return {"ret": ret, "errmsg": detail}
        case SendState.UNKNOWN:
            return {"ret": ret, "errmsg": f"unknown: {detail}"}
        case _:
            return ours


def prefix(consumer: Consumer) -> str:
    return f"{_PREFIX}{consumer.name}\x01"


def fingerprint(recipient: str, contents: Sequence[_Content]) -> str:
    parts = [[content.words, content.file.path.name if content.file else "", content.name] for content in contents]
    return hashlib.sha256(json.dumps([recipient, parts]).encode("utf-8", "replace")).hexdigest()


def _discard(sends: Sequence[Send]) -> None:
    for send in sends:
        if send.media is not None:
            send.media.discard()


def _now() -> float:
    return asyncio.get_running_loop().time()
