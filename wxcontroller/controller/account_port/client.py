"""The only HTTP client of the accounts' ports: address, secret, timeouts and errors.

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

from wxcontroller.controller.registry import Registry
from wxcontroller.core.access import Scope
from wxcontroller.core.account import Account
from wxcontroller.core.commands import command
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, obj, read_json
from wxcontroller.core.messages import N_, Text
from wxcontroller.core.relay import Body, relay_session
from wxcontroller.core.settings import Settings
from wxcontroller.openwx.replies import CONTENT_TYPE, to_bytes

# Of an answer about the account itself, whether one account is asked or all are: its status, its options, its numbers
# of deliveries. They have a few KiB and a few hundred values.
PROGRAM_ANSWER_BYTES = 64 << 10
ANSWER_VALUES = 5000
_NOT_PASSED_ON = frozenset({401, 407})


class PortFailure(WxError):
    """An account's port gave no usable response. ``what`` gives the reason without naming the account."""

    message_template = N_("account {account}: {what}")

    def __init__(self, account: Account, what: Text, remedy: str | Text, timed_out: bool = False) -> None:
        name = account.name
        super().__init__(self.message_template, remedy, account=name.name, unit=name.unit, what=what)
        self.what = what
        self.timed_out = timed_out


class NotRunning(PortFailure, code="not-running", status=409):
    """An account without a process. Nothing was sent to its port, which may be another program's."""

    message_template = N_("account {account} is not running")

    def __init__(self, account: Account) -> None:
        super().__init__(account, Text(N_("it is not running")), N_("start it: wxctl start {account}"))


class NotAnswering(PortFailure, code="not-answering", status=502):
    """An account's program that gave no usable response. The request may have been carried out."""

    def __init__(self, account: Account, what: Text, timed_out: bool = False) -> None:
        super().__init__(account, what, Text(N_("see: {logs}"), logs=command("logs", account.name.name)), timed_out)


class AccountPorts:
    """Sends requests to accounts. Use as an async context manager: it owns the connections."""

    def __init__(self, registry: Registry, settings: Callable[[], Settings]) -> None:
        self._registry = registry
        self._settings = settings

    async def __aenter__(self) -> "AccountPorts":
        self._session = relay_session(
            # No limits: ``admission`` counts requests before. Idle connections live shorter than at the account (75
            # s).
            aiohttp.TCPConnector(limit=0, limit_per_host=0, use_dns_cache=False, keepalive_timeout=30)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

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
        # Without a process, another program may listen on the port, and would get the secret.
        if not self._registry.is_up(instance):
            raise NotRunning(account)
        sent = CIMultiDict(headers or {})
        sent.update(self._registry.port_headers(instance, scope))
        # Already encoded and not changed: the account must read exactly what was checked.
        url = URL(f"http://127.0.0.1:{account.port}{target}", encoded=True)
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
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=self._settings().ua_connect_timeout)
        try:
            async with asyncio.timeout(seconds):
                async with await self.open(account, target, scope, method, headers, body, timeout) as response:
                    return response.status, await read_bounded(response, limit)
        except (aiohttp.ClientError, OSError) as problem:
            raise failure_of(account, problem, seconds) from None

    def _timeout(self) -> aiohttp.ClientTimeout:
        settings = self._settings()
        return timeouts(settings.ua_request_timeout, settings.ua_connect_timeout, settings.ua_inactivity_timeout)


def failure_of(account: Account, problem: Exception, seconds: float | None = None) -> NotAnswering:
    """Return the failure that an error of the connection is."""
    if isinstance(problem, TimeoutError):
        if seconds is None:
            return NotAnswering(account, Text(N_("no response in time")), timed_out=True)
        return NotAnswering(
            account, Text(N_("no response within {seconds} s"), seconds=f"{seconds:g}"), timed_out=True
        )
    if isinstance(problem, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return NotAnswering(account, Text(N_("nothing listens on its port {port}"), port=account.port))
    return NotAnswering(account, Text(N_("connection reset by its port {port}"), port=account.port))


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


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read at most ``limit`` bytes of a response: a truncated one is no longer JSON."""
    content = b""
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > limit:
            return content[:limit]
    return content


@lru_cache(maxsize=8)
def timeouts(total: float, connect: float, silence: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total, sock_connect=connect, sock_read=silence)
