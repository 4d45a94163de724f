"""The calls as the File Transfer page makes them (weixin-web-protocol 15.1 to 15.5)."""

import secrets
from dataclasses import replace
from urllib.parse import quote

from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.connection.failures import UnreadableResponse
from wxcontroller.drivers.connection.transport import LineRequest, LineResponse
from wxcontroller.drivers.web.wire.calls import CGI, WebCalls, now_ms, query_of
from wxcontroller.drivers.web.wire.hosts import FILE_PAGES, hosts_of

HOME = "szfilehelper.weixin.qq.com"  # the initial page; the login names the account's
APPID = "wx_webfilehelper"
# A desktop browser's: the desktop client's, which the web route uses, does not open this page.
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
_MARK = "mmweb_appid"
_MARKED = frozenset({"synccheck", "webwxgetmsgimg", "webwxgetvideo", "webwxgetvoice", "webwxgetmedia"})


class FileCalls(WebCalls):
    """The web protocol's calls in the form of this page."""

    async def jslogin(self, domain: str, desktop: bool) -> LineResponse:
        """Ask for a uuid. The address is percent-encoded twice, as by the page itself."""
        page = quote(f"https://{domain}{CGI}webwxnewloginpage", safe="")
        query = query_of(appid=APPID, redirect_uri=page, fun="new", lang=self._lang, _=now_ms())
        return await self.get("jslogin", hosts_of(domain).login, "/jslogin", query)

    async def login_page(self, host: str, path: str, query: str, desktop: bool) -> LineResponse:
        """Turn a confirmed login into a session. Raises UnreadableResponse for a host that is not the page's."""
        if host not in FILE_PAGES:
            raise UnreadableResponse(
                "webwxnewloginpage", Text("sent on to a host that is not the File Transfer page's")
            )
        return await super().login_page(host, path, query, desktop=False)

    def dressed(self, request: LineRequest) -> LineRequest:
        """Return a request with the page's mark, as header everywhere and in the query where it belongs."""
        more = ""
        if request.call == "login":
            more = query_of(appid=APPID)
        elif request.call == "webwxuploadmedia":
            more = query_of(random=secrets.token_hex(2))
        elif request.call in _MARKED:
            more = query_of(**{_MARK: APPID})
        query = f"{request.query}&{more}" if more else request.query
        return replace(request, query=query, headers={**request.headers, _MARK: APPID})
