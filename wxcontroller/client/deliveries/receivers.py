"""The receiver of reports (post_api) and one HTTP attempt to give it a report.

An attempt is one POST, with two exceptions that do not count as failures of the receiver:

- A connection that was kept open and breaks before any byte of an answer: the receiver closed it while it was idle.
  The report is posted again at once, on a new connection.
- Redirects with 307 and 308 are followed with method and body, as long as ``webhook_targets`` allows it.

Redirects with 301, 302 and 303 are failures. Following them would turn the POST into a GET without a body, and its
200 would be taken for a delivery.
"""

import asyncio
import contextlib
import email.utils
import logging
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from wxcontroller.client.deliveries.lanes import DeliveryOutcome, Policy, Result
from wxcontroller.client.deliveries.outbound import NotATarget, TargetConnector
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.config.reporttargets import Targets
from wxcontroller.core.net.httpbody import Outgoing
from wxcontroller.core.net.httprequests import HttpAnswer, HttpRequests, requests_over
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.core.net.unreachable import unreached
from wxcontroller.core.net.urls import url_of
from wxcontroller.core.registry.account import redacted
from wxcontroller.core.text.templates import NOTHING, Text, verbatim

log = logging.getLogger(__name__)
# Limit of a receiver's answer: answers are replies, not downloads.
WEBHOOK_ANSWER_BYTES = 256 << 10
WEBHOOK_ANSWER_SECONDS = 10.0
# Lost SYNs are sent again after 1, 3 and 7 s. A receiver that has not connected by then counts as down.
_CONNECT_SECONDS = 10.0
# Between two looks at a connection whose answer does not continue.
_LOOK_SECONDS = 0.25
# As many as RFC 2068 let browsers follow before it counted as a loop.
_HOPS_MAX = 5
_ANYWHERE = Targets()
_MOVED_WITHOUT_BODY = frozenset({301, 302, 303})
_MOVED = frozenset({307, 308})
# The receiver, or a proxy in front of it, says that nothing can be delivered at the moment.
_OVERLOADED = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Receiver:
    """The receiver of reports: an address, "" for none, and the secrets that sign (two while they are changed).

    ``tls`` None: the system's authorities are trusted.
    """

    address: str
    user_agent: str
    secrets: Sequence[str] = field(default=(), repr=False)
    with_data: bool = True
    targets: Targets = _ANYWHERE
    most_media: int = DEFAULTS.report_media_bytes
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@contextlib.asynccontextmanager
async def posting(receiver: Receiver, policy: Policy) -> AsyncIterator["Poster"]:
    """Hold the connection to a receiver open, and close it at the end."""
    connector = TargetConnector(receiver.targets, receiver.tls)
    headers = {"Content-Type": "application/json", "User-Agent": receiver.user_agent}
    timeout = aiohttp.ClientTimeout(connect=min(_CONNECT_SECONDS, policy.timeout))
    requests = requests_over(connector, headers, timeout)
    try:
        yield Poster(receiver, policy, connector, requests)
    finally:
        await requests.close()


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts reports to one receiver, one at a time; made by ``posting``."""

    receiver: Receiver
    policy: Policy
    connector: TargetConnector
    requests: HttpRequests

    async def post(self, content: bytes | bytearray, headers: Mapping[str, str]) -> Result:
        """Post one report; return the result. Never raises for failures of the receiver or the network."""
        body, hops, status = Outgoing(content), 0, 0
        # Only ``body`` may keep it, which is released at the end.
        del content
        try:
            url = url_of(self.receiver.address)
            async with asyncio.timeout(self.policy.timeout) as limit:
                while hops <= _HOPS_MAX:
                    async with await self._answer(url, body, headers) as answer:
                        status, location = answer.status, answer.headers.get("Location", "")
                        if status not in _MOVED or not location:
                            limit.reschedule(None)  # the length of an answer has a separate limit
                            return await self._result(url, answer)
                        moved = moved_to(url, location)
                    if moved is None:
                        return Result(DeliveryOutcome.FAILED, status, Text("it redirects to an invalid URL"))
                    url, hops = moved, hops + 1
            return Result(DeliveryOutcome.FAILED, status, Text("too many redirects"))
        except NotATarget as problem:
            # If a redirect leads there, the receiver's answer is at fault; if it is the address itself, nothing can
            # be posted.
            return Result(DeliveryOutcome.FAILED if hops else DeliveryOutcome.UNREACHED, status, unreached(problem))
        except aiohttp.ClientResponseError as problem:
            return Result(DeliveryOutcome.FAILED, status, unreached(problem))  # a server that does not use HTTP
        except (aiohttp.ClientError, OSError, ValueError) as problem:  # a TimeoutError is the second
            return Result(broken(body), status, unreached(problem))
        finally:
            body.release()

    async def _answer(self, url: URL, body: Outgoing, headers: Mapping[str, str]) -> HttpAnswer:
        """Send one request. A connection that was in use before and breaks is replaced by a new one, once."""
        try:
            return await self.send(url, body, headers)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as problem:
            # On a new connection the receiver may have taken the report
            # before it broke: that is an attempt, and is counted.
            if not self.connector.is_reused or is_answer(problem):
                raise
        return await self.send(url, body, headers)

    async def send(self, url: URL, body: Outgoing, headers: Mapping[str, str]) -> HttpAnswer:
        """Send one request and return its answer, which may be a redirect. Raises as HttpRequests.send."""
        return await self.requests.send("POST", url, url.raw_path_qs, headers, body)

    async def _result(self, url: URL, answer: HttpAnswer) -> Result:
        status = answer.status
        # Any 2xx: bots answer 201, 202 and 204 as well.
        if 200 <= status < 300:
            return Result(DeliveryOutcome.ACCEPTED, status, answer=await self._read(answer))
        if status in _OVERLOADED:
            pause = retry_after(answer.headers.get("Retry-After", ""))
            return Result(
                DeliveryOutcome.UNREACHED, status, Text("the webhook returned {status}", status=status), pause
            )
        if status in _MOVED_WITHOUT_BODY and (moved := moved_to(url, answer.headers.get("Location", ""))):
            where = redacted(str(moved))
            return Result(
                DeliveryOutcome.FAILED,
                status,
                Text(
                    "the webhook returned {status}; set post_api to {where}, where it has moved",
                    status=status,
                    where=where,
                ),
            )
        return Result(DeliveryOutcome.FAILED, status, Text("the webhook returned {status}", status=status))

    async def _read(self, answer: HttpAnswer) -> bytes:
        """Return a JSON answer (openwx-api 3.4). The report counts as delivered even if this fails."""
        if media_type(answer.headers.get("Content-Type", "")) not in ("application/json", "text/json"):
            return b""
        content = bytearray()
        try:
            async with asyncio.timeout(WEBHOOK_ANSWER_SECONDS):
                while piece := await read_some(answer):
                    content += piece
                    if len(content) > (limit := WEBHOOK_ANSWER_BYTES):
                        # It counts as delivered: the receiver has the report, and posting it again would not make the
                        # answer smaller.
                        log.warning("the webhook's answer is larger than %d bytes and is not read", limit)
                        return b""
        except (TimeoutError, aiohttp.ClientError, OSError):
            log.warning("the webhook's response ended early")
            return b""
        return bytes(content)


async def read_some(answer: HttpAnswer) -> bytes:
    """Return the next bytes of an answer, b"" at its end. Raises ClientPayloadError if it ends early."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                return await answer.content.read(16 * 1024)
        # After a malformed chunk the library closes the connection, but does not end the content.
        connection = answer.connection
        if connection is None or connection.transport is None or connection.transport.is_closing():
            raise aiohttp.ClientPayloadError("the connection was closed")


def stored_error(error: str, status: int) -> Text:
    """Return the text of a failure that was stored in English, with the HTTP status that goes with it."""
    answered = Text("the webhook returned {status}", status=status)
    if error == str(answered):
        return answered
    return verbatim(error) if error else NOTHING


def is_answer(problem: Exception) -> bool:
    """Return whether a connection broke within the head of an answer: the library passes the incomplete head on."""
    return isinstance(problem, aiohttp.ServerDisconnectedError) and not isinstance(problem.message, str)


def broken(body: Outgoing) -> DeliveryOutcome:
    """Classify a connection that broke or timed out."""
    if body.done:
        return DeliveryOutcome.FAILED
    return DeliveryOutcome.CUT_OFF if body.begun else DeliveryOutcome.UNREACHED


def retry_after(value: str) -> float | None:
    """Return the seconds in a Retry-After header (RFC 9110, 10.2.3), None if it is missing or malformed."""
    if value.isascii() and value.isdecimal():
        # Nine digits are 31 years; ``lanes`` bounds the pause.
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def moved_to(url: URL, location: str) -> URL | None:
    """Return the target of a redirect, None if it is not a web address."""
    try:
        moved = url_of(str(url.join(url_of(location))))
    except ValueError:
        return None
    return moved if location and moved.scheme in ("http", "https") and moved.raw_host else None
