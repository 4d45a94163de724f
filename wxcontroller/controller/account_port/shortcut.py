"""The short way of ordinary requests to accounts: the proxy's rules without aiohttp's machinery.

Most calls of accounts are alike: the same few lines of headers, a short target, perhaps a small form. Their heads are
checked once, by a grammar without any leeway, and remembered. What is sent on is made from what was checked, so that
an account can't read it in another way. The request goes over a kept connection (``backends``) without a task of its
own, and the answer is passed on as it comes, no faster than the caller takes it.

Everything that is not quite ordinary is left to aiohttp and ``proxy``, which have the whole of the rules: who is not
let in, browsers' calls from pages, long polls, uploads, other methods, accounts that are down, and a port that is
full. So does a request that comes to no good end before its answer has begun: it is handed over with what happened,
never sent again.

Lists of all accounts are answered at once while they are at hand (``lists``).
"""

import asyncio
import logging
import re
import time
from dataclasses import dataclass

from wxcontroller.controller.account_port.backends import Backend, Backends, BadResponse
from wxcontroller.controller.account_port.client import NotAnswering, failure_of
from wxcontroller.controller.account_port.lists import LISTS, AccountLists, head_of
from wxcontroller.controller.account_port.proxy import NOT_SENT_ON
from wxcontroller.controller.admission import claim_of_caller
from wxcontroller.controller.context import Context
from wxcontroller.controller.gate import ANYBODY, Caller
from wxcontroller.controller.headers import added
from wxcontroller.controller.metrics.requests import RequestFigures, RequestPart
from wxcontroller.controller.openwx import is_missing
from wxcontroller.core import access
from wxcontroller.core.access import About, Endpoint, Scope
from wxcontroller.core.account import Account
from wxcontroller.core.settings import Settings
from wxcontroller.core.tokens import Tokens
from wxcontroller.openwx import credentials, parameters
from wxcontroller.openwx.admission import AdmissionSlot, Busy, Claim, Resource
from wxcontroller.openwx.callers import own_host
from wxcontroller.openwx.connection import HandedOver, PatientConnection
from wxcontroller.openwx.parameters import BadParameter

log = logging.getLogger(__name__)
# Of a form that is taken: longer ones are read aside by ``proxy``.
FORM_BYTES = 64 << 10
# Lines and blocks that are remembered, and bytes of one: forms of other lengths have blocks of their own.
_REMEMBERED, _REMEMBERED_BYTES = 1024, 1024
_LINE = re.compile(rb"(GET|HEAD|POST) (/openwx/([a-z_]+)(?:\.json)?|/v1/accounts)(?:\?([!-\"$-~]*))? HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*+((?:[!-~](?:[ -~\t]*[!-~])?)?)")
# Of these there is one at most.
_ONCE = frozenset({"host", "content-length", "content-type", "authorization", "x-auth-token", "connection"})
# What is not for the account and changes nothing about the request. All else that is not sent on changes something:
# what the request is, who sent it, or how it is answered.
_HARMLESS = frozenset({"host", "authorization", "x-auth-token", "connection", "cookie", "referer", "accept-encoding"})
_NOT_TAKEN = (NOT_SENT_ON - _HARMLESS) | {"access-control-request-method", "access-control-request-headers"}
_PLAIN = frozenset({parameters.URLENCODED, f"{parameters.URLENCODED}; charset=utf-8"})
_SIMPLE = re.compile(rb"[0-9A-Za-z_-]+")
_FEW_FIELDS = 64
# These wait for something, are kept by browsers, or are the controller's own for GET.
_SPECIAL = frozenset({"check_event", "consult", "get_avatar", "stop_client"})
_CALLS = {
    endpoint.path.removeprefix("/openwx/").encode(): endpoint
    for endpoint in access.ACCOUNT
    if endpoint.path.removeprefix("/openwx/") not in _SPECIAL
}
_HEAD_BYTES = 8190


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A request line that is taken. ``sent`` is the one that the account gets, without a token."""

    has_form: bool
    is_head: bool
    endpoint: Endpoint
    client: str | None
    token: str | None
    sent: bytes


@dataclass(slots=True)
class HeaderBlock:
    """The headers of a request that is taken. ``sent`` are those that the account gets, without Content-Length.

    ``caller`` is whom its token shows, as long as ``tokens`` are the ones that count; ``expires`` as of the token.
    """

    sent: bytes
    token: str | None
    length: int  # -1 for none said
    kind: str
    holds: bool  # parameters, in the body
    plain: bool  # those of a form without any particulars
    tokens: Tokens | None = None
    caller: Caller | None = None
    expires: int | None = None


def read_line(line: bytes) -> RequestLine | None:
    """Return a request line without its end as it is understood, None if it is not taken."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    method, path, call, query = found.groups()
    endpoint = LISTS.get(b"%b %b" % (method, path)) or _CALLS.get(call)
    if endpoint is None:
        return None
    raw = query or b""
    try:
        client = dict(parameters.urlencoded_pairs(raw, "client")).get("client")
        token = credentials.from_query(raw.decode())
    except BadParameter:
        return None
    target = credentials.without_token(path.decode() if query is None else f"{path.decode()}?{raw.decode()}")
    if endpoint.about is About.OWN and target != endpoint.path:
        return None
    sent = b"%b %b HTTP/1.1\r\n" % (method, target.encode())
    return RequestLine(method == b"POST", method == b"HEAD", endpoint, client, token, sent)


def read_block(block: bytes, settings: Settings) -> HeaderBlock | None:
    """Return headers, each with its line end, as they are understood; None if they are not taken."""
    lines = block.split(b"\r\n")[:-1]
    if len(lines) > settings.max_headers:
        return None
    once: dict[str, str] = {}
    sent = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            return None
        name, value = found[1].lower().decode(), found[2].decode()
        if name in _NOT_TAKEN or name in once or (name == "x-forwarded-for" and settings.trusted_proxies):
            return None
        if name in _ONCE:
            once[name] = value
        if name not in NOT_SENT_ON and name != "content-length":
            sent.append(b"%b: %b\r\n" % found.groups())
    host, length = once.get("host"), once.get("content-length")
    if host is None or once.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    if not own_host(host, ()) and not own_host(host, (*settings.allow_hosts, *settings.allow_origins)):
        return None
    if length is not None and (not length.isdigit() or len(length) > 18):
        return None
    token = credentials.from_headers(once.get("authorization"), once.get("x-auth-token"))
    kind = once.get("content-type", "")
    holds = parameters.holds_parameters("/openwx/", kind)
    return HeaderBlock(
        b"".join(sent), token, -1 if length is None else int(length), kind, holds, kind.lower() in _PLAIN
    )


class AccountShortcut:
    """The shortcut of the controller's port (``openwx.connection.Shortcut``)."""

    def __init__(self, shared: Context, requests: RequestFigures) -> None:
        self.requests = requests
        self.backends = Backends(shared.accounts.registry)
        self.shared = shared
        self._settings: Settings | None = None
        self._own_headers = b""
        self._lists = AccountLists(shared)
        self._lines: dict[bytes, RequestLine] = {}
        self._blocks: dict[bytes, HeaderBlock] = {}
        self._claims: dict[tuple[str, Scope, object], Claim] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def take(self, connection: PatientConnection, data: bytes) -> int:
        """See ``openwx.connection.Shortcut``."""
        settings, head_end = self.shared.settings, data.find(b"\r\n\r\n") + 4
        if settings is not self._settings:
            self._reset(settings)
        if not 4 <= head_end <= self._head_bytes or connection.congested or self.shared.draining.is_set():
            return 0
        line_end = data.find(b"\r\n")
        line = self._line(data[:line_end])
        block = self._block(data[line_end + 2 : head_end - 2], settings) if line is not None else None
        if line is None or block is None:
            return 0
        now = connection.heard
        caller = self._caller(line, block, connection, now)
        if caller is None or not caller.scope.covers(line.endpoint.scope or caller.scope):
            return 0
        request_end, content = head_end, b""
        if line.has_form:
            limit = min(FORM_BYTES, settings.max_body)
            if not 0 < block.length <= limit or not block.holds:
                return 0
            request_end += block.length
            if len(data) < request_end:
                return request_end
            content = data[head_end:request_end]
        elif block.length >= 0:
            return 0
        if line.endpoint.about is About.OWN:
            return self._answer_list(line, block, caller, connection, data[request_end:])
        try:
            client, content = self._parameters(line, block, content, now)
        except BadParameter:
            return 0
        account = self._account(client, caller)
        if account is None:
            return 0
        backend = self.backends.kept(account, now)
        if backend is None and not self.backends.can_open(account):
            return 0
        place = self._place(caller, connection, request_end - head_end, settings)
        if place is None:
            if backend is not None:
                self.backends.keep(backend)
            return 0
        exchange = ProxiedExchange(self, connection, account, caller, place, data[:request_end])
        exchange.set_request(line, block, content)
        connection.begin(exchange, data[request_end:])
        if backend is not None:
            exchange.ask(backend)
        else:
            task = asyncio.get_running_loop().create_task(exchange.ask_new(settings.ua_connect_timeout))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        return -1

    def _answer_list(
        self, line: RequestLine, block: HeaderBlock, caller: Caller, connection: PatientConnection, behind: bytes
    ) -> int:
        """Answer a request for the list of all accounts; see ``take`` for what is returned."""
        is_stream = b"text/event-stream" in block.sent
        found = None if is_stream else self._lists.at_hand(line.endpoint.path, caller)
        place = None if found is None else self._place(caller, connection, 0, self.shared.settings)
        if found is None or place is None:
            return 0
        accounts, body = found
        file = accounts.copy_of(body) if caller.instances is None else None
        connection.begin(None, behind)
        connection.send_whole(head_of(body) + self._own_headers + b"\r\n", body, file)
        place.__exit__()
        self.requests.note(accounts.part, 200, time.monotonic() - connection.heard)
        connection.end(keep=True)
        return -1

    def close(self) -> None:
        """Close the connections that are kept."""
        for task in self._opening:
            task.cancel()
        self.backends.close()
        self._lists.close()

    def _reset(self, settings: Settings) -> None:
        """Forget what was checked by other settings."""
        self._settings = settings
        # Nothing is taken where each request is logged.
        self._head_bytes = 0 if settings.http_debug else min(_HEAD_BYTES, settings.limits.request_line_bytes)
        self._lines.clear()
        self._blocks.clear()
        self._claims.clear()
        self._own_headers = own_headers(settings)
        self.backends.set_own(self._own_headers)

    def _line(self, line: bytes) -> RequestLine | None:
        found = self._lines.get(line)
        if found is None:
            found = read_line(line)
            if found is not None and len(line) <= _REMEMBERED_BYTES:
                if len(self._lines) >= _REMEMBERED:
                    self._lines.clear()
                self._lines[line] = found
        return found

    def _block(self, block: bytes, settings: Settings) -> HeaderBlock | None:
        found = self._blocks.get(block)
        if found is None:
            found = read_block(block, settings)
            if found is not None and len(block) <= _REMEMBERED_BYTES:
                if len(self._blocks) >= _REMEMBERED:
                    self._blocks.clear()
                self._blocks[block] = found
        return found

    def _caller(
        self, line: RequestLine, block: HeaderBlock, connection: PatientConnection, now: float
    ) -> Caller | None:
        """Return who sends a request, None for who is not let in by its head."""
        gate = self.shared.gate
        tokens = gate.tokens_of_late(now)
        if not gate.exposed and not tokens.required:
            return ANYBODY
        if block.token is None:
            return gate.recognize(line.token, connection.peername, tokens)
        if block.tokens is tokens and (block.expires is None or time.time() < block.expires):
            return block.caller
        found = gate.recognize(block.token, connection.peername, tokens)
        block.tokens = None
        if found is not None and found.token in tokens.by_id:  # not root's, who is known by his address too
            block.caller, block.expires, block.tokens = found, tokens.by_id[found.token].expires, tokens
        return found

    def _parameters(
        self, line: RequestLine, block: HeaderBlock, content: bytes, now: float
    ) -> tuple[str | None, bytes]:
        """Return the client that a request names, and its form without the caller's token. Raises BadParameter."""
        if not content:
            return line.client, content
        simple = names_in(content) if block.plain else None
        client = line.client
        if client is None:
            found = simple and simple.get(b"client")
            if found and _SIMPLE.fullmatch(found):
                client = found.decode()
            elif simple is None or found is not None:
                client = dict(parameters.form_pairs(block.kind, content, "client")).get("client")
        gate = self.shared.gate
        has_token = simple is None or b"token" in simple
        if has_token and (gate.exposed or gate.tokens_of_late(now).required):
            spans = credentials.spans_without_token(block.kind, content)
            content = b"".join(content[start:end] for start, end in spans)
        return client, content

    def _account(self, client: str | None, caller: Caller) -> Account | None:
        """Return the account that a request is for, if there is one and it is one of the caller's."""
        if client is None or is_missing(client):
            return None
        account = self.shared.accounts.registry.find(client)
        return account if account is not None and caller.may_see(account.name.instance) else None

    def _place(
        self, caller: Caller, connection: PatientConnection, size: int, settings: Settings
    ) -> AdmissionSlot | None:
        """Take what a request needs of the port; None when there is no room."""
        address = connection.peername
        key = (caller.words, caller.scope, address[0] if isinstance(address, tuple) else address)
        claim = self._claims.get(key)
        if claim is None:
            if len(self._claims) >= _REMEMBERED:
                self._claims.clear()
            claim = self._claims[key] = claim_of_caller(caller, address, settings)
        place = self.shared.admission.place(Resource.REQUESTS, claim)
        try:
            place.__enter__()
            if size:
                place.take(Resource.BODIES, size)
        except Busy:
            place.__exit__()
            return None
        return place


def own_headers(settings: Settings) -> bytes:
    """Return the headers that each answer of the controller's gets."""
    return "".join(f"{name}: {value}\r\n" for name, value in added(settings).items()).encode()


def names_in(content: bytes) -> dict[bytes, bytes] | None:
    """Return the fields of a form of few, the last of each name, undecoded; None if a name is not plain."""
    found: dict[bytes, bytes] = {}
    fields = content.split(b"&", _FEW_FIELDS)
    if len(fields) > _FEW_FIELDS:
        return None
    for field in fields:
        name, _, value = field.partition(b"=")
        if b"%" in name or b"+" in name or not name.isascii():
            return None
        found[name] = value
    return found


class ProxiedExchange:
    """A request on its way to an account, and the answer on its way back."""

    __slots__ = (
        *("_account", "_backend", "_began", "_caller", "_connection", "_data", "_gone", "_head", "_keep"),
        *("_line", "_place", "_sent", "_shortcut", "_status", "is_head"),
    )

    def __init__(
        self,
        shortcut: AccountShortcut,
        connection: PatientConnection,
        account: Account,
        caller: Caller,
        place: AdmissionSlot,
        data: bytes,
    ) -> None:
        self._shortcut, self._connection = shortcut, connection
        self._account, self._caller, self._place = account, caller, place
        self._data = data  # the request as it came
        self._began = connection.heard
        self._backend: Backend | None = None
        self._head = b""  # of the answer, until more of it is there
        self._status = 0  # of the answer, once the caller gets it
        self._keep = True
        self._gone = False  # the caller is
        self.is_head = False

    def set_request(self, line: RequestLine, block: HeaderBlock, content: bytes) -> None:
        """Set what the account gets."""
        self.is_head = line.is_head
        length = b"Content-Length: %d\r\n" % len(content) if line.has_form else b""
        self._line, self._sent = line.sent, block.sent + length + b"\r\n" + content

    # -- towards the account

    def ask(self, backend: Backend) -> None:
        """Send the request over a connection."""
        self._backend = backend
        backend.ask(self, self._line + backend.begin[self._caller.scope] + self._sent)

    async def ask_new(self, seconds: float) -> None:
        """Send the request over a new connection."""
        try:
            backend = await self._shortcut.backends.opened(self._account, seconds)
        except OSError as problem:
            if not self._gone:
                self._hand_over(failure_of(self._account, problem))
            return
        if self._gone:
            self._shortcut.backends.keep(backend)
        else:
            self.ask(backend)

    def latest(self) -> float:
        """See ResponseSink."""
        settings, backend = self._shortcut.shared.settings, self._backend
        latest = self._began + settings.ua_request_timeout
        if backend is None or backend.paused:
            return latest
        return min(latest, backend.used + settings.ua_inactivity_timeout)

    # -- towards the caller

    def answered(self, status: int, data: bytes) -> None:
        """See ResponseSink."""
        self._status = status
        if self._shortcut.shared.draining.is_set():
            self._keep = False
            data += b"Connection: close\r\n"
        self._head = data

    def more(self, data: bytes) -> None:
        """See ResponseSink."""
        if self._head:
            data, self._head = self._head + data, b""
        self._connection.send(data)

    def finished(self) -> None:
        """See ResponseSink."""
        self._end(self._status)
        self._connection.end(self._keep)

    def broken(self, problem: Exception) -> None:
        """See ResponseSink."""
        if self._status:
            name = type(problem).__name__
            log.warning("response of an account broke off: path=%s error=%s", self._path, name)
            self._end(self._status)
            self._connection.break_off()
        elif isinstance(problem, BadResponse) and problem.why is not None:
            self._hand_over(NotAnswering(self._account, problem.why))
        else:
            self._hand_over(failure_of(self._account, problem))

    def hung_up(self) -> None:
        """See openwx.connection.Exchange."""
        self._gone = True
        self._end(0)
        if self._backend is not None:
            self._backend.let_go()

    def pause(self) -> None:
        """See openwx.connection.Exchange."""
        if self._backend is not None:
            self._backend.pause()

    def resume(self) -> None:
        """See openwx.connection.Exchange."""
        if self._backend is not None:
            self._backend.resume()

    @property
    def _path(self) -> str:
        return self._line.split(b" ", 2)[1].partition(b"?")[0].decode()

    def _end(self, status: int) -> None:
        self._place.__exit__()
        self._shortcut.requests.note(RequestPart.OPENWX, status, time.monotonic() - self._began)

    def _hand_over(self, problem: NotAnswering) -> None:
        """Have the usual way answer the request: it knows what to say."""
        self._place.__exit__()
        self._connection.hand_over(self._data, HandedOver(self._began, problem))
