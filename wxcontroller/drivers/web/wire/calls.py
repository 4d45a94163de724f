"""The requests of the Web protocol, one method each (weixin-web-protocol 3, 5). Answers come back undecoded."""

import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.drivers.connection.transport import LineRequest, LineResponse, ReceivedFile, Transport
from wxcontroller.drivers.web.wire.extspam import EXTSPAM
from wxcontroller.drivers.web.wire.hosts import QR_HOST, hosts_of
from wxcontroller.drivers.web.wire.timing import WebTiming

# Limit of an answer of WeChat without people, messages or media.
WECHAT_SHORT_ANSWER_BYTES = 1 << 20
CGI = "/cgi-bin/mmwebwx-bin/"
_APPID = "wx782c26e4c19acffb"
_JSON = {"Content-Type": "application/json; charset=UTF-8"}

# (Key, Val) pairs, opaque, returned unchanged.
SyncKey = tuple[tuple[int, int], ...]


@dataclass(slots=True)
class WebSession:
    """The values of one login (4). ``me`` is the account's own UserName, ``opened`` seconds since 1970."""

    domain: str
    uin: int
    sid: str = field(repr=False)
    skey: str = field(repr=False)
    pass_ticket: str = field(repr=False)  # still percent-encoded: opaque (1.6)
    desktop: bool = False
    me: str = ""
    opened: float = 0.0
    sync_key: SyncKey = field(default=(), repr=False)
    check_key: SyncKey = field(default=(), repr=False)
    invite_from: int = 40  # members of a group from which people are invited, not added (5.15); not stored


class WebCalls:
    """The protocol's requests over one transport."""

    def __init__(
        self,
        transport: Transport,
        timing: WebTiming,
        lang: str,
        wechat_answer_bytes: int = DEFAULTS.wechat_answer_bytes,
    ) -> None:
        self._many = wechat_answer_bytes
        self._transport = transport
        self._timing = timing
        self._lang = lang

    # -- login

    async def jslogin(self, domain: str, desktop: bool) -> LineResponse:
        """Ask for a uuid (3.1)."""
        page = f"https://{domain}{CGI}webwxnewloginpage" + ("?mod=desktop" if desktop else "")
        query = query_of(appid=_APPID, redirect_uri=page, fun="new", lang=self._lang, _=now_ms())
        return await self.get("jslogin", hosts_of(domain).login, "/jslogin", query)

    async def qrcode(self, uuid: str) -> LineResponse:
        """Fetch the JPEG of a QR code (3.2)."""
        return await self.get("qrcode", QR_HOST, f"/qrcode/{_uuid(uuid)}", "")

    async def login_poll(self, domain: str, uuid: str, tip: int) -> LineResponse:
        """Wait for something to happen to a uuid (3.3)."""
        query = f"loginicon=true&uuid={_uuid(uuid)}&" + query_of(tip=tip, r=inverted_clock(), _=now_ms())
        host = hosts_of(domain).login
        timeout = self._timing.poll
        return await self.get("login", host, CGI + "login", query, timeout=timeout, patient=True)

    async def push_login(self, domain: str, uin: int, desktop: bool) -> LineResponse:
        """Ask the phone of a former session to confirm a login (3.4)."""
        query = query_of(uin=uin) + ("&mod=desktop" if desktop else "")
        return await self.get("webwxpushloginurl", domain, CGI + "webwxpushloginurl", query, domain)

    async def login_page(self, host: str, path: str, query: str, desktop: bool) -> LineResponse:
        """Turn a confirmed login into a session (3.5): ``query`` is that of the redirect."""
        more = "fun=new&version=v2" + ("" if "lang=" in query else f"&lang={self._lang}")
        headers = {"Referer": f"https://{host}/"}
        if desktop:
            more += "&mod=desktop"
            headers = {
                "Referer": "https://wx.qq.com/?&lang=zh_CN&target=t",
                "client-version": "2.0.0",
                "extspam": EXTSPAM,
            }
        request = LineRequest(
            "webwxnewloginpage",
            host,
            path,
            f"{query}&{more}" if query else more,
            headers=headers,
            timeout=10.0,
            limit=WECHAT_SHORT_ANSWER_BYTES,
        )
        return await self._send(request)

    async def init(self, session: WebSession) -> LineResponse:
        """Open or reopen the session (5.1)."""
        return await self.post("webwxinit", session, query_of(r=inverted_clock()), {}, limit=self._many)

    async def status_notify(self, session: WebSession, code: int, to: str) -> LineResponse:
        """Notify the phone that the session is active (code 3) or that a chat was read (1) (5.2)."""
        body: JsonObject = {"Code": code, "FromUserName": session.me, "ToUserName": to, "ClientMsgId": now_ms()}
        return await self.post("webwxstatusnotify", session, "", body)

    async def logout(self, session: WebSession) -> LineResponse:
        """End the session for all clients with its cookies (5.17)."""
        query = query_of(redirect=1, type=0, skey=session.skey)
        request = LineRequest(
            "webwxlogout",
            session.domain,
            CGI + "webwxlogout",
            query,
            method="POST",
            body=query_of(sid=session.sid, uin=session.uin).encode(),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Referer": f"https://{session.domain}/",
            },
            timeout=10.0,
            limit=WECHAT_SHORT_ANSWER_BYTES,
        )
        return await self._send(request)

    # -- contacts

    async def contacts(self, session: WebSession, seq: int) -> LineResponse:
        """Fetch a page of the address book (5.3)."""
        query = query_of(r=now_ms(), seq=seq, skey=session.skey, pass_ticket=session.pass_ticket, lang=self._lang)
        timeout = self._timing.contacts
        return await self.get(
            "webwxgetcontact",
            session.domain,
            CGI + "webwxgetcontact",
            query,
            session.domain,
            timeout,
            self._many,
            True,
        )

    async def batch_contacts(self, session: WebSession, ids: Iterable[tuple[str, str]]) -> LineResponse:
        """Fetch up to 50 people or groups with members by UserName, members with the key of their group (5.4)."""
        entries: list[JsonValue] = [{"UserName": name, "EncryChatRoomId": key} for name, key in ids]
        body: JsonObject = {"Count": len(entries), "List": entries}
        query = query_of(type="ex", r=now_ms())
        timeout = self._timing.contacts
        return await self.post("webwxbatchgetcontact", session, query, body, timeout, self._many, patient=True)

    # -- messages

    async def sync_check(self, session: WebSession) -> LineResponse:
        """Wait for news (5.5)."""
        keys = session.check_key or session.sync_key
        query = query_of(
            r=now_ms(),
            skey=session.skey,
            sid=session.sid,
            uin=session.uin,
            deviceid=device(),
            synckey="|".join(f"{key}_{value}" for key, value in keys),
            _=now_ms(),
        )
        host = hosts_of(session.domain).push
        timeout, limit = self._timing.poll, 1 << 16
        return await self.get("synccheck", host, CGI + "synccheck", query, session.domain, timeout, limit, True)

    async def sync(self, session: WebSession) -> LineResponse:
        """Fetch news (5.6)."""
        pairs: list[JsonValue] = [{"Key": key, "Val": value} for key, value in session.sync_key]
        body: JsonObject = {"SyncKey": {"Count": len(pairs), "List": pairs}, "rr": inverted_clock()}
        query = query_of(sid=session.sid, skey=session.skey)
        return await self.post("webwxsync", session, query, body, limit=self._many)

    async def send(
        self,
        session: WebSession,
        call: str,
        query: str,
        to: str,
        client_id: str,
        message: JsonObject,
        scene: int = 0,
    ) -> LineResponse:
        """Send a message; ``message`` are the fields of Msg that make its kind (5.7, 5.10, 5.11)."""
        envelope: JsonObject = {
            "FromUserName": session.me,
            "ToUserName": to,
            "LocalID": client_id,
            "ClientMsgId": client_id,
        }
        return await self.post(call, session, query, {"Msg": {**message, **envelope}, "Scene": scene})

    # -- common parts

    def dressed(self, request: LineRequest) -> LineRequest:
        """Return a request with the page's additions to all calls; the web page has none."""
        return request

    async def _send(self, request: LineRequest) -> LineResponse:
        return await self._transport.send(self.dressed(request))

    async def get(
        self,
        call: str,
        host: str,
        path: str,
        query: str,
        referer: str = "",
        timeout: float = 0.0,
        limit: int = 0,
        patient: bool = False,
    ) -> LineResponse:
        """Carry a GET; ``timeout`` and ``limit`` 0 are the usual ones. ``patient``: the server needs its time."""
        headers = {"Referer": f"https://{referer}/"} if referer else {}
        timeout = timeout or self._timing.call
        request = LineRequest(
            call, host, path, query, "GET", b"", headers, timeout, limit or WECHAT_SHORT_ANSWER_BYTES, patient
        )
        return await self._send(request)

    async def post(
        self,
        call: str,
        session: WebSession,
        query: str,
        body: JsonObject,
        timeout: float = 0.0,
        limit: int = 0,
        patient: bool = False,
    ) -> LineResponse:
        """POST JSON to the session's host, with the fields of every such request (4)."""
        common = query_of(pass_ticket=session.pass_ticket, lang=self._lang)
        request = LineRequest(
            call,
            session.domain,
            CGI + call,
            f"{query}&{common}" if query else common,
            method="POST",
            body=minimal_json({"BaseRequest": base_request(session), **body}),
            headers={**_JSON, "Referer": f"https://{session.domain}/"},
            timeout=timeout or self._timing.call,
            limit=limit or WECHAT_SHORT_ANSWER_BYTES,
            patient=patient,
        )
        return await self._send(request)

    async def download(
        self,
        call: str,
        session: WebSession,
        host: str,
        path_and_query: str,
        take: Callable[[bytes], object],
        limit: int,
        part: str = "",
        begin: Callable[[ReceivedFile], object] = lambda _: None,
    ) -> ReceivedFile:
        """Carry a GET for content of at most ``limit`` bytes; ``part`` is a Range. See Transport.fetch."""
        path, _, query = path_and_query.partition("?")
        headers = {"Referer": f"https://{session.domain}/"} | ({"Range": part} if part else {})
        request = LineRequest(call, host, path, query, headers=headers, timeout=self._timing.silence, limit=limit)
        return await self._transport.fetch(self.dressed(request), take, begin)

    async def upload(self, session: WebSession, body: bytes, boundary: str) -> LineResponse:
        """Carry a form with a piece of a file (5.8)."""
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Referer": f"https://{session.domain}/",
        }
        host, path = hosts_of(session.domain).file, CGI + "webwxuploadmedia"
        timeout = self._timing.upload
        request = LineRequest(
            "webwxuploadmedia", host, path, "f=json", "POST", body, headers, timeout, WECHAT_SHORT_ANSWER_BYTES, True
        )
        return await self._send(request)


def base_request(session: WebSession) -> JsonObject:
    """Return BaseRequest, which every JSON body has (4)."""
    return {"Uin": session.uin, "Sid": session.sid, "Skey": session.skey, "DeviceID": device()}


def minimal_json(value: JsonObject) -> bytes:
    r"""Return JSON in which only ``"``, ``\`` and control characters are escaped.

    WeChat's reader does not undo ``\/`` nor ``\uXXXX`` (1.6). Control characters other than tab and line feed
    could only be written as ``\uXXXX``: they are left out by ``sendable``.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def sendable(content: str) -> str:
    """Return a text without control characters, which cannot be sent, and with a line feed for each line end."""
    content = content.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in content if c >= " " or c in "\n\t")


def query_of(**values: str | int) -> str:
    """Return a query of percent-encoded values."""
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in values.items())


def _uuid(uuid: str) -> str:
    return quote(uuid, safe="=-_")  # its "==" is sent unescaped (3.1)


def now_ms() -> int:
    """Return milliseconds since 1970."""
    return int(time.time() * 1000)


def inverted_clock() -> int:
    """Return ``~Date.now()`` as a 32-bit integer, as the page does."""
    value = ~now_ms() & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def device() -> str:
    return f"e{secrets.randbelow(10**15):015d}"
