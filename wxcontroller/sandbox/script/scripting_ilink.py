"""The scripting API of the iLink route: bots and their windows, their sends, clients' requests, the clock."""

import enum
import json
import secrets
from dataclasses import fields
from itertools import islice

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, obj, text
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.codes import HostChange, ILinkCode
from wxcontroller.sandbox.ilink.items import ItemMedia, KeyForm, QuoteForm, quote_of, text_item
from wxcontroller.sandbox.media import samplemedia
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.script.inputs import (
    SANDBOX,
    BadInput,
    body_of,
    choice,
    decimal,
    flag,
    its_account,
    its_login,
    number,
    query_number,
    reply,
    string,
    when,
    word,
)
from wxcontroller.sandbox.script.scripting_content import MAKERS, MEDIA_FIELDS, content_of
from wxcontroller.sandbox.world.ilinkbots import BOT_CONTACT, Bot, ILinkBehavior, SessionState, User
from wxcontroller.sandbox.world.phone import ServerAccount

SCAN_FIELDS = ("uin", "verify", "redirect")
CONFIRM_FIELDS = ("uin", "baseurl", "same_bot")
_SETTINGS = tuple(field.name for field in fields(ILinkBehavior))
_STATE_FIELDS = ("session", "window_open", "peer", "throttle")
_QUOTE_FIELDS = ("quote", "quote_form", "quote_part")
_KINDS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": (*MEDIA_FIELDS, "key_form", "full_url"),
    "voice": (*MEDIA_FIELDS, "key_form", "full_url", "length", "transcript"),
    "video": (*MEDIA_FIELDS, "key_form", "full_url", "length"),
    "file": (*MEDIA_FIELDS, "key_form", "full_url"),
    "raw": (),
}
_MAKERS = {**MAKERS, "voice": (lambda _: samplemedia.silk(), "voice.silk")}
_LONGEST = 10 * 365 * 86400  # limit of the clock's advance and of a throttle, in seconds


# -- logins


def scan(sandbox: Sandbox, code: ILinkCode, account: ServerAccount, body: JsonObject) -> None:
    """Scan a code as a script says. Raises BadInput and WrongState."""
    redirect, host = HostChange.NONE, ""
    match body.get("redirect", False):
        case False:
            pass
        case True:
            redirect = HostChange.OTHER_NAME
        case "":
            redirect = HostChange.HERE
        case _:
            redirect, host = HostChange.OTHER_NAME, string(body, "redirect")
    phone.scan(sandbox, code, account, verify=flag(body, "verify", False), redirect=redirect, redirect_host=host)


def confirm(sandbox: Sandbox, code: ILinkCode, account: ServerAccount | None, body: JsonObject) -> None:
    """Confirm a code as a script says. Raises BadInput and WrongState."""
    base_url = string(body, "baseurl", "") if "baseurl" in body else None
    phone.confirm(sandbox, code, account, base_url=base_url, same_bot=flag(body, "same_bot", False))


async def set_status(request: web.Request) -> web.Response:
    """Return any status to polls of a code; an empty one restores the real status."""
    body = await body_of(request, ("status",))
    login = await its_login(request)
    if not isinstance(login, ILinkCode):
        raise BadInput("only iLink's codes can have another status")
    login.status = string(body, "status", "")
    login.bell.ring()
    return reply(login.as_json())


# -- bots


def _user(request: web.Request) -> User:
    return request.app[SANDBOX].ilink.users[its_account(request).uin]


def bot_out(sandbox: Sandbox, bot: Bot) -> JsonObject:
    now = sandbox.clock.now()
    windows: list[JsonValue] = [
        {
            "peer": peer,
            "opened": window.opened,
            "open": window.is_open(now, sandbox.ilink.users[bot.uin].settings.window),
            "sent": window.sent,
            "context_token": window.tokens[-1] if window.tokens else "",
            "typing": window.typing,
        }
        for peer, window in bot.windows.items()
    ]
    return {
        "bot_id": bot.bot_id,
        "token": bot.token,
        "created": bot.created,
        "session": bot.state_at(now).value,
        "polling": bot.polls > 0,
        "last_poll": bot.last_poll,
        "started": bot.started,
        "pending": len(bot.pending),
        "sent_24h": bot.sent_24h(now),
        "throttled_until": bot.throttled_until if now < bot.throttled_until else None,
        "attempts": bot.attempts,
        "windows": windows,
    }


def out(sandbox: Sandbox, user: User) -> JsonObject:
    return {
        "user_id": user.user_id,
        "settings": user.settings.as_json(),
        "bot": None if user.bot is None else bot_out(sandbox, user.bot),
    }


async def show(request: web.Request) -> web.Response:
    """Show an account's iLink side."""
    return reply(out(request.app[SANDBOX], _user(request)))


async def change(request: web.Request) -> web.Response:
    """Change how the service treats an account, and the state of its bot."""
    body = await body_of(request, (*_SETTINGS, *_STATE_FIELDS))
    sandbox, user = request.app[SANDBOX], _user(request)
    settings = {name: setting(user.settings, name, body) for name in _SETTINGS if name in body}
    bot = phone.own_bot(sandbox, its_account(request)) if any(name in body for name in _STATE_FIELDS) else None
    if bot is not None:
        change_state(sandbox, bot, user, body)
    for name, value in settings.items():
        setattr(user.settings, name, value)
    sandbox.touch()
    return reply(out(sandbox, user))


def setting(settings: ILinkBehavior, name: str, body: JsonObject) -> object:
    """Read a setting by the type of its present value."""
    match getattr(settings, name):
        case enum.Enum() as present:
            return choice(body, name, type(present))
        case bool():
            return flag(body, name)
        case int():
            return number(body, name, 0, 0, 10**9)
        case float():
            return abs(decimal(body, name, 0, _LONGEST))
        case _:
            return string(body, name, "")


def change_state(sandbox: Sandbox, bot: Bot, user: User, body: JsonObject) -> None:
    session = choice(body, "session", SessionState, bot.state)
    if "throttle" in body:
        seconds = decimal(body, "throttle", 0, _LONGEST)
        bot.end_throttle()
        bot.throttled_until = sandbox.clock.now() + seconds if seconds else 0.0
    if "window_open" in body:
        closed, peer = not flag(body, "window_open"), string(body, "peer", "")
        if peer and peer not in bot.windows:
            raise BadInput("'peer' must be the ilink_user_id of somebody who has written to the bot")
        for user_id, window in bot.windows.items():
            if peer in ("", user_id):
                window.closed = closed
    if "session" in body:
        bot.set_state(session)


async def sent(request: web.Request) -> web.Response:
    """List what bots sent to an account after a seq; with ``wait`` not before there is something."""
    user = _user(request)
    after = int(query_number(request, "after"))

    def newer() -> list[JsonValue]:
        start = len(user.sent) - max(0, min(len(user.sent), user.sent_count - after))  # seqs have no gaps
        return [message.as_json() for message in islice(user.sent, start, None)]

    return reply(await when(request, newer, request.app[SANDBOX].ilink.bell.wait))


async def repeat(request: web.Request) -> web.Response:
    """Deliver a message of the account's phone to its bot again."""
    body = await body_of(request, ("msg_id", "fresh"))
    sandbox, user = request.app[SANDBOX], _user(request)
    bot = phone.own_bot(sandbox, its_account(request))
    message = _message(user, body, "msg_id")
    return reply({"msg_id": text(phone.repeat(sandbox, bot, message, flag(body, "fresh", False))["message_id"])})


def _message(user: User, body: JsonObject, key: str) -> JsonObject:
    message = user.messages.get(text(body.get(key)))
    if message is None:
        raise BadInput(f"{key!r} must be the id of an earlier message of this account or its bot")
    return message


# -- messages from the phone


async def addressed_bot(request: web.Request, account: ServerAccount) -> Bot | None:
    """Return the bot that a body's ``to`` names: ``clawbot`` for the account's own, or an id."""
    try:
        to = text(field(json.loads(await request.read()), "to"))
    except ValueError:
        return None
    sandbox = request.app[SANDBOX]
    if to == BOT_CONTACT:
        return phone.own_bot(sandbox, account)
    return sandbox.ilink.bot_by_id(to) if to.endswith("@im.bot") else None


async def phone_send(request: web.Request, account: ServerAccount, bot: Bot) -> web.Response:
    """Let an account's phone write to a bot."""
    allowed = dict.fromkeys(name for names in _KINDS.values() for name in names)
    body = await body_of(request, ("to", "kind", "fields", *_QUOTE_FIELDS, *allowed))
    sandbox, user = request.app[SANDBOX], _user(request)
    kind = word(body, "kind", _KINDS, "text")
    quoting: JsonObject = {"ref_msg": quote(user, body)} if "quote" in body else {}
    changes = obj(body.get("fields"))
    if kind in ("text", "raw"):
        message_text = string(body, "text") if kind == "text" else ""
        item = text_item(message_text) | quoting
        message = phone.write(sandbox, account, bot, item, message_text or "[raw]", changes=changes)
    else:
        media = _media(sandbox, kind, body)
        message = phone.write_media(sandbox, account, media, bot, extra=quoting, changes=changes)
    return reply({"msg_id": text(message.get("message_id")), "message": message, "polling": bot.polls > 0})


def _media(sandbox: Sandbox, kind: str, body: JsonObject) -> ItemMedia:
    usual = KeyForm.HEX if kind in ("file", "video") else KeyForm.RAW
    form = choice(body, "key_form", KeyForm, usual)
    if form is KeyForm.NONE and kind != "image":
        raise BadInput("'key_form' is none only for an image")
    return ItemMedia(
        content=content_of(sandbox.contents, kind, secrets.token_hex(4), body, _MAKERS),
        key=secrets.token_bytes(16),
        form=form,
        full_url=flag(body, "full_url"),
        milliseconds=number(body, "length", 1580, 1, 600_000) if kind == "voice" else 0,
        seconds=number(body, "length", 2, 1, 3600) if kind == "video" else 0,
        transcript=string(body, "transcript", ""),
    )


def quote(user: User, body: JsonObject) -> JsonObject:
    form = choice(body, "quote_form", QuoteForm, QuoteForm.ID)
    try:
        return quote_of(_message(user, body, "quote"), form, string(body, "quote_part", ""))
    except ValueError as error:
        raise BadInput(str(error)) from None


# -- clients' requests, and the clock


async def requests(request: web.Request) -> web.Response:
    """List requests of iLink clients (``uin``, ``endpoint``, ``after``); with ``wait`` not before there is one."""
    ilink, query = request.app[SANDBOX].ilink, request.query
    after = query_number(request, "after")

    def matching() -> list[JsonValue]:
        return [
            exchange.as_json()
            for exchange in ilink.exchanges
            if exchange.seq > after
            and query.get("endpoint") in (None, exchange.endpoint)
            and query.get("uin") in (None, str(exchange.uin))
        ]

    return reply(await when(request, matching, ilink.bell.wait))


async def clock(request: web.Request) -> web.Response:
    """Return the sandbox's time, and advance it."""
    sandbox = request.app[SANDBOX]
    body = await body_of(request, ("forward",))
    if "forward" in body:
        seconds = decimal(body, "forward", 0, _LONGEST)
        if seconds < 0:
            raise BadInput("'forward' must not be negative")
        sandbox.forward(seconds)
    return reply({"time": sandbox.clock.now(), "offset": sandbox.clock.offset})


def routes() -> list[web.RouteDef]:
    """Return these routes."""
    bot = "/sandbox/accounts/{uin}/ilink"
    return [
        web.get(bot, show),
        web.post(bot, change),
        web.get(bot + "/sent", sent),
        web.post(bot + "/repeat", repeat),
        web.post("/sandbox/logins/{uuid}/status", set_status),
        web.get("/sandbox/ilink/requests", requests),
        web.get("/sandbox/clock", clock),
        web.post("/sandbox/clock", clock),
    ]
