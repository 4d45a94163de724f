"""The cookies of an account: aiohttp's jar, with additions that WeChat needs.

``aiohttp.CookieJar`` decides which cookies a request gets. WeChat's values contain ``/`` and ``+`` and go back
exactly as they came, hence ``quote_cookie=False`` (weixin-web-protocol 1.5). Its ``save`` and ``load`` use pickle;
here it is JSON.

Implemented here is what aiohttp 3.11 cannot do; tests in ``tests/unit/drivers`` that fail without it are named:

- Expiry. aiohttp's jar expires cookies by this machine's clock; a wrong clock then loses a login that WeChat still
  accepts (``test_server_decides_whether_a_cookie_has_expired``). So aiohttp gets cookies without expiry.
- Reading Set-Cookie. ``http.cookies`` drops values with spaces or quotes and takes unknown attributes for cookies of
  their own (``test_cookie_values_are_returned_unchanged``); the jar lets a server set cookies for a top-level domain
  (``test_cookies_are_sent_only_to_their_domain``).
- Limits of number and size.
- Storing. The jar does not expose which cookies are for one host only.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from http.cookies import CookieError, Morsel

from aiohttp import CookieJar
from yarl import URL

from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.drivers.web.wire.hosts import within

# RFC 6265 6.1: at least 4096 bytes of a cookie.
COOKIE_LENGTH = 4096
# All of them are sent with each request, and WeChat needs about ten. RFC 6265 6.1 asks for 50 at least.
COOKIES = 200
_PLACES = 32  # host and path of headers that are kept
_FAR = 1e12  # seconds since 1970 that mean "no expiry"


@dataclass(frozen=True, slots=True)
class Cookie:
    """``expires`` in seconds since 1970, 0 for a cookie without an end; ``exact``: for this host only."""

    name: str
    value: str = field(repr=False)
    domain: str
    exact: bool = True
    path: str = "/"
    expires: float = 0.0
    secure: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.domain, self.path, self.name)

    def morsel(self) -> "Morsel[str]":
        """Return the cookie as aiohttp takes it: no end, no domain if it is for one host only. Raises CookieError."""
        morsel: Morsel[str] = Morsel()
        morsel.set(self.name, self.value, self.value)
        morsel["path"], morsel["secure"] = self.path, self.secure
        if not self.exact:
            morsel["domain"] = self.domain
        return morsel


class Jar:
    """The cookies of one account. Made inside a running event loop, as aiohttp's jar is."""

    def __init__(self) -> None:
        self._jar = CookieJar(quote_cookie=False)
        self._cookies: dict[tuple[str, str, str], Cookie] = {}
        # Until a cookie changes: the sync loop asks for the same two headers, and for what is to be stored.
        self._headers: dict[tuple[str, str, bool], str] = {}
        self._stored: list[JsonValue] | None = None

    def __len__(self) -> int:
        return len(self._cookies)

    def take(self, host: str, headers: Iterable[str], date: str = "") -> None:
        """Store the ``Set-Cookie`` headers of an answer from ``host``. Unusable ones are skipped.

        ``date`` is the answer's own: the server's clock decides whether a cookie is sent to be deleted, as ours
        may be wrong. For the same reason our clock expires no cookie later: WeChat knows which ones it accepts.
        """
        now = 0.0
        for header in headers:
            now = now or (when(date) if date else 0.0) or time.time()
            cookie = parse(header, host, now)
            if cookie is None:
                continue
            if cookie.expires and cookie.expires <= now:
                self._drop(cookie.key)
            else:
                self.put(cookie)

    def put(self, cookie: Cookie) -> None:
        """Keep a cookie in place of its namesake. One that cannot be sent is skipped."""
        try:
            morsel, origin = cookie.morsel(), URL.build(scheme="https", host=cookie.domain, path=cookie.path)
        except (CookieError, ValueError):
            return
        self._drop(cookie.key)
        self._forget()
        self._cookies[cookie.key] = cookie
        self._jar.update_cookies([(cookie.name, morsel)], origin)
        if len(self._cookies) > COOKIES:
            self._drop(next(iter(self._cookies)))

    def _drop(self, key: tuple[str, str, str]) -> None:
        if self._cookies.pop(key, None) is not None:
            self._forget()
            self._jar.clear(lambda morsel: (morsel["domain"], morsel["path"], morsel.key) == key)

    def _forget(self) -> None:
        self._headers.clear()
        self._stored = None

    def move(self, old: str, new: str) -> None:
        """Use the cookies of the base host ``old`` for ``new``, too: the account has moved there."""
        for cookie in [cookie for cookie in self._cookies.values() if cookie.domain == old]:
            if (new, cookie.path, cookie.name) not in self._cookies:
                self.put(replace(cookie, domain=new))

    def header(self, host: str, path: str, secure: bool) -> str:
        """Return the ``Cookie`` header for a request, or ""."""
        place = host, path, secure
        if (found := self._headers.get(place)) is None:
            if len(self._headers) >= _PLACES:
                self._headers.clear()
            found = self._headers[place] = self._header(host, path, secure)
        return found

    def _header(self, host: str, path: str, secure: bool) -> str:
        url = URL(f"{'https' if secure else 'http'}://{host}{path}", encoded=True)
        # aiohttp 3.10 to 3.12 caches an entry for each path queried in its jar (aio-libs/aiohttp#11052), and each
        # login has its own paths. So the longest path of a cookie is queried instead, with the same result.
        paths = [
            stored.path
            for stored in self._cookies.values()
            if f"{url.path}/".startswith(f"{stored.path.rstrip('/')}/")
        ]
        if not paths:
            return ""
        fitting = self._jar.filter_cookies(url.with_path(max(paths, key=len))).values()
        return "; ".join(f"{cookie.key}={cookie.coded_value}" for cookie in fitting)

    def value(self, name: str) -> str:
        """Return a cookie's value from any domain, the latest if there are several, "" for none (1.5)."""
        return next((cookie.value for cookie in reversed(self._cookies.values()) if cookie.name == name), "")

    def clear(self) -> None:
        self._forget()
        self._cookies.clear()
        self._jar.clear()

    def stored(self) -> list[JsonValue]:
        """Return the jar as JSON."""
        if self._stored is None:
            self._stored = [asdict(cookie) for cookie in self._cookies.values()]
        return self._stored

    def restore(self, stored: JsonValue) -> None:
        """Load the result of ``stored``; invalid cookies are skipped."""
        for entry in items(stored):
            cookie = restored(obj(entry))
            if cookie is not None:
                self.put(cookie)


def restored(entry: JsonObject) -> Cookie | None:
    name, value, domain = text(entry.get("name")), text(entry.get("value")), text(entry.get("domain"))
    expires = entry.get("expires")
    if not name or not domain or not clean(name + value):
        return None
    return Cookie(
        name,
        value,
        domain,
        exact=entry.get("exact") is not False,
        path=_path(text(entry.get("path"))),
        expires=float(expires) if isinstance(expires, int | float) and abs(expires) <= _FAR else 0.0,
        secure=entry.get("secure") is True,
    )


def parse(header: str, host: str, now: float) -> Cookie | None:
    """Read one ``Set-Cookie`` header of an answer from ``host``; None for one that cannot be taken."""
    if len(header) > COOKIE_LENGTH or not clean(header):
        return None
    first, *rest = header.split(";")
    name, equals, value = first.partition("=")
    if not equals or not name.strip():
        return None
    attributes = {}
    for attribute in rest:
        key, _, content = attribute.partition("=")
        attributes[key.strip().lower()] = content.strip()
    domain = attributes.get("domain", "").lstrip(".").lower()
    # A server may set cookies for its parent domains, but not for a top-level domain.
    if domain and (not within(host, domain) or "." not in domain):
        return None
    return Cookie(
        name.strip(),
        value.strip(),
        domain or host,
        exact=not domain or domain.replace(".", "").isdigit(),
        path=_path(attributes.get("path", "")),
        expires=expiry(attributes, now),
        secure="secure" in attributes,
    )


def expiry(attributes: dict[str, str], now: float) -> float:
    age = attributes.get("max-age", "")
    if re.fullmatch(r"-?[0-9]{1,11}", age):
        return now + int(age) if int(age) > 0 else 1.0
    date = attributes.get("expires", "")
    return min(when(date), _FAR) if date else 0.0


def when(date: str) -> float:
    """Return a date of HTTP in seconds since 1970, at least 1; 0 for one that cannot be read."""
    from email.utils import parsedate_tz  # seldom needed

    try:
        parsed = parsedate_tz(date)
        if parsed is None:
            return 0.0
        import calendar

        return max(1.0, calendar.timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0))
    except (ValueError, OverflowError, TypeError, IndexError):
        return 0.0


def _path(path: str) -> str:
    """Return a path without the slash at its end, which means nothing to aiohttp; "/" for an invalid one."""
    return path.rstrip("/") or "/" if path.startswith("/") else "/"


def clean(content: str) -> bool:
    return all(character >= " " and character != "\x7f" for character in content)
