"""Sending messages at the account's port, and recalling them: POST and DELETE /v1/messages."""

import asyncio
from dataclasses import replace

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.incoming.lastingids import id_of
from wxcontroller.client.sends.acceptance import MAX_HOLD, Order
from wxcontroller.client.sends.content.holders import parameters_of
from wxcontroller.client.sends.content.preparing import BadMedia
from wxcontroller.client.sends.idempotency import OtherRequest, fingerprint_of
from wxcontroller.client.sends.model.send import Quoted, Request
from wxcontroller.client.store.tables import history
from wxcontroller.client.v1.acts.sendrequest import REMEDY, SendRequest, flag_in, read_request, seconds_in
from wxcontroller.client.v1.forms.conversations import Conversations, summary_of
from wxcontroller.client.v1.forms.finding import look_up, no_such_message, settle
from wxcontroller.client.v1.forms.selecting import bad
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.client.v1.forms.v1outcomes import check_state, outcomes_of, worst_of
from wxcontroller.core.condition.verdict import RULES, Cause, SendState
from wxcontroller.core.errors import Unsupported, WeChatError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, text
from wxcontroller.core.model import Contact, Group, MessageKind
from wxcontroller.core.net.urls import is_web_address
from wxcontroller.core.text.templates import N_, Text, verbatim
from wxcontroller.openwx.contract.newmessage import FILE_FIELD
from wxcontroller.openwx.http import parameters
from wxcontroller.openwx.http.idempotencykey import KEY_HEADER, key_of

_CALL = "messages"
_MEDIA_FIELDS = ("media_url", "media_id")


class MessageSending:
    """The calls that send and recall. ``parts`` are the running account's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._shown = Conversations(parts.directory)

    async def post(self, request: web.Request) -> web.StreamResponse:
        """POST: send a text, media or both to a person or group."""
        asked = replace(await read_request(request), holder=parameters_of(request))
        try:
            key = key_of(request.headers.getall(KEY_HEADER, ()), "")
        except parameters.BadParameter as problem:
            raise bad(problem.text, problem.remedy_text) from None
        latest = asyncio.get_running_loop().time() + self._wait_of(asked)
        if not key:
            return await self._answered(await self._begin(asked, None), latest)
        content = await asyncio.to_thread(asked.upload.digest) if asked.upload else b""
        # How long the caller waits is no part of it: a repetition may wait longer.
        fields = {name: value for name, value in asked.fields.items() if name != "wait"}
        keyed = Request(key, fingerprint_of(_CALL, fields, content), _CALL)

        async def again(earlier: Request) -> JsonObject:
            return earlier.answer or {}

        try:
            begun = await self._parts.requests.once(keyed, lambda: self._begin_or_refuse(asked, keyed), again)
        except OtherRequest:
            raise RequestRefused(
                422,
                "key-reused",
                N_("this {key_header} was already used with another request"),
                N_("use a new key for a new request"),
                key_header=KEY_HEADER,
            ) from None
        return await self._answered(begun, latest)

    async def _begin_or_refuse(self, asked: SendRequest, keyed: Request) -> JsonObject:
        """Begin, and turn a refusal into an answer for all waiters of this request."""
        try:
            return await self._begin(asked, keyed)
        except RequestRefused as problem:
            return {"error": problem.as_json(), "status": problem.status}

    async def _begin(self, asked: SendRequest, keyed: Request | None) -> JsonObject:
        """Store a request's messages; return their receiver and ids. Raises RequestRefused, OtherRequest."""
        parts = self._parts
        order, chat = await self._order(asked)
        sends = parts.sending.sends(order)
        ids: list[JsonValue] = [send.client_id for send in sends]
        begun: JsonObject = {"chat": chat, "messages": ids}
        if keyed is not None:
            keyed = replace(keyed, answer=begun, target=sends[0].target, parts={send.part: {} for send in sends})
        latest = asyncio.get_running_loop().time() + parts.config.limits.send_answer_seconds
        try:
            added = await parts.sending.store(sends, keyed, latest)
        except TimeoutError:
            raise RequestRefused(
                503,
                "unavailable",
                Text(
                    "the message cannot be stored for now: {why}", why=parts.log.trouble or Text("the disk is slow")
                ),
                N_("it may be sent yet; repeat the request with the same Idempotency-Key"),
            ) from None
        if added.earlier is not None:  # the same key was on its way to the disk
            if keyed is None or added.earlier.fingerprint != keyed.fingerprint:
                raise OtherRequest
            return added.earlier.answer or begun
        return begun

    async def _answered(self, begun: JsonObject, latest: float) -> web.Response:
        """Answer how messages have ended, or where they are at ``latest``."""
        if "error" in begun:
            return json_answer({"error": begun["error"]}, integer(begun.get("status")))
        ids = [text(id_) for id_ in items(begun.get("messages"))]
        states = await outcomes_of(self._parts, ids, latest)
        worst, over = worst_of(states), all(SendState(text(one["state"])).is_final for one in states)
        answer: JsonObject = {**worst, "id": ids[0], "chat": text(begun.get("chat")), "parts": [*states]}
        return json_answer(answer, 200 if over else 202)

    async def _order(self, asked: SendRequest) -> tuple[Order, str]:
        """Return what to send, and the chat's id, once all of it is checked. Raises RequestRefused."""
        parts, to = self._parts, asked.get("to")
        if not to:
            raise bad(N_("to is missing"), REMEDY)
        sources = [name for name in _MEDIA_FIELDS if asked.get(name)] + ([FILE_FIELD] if asked.upload else [])
        if not asked.get("text") and not sources:
            raise bad(N_("nothing to send"), N_("send text, media_url, media_id or a file"))
        if len(sources) > 1:
            raise bad(
                N_("{names} exclude each other"), N_("send each in a separate request"), names=" and ".join(sources)
            )
        if asked.get("media_url") and not is_web_address(asked.get("media_url")):
            raise bad(N_("media_url is not an http or https URL"), N_("upload the content as file instead"))
        if asked.get("reply_to") and not asked.get("text"):
            raise bad(N_("reply_to requires text"), N_("only text can quote a message; add text"))
        hold = seconds_in(asked, "hold", MAX_HOLD)
        interim, urgent = flag_in(asked, "interim"), flag_in(asked, "urgent")
        self._check_capabilities(asked, bool(sources))
        check_state(self._parts, 1 + bool(asked.get("text") and sources))
        target = parts.directory.find(to)
        if target is None:
            raise RequestRefused(
                404,
                "no-such-peer",
                N_("the account has no contact or group with the id {id}"),
                N_("use an id from GET …/contacts, …/groups or …/chats"),
                id=f"{to[:64]!r}",
            )
        quoted = await self._quoted(asked.get("reply_to"), target) if asked.get("reply_to") else None
        # Last: it stores the content, which a refused request must not leave behind.
        media = None
        if sources:
            params = {name: value for name in ("media_id", "media_name", "media_type") if (value := asked.get(name))}
            params |= asked.holder
            if asked.get("media_url"):
                params["media_path"] = asked.get("media_url")
            try:
                media = await parts.media.describe(params, asked.upload)
            except BadMedia as problem:
                if problem.cause is Cause.QUEUE_FULL:
                    rule = RULES[problem.cause]
                    raise RequestRefused(rule.status, problem.cause, verbatim(problem.message), rule.remedy) from None
                raise RequestRefused(
                    500,
                    "disk",
                    Text("the content cannot be stored: {reason}", reason=problem.reason or problem.message),
                    N_("check the account's state directory"),
                ) from None
            if media.fault is not None:
                limit = parts.config.number("media_size_max")
                raise RequestRefused(
                    413,
                    "too-large",
                    N_("the content is larger than {most} bytes"),
                    N_("see media_size_max in wxclient(8)"),
                    most=limit,
                )
        order = Order(
            (target.id,), isinstance(target, Group), asked.get("text"), media, interim, urgent, hold, quoted
        )
        return order, id_of(target)

    def _check_capabilities(self, asked: SendRequest, has_media: bool) -> None:
        able, wanted = self._parts.driver.capabilities.sends, asked.get("media_type")
        if wanted and wanted not in set(MessageKind):
            raise bad(
                N_("invalid media type: {word}"),
                N_("leave media_type out, or see the API reference"),
                word=wanted[:64],
            )
        missing = MessageKind(wanted) if wanted and MessageKind(wanted) not in able else None
        if asked.get("text") and MessageKind.TEXT not in able:
            missing = MessageKind.TEXT
        if has_media and not any(kind.is_media for kind in able):
            missing = missing or MessageKind.FILE
        if missing is not None:
            what = Text("messages of the kind {kind}", kind=missing.value)
            raise self._unsupported(what, RULES[Cause.UNSUPPORTED].remedy)

    def _unsupported(self, what: Text, remedy: str) -> RequestRefused:
        route = self._parts.config.options["driver"]
        words = Text("the {route} route does not support {what}", route=route, what=what)
        return RequestRefused(409, Cause.UNSUPPORTED, words, remedy)

    async def _quoted(self, identifier: str, target: Contact | Group) -> Quoted:
        directory, found = self._parts.directory, (await look_up(self._parts, identifier)).logged
        if found is None:
            raise no_such_message(identifier)
        shown = self._shown.logged(found, "")
        if shown["chat"] != id_of(target):
            raise bad(N_("reply_to is a message of another chat"), N_("quote a message of the same chat"))
        sender = obj(shown["sender"])
        own = shown["direction"] == "out"
        return Quoted(
            identifier,
            text(sender.get("id")),
            directory.own_name if own else text(sender.get("name")),
            summary_of(found),
        )

    def _wait_of(self, asked: SendRequest) -> float:
        limit = self._parts.config.limits.send_answer_seconds
        found = seconds_in(asked, "wait", limit)
        return limit if found is None else found

    async def recall(self, request: web.Request) -> web.StreamResponse:
        """DELETE: take back our message: cancel a waiting one, recall one that WeChat has."""
        identifier = request.match_info["id"]
        looked = await look_up(self._parts, identifier)
        send, found = looked.send, looked.logged
        if send is not None and await self._parts.sends.cancel(send.client_id):
            return json_answer({"id": identifier, "result": "cancelled"})
        if send is not None:
            raise RequestRefused(
                409, "being-sent", N_("the message is being sent"), N_("recall it once WeChat has accepted it")
            )
        if not self._parts.driver.capabilities.recall:
            remedy = N_("use an account on a route that supports it: docs/routes.md")
            raise self._unsupported(Text("a recall of messages"), remedy)
        if found is None:
            raise no_such_message(identifier)
        message_id, _, target = text(found.report.get("id")).partition(":")
        state, _, word = found.indexed.verdict.partition(" ")
        if not found.indexed.send or state != "delivered" or not target:
            raise RequestRefused(
                409,
                "not-recallable",
                N_("only messages that were sent with this API and accepted by WeChat can be recalled"),
                N_("recall it on the phone"),
            )
        if word != history.RECALLED:
            await self._recalled(message_id, target)
            seq = found.seq
            # It is recalled in any case; if the disk fails, the record waits.
            _ = self._parts.log.write(lambda db: history.note_recall(db, seq))
            await settle(self._parts)
        return json_answer({"id": identifier, "result": "recalled"})

    async def _recalled(self, message_id: str, target: str) -> None:
        if not self._parts.at_work:
            check_state(self._parts, 0)
        try:
            await self._parts.sending.recall(message_id, target)
        except TimeoutError:
            raise RequestRefused(
                504, "too-slow", N_("WeChat did not answer in time"), N_("check on the phone whether it is recalled")
            ) from None
        except WeChatError as problem:
            if problem.unsure:
                raise RequestRefused(
                    504,
                    "too-slow",
                    Text("the message may be recalled: {reason}", reason=problem.full_text),
                    N_("check on the phone whether it is recalled"),
                ) from None
            raise RequestRefused(
                409,
                "recall-refused",
                Text("WeChat does not recall it: {reason}", reason=problem.full_text),
                N_("WeChat recalls messages only within two minutes"),
            ) from None
        except Unsupported as problem:
            raise RequestRefused(409, "unsupported", problem.text, problem.remedy_text) from None
