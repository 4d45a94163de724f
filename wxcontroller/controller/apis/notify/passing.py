"""Passing a notification on to its target's account, and its result.

The account's program gets an ordinary send of /v1 with an idempotency key of ours: if the connection breaks, the
same request is made again, and the message goes out once. It answers as soon as the message is stored: programs that
notify give up after a few seconds, apprise after 4, and the queue of an account that sends every 3 s takes longer.
They would repeat what arrives. The result is the verdict that it answers.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from urllib.parse import quote_plus

from wxcontroller.controller.account_port.portfailures import NotAnswering, NotRunning, PortFailure
from wxcontroller.controller.account_port.ports import PROGRAM_ANSWER_VALUES, AccountPorts
from wxcontroller.controller.accounts.registry import Registry
from wxcontroller.controller.apis.notify.notification import Attachment
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.condition.verdict import TAKEN, Cause, SendState, rule_of, words_of, words_of_error
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, read_json, text
from wxcontroller.core.jsontypes import field as member
from wxcontroller.core.process import summaries
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.notifytargets import NotifyTarget
from wxcontroller.core.text.templates import N_, NOTHING, Text
from wxcontroller.openwx.contract.newmessage import FILE_FIELD
from wxcontroller.openwx.http.credentials import holder_header
from wxcontroller.openwx.http.idempotencykey import KEY_HEADER

log = logging.getLogger(__name__)
# Until the message must be stored; a file takes its time.
ANSWER_SECONDS = 8.0
_SEARCH_SECONDS = 5.0
_PAUSE = 0.5
_NO_PEER = "no-such-peer"
# In this order: the first that matches decides, as in wxctl send.
_FRIEND_KEYS = ("displayname", "markname", "name")
_GROUP_KEYS = ("displayname", "name")
REFUSED, UNKNOWN, WAITING = SendState.REFUSED, SendState.UNKNOWN, SendState.WAITING


@dataclass(frozen=True, slots=True)
class NotifyVerdict:
    """The result of a notification: the ``state`` of its send, the reason if it was not just sent, and the send's id.

    ``parts`` are how many of how many messages were sent, if there is more than one. ``status`` is the HTTP status of
    a refusal, ``retry_after`` after how many seconds it may end. ``cause`` is its code in /v1. ``passing``: the
    refusal may be temporary, as for a stopped account.
    """

    state: str
    reason: Text = NOTHING
    id: str = ""
    cause: str = ""
    status: int = 409
    passing: bool = False
    retry_after: int = 0
    parts: tuple[int, int] | None = None

    @property
    def refused(self) -> bool:
        """Whether nothing was sent, and the caller may send it again."""
        return self.state == REFUSED and not (self.parts and self.parts[0])


@dataclass(frozen=True, slots=True)
class TargetSender:
    """Sends to targets."""

    registry: Registry
    ports: AccountPorts

    async def send(
        self, target: NotifyTarget, content: str, urgent: bool, attachment: Attachment | None, key: str
    ) -> NotifyVerdict:
        """Send to a target and return the result, after ANSWER_SECONDS at the latest. Raises nothing.

        Args:
            key: the idempotency key: the same for the same notification.
        """
        account = None if target.removed else self.registry.find(target.account)
        if account is None:
            return _refused(target, Text(N_("account {account} was removed"), account=target.account))
        if account.driver != target.driver:
            words = N_("account {account} now uses driver {driver}, where ids differ; add the target again")
            return _refused(target, Text(words, account=target.account, driver=account.driver))
        fields: JsonObject = {"text": content} if content else {}
        if urgent:
            fields["urgent"] = True
        latest = asyncio.get_running_loop().time() + ANSWER_SECONDS
        result = await self._sent(account, target, {**fields, "to": target.peer}, attachment, key, latest)
        if result.cause != _NO_PEER:
            return result
        found = await self._search(account, target)
        if isinstance(found, NotifyVerdict):
            return found
        # A new key, because it is a different request: the same key with another id would be refused.
        return await self._sent(account, target, {**fields, "to": found}, attachment, f"{key}-2", latest)

    async def _sent(
        self,
        account: Account,
        target: NotifyTarget,
        fields: JsonObject,
        attachment: Attachment | None,
        key: str,
        latest: float,
    ) -> NotifyVerdict:
        """Make the call, and repeat it if unanswered; return its result."""
        loop, lost = asyncio.get_running_loop(), NOTHING
        while True:
            seconds = max(0.1, latest - loop.time())
            headers, body = encoded({**fields, "wait": 0}, attachment)
            headers = {**headers, KEY_HEADER: key, **holder_header(f"target {target.name}")}
            try:
                _, content = await self.ports.exchange(
                    account, "/v1/messages", seconds, Scope.SEND, "POST", headers, body
                )
            except NotRunning as problem:
                # If an answer was lost, the message may have been accepted: only a repetition shows this.
                if not lost:
                    return _refused(target, problem.full_text, Cause.NOT_RUNNING)
            except NotAnswering as problem:
                lost = problem.text
            else:
                answer = obj(_json(content))
                if obj(answer.get("error")) or text(answer.get("state")) in set(SendState):
                    return result_of(answer)
                return NotifyVerdict(UNKNOWN, Text(N_("the account's program returned a response without a state")))
            if loop.time() + _PAUSE >= latest:
                return NotifyVerdict(UNKNOWN, lost)
            await asyncio.sleep(_PAUSE)

    async def _search(self, account: Account, target: NotifyTarget) -> str | NotifyVerdict:
        """Return the id of the only person or group with the peer's name."""
        call, keys = ("search_group", _GROUP_KEYS) if target.is_group else ("search_friend", _FRIEND_KEYS)
        for key in keys:
            path = f"/openwx/{call}?{key}={quote_plus(target.peer)}"
            try:
                _, content = await self.ports.exchange(account, path, _SEARCH_SECONDS, Scope.READ, "GET")
            except PortFailure as problem:
                return replace(_refused(target, problem.full_text), passing=True)
            ids = [text(member(person, "id")) for person in items(_json(content))]
            if len(ids) > 1:
                words = N_("several contacts or groups are named {peer}; add the target with an id")
                return _refused(target, Text(words, peer=target.peer))
            if ids and ids[0]:
                return ids[0]
        words = N_("account {account} has no contact or group named {peer}")
        return _refused(target, Text(words, account=target.account, peer=target.peer))


def _json(content: bytes) -> JsonValue:
    """Return an account's answer, None for one that is not JSON, or too large."""
    try:
        return read_json(content, values=PROGRAM_ANSWER_VALUES)
    except ValueError:
        return None


def new_key() -> str:
    """Return an idempotency key for a new notification."""
    return f"notify-{uuid.uuid4()}"


def result_of(answer: JsonObject) -> NotifyVerdict:
    """Return the result in the answer of /v1 to a send."""
    error = obj(answer.get("error"))
    cause = text(error.get("code") if error else answer.get("reason"))
    rule = rule_of(cause)
    refused = NotifyVerdict(REFUSED, words_of_error(error), cause=cause, status=rule.status, passing=rule.passes)
    if error:
        return refused
    state = SendState(text(answer.get("state")))
    sent = [text(member(part, "state")) in TAKEN for part in items(answer.get("parts"))]
    return replace(
        refused,
        state=WAITING if state is SendState.SENDING else state,
        reason=words_of(answer),
        id=text(answer.get("handle")) or text(answer.get("id")),
        parts=(sum(sent), len(sent)) if len(sent) > 1 else None,
    )


def _refused(target: NotifyTarget, reason: Text, cause: str = "") -> NotifyVerdict:
    """Return a refusal by the controller, of which no account writes to its journal."""
    marks = {**fields(Event.SEND, target.account, REFUSED), **summaries.cause(f"{target.name} {reason.template}")}
    log.warning("notification refused (target=%s): %s", target.name, reason, extra=marks)
    return NotifyVerdict(REFUSED, reason, cause=cause, passing=rule_of(cause).passes)


def encoded(fields: JsonObject, attachment: Attachment | None) -> tuple[dict[str, str], bytes | AsyncIterator[bytes]]:
    """Return headers and body of a send."""
    if attachment is not None and attachment.name:
        fields = {**fields, "media_name": attachment.name}
    if attachment is None or attachment.url:
        named: JsonObject = {"media_url": attachment.url} if attachment else {}
        body = json.dumps({**fields, **named}).encode()
        return {"Content-Type": "application/json", "Content-Length": str(len(body))}, body
    boundary = uuid.uuid4().hex
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**fields, **({"urgent": "1"} if "urgent" in fields else {})}.items()
    ).encode()
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="{FILE_FIELD}"\r\n\r\n'.encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + len(attachment.content) + len(tail)),
    }

    async def pieces() -> AsyncIterator[bytes]:
        yield head
        yield attachment.content  # not joined: it would be in memory twice
        yield tail

    return headers, pieces()
