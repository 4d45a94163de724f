"""A cookie jar for WeChat: domain matching, raw values, and a form that can be stored.

Written by hand because WeChat's values contain ``/`` and ``+``, which must go back exactly as they came: without
the quotes that the standard library puts around them (weixin-web-protocol 1.5).
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.drivers.web.wire.hosts import within

# RFC 6265 6.1: at least 4096 bytes of a cookie.
COOKIE_LENGTH = 4096
# All of them are sent with each request, and WeChat needs about ten. RFC 6265 6.1 asks for 50 at least.
COOKIES = 200
_FAR = 1e12  # seconds since 1970 that stand for "without end"


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

    def fits(self, host: str, path: str, secure: bool) -> bool:
        return (
            (host == self.domain if self.exact else within(host, self.domain))
            and (path == self.path or path.startswith(self.path.rstrip("/") + "/"))
            and (secure or not self.secure)
        )


class Jar:
    """The cookies of one account."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def __len__(self) -> int:
        return len(self._cookies)

    def take(self, host: str, headers: Iterable[str], date: str = "") -> None:
        """Keep what ``Set-Cookie`` headers of an answer from ``host`` say. Unusable ones are passed over.

        ``date`` is the answer's own: whether a cookie is sent to be deleted is said by the server's clock, as ours
        may be wrong. For the same reason no cookie is given up by our clock later: WeChat knows what it still takes.
        """
        now = 0.0
        for header in headers:
            now = now or (when(date) if date else 0.0) or time.time()
            cookie = parse(header, host, now)
            if cookie is None:
                continue
            if cookie.expires and cookie.expires <= now:
                self._cookies.pop((cookie.domain, cookie.path, cookie.name), None)
            else:
                self.put(cookie)

    def put(self, cookie: Cookie) -> None:
        """Keep a cookie in place of its namesake."""
        key = (cookie.domain, cookie.path, cookie.name)
        self._cookies.pop(key, None)
        self._cookies[key] = cookie
        if len(self._cookies) > COOKIES:
            del self._cookies[next(iter(self._cookies))]

    def move(self, old: str, new: str) -> None:
        """Let what was set for the base host ``old`` serve ``new``, too: the account has moved there."""
        for cookie in [cookie for cookie in self._cookies.values() if cookie.domain == old]:
            if (new, cookie.path, cookie.name) not in self._cookies:
                self.put(replace(cookie, domain=new))

    def header(self, host: str, path: str, secure: bool) -> str:
        """Return the ``Cookie`` header for a request, "" when there is nothing to send."""
        fitting = [cookie for cookie in self._cookies.values() if cookie.fits(host, path, secure)]
        fitting.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in fitting)

    def value(self, name: str) -> str:
        """Return a cookie's value whatever its domain, the latest if several, "" if none (1.5)."""
        return next((cookie.value for cookie in reversed(self._cookies.values()) if cookie.name == name), "")

    def clear(self) -> None:
        self._cookies.clear()

    def stored(self) -> list[JsonValue]:
        """Return the jar as JSON."""
        return [
            {
                "name": cookie.name,
                "value": cookie.value,
                "domain": cookie.domain,
                "exact": cookie.exact,
                "path": cookie.path,
                "expires": cookie.expires,
                "secure": cookie.secure,
            }
            for cookie in self._cookies.values()
        ]

    def restore(self, stored: JsonValue) -> None:
        """Take over what ``stored`` returned; what is no cookie is passed over."""
        for entry in items(stored):
            cookie = _restored(obj(entry))
            if cookie is not None:
                self.put(cookie)


def _restored(entry: JsonObject) -> Cookie | None:
    name, value, domain = text(entry.get("name")), text(entry.get("value")), text(entry.get("domain"))
    expires = entry.get("expires")
    if not name or not domain or not _clean(name + value):
        return None
    return Cookie(
        name,
        value,
        domain,
        exact=entry.get("exact") is not False,
        path=text(entry.get("path")) or "/",
        expires=float(expires) if isinstance(expires, int | float) and abs(expires) <= _FAR else 0.0,
        secure=entry.get("secure") is True,
    )


def parse(header: str, host: str, now: float) -> Cookie | None:
    """Read one ``Set-Cookie`` header of an answer from ``host``; None for one that can't be taken."""
    if len(header) > COOKIE_LENGTH or not _clean(header):
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
    # A server may speak for its own parents, but not for a whole top level.
    if domain and (not within(host, domain) or "." not in domain):
        return None
    path = attributes.get("path", "")
    return Cookie(
        name.strip(),
        value.strip(),
        domain or host,
        exact=not domain or domain.replace(".", "").isdigit(),
        path=path if path.startswith("/") else "/",
        expires=_expiry(attributes, now),
        secure="secure" in attributes,
    )


def _expiry(attributes: dict[str, str], now: float) -> float:
    age = attributes.get("max-age", "")
    if re.fullmatch(r"-?[0-9]{1,11}", age):
        return now + int(age) if int(age) > 0 else 1.0
    date = attributes.get("expires", "")
    return min(when(date), _FAR) if date else 0.0


def when(date: str) -> float:
    """Return a date of HTTP in seconds since 1970, at least 1; 0 for one that can't be read."""
    from email.utils import parsedate_tz  # seldom needed

    try:
        parsed = parsedate_tz(date)
        if parsed is None:
            return 0.0
        import calendar

        return max(1.0, calendar.timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0))
    except (ValueError, OverflowError, TypeError, IndexError):
        return 0.0


def _clean(content: str) -> bool:
    return all(character >= " " and character != "\x7f" for character in content)
