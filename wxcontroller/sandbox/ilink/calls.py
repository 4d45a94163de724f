"""The nine calls of the API (protocol sections 5 to 11)."""

import secrets
import time

from aiohttp import hdrs, web

from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, text
from wxcontroller.sandbox.ilink import crypt, phone
from wxcontroller.sandbox.ilink.call import ILinkCall, ILinkEndpoint, ILinkRefusal
from wxcontroller.sandbox.ilink.cdn import upload_url
from wxcontroller.sandbox.ilink.codes import MAX_WRONG, HostChange, ILinkCode
from wxcontroller.sandbox.ilink.items import FILE, KINDS, TEXT, VOICE
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.world.ilinkbots import (
    INVALID,
    LOGGED_OUT,
    NO_TICKET,
    THROTTLED,
    Bot,
    ILinkSend,
    Permit,
    SendVerdict,
    SessionState,
    TokenPolicy,
    UploadAnswer,
    User,
    Window,
    opaque,
)
from wxcontroller.sandbox.world.logins import LoginStage, client_of

_LONGEST_TEXT = 16 * 1024  # bytes of UTF-8
_BATCH = 50  # messages in one answer to getupdates
_ARGUMENTS = "invalid arguments"
# Statuses that a poll waits on until they change; all others are answered at once.
_LASTING = frozenset({"scaned", "need_verifycode", "scaned_but_redirect"})


# -- login


async def get_bot_qrcode(call: ILinkCall) -> web.StreamResponse:
    """Hand out a login code (5.1)."""
    if call.request.query.get("bot_type") != "3":
        call.breach("bot_type is not 3")
    now, life = call.now, call.sandbox.options.code_life
    code = ILinkCode(
        uuid=secrets.token_hex(16),
        created=now,
        expires=now + life,
        desktop=False,
        origin=call.origin,
        host=call.host,
        tokens=tuple(text(token) for token in items(call.body.get("local_token_list"))[:10]),
        client=client_of(call.request.headers),
    )
    call.sandbox.logins.add(code)
    call.sandbox.touch()
    return call.reply({"ret": 0, "qrcode": code.uuid, "qrcode_img_content": code.link})


async def get_qrcode_status(call: ILinkCall) -> web.StreamResponse:
    """Hold the poll until the status differs from the last one sent (5.2)."""
    deadline = time.monotonic() + call.sandbox.options.poll_hold
    entered = call.request.query.get("verify_code", "")
    while True:
        code = call.code()
        if code is None:
            return call.reply({"ret": 0, "status": "expired"})
        if entered and code.digits and code.state is LoginStage.SCANNED:
            try_digits(call, code, entered)
            return _status(call, code)
        left = deadline - time.monotonic()
        status = code.status_at(call.host)
        if left <= 0 or (status != "wait" and not (status == code.reported_status and status in _LASTING)):
            return _status(call, code)
        await code.bell.wait(min(left, max(0.01, code.expires - call.now)))


def try_digits(call: ILinkCall, code: ILinkCode, entered: str) -> None:
    if entered == code.digits:
        code.digits = ""
    else:
        code.wrong += 1
        if code.wrong >= MAX_WRONG:
            call.sandbox.logins.move(code, LoginStage.REFUSED)
    call.sandbox.touch()


def _status(call: ILinkCall, code: ILinkCode) -> web.Response:
    status = code.status_at(call.host)
    if status != code.reported_status:
        code.reported_status = status
        call.sandbox.touch()
    answer: JsonObject = {"ret": 0, "status": status}
    if status == "scaned_but_redirect" and code.redirect is HostChange.OTHER_NAME:
        answer["redirect_host"] = code.redirect_host or other_name(call.host)
    if status in ("confirmed", "binded_redirect"):
        answer |= code.credentials
        call.sandbox.logins.move(code, LoginStage.DONE)
    return call.reply(answer)


def other_name(host: str) -> str:
    """Return another name under which this sandbox answers."""
    name, colon, port = host.partition(":")
    other = {"ilinkai.weixin.qq.com": "ilinkai.wechat.com", "127.0.0.1": "localhost"}.get(name, "127.0.0.1")
    return f"{other}{colon}{port}"


# -- receiving


async def getupdates(call: ILinkCall) -> web.StreamResponse:
    """Hold the poll until there are messages; an answer removes them from the queue permanently (6)."""
    bot = call.bot()
    settings = call.owner(bot).settings
    cursor = text(call.body.get("get_updates_buf"))
    if cursor and cursor != bot.cursor:
        call.note("get_updates_buf is not the newest cursor")
    if bot.polls:
        call.note("another poll with this token is waiting")
    started = time.monotonic()
    hold = min(call.sandbox.options.updates_hold, settings.edge or float("inf"))
    bot.polls += 1
    bot.last_poll = call.now
    try:
        while not bot.pending and (left := started + hold - time.monotonic()) > 0:
            await bot.bell.wait(left if bot.dies is None else min(left, max(0.01, bot.dies - call.now)))
            call.bot()
    finally:
        bot.polls -= 1
    if not bot.pending and settings.edge and hold >= settings.edge:
        return web.Response(status=524)
    messages = [bot.pending.popleft() for _ in range(min(len(bot.pending), _BATCH))]
    if messages or not bot.cursor:
        bot.cursor = opaque(72)
        call.sandbox.touch()
    # Answers with messages mostly have no ret (issue 244).
    answer: JsonObject = {} if messages else {"ret": 0}
    return call.reply(
        {
            **answer,
            "msgs": [*messages],
            "sync_buf": "",
            "get_updates_buf": bot.cursor,
            "longpolling_timeout_ms": settings.timeout_hint,
        }
    )


# -- sending


async def sendmessage(call: ILinkCall) -> web.StreamResponse:
    """Accept a message, or refuse it (8, 9)."""
    bot = call.bot()
    settings = call.owner(bot).settings
    message = obj(call.body.get("msg"))
    client_id = text(message.get("client_id"))
    peer, item = arguments(call, message)
    if client_id in bot.answers:
        if settings.drop_repeats:
            return call.reply(bot.answers[client_id])
        call.note("client_id was used before")
    window = bot.windows.setdefault(peer.user_id, Window())
    check_window(call, bot, window, text(message.get("context_token")))
    bot.count(call.now, window)
    sent = take(call, bot, peer, message, item)
    answer: JsonObject = {}
    match call.sandbox.ilink.users[peer.uin].settings.answer:
        case SendVerdict.ID:
            answer = {"ret": 0, "message_id": int(sent.message_id)}
        case SendVerdict.NO_ID:
            answer = {"ret": 0}
        case SendVerdict.EMPTY:
            bot.remember(client_id, answer)
            return web.Response(body=b"", content_type="application/json")
        case SendVerdict.OBJECT:
            pass
    bot.remember(client_id, answer)
    return call.reply(answer)


def arguments(call: ILinkCall, message: JsonObject) -> tuple[User, JsonObject]:
    """Return the peer and the item of a message. Refuses what the service is reported to refuse always."""
    to, listed = text(message.get("to_user_id")), items(message.get("item_list"))
    item = obj(listed[0]) if listed else {}
    message_text = text(obj(item.get("text_item")).get("text"))
    if not to:
        raise ILinkRefusal(THROTTLED, _ARGUMENTS, "to_user_id is empty")
    if len(listed) > 1:
        raise ILinkRefusal(THROTTLED, _ARGUMENTS, "a message has several items")
    if message.get("message_state") == 1:
        raise ILinkRefusal(THROTTLED, _ARGUMENTS, "message_state is 1: there is no streaming")
    if len(message_text.encode("utf-8", "replace")) > _LONGEST_TEXT:
        raise ILinkRefusal(THROTTLED, _ARGUMENTS, "the text has more than 16 KiB")
    peer = call.sandbox.ilink.users_by_id.get(to)
    if peer is None:
        raise ILinkRefusal(INVALID, why="to_user_id is nobody's id: was it altered?")
    if message.get("message_type") != 2 or message.get("message_state") != 2:
        call.breach("message_type or message_state is not 2")
    if not text(message.get("client_id")):
        call.breach("client_id is missing")
    if not listed or (item.get("type") == TEXT and not message_text):
        call.breach("the message is empty")
    return peer, item


def check_window(call: ILinkCall, bot: Bot, window: Window, token: str) -> None:
    """Refuse a send that is not allowed now (9). Attempts during a penalty lengthen it."""
    now, settings = call.now, call.owner(bot).settings
    if not token and settings.tokens is TokenPolicy.IGNORED:
        return
    if not token:
        raise ILinkRefusal(INVALID, why="context_token is missing")
    if now < bot.throttled_until:
        bot.throttle(now)
        raise ILinkRefusal(THROTTLED)
    if settings.tokens is TokenPolicy.CHECKED and token not in window.tokens:
        raise ILinkRefusal(THROTTLED, "prepare failed")
    if not window.is_open(now, settings.window):
        raise ILinkRefusal(LOGGED_OUT)
    spent = bool(settings.budget and window.sent >= settings.budget)
    spent = spent or bool(settings.budget_24h and bot.sent_24h(now) >= settings.budget_24h)
    hasty = bool(settings.burst and sum(1 for sent in bot.sends if sent > now - 1) >= settings.burst)
    if spent or hasty:
        bot.throttle(now)
        raise ILinkRefusal(THROTTLED)


def take(call: ILinkCall, bot: Bot, peer: User, message: JsonObject, item: JsonObject) -> ILinkSend:
    ilink, kind = call.sandbox.ilink, KINDS.get(integer(item.get("type")), "other")
    details = obj(item.get(f"{kind}_item"))
    message_text = text(details.get("text"))
    content, problem = (None, "") if kind in ("text", "other") else fetch(call, kind, details)
    if peer.settings.answer is not SendVerdict.ID:
        problem = "the user is restricted"
    elif item.get("type") == VOICE:
        problem = "voice that a bot sends is not shown"
    identifier = text(message.get("message_id")) or str(call.sandbox.next_msg_id())
    peer.sent_count += 1
    sent = ILinkSend(
        seq=peer.sent_count,
        uin=peer.uin,
        peer=peer.user_id,
        bot_id=bot.bot_id,
        kind=kind,
        text=message_text,
        name=content.name if content else "",
        client_id=text(message.get("client_id")),
        message_id=identifier,
        context_token=text(message.get("context_token")),
        time=call.now,
        problem=problem,
        item=content,
    )
    peer.sent.append(sent)
    phone.remember(peer, identifier, {**message, "message_id": integer(identifier)})
    if not problem:
        shown = message_text if kind == "text" else f"[{sent.name or kind}]"
        phone.show(call.sandbox, bot, peer, shown, content)
    call.sandbox.touch()
    ilink.bell.ring()
    return sent


def fetch(call: ILinkCall, kind: str, details: JsonObject) -> tuple[ContentItem | None, str]:
    """Return the content that an item refers to, or why the phone cannot show it."""
    sandbox, media = call.sandbox, obj(details.get("media"))
    stored = sandbox.ilink.files.get(text(media.get("encrypt_query_param")))
    path = sandbox.contents.path(stored.md5) if stored is not None else None
    if path is None:
        return None, "the CDN has no such file"
    key = crypt.read_hex_form(text(media.get("aes_key")))
    if key is None:
        return None, "aes_key is not base64 of 32 hex digits"
    incoming = sandbox.contents.begin()
    try:
        crypt.decrypt(path, key, incoming)
    except ValueError:
        incoming.drop()
        return None, "the file does not decrypt with that key"
    size, md5 = incoming.size, sandbox.contents.finish(incoming)
    name = text(details.get("file_name")) if kind == KINDS[FILE] else ""
    return ContentItem(kind, md5, size, name, sandbox.contents.mime(md5)), ""


# -- typing, notices, permits


async def getconfig(call: ILinkCall) -> web.StreamResponse:
    """Return the typing ticket of a user who has written (10)."""
    bot = call.bot()
    window = bot.windows.get(text(call.body.get("ilink_user_id")))
    if window is None or window.opened is None:
        raise ILinkRefusal(NO_TICKET)
    window.ticket = window.ticket or opaque(48)
    return call.reply({"ret": 0, "typing_ticket": window.ticket})


async def sendtyping(call: ILinkCall) -> web.StreamResponse:
    """Show or end the typing indicator."""
    bot = call.bot()
    window = bot.windows.get(text(call.body.get("ilink_user_id")))
    if window is None or not window.ticket or text(call.body.get("typing_ticket")) != window.ticket:
        call.breach("typing_ticket is wrong")
    else:
        window.typing = call.body.get("status") == 1
        call.sandbox.touch()
    return call.reply({"ret": 0})


async def notifystart(call: ILinkCall) -> web.StreamResponse:
    """Record that the client started; this revives a session that was dropped for being idle (issue 155)."""
    bot = call.sandbox.ilink.bots.get(call.token)
    if bot is not None and bot.state_at(call.now) is SessionState.ASLEEP:
        bot.set_state(SessionState.ALIVE)
    call.bot().started = True
    call.sandbox.touch()
    return call.reply({"ret": 0})


async def notifystop(call: ILinkCall) -> web.StreamResponse:
    """Record that the client stops."""
    call.bot().started = False
    call.sandbox.touch()
    return call.reply({"ret": 0})


async def getuploadurl(call: ILinkCall) -> web.StreamResponse:
    """Allow an upload (11.2)."""
    bot = call.bot()
    user, body = call.owner(bot), call.body
    if user.settings.media_refused:
        raise ILinkRefusal(THROTTLED)
    size = integer(body.get("rawsize"), -1)
    if integer(body.get("filesize"), -1) != (size // 16 + 1) * 16:
        call.breach("filesize is not the size of rawsize bytes with padding")
    if integer(body.get("media_type")) not in (1, 2, 3, 4):
        call.breach("media_type is not 1 to 4")
    for name in ("filekey", "aeskey", "rawfilemd5"):
        if not crypt.is_hex(text(body.get(name))):
            call.breach(f"{name} is not 32 hex digits")
    filekey = text(body.get("filekey"))
    parameter = call.sandbox.ilink.allow_upload(Permit(bot.uin, filekey, body))
    answer: JsonObject = {"ret": 0}
    if user.settings.upload_answer in (UploadAnswer.BOTH, UploadAnswer.PARAM):
        answer["upload_param"] = parameter
    if user.settings.upload_answer in (UploadAnswer.BOTH, UploadAnswer.URL):
        answer["upload_full_url"] = upload_url(phone.cdn_base(bot.origin), parameter, filekey)
    return call.reply(answer)


_POST = frozenset({hdrs.METH_POST})
_GET = frozenset({hdrs.METH_GET})
_BOT = "/ilink/bot/"
ENDPOINTS = (
    ILinkEndpoint("get_bot_qrcode", _BOT + "get_bot_qrcode", get_bot_qrcode, _POST | _GET, needs_token=False),
    ILinkEndpoint("get_qrcode_status", _BOT + "get_qrcode_status", get_qrcode_status, _GET, needs_token=False),
    ILinkEndpoint("getupdates", _BOT + "getupdates", getupdates, _POST, error_key="errcode"),
    ILinkEndpoint("sendmessage", _BOT + "sendmessage", sendmessage, _POST),
    ILinkEndpoint("getconfig", _BOT + "getconfig", getconfig, _POST),
    ILinkEndpoint("sendtyping", _BOT + "sendtyping", sendtyping, _POST),
    ILinkEndpoint("getuploadurl", _BOT + "getuploadurl", getuploadurl, _POST),
    ILinkEndpoint("notifystart", _BOT + "msg/notifystart", notifystart, _POST),
    ILinkEndpoint("notifystop", _BOT + "msg/notifystop", notifystop, _POST),
)
