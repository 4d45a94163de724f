"""Calls of /v1 that only the account's own program can answer: passed on to its port, and their answers back."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from wxcontroller.controller.access import caller, looks_for_token
from wxcontroller.controller.body import has_body, whole
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.errors import NotAnswering, NotRunning, OlderVersion
from wxcontroller.controller.told import bounded
from wxcontroller.controller.view import View
from wxcontroller.core.access import Scope
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, obj, one_line, read_json
from wxcontroller.openwx import credentials

# Of a body for an account's own /v1, which takes no more either, and of its answer.
PASSED_BODY_BYTES = 1 << 20
# Of one account when all are asked: accounts are not trusted, and a few answers are held at a time (_AT_ONCE).
ACCOUNT_ANSWER_BYTES = 32 << 20
_ASKED = ("Accept", "Content-Type", "Range", "If-Range", "If-Modified-Since", "If-None-Match")
_ANSWERED = (
    *("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "Content-Disposition"),
    *("Cache-Control", "ETag", "Last-Modified"),
)
# Whatever the account's program says: what it hands out must not become a page of the controller's.
_HARMLESS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
_Take: TypeAlias = Callable[[aiohttp.ClientResponse], Awaitable[web.StreamResponse]]
# Accounts that are asked at a time when all are.
_AT_ONCE = 16


async def passed_on(request: web.Request) -> web.StreamResponse:
    """Pass /v1/accounts/{name}/REST on as /v1/REST of the account's port, and stream the answer back."""
    view = await context(request).accounts.the(request.match_info["name"])
    return await _passed(request, view, partial(_streamed, request))


async def input_passed_on(request: web.Request) -> web.StreamResponse:
    """Do the same for the answer to a question, which a program of 2.0.0 neither asks nor takes."""
    view = await context(request).accounts.the(request.match_info["name"])

    async def taken(answer: aiohttp.ClientResponse) -> web.StreamResponse:
        if answer.status == 404:
            raise OlderVersion(
                f"account {view.account.name} runs an older version, which takes no answers",
                f"restart it: wxctl restart {view.account.name.name}",
            )
        return await _streamed(request, answer)

    return await _passed(request, view, taken)


async def _passed(request: web.Request, view: View, take: _Take) -> web.StreamResponse:
    shared = context(request)
    body = await _body(request)
    rest = request.rel_url.raw_path.split("/", 4)[4]  # after /v1/accounts/NAME/
    query = [(name, value) for name, value in request.rel_url.query.items() if name != credentials.NAME]
    url = URL(f"{_root(view)}/v1/{rest}", encoded=True).with_query(query)
    headers = CIMultiDict((name, request.headers[name]) for name in _ASKED if name in request.headers)
    headers.update(shared.port_secrets.headers(view.instance, caller(request).scope))
    try:
        async with shared.upstream.request(
            request.method, url, headers=headers, data=body, allow_redirects=False, timeout=_timeout(shared)
        ) as answer:
            return await take(answer)
    except TimeoutError:
        raise _silent(view, "did not answer in time") from None
    except aiohttp.ClientError:
        raise _silent(view, "can't be reached") from None


async def _body(request: web.Request) -> bytes | None:
    """Return what is to be passed on: the body as it came, but for the caller's token in a form."""
    if not has_body(request):
        return None
    content = await whole(request, PASSED_BODY_BYTES)
    if not looks_for_token(request):
        return content
    spans = credentials.spans_without_token(request.headers.get("Content-Type", ""), content)
    return b"".join(content[start:end] for start, end in spans)


@dataclass(frozen=True, slots=True)
class Said:
    """What one of several accounts answered; ``reason`` says why it did not."""

    view: View
    answer: JsonObject
    reason: str = ""


async def ask_all(shared: Context, views: list[View], path: str) -> list[Said]:
    """GET ``path`` of the ports of all these accounts, a few at a time; in the order of ``views``."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(view: View) -> Said:
        async with turns:
            try:
                return Said(view, await _asked(shared, view, path))
            except WxError as problem:
                return Said(view, {}, problem.message)

    return list(await asyncio.gather(*map(ask, views)))


async def _asked(shared: Context, view: View, path: str) -> JsonObject:
    url = URL(f"{_root(view)}{path}", encoded=True)
    headers = shared.port_secrets.headers(view.instance, Scope.READ)
    seconds = shared.settings.limits.account_answer_seconds
    soon = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            asyncio.timeout(seconds),
            shared.upstream.get(url, headers=headers, allow_redirects=False, timeout=soon) as answer,
        ):
            content = await bounded(answer, ACCOUNT_ANSWER_BYTES) if answer.status == 200 else b""
    except TimeoutError:
        raise _silent(view, "did not answer in time") from None
    except (aiohttp.ClientError, OSError):
        raise _silent(view, "can't be reached") from None
    try:
        return obj(read_json(content))
    except ValueError:
        raise _silent(view, f"answers {answer.status} and no JSON") from None


async def told_to(shared: Context, view: View, path: str, scope: Scope) -> JsonObject:
    """POST ``path`` of an account's port and return the answer. Raises WxError with the account's own words."""
    try:
        async with shared.upstream.post(
            URL(f"{_root(view)}{path}", encoded=True),
            headers=shared.port_secrets.headers(view.instance, scope),
            allow_redirects=False,
            timeout=_timeout(shared),
        ) as answer:
            content, status = await bounded(answer, PASSED_BODY_BYTES), answer.status
    except TimeoutError:
        raise _silent(view, "did not answer in time") from None
    except (aiohttp.ClientError, OSError):
        raise _silent(view, "can't be reached") from None
    try:
        found = obj(read_json(content))
    except ValueError:
        found = {}
    if status != 200:
        error = obj(found.get("error"))
        words = one_line(error.get("message")) or f"answers {status}"
        raise NotAnswering(f"account {view.account.name}: {words}", one_line(error.get("remedy")))
    return found


def _root(view: View) -> str:
    """Return the account's own address. Raises NotRunning: without a process the port may be somebody else's."""
    if not view.unit.has_process:
        raise NotRunning(
            f"account {view.account.name} does not run: {view.status}",
            f"start it: wxctl start {view.account.name.name}",
        )
    return f"http://127.0.0.1:{view.account.port}"


def _silent(view: View, what: str) -> NotAnswering:
    return NotAnswering(
        f"the program of account {view.account.name} {what}: {view.status}",
        f"see: journalctl -u {view.account.name.unit}",
    )


def _timeout(shared: Context) -> aiohttp.ClientTimeout:
    settings = shared.settings
    return aiohttp.ClientTimeout(
        total=settings.ua_request_timeout,
        sock_connect=settings.ua_connect_timeout,
        sock_read=settings.ua_inactivity_timeout,
    )


async def _streamed(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = CIMultiDict((name, answer.headers[name]) for name in _ANSWERED if name in answer.headers)
    headers.update(_HARMLESS)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    try:
        async for piece in answer.content.iter_any():
            await response.write(piece)
    except (aiohttp.ClientError, TimeoutError):
        if request.transport is not None:  # what was sent so far must not look complete
            request.transport.abort()
        return response
    await response.write_eof()
    return response
