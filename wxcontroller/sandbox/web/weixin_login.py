"""Login: uuid, QR code, poll, session values, push login, logout (3, 5.17)."""

import base64
import time
from http import HTTPMethod
from urllib.parse import parse_qs, quote, unquote, urlsplit

from aiohttp import web

from wxcontroller.core.jsontypes import JsonValue, integer
from wxcontroller.sandbox.hosts import DOMAINS, FILE_PAGES, Role, parent_domain
from wxcontroller.sandbox.media import jpeg
from wxcontroller.sandbox.web.desktop import is_complete, is_desktop, tries_to_be_desktop
from wxcontroller.sandbox.web.webcall import (
    NO_SESSION,
    PAGES,
    PARAMETER,
    REFUSED_LOGIN,
    WebCall,
    WebEndpoint,
    WebRefusal,
    answer,
    page,
    script,
)
from wxcontroller.sandbox.world.logins import LoginStage, WebLoginCode, client_of, link
from wxcontroller.sandbox.world.phone import ServerAccount
from wxcontroller.sandbox.world.websession import ServerSession

APP_ID = "wx782c26e4c19acffb"
FILE_APP_ID = "wx_webfilehelper"
LOGIN_PAGE = "/cgi-bin/mmwebwx-bin/webwxnewloginpage"


async def jslogin(call: WebCall) -> web.Response:
    """Hand out a uuid (3.1), for the web page or the File Transfer page (15.2)."""
    query = call.request.query
    file_page = query.get("appid") == FILE_APP_ID
    if not file_page and query.get("appid") != APP_ID:
        call.breach(PARAMETER, "appid is not the web client's")
    if query.get("fun") != "new":
        call.note("fun is not new")
    desktop = False
    if target := query.get("redirect_uri"):
        url = urlsplit(unquote(target) if file_page else target)  # the File Transfer page encodes it twice
        if url.hostname not in (FILE_PAGES if file_page else DOMAINS) or url.path != LOGIN_PAGE:
            call.breach(PARAMETER, "redirect_uri is not a login page of ours")
        desktop = parse_qs(url.query).get("mod") == ["desktop"]
    login = call.sandbox.logins.new(desktop, file_page=file_page, client=client_of(call.request.headers))
    call.sandbox.touch()
    return script(f'window.QRLogin.code = 200; window.QRLogin.uuid = "{login.uuid}";')


def jslogin_refusal(ret: int) -> web.Response:
    """Refuse jslogin."""
    return script(f'window.QRLogin.code = {ret}; window.QRLogin.uuid = "";')


async def qrcode(call: WebCall) -> web.Response:
    """Draw the code of a uuid (3.2)."""
    uuid = call.request.path.removeprefix("/qrcode/")
    login = call.sandbox.logins.get(uuid)
    if login is None or login.state is LoginStage.EXPIRED:
        raise WebRefusal(PARAMETER, "the uuid is unknown or expired")
    return web.Response(body=jpeg.qr_code(link(uuid)), content_type="image/jpeg")


async def scan_link(call: WebCall) -> web.Response:
    """The page at the code's link, for browsers; the phone is on the sandbox's phone page."""
    return page("Scan this code with the sandbox's phone page or its scripting API.")


def not_found(ret: int) -> web.Response:
    """Refuse a picture or page."""
    return page(f"Not found ({ret})", status=404)


async def login(call: WebCall) -> web.Response:
    """Hold the poll until the phone does something (3.3)."""
    query = call.request.query
    logins = call.sandbox.logins
    deadline = time.monotonic() + call.sandbox.options.poll_hold
    while True:
        found = logins.get(query.get("uuid", ""))
        if found is None:
            return login_refusal(400)
        if found.file_page and query.get("appid") != FILE_APP_ID:
            call.note("appid of the File Transfer page is missing")
        match found.state:
            case LoginStage.SCANNED if query.get("tip") != "0":
                return script("window.code=201;" + _avatar(call, found))
            case LoginStage.CONFIRMED:
                return redirect(call, found)
            case LoginStage.CANCELLED:
                return login_refusal(202)
            case LoginStage.EXPIRED | LoginStage.REFUSED | LoginStage.DONE:
                return login_refusal(400)
            case _:
                pass
        left = deadline - time.monotonic()
        if left <= 0:
            return login_refusal(408)
        await found.bell.wait(min(left, max(0.01, found.expires - logins.clock.now())))


def login_refusal(ret: int) -> web.Response:
    """Answer a poll with only a code."""
    return script(f"window.code={ret};")


def _avatar(call: WebCall, found: WebLoginCode) -> str:
    account = call.sandbox.accounts.get(found.uin or 0)
    if account is None or not account.avatar:
        return ""
    picture = base64.b64encode(jpeg.avatar(account.wxid)).decode()
    return f"window.userAvatar = 'data:img/jpg;base64,{picture}';"


def redirect(call: WebCall, found: WebLoginCode) -> web.Response:
    account = call.sandbox.accounts[found.uin or 0]
    call.sandbox.confirmed_polls += 1
    separator = ";\n" if call.sandbox.confirmed_polls % 2 else ";"
    return script(f'window.code=200{separator}window.redirect_uri="{login_page(account, found)}";')


def login_page(account: ServerAccount, found: WebLoginCode) -> str:
    ticket, uuid = quote(found.ticket, safe="@"), found.uuid
    return f"https://{account.home(found.file_page)}{LOGIN_PAGE}?ticket={ticket}&uuid={uuid}&lang=zh_CN&scan={found.scan}"


async def webwxnewloginpage(call: WebCall) -> web.Response:
    """Trade the ticket for a session (3.5)."""
    query, sandbox = call.request.query, call.sandbox
    found = sandbox.logins.get(query.get("uuid", ""))
    account = sandbox.accounts.get(found.uin or 0) if found is not None else None
    if found is None or account is None or not found.ticket or query.get("ticket") != found.ticket:
        raise WebRefusal(PARAMETER, "uuid or ticket is wrong")
    reusable = found.state is LoginStage.DONE and found.session is not None and not found.session.initialised
    if found.state is not LoginStage.CONFIRMED and not reusable:
        raise WebRefusal(PARAMETER, f"the login is {found.state.value}")
    if call.host.domain != account.home(found.file_page):
        call.note("the login page was asked for on another domain than redirect_uri says")
        moved = login_page(account, found).replace("&", "&amp;")
        return error_page(0, f"<redirecturl>{moved}</redirecturl>")
    desktop = is_desktop(call)
    if not is_complete(call):
        call.note("desktop mode needs mod=desktop, client-version and the right extspam together")
    if desktop != found.desktop:
        call.note("jslogin and webwxnewloginpage do not agree on desktop mode")
    if found.file_page:
        call.check_mark()
        if desktop or tries_to_be_desktop(call):
            call.note("the File Transfer page has no desktop mode")
    elif not account.web_login.lets_in(desktop):
        sandbox.logins.move(found, LoginStage.REFUSED)
        raise WebRefusal(REFUSED_LOGIN, f"the account may not log in by {'desktop' if desktop else 'normal'} mode")
    session = sandbox.take_ticket(found, account, desktop)
    body = (
        f"<skey>{session.skey}</skey><wxsid>{session.sid}</wxsid><wxuin>{session.uin}</wxuin>"
        f"<pass_ticket>{session.pass_ticket}</pass_ticket><isgrayscale>1</isgrayscale>"
    )
    response = error_page(0, body)
    if query.get("version") != "v2":
        response.set_status(301)  # without Location: for clients without version=v2
    set_cookies(call, account, session, response)
    return response


def newloginpage_refusal(ret: int) -> web.Response:
    """Refuse a login."""
    message = ""
    if ret == REFUSED_LOGIN:
        message = "当前帐号不允许登录网页版，请使用电脑客户端登录。"
    elif ret == 1205:
        message = "操作太频繁，请稍后再试。"
    return error_page(ret, "", message)


def error_page(ret: int, body: str, message: str = "") -> web.Response:
    return script(f"<error><ret>{ret}</ret><message>{message}</message>{body}</error>")


def set_cookies(call: WebCall, account: ServerAccount, session: ServerSession, response: web.Response) -> None:
    device, auth_ticket = account.new_ticket()
    # The domain of the File Transfer page's cookies is unknown; they are needed on its file host, too.
    home, on_page = session.domain, session.domain in FILE_PAGES
    own = parent_domain(home) if on_page else f".{home}"
    secure = "; Secure" if call.request.secure else ""
    for name, value, domain in (
        ("wxuin", str(session.uin), own),
        ("wxsid", session.sid, own),
        ("wxloadtime", str(int(time.time())), own),
        ("mm_lang", "zh_CN", own),
        ("webwx_data_ticket", session.data_ticket, parent_domain(home)),
        ("webwxuvid", device, own),
        ("webwx_auth_ticket", auth_ticket, own),
    ):
        response.headers.add("Set-Cookie", f"{name}={value}; Domain={domain}; Path=/{secure}")


async def webwxpushloginurl(call: WebCall) -> web.Response:
    """Ask the phone of an account for a push login (3.4)."""
    cookies = call.cookies
    uin = integer(call.request.query.get("uin", ""))
    account = call.sandbox.accounts.get(uin)
    if account is None or integer(cookies.get("wxuin", "")) != uin:
        raise WebRefusal(PARAMETER, "uin is unknown or not the cookie's")
    if call.host.role is not Role.BASE:
        call.breach(NO_SESSION, f"asked for on a {call.host.role.value} host")
    elif account.domain != call.host.domain:
        raise WebRefusal(NO_SESSION, "the account is at home on another domain")
    ticket = account.tickets.get(cookies.get("webwxuvid", ""))
    if ticket is None or cookies.get("webwx_auth_ticket") != ticket:
        raise WebRefusal(PARAMETER, "cookies webwxuvid and webwx_auth_ticket are missing or old")
    if not account.push_login:
        raise WebRefusal(PARAMETER, "the account is offered no push login")
    found = call.sandbox.logins.new(call.request.query.get("mod") == "desktop", push_for=uin)
    call.sandbox.touch()
    return answer({"ret": "0", "msg": "all ok", "uuid": found.uuid})


def pushlogin_refusal(ret: int) -> web.Response:
    """Answer that a QR code is needed."""
    refused: JsonValue = {"ret": str(ret), "msg": "not allowed", "uuid": ""}
    return answer(refused)


async def webwxlogout(call: WebCall) -> web.Response:
    """End the session of these cookies (5.17)."""
    account, _ = call.session()
    call.sandbox.close_session(account, NO_SESSION)
    return to_start(call.host.domain)


def logout_refusal(ret: int) -> web.Response:
    """Answer a refused logout like a successful one."""
    return page(f"logged out ({ret})")


def to_start(domain: str) -> web.Response:
    return web.Response(status=301, headers={"Location": f"https://{domain}/"}, content_type="text/html")


async def front_page(call: WebCall) -> web.Response:
    """The page itself, which tells whether the cookies are valid (3.6)."""
    sid = call.cookies.get("wxsid", "")
    session = call.sandbox.sessions.get(sid) if sid else None
    alive = session is not None and not session.dead and integer(call.cookies.get("wxuin", "")) == session.uin
    return page(f'<script>window.MMCgi = {{ isLogin: !!"{"1" if alive else ""}" }};</script>sandbox')


_LOGIN = frozenset({Role.LOGIN, Role.QR})
_BOTH = frozenset({HTTPMethod.GET, HTTPMethod.POST})
ENDPOINTS = (
    WebEndpoint("jslogin", _LOGIN, jslogin, jslogin_refusal, _BOTH),
    WebEndpoint("login", _LOGIN, login, login_refusal),
    WebEndpoint("webwxnewloginpage", PAGES, webwxnewloginpage, newloginpage_refusal),
    WebEndpoint("webwxpushloginurl", _LOGIN | {Role.BASE}, webwxpushloginurl, pushlogin_refusal),
    WebEndpoint("webwxlogout", PAGES, webwxlogout, logout_refusal, _BOTH),
)
QRCODE = WebEndpoint("qrcode", frozenset({Role.QR}), qrcode, not_found)
SCAN_LINK = WebEndpoint("l", frozenset({Role.QR}), scan_link, not_found)
FRONT_PAGE = WebEndpoint("page", PAGES, front_page, not_found)
