"""The proxy between an account and WeChat, given as a URL."""

import re
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import unquote, urlsplit

from wxcontroller.core.text.templates import Text


class ProxyKind(Enum):
    """The protocol of a proxy."""

    HTTP = "http"  # CONNECT
    HTTPS = "https"  # the same, inside TLS
    SOCKS5 = "socks5"


# The proxy always resolves names: the h that other programs need for it is accepted and ignored.
_KINDS = {
    "http": ProxyKind.HTTP,
    "https": ProxyKind.HTTPS,
    "socks5": ProxyKind.SOCKS5,
    "socks5h": ProxyKind.SOCKS5,
}
_FORM = Text("must be http://, https:// or socks5:// with HOST:PORT, or USER:PASSWORD@HOST:PORT")
_MAX_SOCKS = 255  # bytes of a user, of a password (RFC 1929)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. As text it is the URL without user and password."""

    kind: ProxyKind
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind.value}://{host}:{self.port}"


def parse_proxy(value: str) -> Proxy:
    """Read a proxy's URL; user and password are percent-decoded.

    Raises ValueError with the reason, without any part of the value.
    """
    if any(c.isspace() for c in value):
        raise ValueError(_FORM)
    try:
        parts = urlsplit(value)
        kind, host, port = _KINDS.get(parts.scheme), parts.hostname or "", parts.port or 0
        host.encode("idna")  # not a possible host name
    except ValueError:
        raise ValueError(_FORM) from None
    if kind is None or not host or not port or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(_FORM)
    user, password = _decoded(parts.username or ""), _decoded(parts.password or "")
    if kind is ProxyKind.SOCKS5:
        fit_for_socks(user, password)
    elif ":" in user:
        raise ValueError(Text("has a colon in the user, which HTTP cannot send"))
    elif password and not user:
        raise ValueError(Text("has a password but no user"))
    return Proxy(kind, host, port, user, password)


def shown(value: str) -> str:
    """Return a proxy's URL without credentials, ``…`` for an invalid one."""
    try:
        return str(parse_proxy(value)) if value else ""
    except ValueError:
        return "…"


def _decoded(part: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", part):
        raise ValueError(
            Text("has a % in user or password that begins no percent-encoded character; write %25 for it")
        )
    try:
        decoded = unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(Text("has user or password that are not UTF-8 when percent-decoded")) from None
    if not decoded.isprintable():
        raise ValueError(Text("has control characters in user or password"))
    return decoded


def fit_for_socks(user: str, password: str) -> None:
    if bool(user) != bool(password):
        raise ValueError(Text("needs both user and password, or neither, with socks5"))
    if not (user + password).isascii() or max(len(user), len(password)) > _MAX_SOCKS:
        raise ValueError(Text("must have user and password of at most 255 ASCII characters each with socks5"))
