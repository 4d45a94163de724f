"""The fast path of ordinary requests to accounts: the proxy's rules without aiohttp's overhead.

Most calls of accounts are alike: the same few lines of headers, a short target, perhaps a small form. Their heads are
checked once (``requestheads``) and remembered. The request goes over a kept connection (``backends``) without a task
of its own, and the answer is passed on as it comes (``exchange``), no faster than the caller reads it.

Everything that is not quite ordinary is left to aiohttp and ``proxy``, which have all of the rules: callers without
access, browsers' calls from pages, long polls, uploads, other methods, accounts that are down, and a full port.
So is a request that fails before its answer has begun: it is handed over with the failure, never sent again.

Lists of all accounts are answered at once while they are prepared (``lists``).
"""

import asyncio
import re
import time

from wxcontroller.controller.account_port.backends import Backends
from wxcontroller.controller.account_port.exchange import ProxiedExchange
from wxcontroller.controller.account_port.lists import AccountLists, head_of
from wxcontroller.controller.account_port.requestheads import (
    HeaderBlock,
    RequestLine,
    names_in,
    read_block,
    read_line,
)
from wxcontroller.controller.admission import claim_of_caller
from wxcontroller.controller.authentication import ANYBODY, Caller
from wxcontroller.controller.context import Context
from wxcontroller.controller.headers import added
from wxcontroller.controller.metrics.requests import RequestFigures
from wxcontroller.controller.openwx import is_missing
from wxcontroller.core.access import About, Scope
from wxcontroller.core.account import Account
from wxcontroller.core.settings import Settings
from wxcontroller.openwx import credentials, parameters
from wxcontroller.openwx.admission import AdmissionSlot, Busy, Claim, Resource
from wxcontroller.openwx.connection import HttpConnection
from wxcontroller.openwx.parameters import BadParameter

# Limit of a form here: ``proxy`` reads longer ones.
FORM_BYTES = 64 << 10
# Number and size of cached lines and blocks: each form length has its own block.
_REMEMBERED, _REMEMBERED_BYTES = 1024, 1024
_SIMPLE = re.compile(rb"[0-9A-Za-z_-]+")
_HEAD_BYTES = 8190


class AccountFastPath:
    """The fast path of the controller's port (``openwx.connection.FastPath``)."""

    def __init__(self, shared: Context, requests: RequestFigures) -> None:
        self.requests = requests
        self.backends = Backends(shared.accounts.registry, shared.ports.connections)
        self.shared = shared
        self._settings: Settings | None = None
        self._own_headers = b""
        self._lists = AccountLists(shared)
        self._lines: dict[bytes, RequestLine] = {}
        self._blocks: dict[bytes, HeaderBlock] = {}
        self._claims: dict[tuple[str, Scope, object], Claim] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def take(self, connection: HttpConnection, data: bytes) -> int:
        """See ``openwx.connection.FastPath``."""
        settings, head_end = self.shared.settings, data.find(b"\r\n\r\n") + 4
        # Settings are replaced as a whole by a reload: results that were remembered hold for the former ones.
        if settings is not self._settings:
            self._reset(settings)
        # While draining, the usual way answers: it ends long polls and connections.
        if not 4 <= head_end <= self._head_bytes or connection.congested or self.shared.draining.is_set():
            return 0
        line_end = data.find(b"\r\n")
        line = self._line(data[:line_end])
        block = self._block(data[line_end + 2 : head_end - 2], settings) if line is not None else None
        if line is None or block is None:
            return 0
        # When the request arrived: also what counts for timeouts, and a system call less.
        now = connection.heard
        caller = self._caller(line, block, connection, now)
        # Refusals are not answered here either: the regular path has the messages, and counts failures per address.
        if caller is None or not caller.scope.covers(line.endpoint.scope or caller.scope):
            return 0
        request_end, content = head_end, b""
        if line.has_form:
            limit = min(FORM_BYTES, settings.max_body)
            if not 0 < block.length <= limit or not block.holds:
                return 0
            request_end += block.length
            if len(data) < request_end:
                # Request another call when this much has arrived.
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
        # Before the request is counted: without a connection, the regular proxy handles and counts it.
        backend = self.backends.kept(account, now)
        if backend is None and not self.backends.can_open(account):
            return 0
        place = self._claim_slot(caller, connection, request_end - head_end, settings)
        if place is None:
            if backend is not None:
                self.backends.keep(backend)
            return 0
        exchange = ProxiedExchange(
            self.shared, self.backends, self.requests, connection, account, caller, place, data[:request_end]
        )
        exchange.set_request(line, block, content)
        connection.begin(exchange, data[request_end:])
        if backend is not None:
            exchange.ask(backend)
        else:
            # Only a new connection needs a task.
            task = asyncio.get_running_loop().create_task(exchange.ask_new(settings.ua_connect_timeout))
            # asyncio keeps only weak references to tasks.
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        return -1

    def _answer_list(
        self, line: RequestLine, block: HeaderBlock, caller: Caller, connection: HttpConnection, behind: bytes
    ) -> int:
        """Answer a request for the list of all accounts; returns as ``take``."""
        is_stream = b"text/event-stream" in block.sent
        found = None if is_stream else self._lists.at_hand(line.endpoint.path, caller)
        place = None if found is None else self._claim_slot(caller, connection, 0, self.shared.settings)
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
        """Close the idle connections."""
        for task in self._opening:
            task.cancel()
        self.backends.close()
        self._lists.close()

    def _reset(self, settings: Settings) -> None:
        """Discard results checked under other settings."""
        self._settings = settings
        # The fast path is off where each request is logged.
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

    def _caller(self, line: RequestLine, block: HeaderBlock, connection: HttpConnection, now: float) -> Caller | None:
        """Return the sender of a request, None if its head does not authorize it."""
        gate = self.shared.gate
        tokens = gate.tokens_of_late(now)
        if not gate.exposed and not tokens.required:
            return ANYBODY
        if block.token is None:
            return gate.recognize(line.token, connection.peername, tokens)
        # ``tokens`` is another object after each change of the files: a revoked token is not found this way.
        if block.tokens is tokens and (block.expires is None or time.time() < block.expires):
            return block.caller
        found = gate.recognize(block.token, connection.peername, tokens)
        block.tokens = None
        if found is not None and found.token in tokens.by_id:  # root is also recognized by the address
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

    def _claim_slot(
        self, caller: Caller, connection: HttpConnection, size: int, settings: Settings
    ) -> AdmissionSlot | None:
        """Take a request's share of the account's port; None if it is used up."""
        address = connection.peername
        key = (caller.words, caller.scope, address[0] if isinstance(address, tuple) else address)
        claim = self._claims.get(key)
        if claim is None:
            if len(self._claims) >= _REMEMBERED:
                self._claims.clear()
            claim = self._claims[key] = claim_of_caller(caller, address, settings)
        place = self.shared.admission.place(Resource.REQUESTS, claim)
        try:
            # Not a ``with`` block: the exchange releases it when the answer was sent, long after this returns.
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
