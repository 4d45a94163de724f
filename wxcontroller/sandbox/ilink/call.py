"""One request of an iLink client: its parts, its answer, and its faults."""

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from wxcontroller.core.jsontypes import JsonObject, integer, obj, text
from wxcontroller.sandbox.ilink.codes import ILinkCode
from wxcontroller.sandbox.media import webmarkup
from wxcontroller.sandbox.requestlog import Violation
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.world.ilinkbots import (
    INVALID,
    LOGGED_OUT,
    NO_TICKET,
    THROTTLED,
    Bot,
    ILinkBehavior,
    SessionState,
    User,
)

_TEXTS = {LOGGED_OUT: "session timeout", INVALID: "invalid arguments", NO_TICKET: "GetTypingTicket rpc failed"}
_PRODUCT = r"[A-Za-z0-9_.\-]{1,32}/[A-Za-z0-9_.+\-]{1,32}(?: \([\x20-\x27\x2a-\x7e]{1,64}\))?"
_AGENT = re.compile(rf"{_PRODUCT}(?: {_PRODUCT})*")
_DEFAULT_AGENT = "OpenClaw"  # the official client's, though it has no version


class ILinkRefusal(Exception):
    """The service refuses: ``ret`` is its code, ``words`` its errmsg (None: the code's usual one). ``why`` is the
    text for the request log, if it is a violation of the protocol.
    """

    def __init__(self, ret: int, words: str | None = None, why: str = "") -> None:
        super().__init__(why)
        self.ret = ret
        self.words = words
        self.why = why


@dataclass(frozen=True, slots=True)
class ILinkEndpoint:
    """One endpoint. ``streams``: the handler reads the body, as the CDN's upload does."""

    name: str
    path: str
    handler: "Callable[[ILinkCall], Awaitable[web.StreamResponse]]"
    methods: frozenset[str]
    error_key: str = "ret"  # the field of a refusal's code; empty: HTTP 400 with x-error-message
    needs_token: bool = True
    streams: bool = False


@dataclass(slots=True)
class ILinkCall:
    """A request, and its answer for the record."""

    sandbox: Sandbox
    request: web.Request
    endpoint: ILinkEndpoint
    body: JsonObject = field(default_factory=dict)
    answer: JsonObject = field(default_factory=dict)

    # -- the caller

    @property
    def token(self) -> str:
        """The bearer token; empty without one or with another scheme."""
        scheme, _, value = self.request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else ""

    def who(self) -> int | None:
        """Return the account that this call claims to be from, unchecked."""
        ilink, query = self.sandbox.ilink, self.request.query
        if (bot := ilink.bots.get(self.token)) is not None:
            return bot.uin
        if (login := self.sandbox.logins.all.get(query.get("qrcode", ""))) is not None:
            return login.uin
        parameter = query.get("encrypted_query_param", "")
        stored = ilink.permits.get(parameter) or ilink.files.get(parameter)
        return stored.uin if stored is not None else None

    def bot(self) -> Bot:
        """Return the bot of this call's token. Refuses with -14 unless it is alive."""
        bot = self.sandbox.ilink.bots.get(self.token)
        if bot is None:
            raise ILinkRefusal(LOGGED_OUT, why="no Authorization, or a token of no login")
        if bot.state_at(self.now) is not SessionState.ALIVE:
            raise ILinkRefusal(LOGGED_OUT)
        bot.origin = self.origin
        return bot

    def code(self) -> ILinkCode | None:
        """Return the login code that the query names, in its current state."""
        found = self.sandbox.logins.get(self.request.query.get("qrcode", ""))
        return found if isinstance(found, ILinkCode) else None

    def owner(self, bot: Bot) -> User:
        """Return the user to whom a bot belongs."""
        return self.sandbox.ilink.users[bot.uin]

    @property
    def settings(self) -> ILinkBehavior:
        """The settings of the caller's account."""
        uin = self.who()
        return ILinkBehavior() if uin is None else self.sandbox.ilink.users[uin].settings

    # -- contents

    @property
    def now(self) -> float:
        """The sandbox's time."""
        return self.sandbox.clock.now()

    @property
    def host(self) -> str:
        """The requested host, with its port."""
        return self.request.headers.get(hdrs.HOST, "")

    @property
    def origin(self) -> str:
        """Scheme, host and path prefix of this call."""
        prefix = self.request.path.removesuffix(self.endpoint.path)
        return f"{self.request.scheme}://{self.host}{prefix}"

    async def read(self) -> None:
        """Read a JSON body."""
        content = await self.request.read()
        if not content:
            return
        try:
            self.body = obj(json.loads(content))
        except ValueError:
            self.note("the body is not UTF-8 JSON")

    # -- checks

    def note(self, what: str, refused: int | None = None) -> None:
        """Record a violation of the protocol; ``refused`` is the code that the request is refused with."""
        self.sandbox.ledger.add(Violation(self.now, self.who(), self.endpoint.name, what, refused))

    def breach(self, what: str, ret: int = INVALID) -> None:
        """Record a violation that the real service is not known to refuse; in strict mode refuse it with ``ret``."""
        if self.sandbox.options.strict:
            raise ILinkRefusal(ret, why=what)
        self.note(what)

    def check_headers(self) -> None:
        """Record headers that the official client sends and this one does not (3)."""
        headers = self.request.headers
        if headers.get("iLink-App-Id") != "bot" or not headers.get("iLink-App-ClientVersion", "").isdecimal():
            self.breach("iLink-App-Id or iLink-App-ClientVersion is missing or wrong", LOGGED_OUT)
        if self.request.method != hdrs.METH_POST:
            return
        if headers.get("AuthorizationType") != "ilink_bot_token":
            self.breach("AuthorizationType is missing or wrong")
        if not is_uin(headers.get("X-WECHAT-UIN", "")):
            self.breach("X-WECHAT-UIN is not base64 of a decimal number below 2^32")
        if self.endpoint.needs_token:
            base = obj(self.body.get("base_info"))
            if not text(base.get("channel_version")):
                self.breach("base_info.channel_version is missing")
            agent = text(base.get("bot_agent"))
            if agent not in ("", _DEFAULT_AGENT) and (len(agent) > 256 or not _AGENT.fullmatch(agent)):
                self.breach("base_info.bot_agent is malformed")

    # -- answers

    def reply(self, value: JsonObject) -> web.Response:
        """Answer with JSON."""
        self.answer = value
        return web.Response(text=webmarkup.dump(value), content_type="application/json")

    def refuse(self, ret: int, words: str | None = None) -> web.Response:
        """Answer with a code, in this endpoint's field."""
        if words is None:
            words = self.settings.refusal_text if ret == THROTTLED else _TEXTS.get(ret, "")
        if not self.endpoint.error_key:
            return web.Response(status=400, headers={"x-error-message": words})
        return self.reply({self.endpoint.error_key: ret, "errmsg": words})


def is_uin(value: str) -> bool:
    try:
        decoded = base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return False
    return decoded.isdecimal() and integer(decoded) < 2**32
