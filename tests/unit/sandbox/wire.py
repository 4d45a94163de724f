"""A sandbox on a real socket, and a web client small enough to break the protocol in every way."""

import contextlib
import json
import re
import socket
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.patience import PATIENCE
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import Address, running

CGI = "/cgi-bin/mmwebwx-bin"
# JSON of answers, looked into by tests only
Json = Any


class EverythingHere(AbstractResolver):
    """Resolves every name to this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        return None


class Browser:
    """What a web client does, step by step. ``values`` are what a step learnt and the next ones send."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.jar = aiohttp.CookieJar(quote_cookie=False)
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=EverythingHere(), use_dns_cache=False),
            cookie_jar=self.jar,
            headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Test"},
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
        )
        self.domain = "wx.qq.com"
        self.uuid = ""
        self.redirect = ""
        self.values: dict[str, str] = {}
        self.me = ""
        self.sync_key: Json = None
        self.check_key = ""
        self.sends = 0

    # -- plain requests

    async def get(self, host: str, path: str, **keywords: Any) -> str:
        """GET a WeChat host; text of the answer."""
        async with self.http.get(f"http://{host}:{self.port}{path}", allow_redirects=False, **keywords) as response:
            return await response.text()

    async def post(self, name: str, body: Json, query: str = "") -> Json:
        """POST JSON to an endpoint of the base host; the answer parsed. A text is sent as it is."""
        raw = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        async with self.http.post(
            f"http://{self.domain}:{self.port}{CGI}/{name}?{query}",
            data=raw.encode(),
            headers={"Content-Type": "application/json; charset=UTF-8"},
            allow_redirects=False,
        ) as response:
            assert response.content_type == "text/plain", await response.text()
            return json.loads(await response.text())

    async def api(self, method: str, path: str, body: Json = None, status: int | None = None) -> Json:
        """Call the scripting API; ``status`` is what must come (any 2xx when None)."""
        url = f"http://127.0.0.1:{self.port}/sandbox{path}"
        async with self.http.request(method, url, json=body) as response:
            value = await response.json()
            assert response.status == status if status else response.ok, (response.status, value)
            return value

    # -- login

    async def jslogin(self) -> str:
        target = f"https://wx.qq.com{CGI}/webwxnewloginpage"
        text = await self.get(
            "login.wx.qq.com",
            f"/jslogin?appid=wx782c26e4c19acffb&redirect_uri={quote(target, safe='')}&fun=new&lang=zh_CN&_=1",
        )
        found = re.search(r'code = 200; window.QRLogin.uuid = "([^"]+)"', text)
        assert found, text
        self.uuid = found[1]
        return self.uuid

    async def poll(self, tip: int = 1) -> str:
        """Poll the login once; the whole answer. Keeps a redirect_uri."""
        text = await self.get("login.wx.qq.com", f"{CGI}/login?loginicon=true&uuid={self.uuid}&tip={tip}&r=-1&_=1")
        if found := re.search(r'window\.redirect_uri="([^"]+)"', text):
            self.redirect = found[1]
            self.domain = self.redirect.split("/")[2]
        return text

    async def new_login_page(self) -> None:
        """Trade the ticket. Learns the session's values."""
        url = self.redirect.replace(f"https://{self.domain}", f"http://{self.domain}:{self.port}")
        async with self.http.get(f"{url}&fun=new&version=v2", allow_redirects=False) as response:
            self.values |= dict(re.findall(r"<(skey|wxsid|wxuin|pass_ticket)>([^<]+)</", await response.text()))

    async def log_in(self, uin: int) -> None:
        """Go all the way to a session that has been initialised."""
        await self.jslogin()
        await self.api("POST", f"/logins/{self.uuid}/confirm", {"uin": uin})
        await self.poll()
        await self.new_login_page()
        answer = await self.init()
        assert answer["BaseResponse"]["Ret"] == 0, answer

    # -- a session

    def base(self) -> Json:
        values = self.values
        return {
            "Uin": int(values["wxuin"]),
            "Sid": values["wxsid"],
            "Skey": values["skey"],
            "DeviceID": f"e{time.time_ns() % 10**15:015d}",
        }

    async def init(self) -> Json:
        """Call webwxinit and keep what it says."""
        answer = await self.post("webwxinit", {"BaseRequest": self.base()})
        if answer["BaseResponse"]["Ret"] == 0:
            self.me, self.sync_key = answer["User"]["UserName"], answer["SyncKey"]
            self.check_key = flat(answer["SyncKey"])
        return answer

    async def check(self, **changed: str) -> tuple[str, str]:
        """Poll for news; retcode and selector."""
        values = {
            "r": "1",
            "skey": self.values["skey"],
            "sid": self.values["wxsid"],
            "uin": self.values["wxuin"],
            "deviceid": "e123456789012345",
            "synckey": self.check_key,
        } | changed
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in values.items())
        text = await self.get(f"webpush.{self.domain}", f"{CGI}/synccheck?{query}")
        found = re.fullmatch(r'window\.synccheck=\{retcode:"([^"]*)",selector:"([^"]*)"\}', text)
        assert found, text
        return found[1], found[2]

    async def sync(self, sync_key: Json = None, keep: bool = True) -> Json:
        """Fetch news since a key (default the last one); keeps the new keys when told to."""
        body = {"BaseRequest": self.base(), "SyncKey": sync_key or self.sync_key, "rr": 1}
        answer = await self.post("webwxsync", body)
        if keep and answer["SyncKey"]["Count"]:
            self.sync_key, self.check_key = answer["SyncKey"], flat(answer["SyncCheckKey"])
        return answer

    def message(self, to: str, text: str, **changed: Json) -> Json:
        """A right body for webwxsendmsg."""
        self.sends += 1
        number = f"{time.time_ns() // 10**6}0{self.sends:03d}"
        message = {
            "Type": 1,
            "Content": text,
            "FromUserName": self.me,
            "ToUserName": to,
            "LocalID": number,
            "ClientMsgId": number,
        }
        return {"BaseRequest": self.base(), "Msg": message | changed, "Scene": 0}

    async def send(self, to: str, text: str, **changed: Json) -> Json:
        return await self.post("webwxsendmsg", self.message(to, text, **changed))


def flat(key: Json) -> str:
    """Write a key the way synccheck wants it."""
    return "|".join(f"{entry['Key']}_{entry['Val']}" for entry in key["List"])


@contextlib.asynccontextmanager
async def sandbox_and_browser(options: Options, accounts: int = 2) -> AsyncIterator[tuple[Sandbox, Browser]]:
    """Run a sandbox on a free port, with a browser that knows it."""
    sandbox = Sandbox(options)
    for _ in range(accounts):
        sandbox.add_account()
    async with running(sandbox, Address("127.0.0.1", 0)) as addresses:
        browser = Browser(addresses[0].port)
        try:
            yield sandbox, browser
        finally:
            await browser.http.close()
