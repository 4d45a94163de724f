"""Answers of accounts and other hosts to calls of /v1, decoded and written again before a caller sees them.

Whoever answers may be compromised, and its callers include a page with an administrator's token. So the answer to a
call that is declared with a record (controller/apis/v1/form) is decoded into it; paths and the account's name are
added here, from what the controller knows. A failure is decoded in the same way. The caller of an invalid answer gets
502.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPMethod
from typing import Protocol, TypeAlias

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from wxcontroller.controller.account_port.destination import Destination, RelayedAnswer
from wxcontroller.controller.account_port.eventhub import EVENT_VALUES, announced
from wxcontroller.controller.account_port.portfailures import NotAnswering
from wxcontroller.controller.context import Context
from wxcontroller.core.budget import Budget, read_whole
from wxcontroller.core.names import parse_name
from wxcontroller.core.net.eventlines import SentEvent, events_in
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.core.records.decoding import ANSWER_BYTES, Undecodable, WireRecord, decode, decode_aside, encode
from wxcontroller.core.records.eventrecords import EventRecord, Opening
from wxcontroller.core.records.texts import FailureRecord
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.openwx.contract.replies import CONTENT_TYPE
from wxcontroller.openwx.http import eventstream
from wxcontroller.openwx.http.eventstream import write

Records: TypeAlias = Mapping[tuple[str, str], type[WireRecord]]
RECORDS = web.AppKey("records", Records)


def record_of(request: web.Request) -> type[WireRecord] | None:
    """Return the record of a call's answer, None for a call whose answer passes unread."""
    resource = request.match_info.route.resource
    if resource is None or RECORDS not in request.app:
        return None
    method = HTTPMethod.GET if request.method == HTTPMethod.HEAD else request.method
    return request.app[RECORDS].get((method, resource.canonical))


async def rewritten(
    request: web.Request,
    response: RelayedAnswer,
    destination: Destination,
    kind: type[WireRecord],
    headers: CIMultiDict[str],
    event_bytes: int,
) -> web.StreamResponse:
    """Return the answer, written again from its record.

    Raises the failure of ``destination`` for an answer that is not of the kind.
    """
    headers.popall("Content-Length", None)
    if request.method == HTTPMethod.HEAD:
        return web.Response(status=response.status, headers=headers)
    if response.status == 200 and media_type(response.headers.get("Content-Type", "")) == "text/event-stream":
        return await _stream(request, response, destination, headers, event_bytes)
    try:
        limit = limit_of(kind, event_bytes)
        content = await read_whole(response.content, destination.budget, limit)
        body = await written(content, response.status, kind, limit, destination.budget, destination.account)
    except Undecodable as problem:
        raise destination.unusable(why_unusable(response.status, request.path, problem)) from None
    except (aiohttp.ClientError, OSError) as problem:
        raise destination.failure_of(problem) from None
    headers["Content-Type"] = CONTENT_TYPE
    return web.Response(status=response.status, headers=headers, body=body)


class AnswerWriter(Protocol):
    """Writes answers of accounts again. ``limit`` is how many bytes they may have."""

    @property
    def limit(self) -> int: ...

    async def write(self, account: Account, status: int, content: bytes) -> bytes:
        """Return the content of the answer. Raises PortFailure."""
        ...


@dataclass(frozen=True, slots=True)
class RecordWriter:
    """Writes the answer to a call of /v1 from its record."""

    shared: Context
    kind: type[WireRecord]
    path: str

    @property
    def limit(self) -> int:
        return limit_of(self.kind, self.shared.settings.limits.stream_event_bytes)

    async def write(self, account: Account, status: int, content: bytes) -> bytes:
        """See AnswerWriter."""
        budget = self.shared.ports.budget(account)
        try:
            return await written(content, status, self.kind, self.limit, budget, account.name.name)
        except Undecodable as problem:
            raise NotAnswering(account, why_unusable(status, self.path, problem)) from None


def limit_of(kind: type[WireRecord], event_bytes: int) -> int:
    """Return the largest size of an answer that is a record."""
    return event_bytes if kind.holds_reports else ANSWER_BYTES


async def written(
    content: bytes, status: int, kind: type[WireRecord], limit: int, budget: Budget, account: str
) -> bytes:
    """Return the content of an answer, written again from its record. Raises Undecodable."""
    if len(content) > limit:
        raise Undecodable(f"has more than {limit} bytes")
    with budget.working():
        record = await decode_aside(content, kind if status < 400 else FailureRecord)
    record.locate(account)
    return encode(record)


def why_unusable(status: int, path: str, problem: Undecodable) -> Text:
    """Return why an answer is not usable."""
    if status >= 400:
        return Text(N_("its process answered {status} to {path}"), status=status, path=path)
    return Text(N_("its response to {path} is not usable: {why}"), path=path, why=str(problem))


async def _stream(
    request: web.Request,
    response: RelayedAnswer,
    destination: Destination,
    headers: CIMultiDict[str],
    event_bytes: int,
) -> web.StreamResponse:
    """Serve an account's own stream: its events, and where it begins."""
    answer, budget = web.StreamResponse(headers={**headers, **eventstream.HEADERS}), destination.budget
    await answer.prepare(request)
    try:
        async for sent in events_in(response.content, event_bytes, budget):
            with budget.working():
                event = await _event(sent, destination.account)
            if event:
                await write(answer.write(event))
    except (aiohttp.ClientError, OSError, ValueError):
        if request.transport is not None:
            request.transport.abort()
        return answer
    await answer.write_eof()
    return answer


async def _event(sent: SentEvent, account: str) -> bytes:
    """Return an event of a stream, written again from its record; nothing for one that is not valid."""
    if sent.type == "here":
        return eventstream.event("here")
    if sent.omitted:
        short = announced(parse_name(account), sent.id, sent)
        return eventstream.event(short.type, short.body, short.id) if short else b""
    try:
        if sent.type == "open":
            opening = decode(sent.data, Opening)
            opening.locate(account)
            return eventstream.event("open", encode(opening))
        event = await decode_aside(sent.data, EventRecord, EVENT_VALUES)
    except Undecodable:
        return b""
    event.locate(account)
    return eventstream.event(event.type, encode(event), event.id) if event.type == sent.type else b""
