"""A call of the account's API: its request, and the forms of answers (openwx-api 0, 2.2, 2.4)."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web

from wxcontroller.client.callertasks import Tasks
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.deliveries.delivery import Delivery
from wxcontroller.client.incoming.checkevent import EventRing
from wxcontroller.client.incoming.consult import Consults
from wxcontroller.client.incoming.lastingids import Directory
from wxcontroller.client.incoming.mediafetcher import MediaFetcher
from wxcontroller.client.incoming.reporting import Reporter
from wxcontroller.client.incoming.roster import Roster
from wxcontroller.client.login.minutemarks import Minutes
from wxcontroller.client.login.session import Session
from wxcontroller.client.sends.acceptance import Sending
from wxcontroller.client.sends.content.callbodies import BODIES, Attached
from wxcontroller.client.sends.content.holders import parameters_of
from wxcontroller.client.sends.content.preparing import MediaPreparer
from wxcontroller.client.sends.idempotency import Requests
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.core.condition.verdict import NOT_RUNNING
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.states import LoginState
from wxcontroller.drivers.base import Driver
from wxcontroller.openwx.contract.replies import to_bytes
from wxcontroller.openwx.contract.statefile import ClientFacts
from wxcontroller.openwx.http import credentials, parameters
from wxcontroller.openwx.http.idempotencykey import KEY_HEADER, KEY_PARAMETER, key_of

_PARSED_AT_ONCE = 256 * 1024  # bytes of a body that can be parsed without delaying the event loop
NOT_FOUND: JsonObject = {"code": 100, "status": "object not found"}
NOT_FOUND_ID: JsonObject = {"id": None, **NOT_FOUND}
# Names that libraries and browsers give a part's file if the program gives none.
_INVENTED_NAMES = ("", "media_data", "blob")
_CALLBACK = re.compile(r"[A-Za-z_$][\w$.]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Call:
    """One request's parameters: the last value of a name; ``media_data`` is decoded when it is used.

    ``key`` is its Idempotency-Key, "" for none. ``holder`` are the parameters that name the caller (holders.py).
    """

    parameters: Mapping[str, str]
    media_data: Attached = field(default_factory=Attached)
    key: str = ""
    holder: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.parameters.get(name, "")

    def flag(self, name: str, default: str = "") -> bool:
        """Whether a switch is on, by the original's rules and for "false", which JSON bodies contain."""
        return self.parameters.get(name, default) not in ("", "0", "false")

    def whom(self, *names: str) -> dict[str, str]:
        """The attributes to search by: the parameters among ``names``, none if all are empty. An empty account or
        remark would match the first of many people.
        """
        attributes = {name: self.parameters[name] for name in names if name in self.parameters}
        return attributes if any(attributes.values()) else {}

    @property
    def media(self) -> dict[str, str]:
        """All ``media_*`` but the content, and whose it is."""
        given = {name: value for name, value in self.parameters.items() if name.startswith("media_") and value}
        return {**given, **self.holder}

    @property
    def has_media(self) -> bool:
        return bool(self.media_data) or any(self.get(name) for name in ("media_id", "media_path"))


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer that is JSON already; ``rest`` yields what follows ``body``, None for nothing."""

    body: bytes | bytearray
    rest: AsyncIterator[bytes] | None = None


Answer: TypeAlias = JsonValue | Rendered | web.Response
Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Parts:
    """The connected parts that calls use. ``request_stop`` ends the process in an orderly way.

    One object, because running programs of an earlier version pass theirs to modules that they load late.
    """

    config: ClientConfig
    facts: ClientFacts
    session: Session
    roster: Roster
    minutes: Minutes
    sends: SendQueue
    events: EventRing
    log: EventLog
    delivery: Delivery
    reporter: Reporter
    driver: Driver
    media: MediaPreparer
    fetcher: MediaFetcher
    request_stop: Callable[[], None]
    requests: Requests
    tasks: Tasks
    sending: Sending
    directory: Directory
    consults: Consults

    def not_running(self) -> JsonObject:
        return {
            "code": NOT_RUNNING,
            "status": f"client not running: {self.session.status}",
            "state": self.session.state.word,
        }

    @property
    def at_work(self) -> bool:
        """Whether WeChat accepts calls now."""
        return self.session.state in (LoginState.RUNNING, LoginState.OFFLINE) and bool(self.roster.contacts)

    @property
    def holds_for_login(self) -> bool:
        """Whether sends are accepted while logged out: ids are stable, and each send has its own time limit."""
        return self.sends.windows is not None and self.sends.held and bool(self.roster.contacts)


async def read_call(request: web.Request) -> Call:
    """Read query and body. Raises BadParameter, and as ``Bodies.read``."""
    query, content_type = parameters.query_of(request.raw_path), request.headers.get("Content-Type", "")
    body: parameters.Body = b""
    if request.method == "POST" and parameters.holds_parameters(request.path, content_type):
        body = await request.app[BODIES].read(request)
    if len(body) > _PARSED_AT_ONCE:
        given, data = await asyncio.to_thread(parsed, query, content_type, body)
    else:
        given, data = parsed(query, content_type, body)
    key = key_of(request.headers.getall(KEY_HEADER, ()), given.pop(KEY_PARAMETER, ""))
    return Call(given, data, key, parameters_of(request))


def parsed(query: str, content_type: str, body: parameters.Body) -> tuple[dict[str, str], Attached]:
    """Return the parameters as text, and content undecoded."""
    values = dict(parameters.values_of(query, content_type, body))
    data = Attached(values.pop("media_data", None))
    values.pop(credentials.NAME, None)  # already checked; not a parameter of the call
    given = {name: parameters.text_of(name, value) for name, value in values.items()}
    if data and not any(given.get(name) for name in ("media_name", "media_path", "media_id")):
        name = parameters.file_name_of(content_type, body, "media_data")
        if name not in _INVENTED_NAMES:
            given["media_name"] = name
    return given, data


def json_answer(value: JsonValue | Rendered, status: int = 200) -> web.Response:
    return web.Response(status=status, body=_json(value), headers={"Content-Type": "application/json"})


def jsonp_answer(value: JsonValue | Rendered, callback: str | None) -> web.Response:
    """``CALLBACK(JSON)``; a callback must be a plain name (5.2 no. 38, 5.3 no. 44)."""
    name = callback if callback is not None else f"jsoncallback{int(time.time())}"
    if not _CALLBACK.fullmatch(name):
        return json_answer({"code": -1, "status": "callback must be a name: letters, digits, _ $ and ."}, 400)
    return web.Response(
        body=_json(value, name.encode() + b"(", b")"),
        headers={"Content-Type": "application/javascript", "X-Content-Type-Options": "nosniff"},
    )


def array(values: list[JsonObject]) -> JsonValue:
    return list(values)


def _json(
    value: JsonValue | Rendered, before: bytes = b"", after: bytes = b""
) -> bytes | bytearray | AsyncIterator[bytes]:
    if isinstance(value, Rendered) and value.rest is not None:
        return _streamed(before, value.body, value.rest, after)
    body = value.body if isinstance(value, Rendered) else to_bytes(value)
    return before + body + after if before or after else body


async def _streamed(
    before: bytes, body: bytes | bytearray, rest: AsyncIterator[bytes], after: bytes
) -> AsyncIterator[bytes]:
    yield before + body
    async for portion in rest:
        yield portion
    yield after
