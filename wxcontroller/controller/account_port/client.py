"""The HTTP client of the accounts: secret, timeouts and errors. Its connections are those of ``connecting``.

An account is not trusted: its program may be compromised. So a response is accepted only if it can harm only the
account. A redirect would send the caller, and with it the caller's token, to a call of the account's choosing; 401
and 407 would make browsers and scripts ask for credentials repeatedly. They are failures here, like bodies in an
encoding that was not requested. Answers that the controller itself reads are bounded in size and in the number of
their values: the time to parse JSON grows with its values.
"""

import asyncio
from collections.abc import AsyncIterable, Callable, Mapping
from functools import lru_cache

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from wxcontroller.controller.account_port.connecting import AccountConnections
from wxcontroller.controller.account_port.failures import NotAnswering, NotRunning, failure_of
from wxcontroller.controller.registry import Registry
from wxcontroller.core.access import Scope
from wxcontroller.core.account import Account
from wxcontroller.core.budget import BoundedHandler, Budget, read_whole
from wxcontroller.core.jsontypes import JsonObject, obj, read_json
from wxcontroller.core.messages import N_, Text
from wxcontroller.core.relay import Body, relay_session
from wxcontroller.core.settings import Settings
from wxcontroller.openwx.replies import CONTENT_TYPE, to_bytes

# Of an answer about the account itself, whether one account is asked or all are: its status, its options, its numbers
# of deliveries. They have a few KiB and a few hundred values.
PROGRAM_ANSWER_BYTES = 64 << 10
ANSWER_VALUES = 5000
# Before an instance in hexadecimal digits, which alone could look like an address.
_HOST = "account-"
_NOT_PASSED_ON = frozenset({401, 407})


class _AccountConnector(aiohttp.BaseConnector):
    """Connects to accounts. A URL's host is an account's instance, as ``_host_of`` writes it.

    Kept connections are found by host and port: with a port of this machine as the key, an account could get the
    connection of another one that has the same.
    """

    def __init__(self, registry: Registry, connections: AccountConnections) -> None:
        # No limits: ``admission`` counts requests before. Idle connections live shorter than at the account (75 s).
        super().__init__(limit=0, limit_per_host=0, keepalive_timeout=30)
        self._registry, self._connections = registry, connections

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[aiohttp.tracing.Trace], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.client_proto.ResponseHandler:
        instance = bytes.fromhex((req.url.raw_host or "").removeprefix(_HOST)).decode()
        account = self._registry.get(instance)
        if account is None:  # removed since
            raise ConnectionResetError
        assert timeout.sock_connect is not None
        budget = self._connections.budget(instance)
        return await self._connections.open(account, lambda: BoundedHandler(self._loop, budget), timeout.sock_connect)


def _host_of(account: Account) -> str:
    """Return an account as the host of a URL, which has no capital letters or underscores of its own."""
    return _HOST + account.name.instance.encode().hex()


class AccountPorts:
    """Sends requests to accounts. Use as an async context manager: it owns the connections."""

    def __init__(self, registry: Registry, settings: Callable[[], Settings]) -> None:
        self._registry = registry
        self._settings = settings
        self.connections = AccountConnections(registry)

    async def __aenter__(self) -> "AccountPorts":
        self._session = relay_session(_AccountConnector(self._registry, self.connections))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def budget(self, account: Account) -> Budget:
        """Return what an account may use while its answers are read."""
        return self.connections.budget(account.name.instance)

    async def open(
        self,
        account: Account,
        target: str,
        scope: Scope,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and return the response once its head has arrived. Use it as a context manager.

        Args:
            target: path and query, encoded.
            scope: the caller's scope, which the account enforces.
            timeout: by default the setting for forwarded requests.

        Raises NotRunning or NotAnswering. Reading the response raises aiohttp's errors and TimeoutError.
        """
        instance = account.name.instance
        # Also a kept connection is only used while there is a process.
        if not self._registry.is_up(instance):
            raise NotRunning(account)
        sent = CIMultiDict(headers or {})
        sent.update(self._registry.port_headers(instance, scope))
        sent["Host"] = f"127.0.0.1:{account.port}"
        # Already encoded and not changed: the account must read exactly what was checked.
        url = URL(f"http://{_host_of(account)}:{account.port}{target}", encoded=True)
        try:
            response = await self._session.request(
                method, url, headers=sent, data=body, allow_redirects=False, timeout=timeout or self._timeout()
            )
        except (aiohttp.ClientError, OSError) as problem:
            raise failure_of(account, problem) from None
        if unusable := unusable_because(response.status, response.headers.get("Content-Encoding", "")):
            response.close()
            raise NotAnswering(account, unusable)
        return response

    async def ask(
        self,
        account: Account,
        path: str,
        seconds: float,
        scope: Scope = Scope.READ,
        method: str = "GET",
        given: JsonObject | None = None,
    ) -> tuple[int, JsonObject]:
        """Return status and JSON object of an answer about the account; {} if it is not JSON or too large.

        ``given`` is the body of the request.

        Raises NotRunning or NotAnswering, the latter also after ``seconds``.
        """
        headers, body = ({}, None) if given is None else ({"Content-Type": CONTENT_TYPE}, to_bytes(given))
        status, content = await self.exchange(account, path, seconds, scope, method, headers, body)
        try:
            return status, obj(read_json(content, values=ANSWER_VALUES))
        except ValueError:
            return status, {}

    async def exchange(
        self,
        account: Account,
        target: str,
        seconds: float,
        scope: Scope,
        method: str,
        headers: Mapping[str, str] | None = None,
        body: "AsyncIterable[bytes] | bytes | None" = None,
        limit: int = PROGRAM_ANSWER_BYTES,
    ) -> tuple[int, bytes]:
        """Return status and content of an answer, of which at most ``limit`` bytes are read.

        Raises NotRunning or NotAnswering, the latter also after ``seconds``.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=self._settings().ua_connect_timeout)
        try:
            async with asyncio.timeout(seconds):
                async with await self.open(account, target, scope, method, headers, body, timeout) as response:
                    content = await read_whole(response, self.budget(account), limit)
                    return response.status, content[:limit]  # a truncated one is no longer JSON
        except (aiohttp.ClientError, OSError) as problem:
            raise failure_of(account, problem, seconds) from None

    def _timeout(self) -> aiohttp.ClientTimeout:
        settings = self._settings()
        return timeouts(settings.ua_request_timeout, settings.ua_connect_timeout, settings.ua_inactivity_timeout)


def unusable_because(status: int, encoding: str) -> Text | None:
    """Return why a response with this status and Content-Encoding ("": none) is not forwarded; None if it is."""
    # 304 answers the caller's If-None-Match. Redirects, and 1xx other than interim ones, could lead elsewhere.
    good = 200 <= status < 300 or status == 304 or 400 <= status < 600
    if not good or status in _NOT_PASSED_ON:
        return Text(N_("its process answered {status}, which is not forwarded"), status=status)
    # None was requested, and the header that names the encoding is not forwarded.
    if encoding.strip().lower() not in ("", "identity"):
        return Text(N_("its process sent an encoded body that was not requested"))
    return None


@lru_cache(maxsize=8)
def timeouts(total: float, connect: float, silence: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total, sock_connect=connect, sock_read=silence)
