"""The token of a request: its allowed places, and its removal before the request is processed further.

``Authorization: Bearer`` and ``X-Auth-Token`` come first, then ``token`` in the query, then in a body that holds
parameters: for scripts that cannot send headers. The first one found is the token, even if it is wrong.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from wxcontroller.openwx.http import parameters
from wxcontroller.openwx.http.parameters import Body

NAME = "token"
# Limit of a form that is searched for a token: an unauthenticated caller may cost at most a megabyte.
TOKEN_FORM_BYTES = 1 << 20
_RAW_NAME = NAME.encode()
# The controller's header for an account: the caller's scope, and the secret of the account's port.
PORT_HEADER = "X-Wxcontroller"
# With it: whose token the caller has. The account shares its disk among the holders
# (client/sends/content/holders.py).
HOLDER_HEADER = "X-Wx-Holder"


def holder_header(holder: str) -> dict[str, str]:
    """Return the header that names the holder of a call for an account, none for a caller without a token."""
    return {HOLDER_HEADER: holder} if holder else {}


def from_headers(authorization: str | None, x_auth_token: str | None) -> str | None:
    """Return the token in the headers, None when they hold none."""
    kind, _, value = (authorization or "").strip().partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    return x_auth_token.strip() if x_auth_token else None


def from_query(query: str) -> str | None:
    """Return the token in a query as it was sent; the last one counts. Raises BadParameter."""
    return last_value(_pairs(query, NAME))


def from_head(headers: Mapping[str, str], target: str) -> str | None:
    """Return the token in a request's headers or query, or None. Raises BadParameter."""
    token = from_headers(headers.get("Authorization"), headers.get("X-Auth-Token"))
    return token if token is not None else from_query(parameters.query_of(target))


def from_publisher(headers: Mapping[str, str], target: str) -> str | None:
    """Return the token of a program that sends notifications, or None. Raises BadParameter.

    The clients of ntfy send it as Bearer, as the password of Basic, or either of these base64-coded as ``auth`` in
    the query; those of Gotify as X-Gotify-Key or ``token`` in the query.
    """
    shown = headers.get("X-Gotify-Key", "").strip() or headers.get("X-Auth-Token", "").strip()
    authorization = headers.get("Authorization", "").strip()
    query = parameters.query_of(target)
    if not authorization and (coded := last_value(_pairs(query, "auth"))):
        authorization = decoded(coded)
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "basic":
        user, _, password = decoded(value).partition(":")
        return password or user
    return value.strip() if kind.lower() == "bearer" else shown or from_query(query)


def _pairs(query: str, name: str) -> Iterator[tuple[str, str]]:
    return parameters.urlencoded_pairs(query.encode("utf-8", "surrogateescape"), name)


def decoded(coded: str) -> str:
    """Return the decoded text of base64, in either alphabet and without padding; "" for anything else."""
    plain = coded.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def from_form(content_type: str, body: Body) -> str | None:
    """Return the token in a form or JSON body. Raises BadParameter."""
    if not parameters.may_hold(content_type, body, NAME):
        return None
    return last_value(parameters.form_pairs(content_type, body, NAME))


def without_token(target: str) -> str:
    """Return a request's target without any token in its query; the rest is unchanged."""
    path, mark, query = target.partition("?")
    if not mark or not may_hold(query):
        return target
    kept = [pair for pair in query.split("&") if name_of(pair.encode("utf-8", "surrogateescape")) != _RAW_NAME]
    return f"{path}?{'&'.join(kept)}" if kept else path


def spans_without_token(content_type: str, body: Body) -> list[tuple[int, int]]:
    """Return the parts of a body, from and to, that are left without its tokens. Raises BadParameter."""
    if not parameters.may_hold(content_type, body, NAME):
        return [(0, len(body))]
    return parameters.spans_without(content_type, body, NAME)


def last_value(pairs: "Iterator[tuple[str, str]] | list[tuple[str, str]]") -> str | None:
    found = None
    for _, value in pairs:
        found = value or found
    return found


def may_hold(query: str) -> bool:
    return NAME in query or "%" in query


def name_of(pair: bytes) -> bytes:
    return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" "))
