"""The scripting API under /sandbox/: acts as a phone, and injects faults."""

import ipaddress
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from urllib.parse import urlsplit

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.sandbox.faults.faults import ANY, FaultKind
from wxcontroller.sandbox.hosts import DOMAINS
from wxcontroller.sandbox.ilink import wire as ilink_wire
from wxcontroller.sandbox.ilink.codes import ILinkCode
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.script import scripting_ilink as ilink
from wxcontroller.sandbox.script import scripting_messages, scripting_people
from wxcontroller.sandbox.script.inputs import (
    LONGEST_WAIT,
    SANDBOX,
    BadInput,
    account_by,
    body_of,
    choice,
    flag,
    its_account,
    its_login,
    number,
    one_of,
    query_number,
    reply,
    string,
    when,
    word,
)
from wxcontroller.sandbox.web import webwire
from wxcontroller.sandbox.world.ilinkbots import BOT_CONTACT
from wxcontroller.sandbox.world.logins import LoginStage, WebLoginCode, WrongState
from wxcontroller.sandbox.world.phone import ServerAccount, WebLogin
from wxcontroller.sandbox.world.world import Person, Plan, Relation, ServerGroup

_END_CODES = (1100, 1101, 1102)
_ENDPOINTS = webwire.NAMES | ilink_wire.NAMES


@web.middleware
async def own_pages_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse requests from foreign web pages in a browser."""
    origin, host = request.headers.get("Origin"), request.headers.get("Host")
    if origin is not None and urlsplit(origin).netloc != host:
        return reply({"error": f"requests from pages of {origin} are not taken"}, 403)
    # A website's DNS name can point at this machine, but an address or localhost is safe.
    if host is not None and not is_ours(urlsplit(f"//{host}").hostname or ""):
        return reply({"error": f"{host} is not this machine's name: use 127.0.0.1 or localhost"}, 403)
    return await handler(request)


def is_ours(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


@web.middleware
async def errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn errors under /sandbox/ into ``{"error": …}``."""
    if not request.path.startswith("/sandbox/"):
        return await handler(request)
    try:
        return await handler(request)
    except BadInput as error:
        return reply({"error": str(error)}, error.status)
    except WrongState as error:
        return reply({"error": str(error)}, 409)
    except web.HTTPException as error:
        problem = f"{error.reason}: {request.method} {request.path}; wxsandbox(1) lists the calls"
        return reply({"error": problem}, error.status)


# -- endpoints


async def health(request: web.Request) -> web.Response:
    """Answer that the sandbox is running."""
    sandbox = request.app[SANDBOX]
    online = sum(1 for account in sandbox.accounts.values() if account.session is not None)
    return reply({"status": "ok", "accounts": len(sandbox.accounts), "online": online})


def summary(sandbox: Sandbox, account: ServerAccount) -> JsonObject:
    session = account.session
    user = sandbox.ilink.users[account.uin]
    bot = user.bot
    if session is not None:
        session.learn(account.world)
    return {
        "uin": account.uin,
        "nickname": account.nickname,
        "wxid": account.wxid,
        "username": session.username(account.wxid) if session is not None else "",
        "domain": account.domain,
        "web_login": account.web_login.value,
        "push_login": account.push_login,
        "group_operations": account.group_operations.value,
        "resend": account.resend,
        "online": session is not None,
        "ilink_user_id": user.user_id,
        "bot_id": bot.bot_id if bot is not None else "",
    }


async def accounts(request: web.Request) -> web.Response:
    """List the accounts."""
    sandbox = request.app[SANDBOX]
    return reply([summary(sandbox, account) for account in sandbox.accounts.values()])


_NEW_ACCOUNT = (
    "nickname", "domain", "friends", "groups", "members", "seed", "web_login", "push_login", "avatar",
    "group_operations", "resend",
)  # fmt: skip


async def add_account(request: web.Request) -> web.Response:
    """Add an account."""
    sandbox = request.app[SANDBOX]
    body = await body_of(request, _NEW_ACCOUNT)
    domain = word(body, "domain", DOMAINS, DOMAINS[0])
    web_login = choice(body, "web_login", WebLogin, WebLogin.BOTH)
    plan = Plan(
        seed=number(body, "seed", len(sandbox.accounts) + 1, 0, 2**53),
        friends=number(body, "friends", 30, 0, 10_000),
        groups=number(body, "groups", 4, 0, 500),
        members=number(body, "members", 12, 1, 500),
    )
    operations = scripting_people.group_operations(body)
    resend = flag(body, "resend", sandbox.options.resend)
    account = sandbox.add_account(
        string(body, "nickname", "")[:64],
        domain,
        plan,
        web_login,
        push_login=flag(body, "push_login"),
        avatar=flag(body, "avatar"),
    )
    account.group_operations, account.resend = operations, resend
    return reply(summary(sandbox, account), 201)


async def account_details(request: web.Request) -> web.Response:
    """Show one account and everybody it knows."""
    account = its_account(request)
    session = account.session
    shown = summary(request.app[SANDBOX], account)
    world = account.world

    def person(who: Person) -> JsonObject:
        return {
            "wxid": who.wxid,
            "username": session.username(who.wxid) if session is not None else "",
            "name": who.name,
            "remark": who.remark,
            "kind": who.kind.value,
            "pinned": bool(who.contact_flag & 0x800),
        }

    def group(room: ServerGroup) -> JsonObject:
        return {
            "wxid": room.wxid,
            "username": session.username(room.wxid) if session is not None else "",
            "name": world.group_title(room),
            "saved": room.saved,
            "pinned": room.pinned,
            "owner": room.owner,
            "members": [person(world.people[m.wxid]) | {"display": m.display} for m in room.members],
        }

    shown["contacts"] = [person(p) for p in world.people.values() if p.kind not in (Relation.SELF, Relation.STRANGER)]
    shown["groups"] = [group(g) for g in world.groups.values()]
    shown["sessions"] = (
        []
        if session is None
        else [
            {
                "opened": session.opened,
                "desktop": session.desktop,
                "initialised": session.initialised,
                "polling": session.polls > 0,
                "undelivered": session.head - session.issued,
                "acknowledged": session.acknowledged,
            }
        ]
    )
    return reply(shown)


async def logins(request: web.Request) -> web.Response:
    """List logins, oldest first; with ``wait``, wait for one in the given state."""
    sandbox = request.app[SANDBOX]
    wanted = choice(request.query, "state", LoginStage) if "state" in request.query else None
    uin = request.query.get("uin")

    def matching() -> list[JsonValue]:
        return [
            login.as_json()
            for login in reversed(sandbox.logins.newest_first())
            if wanted in (None, login.state) and (uin is None or str(login.uin) == uin)
        ]

    return reply(await when(request, matching, sandbox.logins.bell.wait))


async def scan(request: web.Request) -> web.Response:
    """Scan a code with an account's phone."""
    login = await its_login(request, (LoginStage.WAITING,))
    body = await body_of(request, ilink.SCAN_FIELDS if isinstance(login, ILinkCode) else ("uin",))
    account = account_by(request, body.get("uin"))
    if isinstance(login, ILinkCode):
        ilink.scan(request.app[SANDBOX], login, account, body)
    else:
        request.app[SANDBOX].logins.scan(login, account.uin)
    return moved(request, login)


async def confirm(request: web.Request) -> web.Response:
    """Confirm a login; with ``uin``, scan it first if it is not scanned."""
    login = await its_login(request)
    body = await body_of(request, ilink.CONFIRM_FIELDS if isinstance(login, ILinkCode) else ("uin",))
    if isinstance(login, ILinkCode):
        ilink.confirm(request.app[SANDBOX], login, account_by(request, body["uin"]) if "uin" in body else None, body)
        return moved(request, login)
    book = request.app[SANDBOX].logins
    if "uin" in body and login.state is LoginStage.WAITING and not login.push:
        book.scan(login, account_by(request, body["uin"]).uin)
    book.confirm(login)
    return moved(request, login)


async def cancel(request: web.Request) -> web.Response:
    """Decline a login on the phone."""
    login = await its_login(request)
    request.app[SANDBOX].logins.cancel(login)
    return moved(request, login)


async def expire(request: web.Request) -> web.Response:
    """Let a code expire at once."""
    login = await its_login(request)
    request.app[SANDBOX].logins.expire(login)
    return moved(request, login)


def moved(request: web.Request, login: WebLoginCode) -> web.Response:
    request.app[SANDBOX].touch()
    return reply(login.as_json())


async def sent(request: web.Request) -> web.Response:
    """List what the web client sent after a seq; with ``wait``, wait for a result."""
    account = its_account(request)
    after = query_number(request, "after")

    def newer() -> list[JsonValue]:
        kept = len(account.sent)
        start = kept - max(0, min(kept, account.sent_count - int(after)))  # seqs have no gaps
        return [message.as_json() for message in islice(account.sent, start, None)]

    return reply(await when(request, newer, account.bell.wait))


async def chats(request: web.Request) -> web.Response:
    """Show one conversation from a line on (``with``, ``after``), or list all names."""
    account = its_account(request)
    peer = request.query.get("with")
    if peer is None:
        names: list[JsonValue] = [{"wxid": wxid, "name": account.name_of(wxid)} for wxid in account.chats]
        return reply(names)
    wxid = peer if peer == BOT_CONTACT or peer in account.chats else one_of(account, peer, "with")
    after = query_number(request, "after")

    def newer() -> list[JsonValue]:
        return [line.as_json() for line in account.chats.get(wxid, ()) if line.seq > after]

    return reply(await when(request, newer, account.bell.wait))


async def logout(request: web.Request) -> web.Response:
    """End the account's web login on the server; ``forget`` also ends push login."""
    account = its_account(request)
    body = await body_of(request, ("retcode", "forget"))
    retcode = number(body, "retcode", _END_CODES[1], min(_END_CODES), max(_END_CODES))
    if "forget" in body and flag(body, "forget"):
        account.tickets = {}
    ended = request.app[SANDBOX].close_session(account, retcode)
    return reply({"ended": ended, "retcode": retcode})


async def list_faults(request: web.Request) -> web.Response:
    """List the pending faults."""
    return reply([fault.as_json() for fault in request.app[SANDBOX].faults.all.values()])


async def add_fault(request: web.Request) -> web.Response:
    """Inject a fault."""
    body = await body_of(request, ("endpoint", "kind", "value", "count", "uin"))
    endpoint, kind = word(body, "endpoint", (ANY, *sorted(_ENDPOINTS))), choice(body, "kind", FaultKind)
    count = None if body.get("count", 1) is None else number(body, "count", 1, 1, 10**9)
    uin = None if body.get("uin") is None else account_by(request, body["uin"]).uin
    value = body.get("value")
    check_value(kind, value)
    return reply(request.app[SANDBOX].faults.add(endpoint, kind, value, count, uin).as_json(), 201)


def check_value(kind: FaultKind, value: JsonValue) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case FaultKind.DELAY if not number:
            raise BadInput("'value' of a delay is seconds")
        case FaultKind.STATUS if value is not None and not (
            is_integer and (value == 0 or 200 <= int(str(value)) <= 599)
        ):
            raise BadInput("'value' of a status is 0 or 200 to 599")
        case FaultKind.RETCODE if not is_integer:
            raise BadInput("'value' of a retcode is the code")
        case FaultKind.TRUNCATE | FaultKind.SHORT if value is not None and not (is_integer and number):
            raise BadInput("'value' of a truncation is the number of bytes that still come")
        case FaultKind.GARBAGE if value is not None and not isinstance(value, str):
            raise BadInput("'value' of garbage is a text")
        case FaultKind.RESET if value not in (None, "before", "after"):
            raise BadInput("'value' of a reset is before or after")
        case FaultKind.MOVED if value not in DOMAINS:
            raise BadInput(f"'value' of a move is one of {', '.join(DOMAINS)}")
        case FaultKind.DROP if value not in (None, "after") and not number:
            raise BadInput("'value' of a drop is seconds, or after")
        case _:
            pass


async def clear_faults(request: web.Request) -> web.Response:
    """Clear all faults, or one by its id."""
    faults = request.app[SANDBOX].faults
    wanted = request.match_info.get("id")
    if wanted is not None:
        number = int(wanted) if wanted.isascii() and wanted.isdigit() else 0
        if not 0 < number <= faults.last_id:
            raise BadInput(f"no fault had the id {wanted}", 404)
        return reply({"cleared": int(faults.all.pop(number, None) is not None)})  # 0: it has been used meanwhile
    cleared = len(faults.all)
    faults.all.clear()
    return reply({"cleared": cleared})


async def requests(request: web.Request) -> web.Response:
    """Show the requests and their faults."""
    uin = None if "uin" not in request.query else account_by(request, request.query["uin"]).uin
    return reply(request.app[SANDBOX].ledger.as_json(uin))


async def changes(request: web.Request) -> web.Response:
    """Wait until something that the phone page shows has changed."""
    sandbox = request.app[SANDBOX]
    after = query_number(request, "after")
    deadline = time.monotonic() + min(query_number(request, "wait"), LONGEST_WAIT)
    while sandbox.changes <= after and (left := deadline - time.monotonic()) > 0:
        await sandbox.changed.wait(left)
    return reply({"version": sandbox.changes})


def routes() -> list[web.RouteDef]:
    """Return the API's routes."""
    account = "/sandbox/accounts/{uin}"
    return [
        web.get("/sandbox/health", health),
        web.get("/sandbox/accounts", accounts),
        web.post("/sandbox/accounts", add_account),
        web.get(account, account_details),
        *scripting_messages.routes(),
        *scripting_people.routes(),
        *ilink.routes(),
        web.get(account + "/sent", sent),
        web.get(account + "/chats", chats),
        web.post(account + "/logout", logout),
        web.get("/sandbox/logins", logins),
        web.post("/sandbox/logins/{uuid}/scan", scan),
        web.post("/sandbox/logins/{uuid}/confirm", confirm),
        web.post("/sandbox/logins/{uuid}/cancel", cancel),
        web.post("/sandbox/logins/{uuid}/expire", expire),
        web.get("/sandbox/faults", list_faults),
        web.post("/sandbox/faults", add_fault),
        web.delete("/sandbox/faults", clear_faults),
        web.delete("/sandbox/faults/{id}", clear_faults),
        web.get("/sandbox/requests", requests),
        web.get("/sandbox/changes", changes),
    ]
