"""The heads of ordinary requests, read by a grammar without any leeway.

A head that does not fit is not refused: it is left to aiohttp and ``proxy``. The forwarded head is built from the
checked parts, so that an account cannot parse it differently.
"""

import re
from dataclasses import dataclass

from wxcontroller.controller.account_port.lists import LISTS
from wxcontroller.controller.account_port.proxy import NOT_SENT_ON
from wxcontroller.controller.authentication import Caller
from wxcontroller.core import access
from wxcontroller.core.access import About, Endpoint
from wxcontroller.core.settings import Settings
from wxcontroller.core.tokens import Tokens
from wxcontroller.openwx import credentials, parameters
from wxcontroller.openwx.crosssite import own_host
from wxcontroller.openwx.parameters import BadParameter

_LINE = re.compile(rb"(GET|HEAD|POST) (/openwx/([a-z_]+)(?:\.json)?|/v1/accounts)(?:\?([!-\"$-~]*))? HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*+((?:[!-~](?:[ -~\t]*[!-~])?)?)")
# At most one of each of these is allowed.
_ONCE = frozenset({"host", "content-length", "content-type", "authorization", "x-auth-token", "connection"})
# Not forwarded, and without effect on the request. Other headers that are not forwarded have one: on the request, its
# caller or its answer.
_HARMLESS = frozenset({"host", "authorization", "x-auth-token", "connection", "cookie", "referer", "accept-encoding"})
_NOT_TAKEN = (NOT_SENT_ON - _HARMLESS) | {"access-control-request-method", "access-control-request-headers"}
_PLAIN = frozenset({parameters.URLENCODED, f"{parameters.URLENCODED}; charset=utf-8"})
_FEW_FIELDS = 64
# Calls that wait, are cached by browsers, or belong to the controller for GET.
_SPECIAL = frozenset({"check_event", "consult", "get_avatar", "stop_client"})
_CALLS = {
    endpoint.path.removeprefix("/openwx/").encode(): endpoint
    for endpoint in access.ACCOUNT
    if endpoint.path.removeprefix("/openwx/") not in _SPECIAL
}


@dataclass(frozen=True, slots=True)
class RequestLine:
    """An accepted request line. ``sent`` is the one for the account, without a token."""

    has_form: bool
    is_head: bool
    endpoint: Endpoint
    client: str | None
    token: str | None
    sent: bytes


@dataclass(slots=True)
class HeaderBlock:
    """The headers of a request that is taken. ``sent`` are those that the account gets, without Content-Length.

    ``caller`` is its token's holder, valid while ``tokens`` are current; ``expires`` is the token's.
    """

    sent: bytes
    token: str | None
    length: int  # -1 if unstated
    kind: str
    holds: bool  # parameters, in the body
    plain: bool  # those of a form without any particulars
    tokens: Tokens | None = None
    caller: Caller | None = None
    expires: int | None = None


def read_line(line: bytes) -> RequestLine | None:
    """Parse a request line without its line end; None if it is not accepted."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    method, path, call, query = match.groups()
    endpoint = LISTS.get(b"%b %b" % (method, path)) or _CALLS.get(call)
    if endpoint is None:
        return None
    raw = query or b""
    try:
        client = dict(parameters.urlencoded_pairs(raw, "client")).get("client")
        token = credentials.from_query(raw.decode())
    except BadParameter:
        return None
    target = credentials.without_token(path.decode() if query is None else f"{path.decode()}?{raw.decode()}")
    if endpoint.about is About.OWN and target != endpoint.path:
        return None
    sent = b"%b %b HTTP/1.1\r\n" % (method, target.encode())
    return RequestLine(method == b"POST", method == b"HEAD", endpoint, client, token, sent)


def read_block(block: bytes, settings: Settings) -> HeaderBlock | None:
    """Return headers, each with its line end, as they are understood; None if they are not taken."""
    lines = block.split(b"\r\n")[:-1]
    if len(lines) > settings.max_headers:
        return None
    once: dict[str, str] = {}
    sent = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            return None
        name, value = match[1].lower().decode(), match[2].decode()
        # Of two equal headers, accounts and the controller could each take another one.
        if name in _NOT_TAKEN or name in once or (name == "x-forwarded-for" and settings.trusted_proxies):
            return None
        if name in _ONCE:
            once[name] = value
        if name not in NOT_SENT_ON and name != "content-length":
            sent.append(b"%b: %b\r\n" % match.groups())
    host, length = once.get("host"), once.get("content-length")
    if host is None or once.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    if not own_host(host, ()) and not own_host(host, (*settings.allow_hosts, *settings.allow_origins)):
        return None
    if length is not None and (not length.isdigit() or len(length) > 18):
        return None
    token = credentials.from_headers(once.get("authorization"), once.get("x-auth-token"))
    kind = once.get("content-type", "")
    holds = parameters.holds_parameters("/openwx/", kind)
    return HeaderBlock(
        b"".join(sent), token, -1 if length is None else int(length), kind, holds, kind.lower() in _PLAIN
    )


def names_in(content: bytes) -> dict[bytes, bytes] | None:
    """Return the fields of a form of few, the last of each name, undecoded; None if a name is not plain."""
    found: dict[bytes, bytes] = {}
    fields = content.split(b"&", _FEW_FIELDS)
    if len(fields) > _FEW_FIELDS:
        return None
    for field in fields:
        name, _, value = field.partition(b"=")
        # Escapes in a name may spell ``client`` or ``token``: the full parser decides.
        if b"%" in name or b"+" in name or not name.isascii():
            return None
        found[name] = value
    return found
