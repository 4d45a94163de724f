"""Hosts, headers and calls of the iLink API: JSON in, JSON out. This module does not interpret answers.

The sections in comments are those of ilink-bot-protocol. Every call raises NoAnswer without a usable answer, and
HttpError for an HTTP status that is not 200; business failures come with status 200 and are left to ``decode``. The
token goes to allowed hosts only, and never to the CDN.
"""

import base64
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from wxcontroller.core.errors import FailureHandling
from wxcontroller.core.jsontypes import JsonObject, obj, read_json
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.connection.failures import UnreadableResponse
from wxcontroller.drivers.connection.transport import LineRequest, LineResponse, Transport
from wxcontroller.drivers.ilink.timing import ILinkTiming

LOGIN_HOST = "ilinkai.weixin.qq.com"
# QR codes are requested here even if the account has another base (2).
_CDN_HOST, _CDN_PATH = "novac2c.cdn.weixin.qq.com", "/c2c"
# Hosts that a token may be sent to (2).
_DOMAINS = ("weixin.qq.com", "wechat.com")
_HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
# The official release that this driver was checked against. Both forms go together (3).
CHANNEL_VERSION = "2.4.9"
_AGENT = "wxcontroller/2"
_ANSWER_BYTES = 1 << 20
# As JSON escapes, also in pairs that form whole characters, and as bytes that are not UTF-8.
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


def client_version(release: str) -> int:
    """Return ``iLink-App-ClientVersion`` of a release: 2.4.9 is 132105 (3)."""
    major, minor, patch = (int(part) for part in release.split("."))
    return major << 16 | minor << 8 | patch


def uin_header(number: int) -> str:
    """Return ``X-WECHAT-UIN`` for a random number of 32 bits: base64 of its decimal digits (3)."""
    return base64.b64encode(str(number).encode()).decode()


def read_answer(body: bytes) -> JsonObject:
    """Parse an answer; an empty one is ``{}`` (4). Raises ValueError.

    Halves of characters become question marks: with one in it a text cannot be written anywhere.
    """
    if not body.strip():
        return {}
    value = read_json(body)
    if _HALVES.search(body):
        value = read_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return obj(value)


class HttpError(UnreadableResponse):
    """An answer with an HTTP status that is not 200: an edge or gateway answered, not the API."""

    def __init__(self, call: str, status: int) -> None:
        super().__init__(call, Text("HTTP status {status}", status=status))
        self.status = status
        # 4xx is about the request; repeating it cannot help (4).
        if 400 <= status < 500:
            self.handling, self.unsure = FailureHandling.NEVER, False


@dataclass(frozen=True, slots=True)
class Credentials:
    """The result of a login (5.2). ``base`` is the account's API base as the server named it, "" for the default."""

    token: str = field(repr=False)
    bot_id: str
    user_id: str
    base: str = ""


@dataclass(frozen=True, slots=True)
class ApiBase:
    """A host, and the path before a call's own."""

    host: str
    prefix: str = ""


class ILinkHosts:
    """The allowed hosts: WeChat's, and that of ``server``, the option for a sandbox."""

    def __init__(self, server: str) -> None:
        self._server = urlsplit(server).hostname or ""

    def allowed(self, host: str) -> bool:
        """Whether a token or content may be sent to ``host``, which comes from outside."""
        # A suffix proves nothing if the host ends earlier: "evil.example#.weixin.qq.com".
        if not _HOST_NAME.fullmatch(host):
            return False
        if self._server and host == self._server:
            return True
        return any(host == domain or host.endswith(f".{domain}") for domain in _DOMAINS)

    def place(self, url: str) -> ApiBase | None:
        """Return where a base URL leads; None if that is not an allowed host over HTTPS."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            return None
        if not self._secure(parts.scheme) or not self.allowed(host):
            return None
        return ApiBase(host, parts.path.rstrip("/"))

    def content(self, url: str) -> tuple[str, str, str] | None:
        """Split a CDN URL into host, path and query without changing a byte; None as ``place``.

        The parameters contain ``+``, ``/`` and ``=``: re-quoting would break them (11.3).
        """
        scheme, separator, rest = url.partition("://")
        authority, slash, tail = rest.partition("/")
        host = authority.rpartition("@")[2].partition(":")[0].lower()
        if not separator or not self._secure(scheme.lower()) or not self.allowed(host):
            return None
        path, _, query = (slash + tail).partition("#")[0].partition("?")
        return host, path or "/", query

    def _secure(self, scheme: str) -> bool:
        return scheme == "https" or (bool(self._server) and scheme == "http")


class ILinkCalls:
    """The nine calls of the API, and the two of its CDN."""

    def __init__(self, transport: Transport, timing: ILinkTiming, hosts: ILinkHosts, answer_bytes: int) -> None:
        self._transport = transport
        self._timing = timing
        self._hosts = hosts
        self._answer_bytes = answer_bytes

    # -- login

    async def qrcode(self, tokens: Sequence[str]) -> JsonObject:
        """Request a login code. ``tokens``: the account's last token, which identifies a bound bot (5.1)."""
        body: JsonObject = {"local_token_list": list(tokens)}
        return await self._post("get_bot_qrcode", ApiBase(LOGIN_HOST), body, self._timing.code, query="bot_type=3")

    async def qrcode_status(self, host: str, qrcode: str, digits: str) -> JsonObject:
        """Ask for the status of a login code. The server holds the request while nothing happens (5.2)."""
        query = {"qrcode": qrcode, **({"verify_code": digits} if digits else {})}
        return await self._ask(
            LineRequest(
                "get_qrcode_status",
                host,
                "/ilink/bot/get_qrcode_status",
                urlencode(query, quote_via=quote, safe=""),
                headers=self._app_headers(),
                timeout=self._timing.code_poll,
                limit=_ANSWER_BYTES,
                patient=True,
            )
        )

    # -- with a token

    async def updates(self, credentials: Credentials, cursor: str, seconds: float) -> JsonObject:
        """Wait for messages after ``cursor``, at most ``seconds`` (6)."""
        body: JsonObject = {"get_updates_buf": cursor}
        return await self._authorized("getupdates", credentials, body, seconds, patient=True)

    async def send(self, credentials: Credentials, message: JsonObject) -> JsonObject:
        """Send one message of one item (8)."""
        return await self._authorized("sendmessage", credentials, {"msg": message}, self._timing.call)

    async def config(self, credentials: Credentials, user: str, context: str) -> JsonObject:
        """Fetch the ticket for typing notices (10)."""
        body: JsonObject = {"ilink_user_id": user, **({"context_token": context} if context else {})}
        return await self._authorized("getconfig", credentials, body, self._timing.brief)

    async def typing(self, credentials: Credentials, user: str, ticket: str, on: bool) -> JsonObject:
        """Show or clear the typing notice at a user's phone (10)."""
        body: JsonObject = {"ilink_user_id": user, "typing_ticket": ticket, "status": 1 if on else 2}
        return await self._authorized("sendtyping", credentials, body, self._timing.brief)

    async def upload_permit(self, credentials: Credentials, facts: JsonObject) -> JsonObject:
        """Ask where ciphertext may be uploaded (11.2)."""
        return await self._authorized("getuploadurl", credentials, facts, self._timing.call)

    async def notify(self, credentials: Credentials, start: bool, seconds: float) -> JsonObject:
        """Announce that the client starts or stops (10)."""
        return await self._authorized(f"msg/notify{'start' if start else 'stop'}", credentials, {}, seconds)

    # -- content

    def download(self, url: str, parameter: str, limit: int) -> LineRequest:
        """Return the request for received content. Raises UnreadableResponse if its host is not WeChat's."""
        return self._content("download", url, f"encrypted_query_param={quote(parameter, safe='')}", limit)

    def upload(self, url: str, parameter: str, filekey: str) -> LineRequest:
        """Return the request that uploads ciphertext, without its body. Raises UnreadableResponse as ``download``."""
        query = f"encrypted_query_param={quote(parameter, safe='')}&filekey={quote(filekey, safe='')}"
        return self._content("upload", url, query, _ANSWER_BYTES)

    def _content(self, call: str, url: str, query: str, limit: int) -> LineRequest:
        found = self._hosts.content(url) if url else (_CDN_HOST, f"{_CDN_PATH}/{call}", query)
        if found is None:
            raise UnreadableResponse(call, Text("the content is not on one of WeChat's hosts"))
        host, path, query = found
        return LineRequest(f"CDN {call}", host, path, query, limit=limit, timeout=self._timing.transfer_base)

    # -- one request

    async def _authorized(
        self, call: str, credentials: Credentials, body: JsonObject, seconds: float, patient: bool = False
    ) -> JsonObject:
        place = self._hosts.place(credentials.base) if credentials.base else ApiBase(LOGIN_HOST)
        # The base comes from WeChat's answer, and the token is sent to it: a foreign host could read and send for the
        # account.
        if place is None:
            raise UnreadableResponse(call, Text("the account's API base is not one of WeChat's hosts"))
        described: JsonObject = {**body, "base_info": {"channel_version": CHANNEL_VERSION, "bot_agent": _AGENT}}
        return await self._post(call, place, described, seconds, credentials.token, patient=patient)

    async def _post(
        self,
        call: str,
        place: ApiBase,
        body: JsonObject,
        seconds: float,
        token: str = "",
        query: str = "",
        patient: bool = False,
    ) -> JsonObject:
        headers = {
            **self._app_headers(),
            "Content-Type": "application/json",
            "AuthorizationType": "ilink_bot_token",
            # Random in each request, as the official client sends it (3).
            "X-WECHAT-UIN": uin_header(secrets.randbits(32)),
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        limit = self._answer_bytes if call == "getupdates" else _ANSWER_BYTES
        path = f"{place.prefix}/ilink/bot/{call}"
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        return await self._ask(
            LineRequest(call, place.host, path, query, "POST", content, headers, seconds, limit, patient)
        )

    async def _ask(self, request: LineRequest) -> JsonObject:
        answer: LineResponse = await self._transport.send(request)
        if answer.status != 200:
            raise HttpError(request.call, answer.status)
        try:
            return read_answer(answer.body)
        except ValueError:
            raise UnreadableResponse(request.call, Text("the answer is not JSON")) from None

    @staticmethod
    def _app_headers() -> dict[str, str]:
        return {"iLink-App-Id": "bot", "iLink-App-ClientVersion": str(client_version(CHANNEL_VERSION))}
