"""The scripting API's messages: what friends, groups, strangers and the account's own phone send."""

from itertools import islice

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, text
from wxcontroller.sandbox.media.webmarkup import encode
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.script import scripting_ilink as ilink
from wxcontroller.sandbox.script.inputs import (
    SANDBOX,
    BadInput,
    body_of,
    decimal,
    flag,
    its_account,
    member_of,
    number,
    one_of,
    string,
    word,
)
from wxcontroller.sandbox.script.inputs import reply as answer
from wxcontroller.sandbox.script.scripting_content import MEDIA_FIELDS, content_of
from wxcontroller.sandbox.web import composing
from wxcontroller.sandbox.web.composing import Draft
from wxcontroller.sandbox.world.phone import Heard, ServerAccount, WebSend
from wxcontroller.sandbox.world.websession import ServerMessage
from wxcontroller.sandbox.world.world import Relation

_SPREAD = ("image/png", "image/jpeg", "image/gif", "audio/mpeg", "video/mp4")  # safe to show in browsers

# field names by kind, beside kind, from, to and group
KINDS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": (*MEDIA_FIELDS, "shared"),
    "emoticon": (*MEDIA_FIELDS, "shared", "store"),
    "voice": (*MEDIA_FIELDS, "length"),
    "video": (*MEDIA_FIELDS, "length"),
    "microvideo": (*MEDIA_FIELDS, "length"),
    "file": MEDIA_FIELDS,
    "link": ("title", "url", "description", "app_name"),
    "app": ("title", "url", "description", "app_name", "app_type"),
    "articles": ("articles",),
    "transfer": ("amount", "text"),
    "card": ("who",),
    "location": ("title", "text", "latitude", "longitude"),
    "notice": ("text",),
    "template": ("text", "people"),
    "revoke": ("msg_id",),
    "friend_request": ("text", "scene"),
    "voip": (),
    "raw": ("msg_type", "text", "fields"),
}
_PHONE_KINDS = frozenset(KINDS) - {"articles", "notice", "template", "friend_request", "voip"}
_FROM_WECHAT = ("notice", "template")


async def read(request: web.Request, *where: str) -> tuple[str, JsonObject]:
    accepted = dict.fromkeys(("kind", *where, *(name for names in KINDS.values() for name in names)))
    body = await body_of(request, accepted)
    kind = word(body, "kind", KINDS, "text")
    if unknown := sorted(set(body) - {"kind", *where, *KINDS[kind]}):
        raise BadInput(f"a {kind} has no field {unknown[0]!r}; it has {', '.join((*where, *KINDS[kind]))}")
    return kind, body


async def receive(request: web.Request) -> web.Response:
    """Send the account a message, from a person or in a group."""
    account, sandbox = its_account(request), request.app[SANDBOX]
    kind, body = await read(request, "from", "group")
    if kind == "friend_request":
        return _friend_request(sandbox, account, body)
    if kind == "revoke" and "from" not in body:
        quoted = _message_of(account, body)
        if quoted.sender == account.wxid:
            raise BadInput("the account sent that itself; use phone-send to revoke it")
        draft = Draft(sandbox.next_msg_id(), quoted.peer, quoted.sender)
    elif kind in _FROM_WECHAT and "from" not in body:
        peer = one_of(account, string(body, "group"), "group")
        draft = Draft(sandbox.next_msg_id(), peer, peer)
    else:
        peer, sender = _conversation_and_sender(account, string(body, "from"), string(body, "group", ""))
        draft = Draft(sandbox.next_msg_id(), peer, peer if kind in _FROM_WECHAT else sender)
    return _bring(sandbox, account, kind, draft, body, "notice" if kind in _FROM_WECHAT else "peer")


def _conversation_and_sender(account: ServerAccount, sender: str, group: str) -> tuple[str, str]:
    """Return the conversation and the sender."""
    if group:
        peer = one_of(account, group, "group")
        if peer not in account.world.groups:
            raise BadInput(f"'group' {group!r} is a person; leave 'group' away for a private message")
        wxid = member_of(account, peer, sender)
    else:
        wxid = peer = one_of(account, sender, "from")
        if peer in account.world.groups:
            raise BadInput("'from' is a group: name it in 'group' and a member in 'from'")
        if account.world.people[wxid].kind is Relation.STRANGER:
            raise BadInput(f"'from' {sender!r} is no friend; name the group they write in")
    if wxid == account.wxid:
        raise BadInput("an account receives nothing from itself; use phone-send for its own phone")
    return peer, wxid


async def phone_send(request: web.Request) -> web.Response:
    """Send something from the account's own phone."""
    account, sandbox = its_account(request), request.app[SANDBOX]
    if (bot := await ilink.addressed_bot(request, account)) is not None:
        return await ilink.phone_send(request, account, bot)
    kind, body = await read(request, "to")
    if kind not in _PHONE_KINDS:
        raise BadInput(f"a phone sends no {kind}")
    if kind == "revoke":
        quoted = _message_of(account, body)
        if quoted.sender != account.wxid:
            raise BadInput("'msg_id' is of a message that the account did not send")
        # one's own revoke is delivered as if the other side had sent it (7.7)
        draft = Draft(sandbox.next_msg_id(), quoted.peer, quoted.peer)
        mark_revoked(account, text(body["msg_id"]))
        return _bring(sandbox, account, kind, draft, body, "phone")
    peer = one_of(account, string(body, "to"), "to")
    person = account.world.people.get(peer)
    if person is not None and person.kind in (Relation.SELF, Relation.STRANGER):
        raise BadInput("'to' must be a friend, a group or filehelper")
    return _bring(sandbox, account, kind, Draft(sandbox.next_msg_id(), peer, account.wxid), body, "phone")


def mark_revoked(account: ServerAccount, msg_id: str) -> None:
    """Mark a message as revoked in ``sent``."""
    for sent in account.sent:
        if sent.msg_id == msg_id:
            sent.revoked = True


def _message_of(account: ServerAccount, body: JsonObject) -> Heard:
    found = account.heard.get(integer(body.get("msg_id"), -1))
    if found is None:
        raise BadInput("'msg_id' must be that of an earlier message")
    return found


def _bring(
    sandbox: Sandbox, account: ServerAccount, kind: str, draft: Draft, body: JsonObject, origin: str
) -> web.Response:
    message, shown = _compose(sandbox, account, kind, draft, body)
    if message.item is not None and (media_id := text(message.fields.get("MediaId"))):
        account.hold(media_id, message.item)
    sandbox.bring(account, message, origin, shown, string(body, "url", "") if kind in ("link", "app") else "")
    result: JsonObject = {"msg_id": str(message.msg_id), "online": account.session is not None}
    if message.item is not None:
        result |= {"md5": message.item.md5, "size": message.item.size, "mime": message.item.mime}
    return answer(result)


def _compose(
    sandbox: Sandbox, account: ServerAccount, kind: str, draft: Draft, body: JsonObject
) -> tuple[ServerMessage, str]:
    """Return the message and its form on the phone page."""
    match kind:
        case "text" | "notice":
            content = string(body, "text")
            return draft.message(composing.NOTICE if kind == "notice" else composing.TEXT, encode(content)), content
        case "emoticon" if "store" in body and flag(body, "store"):
            return composing.store_emoticon(draft), "[store emoticon]"
        case "image" | "emoticon" | "voice" | "video" | "microvideo" | "file":
            return media(sandbox, kind, draft, body)
        case "link" | "app":
            title, app_type = string(body, "title"), number(body, "app_type", composing.LINK, 0, 100_001)
            parts = (string(body, name, "") for name in ("url", "description", "app_name"))
            return composing.link(draft, app_type, title, *parts), title
        case "articles":
            pushed = [article(each) for each in items(body.get("articles"))]
            if not pushed:
                raise BadInput("'articles' must be a list of objects with title, url, description and cover")
            return composing.articles(draft, account.name_of(draft.sender), pushed), pushed[0].title
        case "template":
            content, people = string(body, "text"), obj(body.get("people"))
            listed = {name: [text(who) for who in items(names)] for name, names in people.items()}
            return composing.template(draft, content, listed), content
        case "transfer":
            amount = string(body, "amount", "0.10")
            return composing.transfer(draft, amount, string(body, "text", "")), f"[transfer {amount}]"
        case "card":
            person = account.world.people.get(one_of(account, string(body, "who"), "who"))
            if person is None:
                raise BadInput("'who' must be a person")
            return composing.card(draft, person), f"[card of {person.name}]"
        case "location":
            name, label = string(body, "title", "科技园"), string(body, "text", "深圳市南山区科技园")
            latitude = decimal(body, "latitude", 22.540001, 90)
            return (
                composing.location(draft, name, label, latitude, decimal(body, "longitude", 113.930001, 180)),
                f"[location {name}]",
            )
        case "voip":
            return composing.voip(draft), "[call]"
        case "revoke":
            own = _message_of(account, body).sender == account.wxid
            words = "你撤回了一条消息" if own else f'"{account.name_of(draft.sender)}" 撤回了一条消息'
            return composing.revoke(draft, integer(body["msg_id"]), words, draft.peer), words
        case _:
            content = string(body, "text", "")
            return draft.message(number(body, "msg_type", 1, 0, 2**31), content, obj(body.get("fields"))), content


def article(value: JsonValue) -> composing.PushArticle:
    fields = obj(value)
    return composing.PushArticle(
        string(fields, "title"), *(string(fields, name, "") for name in ("url", "description", "cover"))
    )


def media(sandbox: Sandbox, kind: str, draft: Draft, body: JsonObject) -> tuple[ServerMessage, str]:
    item = content_of(sandbox.contents, kind, str(draft.msg_id), body)
    shown = f"[{item.name}]" if kind == "file" else f"[{kind}]"
    match kind:
        case "image" | "emoticon" if "shared" in body and flag(body, "shared"):
            return composing.shared(draft, item), shown
        case "image":
            return composing.image(draft, item), shown
        case "emoticon":
            return composing.emoticon(draft, item), shown
        case "voice":
            return composing.voice(draft, item, number(body, "length", 1580, 1, 600_000)), shown
        case "file":
            return composing.file(draft, item), shown
        case _:
            return composing.video(draft, item, number(body, "length", 2, 1, 3600), kind == "microvideo"), shown


def _friend_request(sandbox: Sandbox, account: ServerAccount, body: JsonObject) -> web.Response:
    stranger = composing.new_stranger(account, string(body, "from", "新朋友") or "新朋友")
    greeting = string(body, "text", f"我是{stranger.name}")
    message = composing.friend_request(sandbox.next_msg_id(), stranger, greeting, number(body, "scene", 30, 0, 99))
    if account.session is not None:
        account.session.learn(account.world)
    sandbox.bring(account, message, "peer", f"{stranger.name}: {greeting}")
    return answer(
        {
            "msg_id": str(message.msg_id),
            "online": account.session is not None,
            "wxid": stranger.wxid,
            "ticket": stranger.ticket,
        }
    )


async def sent_content(request: web.Request) -> web.StreamResponse:
    """Return the bytes of a message that the web client sent."""
    account = its_account(request)
    seq = integer(request.match_info["seq"], -1)
    start = len(account.sent) - (account.sent_count - seq + 1)
    found: WebSend | None = next(islice(account.sent, start, None), None) if 0 <= start < len(account.sent) else None
    if found is None or found.item is None:
        see = f"GET /sandbox/accounts/{account.uin}/sent"
        raise BadInput(f"account {account.uin} sent no message {seq} with content; see: {see}", 404)
    return _content(request, found.item.md5)


async def content(request: web.Request) -> web.StreamResponse:
    """Return content by its MD5, as in messages and lines."""
    return _content(request, request.match_info["md5"])


def _content(request: web.Request, md5: str) -> web.StreamResponse:
    path = request.app[SANDBOX].contents.path(md5)
    if path is None:
        raise BadInput("that content is not here, or no longer", 404)
    mime = request.app[SANDBOX].contents.mime(md5)
    return web.FileResponse(
        path,
        headers={
            "Content-Type": mime if mime in _SPREAD else "application/octet-stream",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


def routes() -> list[web.RouteDef]:
    """Return these routes."""
    account = "/sandbox/accounts/{uin}"
    return [
        web.post(account + "/receive", receive),
        web.post(account + "/phone-send", phone_send),
        web.get(account + "/sent/{seq}/content", sent_content),
        web.get("/sandbox/contents/{md5}", content),
    ]
