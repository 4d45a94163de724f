"""Passing a notification on to its target's account, and its result.

The account's program gets an ordinary send with an idempotency key of ours: if the connection breaks, the same
request is made again, and the message goes out once. Programs of 2.0.0 know all of this except ``urgent``, which
they ignore.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

from wxcontroller.controller.account_port.client import AccountPorts
from wxcontroller.controller.account_port.failures import NotAnswering, NotRunning, PortFailure
from wxcontroller.controller.notify.notification import Attachment
from wxcontroller.controller.registry import Registry
from wxcontroller.core.access import Scope
from wxcontroller.core.account import Account
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, one_line, read_json, text
from wxcontroller.core.jsontypes import field as member
from wxcontroller.core.messages import N_, NOTHING, Text, verbatim
from wxcontroller.core.notifytargets import NotifyTarget

# Programs that notify wait for the answer, mostly for 10 to 30 seconds, and count no answer as a failure.
ANSWER_SECONDS = 8.0
_SEARCH_SECONDS = 5.0
_PAUSE = 0.5
_ANSWER_VALUES = 5000
_NOT_FOUND, _QUEUED, _UNKNOWN_WORD = 100, -7, "unknown data"  # openwx-api 0; client/sends/model.py
# In this order: the first that matches decides, as in wxctl send.
_FRIEND_KEYS = ("displayname", "markname", "name")
_GROUP_KEYS = ("displayname", "name")
REFUSED, UNKNOWN, WAITING = "refused", "unknown", "waiting"


@dataclass(frozen=True, slots=True)
class NotifyVerdict:
    """The result of a notification: the ``state`` of its send, the reason if it was not just sent, and the send's id.

    ``parts`` are how many of how many messages were sent, if there is more than one. ``status`` is the HTTP status of
    a refusal, ``retry_after`` after how many seconds it may end. ``passing``: the refusal may be temporary, as for a
    stopped account.
    """

    state: str
    reason: Text = NOTHING
    id: str = ""
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
            return _refused(N_("account {account} was removed"), account=target.account)
        if account.driver != target.driver:
            return _refused(
                N_("account {account} now uses driver {driver}, where ids differ; add the target again"),
                account=target.account,
                driver=account.driver,
            )
        fields = {"content": content} if content else {}
        if urgent:
            fields["urgent"] = "1"
        latest = asyncio.get_running_loop().time() + ANSWER_SECONDS
        answer = await self._sent(account, target, {**fields, "id": target.peer}, attachment, key, latest)
        if isinstance(answer, NotifyVerdict) or integer(answer.get("code")) != _NOT_FOUND:
            return answer if isinstance(answer, NotifyVerdict) else verdict(answer)
        found = await self._search(account, target)
        if isinstance(found, NotifyVerdict):
            return found
        # A new key, because it is a different request: the same key with another id would be refused.
        answer = await self._sent(account, target, {**fields, "id": found}, attachment, f"{key}-2", latest)
        return answer if isinstance(answer, NotifyVerdict) else verdict(answer)

    async def _sent(
        self,
        account: Account,
        target: NotifyTarget,
        fields: Mapping[str, str],
        attachment: Attachment | None,
        key: str,
        latest: float,
    ) -> JsonObject | NotifyVerdict:
        """Make the call, and repeat it if unanswered; return the answer, or the outcome known without one."""
        path = "/openwx/send_group_message" if target.is_group else "/openwx/send_friend_message"
        loop, lost = asyncio.get_running_loop(), NOTHING
        while True:
            headers, body = encoded({**fields, "idempotency_key": key}, attachment)
            try:
                _, content = await self.ports.exchange(
                    account, path, max(0.1, latest - loop.time()), Scope.SEND, "POST", headers, body
                )
            except NotRunning as problem:
                # If an answer was lost, the message may have been accepted: only a repetition shows this.
                if not lost:
                    return NotifyVerdict(REFUSED, problem.text, passing=True)
            except NotAnswering as problem:
                if problem.timed_out:
                    return NotifyVerdict(WAITING, Text(N_("there is no result yet; the message stays in the queue")))
                lost = problem.text
            else:
                answer = obj(_json(content))
                if isinstance(answer.get("code"), int):
                    return answer
                return NotifyVerdict(UNKNOWN, Text(N_("the account's program returned a response without a code")))
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
                return NotifyVerdict(REFUSED, problem.text, passing=True)
            ids = [text(member(person, "id")) for person in items(_json(content))]
            if len(ids) > 1:
                return _refused(
                    N_("several contacts or groups are named {peer}; add the target with an id"), peer=target.peer
                )
            if ids and ids[0]:
                return ids[0]
        return _refused(
            N_("account {account} has no contact or group named {peer}"), account=target.account, peer=target.peer
        )


def _json(content: bytes) -> JsonValue:
    """Return an account's answer, None for one that is not JSON, or too large."""
    try:
        return read_json(content, values=_ANSWER_VALUES)
    except ValueError:
        return None


def new_key() -> str:
    """Return an idempotency key for a new notification."""
    return f"notify-{uuid.uuid4()}"


def verdict(answer: JsonObject) -> NotifyVerdict:
    """Return the result in an account's answer to a send. Routes without reply windows give no state."""
    code, state, identity = integer(answer.get("code"), -1), text(answer.get("state")), text(answer.get("id"))
    why = verbatim(one_line(answer.get("status"))) if answer.get("status") else NOTHING
    numbers = [integer(number) for number in items(answer.get("parts"))]
    parts = (numbers[0], numbers[1]) if len(numbers) == 2 else None
    if code == 0:
        done = state if state in ("delivered", "accepted") else "delivered" if identity else "accepted"
        return NotifyVerdict(done, id=identity, parts=parts)
    if code == _QUEUED:
        return NotifyVerdict("held" if state == "held" else WAITING, why, identity, parts=parts)
    # The status has the contract's words, the reason the cause.
    if answer.get("reason"):
        why = verbatim(one_line(answer.get("reason")))
    if state == UNKNOWN or text(answer.get("status")) == _UNKNOWN_WORD:
        return NotifyVerdict(UNKNOWN, why, parts=parts)
    return NotifyVerdict(REFUSED, why, passing=code == -3, parts=parts)  # -3: it is not logged in


def _refused(message: str, **values: str) -> NotifyVerdict:
    return NotifyVerdict(REFUSED, Text(message, **values))


def encoded(
    fields: Mapping[str, str], attachment: Attachment | None
) -> tuple[dict[str, str], bytes | AsyncIterator[bytes]]:
    """Return headers and body of a send."""
    if attachment is None:
        return form(fields)
    if attachment.url:
        named = {"media_name": attachment.name} if attachment.name else {}
        return form({**fields, **named, "media_path": attachment.url})
    boundary = uuid.uuid4().hex
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**fields, "media_name": attachment.name}.items()
    ).encode()
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="media_data"\r\n\r\n'.encode()
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


def form(fields: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    body = urlencode(fields).encode()
    return {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}, body
