"""Which requests an account answers, and what they share: connections to accounts, long polls, lists.

The only way of a call of /openwx or /v1 to an account, but for the stream of its events: the caller's connection
(``openwx.http.connection``) reads its head (``openwx.http.http1``), ``AccountForwarder`` takes it, ``exchange`` is
its way from there, ``backends`` has the connections to the accounts. Lists of all accounts are answered at once while
they are prepared (``lists``).
"""

import re
import time
from collections.abc import Sequence
from urllib.parse import unquote

from wxcontroller.controller.apis.v1.form.freshstatus import PROGRAM_ANSWER_SECONDS, AccountStatuses
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.controller.context import Context
from wxcontroller.controller.edge.browserheaders import added
from wxcontroller.controller.edge.foreignpages import foreign, is_preflight
from wxcontroller.controller.edge.peers import forwarded
from wxcontroller.controller.edge.portadmission import claim_of_caller, shown_by
from wxcontroller.controller.edge.requestmetrics import RequestFigures
from wxcontroller.controller.forwarding.exchange import AccountCall, ForwardedRequest
from wxcontroller.controller.forwarding.lists import LISTS, AccountLists, head_of
from wxcontroller.controller.forwarding.proxy import failure
from wxcontroller.controller.forwarding.rewriting import Records, RecordWriter
from wxcontroller.controller.openwxcalls import is_own_call
from wxcontroller.core.access import rights
from wxcontroller.core.access.rights import CALLER_HEADER, About, Endpoint, Scope
from wxcontroller.core.config.settings import Settings
from wxcontroller.openwx.http import credentials, parameters
from wxcontroller.openwx.http.admission import Busy, Resource
from wxcontroller.openwx.http.connection import HttpConnection
from wxcontroller.openwx.http.http1 import RequestHead
from wxcontroller.openwx.http.parameters import BadParameter

# A path that is read in one way only: no escapes, no empty or relative parts. Others lead nowhere.
_PATH = re.compile(r"/openwx(?:/(?!\.)[0-9A-Za-z_.~!$&'()*+,:=@-]+)+/?")
_V1 = "/v1/accounts/"
_EVENTS = "/v1/events"
_ONE = Endpoint(("GET",), "/v1/accounts/{name}", Scope.READ, About.NAME)


def parts_of(target: bytes) -> tuple[str, bytes]:
    """Return the path and the query of a target; proxies' clients send scheme and host before it (RFC 9112 3.2.2).

    A fragment, which no client sends, is dropped: its content is unchecked.
    """
    if not target.startswith(b"/"):
        _, slash, rest = target.partition(b"://")[2].partition(b"/")
        target = slash + rest
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path.decode(), query


def _wants_stream(head: RequestHead) -> bool:
    return b"text/event-stream" in head.values.get(b"accept", b"")


def own_headers(settings: Settings) -> bytes:
    """Return the headers that each answer gets."""
    return "".join(f"{name}: {value}\r\n" for name, value in added(settings).items()).encode()


class AccountForwarder:
    """The forwarder of the controller's port (``openwx.http.connection.Forwarder``)."""

    def __init__(self, shared: Context, requests: RequestFigures, records: Records) -> None:
        self.shared, self.requests, self._records = shared, requests, records
        self.polls: set[ForwardedRequest] = set()  # that a restart ends
        self._settings: Settings | None = None
        self._own_headers = b""
        self._lists, self._statuses = AccountLists(shared), AccountStatuses(shared)

    def take(self, connection: HttpConnection, head: RequestHead) -> bool:
        """See ``openwx.http.connection.Forwarder``."""
        if self.shared.settings is not self._settings:
            self._reset(self.shared.settings)
        path, query = parts_of(head.target)
        if head.method == b"GET" and path in LISTS and head.body is None:
            return self._answer_list(connection, head, path, query)
        if path.startswith(_V1):
            return self._take_v1(connection, head, path, query)
        if not _PATH.fullmatch(path) or is_own_call(head.method, path) or is_preflight(head, self.shared.settings):
            return False
        if self.shared.fleet is not None and self._is_elsewhere(query):
            return False
        connection.begin(
            ForwardedRequest(
                self, connection, head, path, query, AccountCall(rights.of_call(path), path, failed=failure)
            )
        )
        return True

    def _take_v1(self, connection: HttpConnection, head: RequestHead, path: str, query: bytes) -> bool:
        """Take a call of /v1 that an account of this host answers, but for its stream."""
        name, *parts = map(unquote, path.split("/")[3:])
        if not all((name, *parts)):
            return False
        if parts:
            call = self._call_of(head, name, parts, path)
        else:  # of the controller, with what its process says about itself
            statuses, seconds = self._statuses, PROGRAM_ANSWER_SECONDS
            call = AccountCall(_ONE, "/v1/status", name, statuses, statuses.failed, False, seconds)
            call = call if head.method == b"GET" else None
        if call is None:
            return False
        if self.shared.accounts.registry.find(name) is None or is_preflight(head, self.shared.settings):
            return False
        connection.begin(ForwardedRequest(self, connection, head, path, query, call))
        return True

    def _call_of(self, head: RequestHead, name: str, parts: Sequence[str], path: str) -> AccountCall | None:
        endpoint = rights.of_program(head.method.decode(), parts)
        if endpoint is None or (endpoint.path == _EVENTS and _wants_stream(head)):
            return None
        record = self._records.get((endpoint.methods[0], f"/v1/accounts/{{name}}{endpoint.path.removeprefix('/v1')}"))
        writer = None if record is None else RecordWriter(self.shared, record, path)
        target, is_upload = "/v1/" + path.split("/", 4)[4], endpoint.path == "/v1/messages"
        return AccountCall(endpoint, target, name, writer, is_upload=is_upload)

    def address_of(self, head: RequestHead, connection: HttpConnection) -> object:
        """Return the address of a request's peer, in the form that sockets have."""
        trusted = self.shared.settings.trusted_proxies
        if not trusted:
            return connection.peername
        named = head.value(b"x-forwarded-for")
        return forwarded(() if named is None else (named,), trusted, connection.peername)

    def end_polls(self) -> None:
        """Answer the long polls that wait."""
        for poll in list(self.polls):
            poll.end_poll()

    def close(self) -> None:
        """Close what is kept open."""
        self._lists.close()

    def _is_elsewhere(self, query: bytes) -> bool:
        """Whether the query names an account that this host does not have: then its host answers."""
        try:
            client = dict(parameters.urlencoded_pairs(query, "client")).get("client")
        except BadParameter:
            return False
        return client is not None and self.shared.accounts.registry.find(client) is None

    def _answer_list(self, connection: HttpConnection, head: RequestHead, path: str, query: bytes) -> bool:
        shared = self.shared
        if _wants_stream(head) or not head.keeps:
            return False
        if query and credentials.without_token(f"{path}?{query.decode()}") != path:
            return False
        caller = self._list_reader(connection, head, query)
        if (
            caller is None
            or not caller.scope.covers(Scope.READ)
            or shared.draining.is_set()
            or shared.settings.http_debug
        ):
            return False
        if foreign(head, connection.transport, shared.settings) is not None or b"origin" in head.values:
            return False
        found = self._lists.at_hand(path, caller)
        if found is None:
            return False
        claim = claim_of_caller(caller, self.address_of(head, connection), shared.settings)
        try:
            with shared.admission.place(Resource.REQUESTS, claim):
                accounts, body = found
                file = accounts.copy_of(body) if caller.instances is None else None
                connection.begin(None)
                connection.send_whole(head_of(body) + self._own_headers + b"\r\n", body, file)
        except Busy:
            return False
        self.requests.note(accounts.part, 200, time.monotonic() - connection.heard)
        connection.end(keep=True)
        return True

    def _list_reader(self, connection: HttpConnection, head: RequestHead, query: bytes) -> Caller | None:
        """Return the caller that a head shows, None for one that aiohttp has to look at."""
        if CALLER_HEADER.lower().encode() in head.values:
            return None
        gate = self.shared.gate
        address = self.address_of(head, connection)
        return gate.recognize_head(lambda: shown_by(head, query), address, gate.tokens_of_late(connection.heard))

    def _reset(self, settings: Settings) -> None:
        """Settings are replaced as a whole by a reload."""
        self._settings = settings
        self._own_headers = own_headers(settings)
        self.shared.ports.backends.set_own(self._own_headers)
