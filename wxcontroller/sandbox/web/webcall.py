"""One call of a web client: its parts, and the checks of every call with a session."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPMethod

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, obj, text
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.sandbox.hosts import FILE_PAGES, Host, Role, serves
from wxcontroller.sandbox.media import webmarkup
from wxcontroller.sandbox.requestlog import Violation
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.web import payloads
from wxcontroller.sandbox.world.phone import ServerAccount
from wxcontroller.sandbox.world.websession import ServerSession

MARK = "mmweb_appid"
_DEVICE_ID = re.compile(r"e\d{15}")

# The web page's host and the File Transfer page's.
PAGES = frozenset({Role.BASE, Role.FILE_PAGE})
ERR_SYS, ERR_LOGIC, PARAMETER = -1, -2, 1
NO_SESSION, SESSION_INVALID, COOKIE_INVALID = 1100, 1101, 1102
UNREADABLE, REFUSED_LOGIN, REFUSED_SEND, TOO_OFTEN = 1200, 1203, 1204, 1205


class WebRefusal(Exception):
    """The server refuses: ``ret`` is its code (10.1), ``why`` the text for the request log (no secrets)."""

    def __init__(self, ret: int, why: str) -> None:
        super().__init__(why)
        self.ret = ret
        self.why = why


@dataclass(frozen=True, slots=True)
class WebEndpoint:
    """One endpoint. ``refusal`` returns a code in this endpoint's format."""

    name: str
    roles: frozenset[Role]
    handler: "Callable[[WebCall], Awaitable[web.StreamResponse]]"
    refusal: Callable[[int], web.Response]
    methods: frozenset[str] = frozenset({HTTPMethod.GET})


@dataclass(slots=True)
class WebCall:
    """A request to a WeChat host. Cookies are read literally, as the server does: quotes would be part of a value."""

    sandbox: Sandbox
    request: web.Request
    host: Host
    endpoint: WebEndpoint
    cookies: dict[str, str]
    body: bytes = b""
    _json: JsonObject | None = field(default=None)
    _uin: int | None = field(default=None)  # of a session that no cookies name

    def who(self) -> int | None:
        """Return the account that this call claims to be from, unchecked."""
        uin = self._uin or integer(self.cookies.get("wxuin", ""))
        if uin in self.sandbox.accounts:
            return uin
        login = self.sandbox.logins.all.get(self.request.query.get("uuid", ""))
        if login is not None:
            return login.uin
        uin = integer(self.request.query.get("uin", ""))
        return uin if uin in self.sandbox.accounts else None

    def note(self, what: str, refused: int | None = None) -> None:
        """Record a violation of the protocol; ``refused`` is the code that the request is refused with."""
        self.sandbox.ledger.add(Violation(time.time(), self.who(), self.endpoint.name, what, refused))

    def breach(self, ret: int, what: str) -> None:
        """Record a violation that the real service is not known to refuse; in strict mode refuse it with ``ret``.

        A check raises ``WebRefusal`` itself only where a report from production shows that the service refuses, or
        where the request cannot be carried out.
        """
        if self.sandbox.options.strict:
            raise WebRefusal(ret, what)
        self.note(what)

    def json(self) -> JsonObject:
        """Return the JSON body, parsed as the server parses it. Refuses anything else with 1200."""
        if self._json is None:
            if "json" not in media_type(self.request.headers.get("Content-Type", "")):
                self.note("body is not declared as application/json")
            try:
                value = webmarkup.load(self.body)
            except ValueError:
                raise WebRefusal(UNREADABLE, "the body is not UTF-8 JSON") from None
            if not isinstance(value, dict):
                raise WebRefusal(UNREADABLE, "the body is not a JSON object")
            self._json = value
        return self._json

    def session(self, need_skey: bool = True) -> tuple[ServerAccount, ServerSession]:
        """Return the caller's session after checking all credentials (1.5, 4, 9.3).

        ``need_skey`` False permits a missing skey, as for init and sync; a wrong one is always refused. Refuses with
        1102 for missing cookies, 1100 for an unknown session (or one of another domain), 1101 for one that does not
        fit, and with its own code for one that has ended.
        """
        account, session = self._by_cookies()
        self._check_query(session)
        if self.request.method == HTTPMethod.POST and self.endpoint.name not in ("webwxlogout", "webwxgetcontact"):
            self.check_base_request(session, self.json().get("BaseRequest"), need_skey)
        elif need_skey and not self.request.query.get("skey"):
            self.breach(SESSION_INVALID, "skey is missing in the query")
        session.learn(account.world)
        return account, session

    def uploader(self, base_request: JsonValue) -> tuple[ServerAccount, ServerSession]:
        """Return the session of an upload, whose BaseRequest is in a part of the form (5.8).

        itchat 1.2 and wxpy upload without cookies, and WeChat took their files: the form identifies the session.
        """
        if self.cookies.get("wxsid") or self.cookies.get("wxuin"):
            account, session = self._by_cookies()
        else:
            base = obj(base_request)
            account, session = self._named(text(base.get("Sid")).replace("\\/", "/"), base.get("Uin"), "BaseRequest")
            self._uin = account.uin
            self.breach(COOKIE_INVALID, "cookies wxsid and wxuin are missing")
        self.check_base_request(session, base_request, True)
        session.learn(account.world)
        return account, session

    def _by_cookies(self) -> tuple[ServerAccount, ServerSession]:
        sid, uin = self.cookies.get("wxsid", ""), self.cookies.get("wxuin", "")
        if not sid or not uin:
            raise WebRefusal(COOKIE_INVALID, "cookie wxsid or wxuin is missing")
        if sid.startswith('"'):
            self.note("cookie values are sent in quotes")
        return self._named(sid, uin, "cookies wxsid and wxuin")

    def _named(self, sid: str, uin: JsonValue, where: str) -> tuple[ServerAccount, ServerSession]:
        """Return the session that a request names in ``where``, if it is alive and at home here."""
        session = self.sandbox.sessions.get(sid)
        if session is None:
            raise WebRefusal(NO_SESSION, f"{where}: there is no such session here")
        if integer(uin) != session.uin:
            raise WebRefusal(SESSION_INVALID, f"{where}: the account is not that of the session")
        if session.dead:
            raise WebRefusal(session.dead, f"the session ended with {session.dead}")
        if not serves(self.host, session.domain):
            raise WebRefusal(NO_SESSION, "the session is at home on another domain")
        if session.domain in FILE_PAGES:
            self.check_mark()
        return self.sandbox.accounts[session.uin], session

    def check_mark(self) -> None:
        """Record a call of the File Transfer page without its header: WeChat's reaction is unknown (15.8)."""
        if MARK not in self.request.query and MARK not in self.request.headers:
            self.note(f"{MARK} is missing")

    def _check_query(self, session: ServerSession) -> None:
        query = self.request.query
        if (sid := query.get("sid") or session.sid) != session.sid:
            if sid.replace(" ", "+") != session.sid:
                raise WebRefusal(SESSION_INVALID, "sid is wrong in the query")
            self.breach(SESSION_INVALID, "sid holds a space in the query: encode + as %2B")
        if integer(query.get("uin") or session.uin) != session.uin:
            raise WebRefusal(SESSION_INVALID, "uin is wrong in the query")
        if query.get("skey") and query["skey"] not in session.skeys:
            raise WebRefusal(SESSION_INVALID, "skey is wrong in the query")
        if query.get("pass_ticket") and not session.takes_pass_ticket(query["pass_ticket"]):
            self.breach(PARAMETER, "pass_ticket is wrong")

    def check_base_request(self, session: ServerSession, base_request: JsonValue, need_skey: bool) -> None:
        """Refuse a BaseRequest that is not this session's."""
        base = obj(base_request)
        if not base:
            self.breach(PARAMETER, "BaseRequest is missing")
            return
        sid = text(base.get("Sid"))
        if "\\/" in sid:
            self.breach(SESSION_INVALID, "BaseRequest.Sid holds a backslash: do not escape / in JSON")
            sid = sid.replace("\\/", "/")
        if integer(base.get("Uin")) != session.uin or sid != session.sid:
            raise WebRefusal(SESSION_INVALID, "BaseRequest.Uin or Sid is wrong")
        self.check_skey(session, text(base.get("Skey")), "BaseRequest.Skey", need_skey)
        if not _DEVICE_ID.fullmatch(text(base.get("DeviceID"))):
            self.note("BaseRequest.DeviceID is not e and 15 digits")

    def check_skey(self, session: ServerSession, skey: str, where: str, needed: bool = True) -> None:
        """Refuse a wrong skey; a missing one is a violation if ``needed``: after a login by cookies alone a client
        has none (3.6)."""
        if skey and skey not in session.skeys:
            raise WebRefusal(SESSION_INVALID, f"{where} is wrong")
        if not skey and needed:
            self.breach(SESSION_INVALID, f"{where} is missing")


def read_cookies(header: str) -> dict[str, str]:
    """Split a Cookie header without interpreting values."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, _, value in pairs if name}


def answer(value: JsonValue) -> web.Response:
    """Return JSON as the server sends it: declared as plain text (1.4)."""
    return script(webmarkup.dump(value))


def refusing(**blank: JsonValue) -> Callable[[int], web.Response]:
    """Return how an endpoint reports a code: in a response whose other fields are ``blank``."""
    return lambda ret: answer({**payloads.base(ret), **blank})


def script(body: str) -> web.Response:
    """Return a script fragment or other text."""
    return web.Response(text=body, content_type="text/plain", charset="utf-8")


def page(body: str, status: int = 200) -> web.Response:
    """Return a small HTML page."""
    return web.Response(
        text=f"<!DOCTYPE html><html><body>{body}</body></html>", content_type="text/html", status=status
    )
