"""Input of the scripting API: reads it, and refuses invalid values."""

import enum
import json
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TypeVar

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, JsonValue, text
from wxcontroller.sandbox.media import webmarkup
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.world.logins import LoginStage, WebLoginCode
from wxcontroller.sandbox.world.phone import ServerAccount

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)
LONGEST_WAIT = 300.0
NEWEST = "newest"  # instead of a login's uuid
SANDBOX: web.AppKey[Sandbox] = web.AppKey("sandbox", Sandbox)


class BadInput(Exception):
    """Invalid input: becomes a 400 (or a more precise ``status``) with the message."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def reply(value: JsonValue, status: int = 200) -> web.Response:
    """Return JSON as the answer of a request."""
    return web.json_response(value, status=status, dumps=lambda data: webmarkup.dump(data) + "\n")


async def body_of(request: web.Request, names: Iterable[str]) -> JsonObject:
    """Return the JSON object in a request, an empty one without a body. Refuses unknown fields."""
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw)
    except ValueError:
        raise BadInput("the body is not JSON") from None
    if not isinstance(value, dict):
        raise BadInput("the body is not a JSON object")
    if unknown := sorted(set(value) - set(names)):
        raise BadInput(f"unknown field {unknown[0]!r}; known are {', '.join(names)}")
    return value


def string(body: JsonObject, key: str, default: str | None = None) -> str:
    """Return a text field; without a ``default`` it is required and must not be empty."""
    value = body.get(key, default)
    if not isinstance(value, str) or (default is None and not value):
        raise BadInput(f"{key!r} must be a text" if value or default is not None else f"{key!r} is missing")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise BadInput(f"{key!r} holds half a character (a lone surrogate)")
    return value


def word(body: Mapping[str, object], key: str, words: Collection[str], default: str | None = None) -> str:
    """Return a field that is one of these words."""
    value = body.get(key, default)
    if not isinstance(value, str) or value not in words:
        raise BadInput(f"{key!r} must be one of {', '.join(words)}")
    return value


def choice(body: Mapping[str, object], key: str, kind: type[E], default: E | None = None) -> E:
    """Return a field as the member of an enum that has this value."""
    return kind(word(body, key, [each.value for each in kind], None if default is None else default.value))


def number(body: JsonObject, key: str, default: int | None, low: int, high: int) -> int:
    """Return an integer field within its bounds."""
    value = body.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadInput(f"{key!r} must be an integer from {low} to {high}")
    return value


def decimal(body: JsonObject, key: str, default: float, limit: float) -> float:
    """Return a number field that is not beyond ``limit`` on either side of 0."""
    value = body.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not -limit <= value <= limit:
        raise BadInput(f"{key!r} must be a number from {-limit} to {limit}")
    return float(value)


def flag(body: JsonObject, key: str, default: bool = True) -> bool:
    """Return a boolean field; ``default`` if it is missing."""
    value = body.get(key, default)
    if not isinstance(value, bool):
        raise BadInput(f"{key!r} must be true or false")
    return value


def query_number(request: web.Request, key: str) -> float:
    """Return a query parameter as a number, 0 if it is missing."""
    try:
        value = float(request.query.get(key, "0"))
    except ValueError:
        value = -1
    if not 0 <= value < 1e12:
        raise BadInput(f"query parameter {key!r} must be a number, not below 0")
    return value


async def when(
    request: web.Request, look: Callable[[], list[T]], wait: Callable[[float], Awaitable[bool]]
) -> list[T]:
    """Return what ``look`` finds, waiting up to ``wait`` seconds for a result."""
    deadline = time.monotonic() + min(query_number(request, "wait"), LONGEST_WAIT)
    while not (found := look()) and (left := deadline - time.monotonic()) > 0:
        await wait(left)
    return found


def account_by(request: web.Request, uin: JsonValue) -> ServerAccount:
    """Return the account of a uin from a path or body."""
    number = int(uin) if isinstance(uin, str) and uin.isascii() and uin.isdigit() else uin
    account = request.app[SANDBOX].accounts.get(number) if isinstance(number, int) else None
    if account is None:
        raise BadInput(f"no account with uin {text(uin) or 'of that kind'}; see: GET /sandbox/accounts", 404)
    return account


def its_account(request: web.Request) -> ServerAccount:
    """Return the account that the path names."""
    return account_by(request, request.match_info["uin"])


async def its_login(
    request: web.Request, stages: tuple[LoginStage, ...] = (LoginStage.SCANNED, LoginStage.WAITING)
) -> WebLoginCode:
    """Return the login that the path names; ``newest`` is the newest one in the first of ``stages`` that has any, and
    waits up to ``wait`` seconds for it.
    """
    uuid, logins = request.match_info["uuid"], request.app[SANDBOX].logins

    def matching() -> list[WebLoginCode]:
        return [login for stage in stages for login in logins.newest_first() if login.state is stage]

    if uuid == NEWEST:
        if found := await when(request, matching, logins.bell.wait):
            return found[0]
        names = " or ".join(stage.value for stage in stages)
        raise BadInput(f"no login is {names}; start a client, or add ?wait=SECONDS to wait for it", 404)
    login = logins.get(uuid)
    if login is None:
        raise BadInput(f"no login with uuid {uuid}; see: GET /sandbox/logins, or use {NEWEST}", 404)
    return login


def one_of(account: ServerAccount, name: str, what: str) -> str:
    """Return the only real id that a name stands for."""
    found = account.find(name)
    if not found:
        raise BadInput(
            f"{what} {name!r} is unknown to account {account.uin}; see: GET /sandbox/accounts/{account.uin}"
        )
    if len(found) > 1:
        raise BadInput(f"{what} {name!r} stands for several: {', '.join(found)}; use one of these ids")
    return found[0]


def member_of(account: ServerAccount, group: str, name: str, what: str = "from") -> str:
    """Return the member of a group that a name or display name stands for."""
    places = account.world.groups[group].members
    inside = {place.wxid for place in places}
    found = [wxid for wxid in account.find(name) if wxid in inside]
    found = found or [place.wxid for place in places if place.display == name]
    if len(found) != 1:
        raise BadInput(f"{what} {name!r} is {'no member' if not found else 'several members'} of that group")
    return found[0]
