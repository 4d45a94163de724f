"""Answers as typed values. Any bytes go in; out comes a value or a WeChatError, never anything else.

Scripts are matched by pattern and not run, JSON is read by endpoint and not by content type
(weixin-web-protocol 1.4).
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass, field

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, text
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.connection.failures import UnreadableResponse
from wxcontroller.drivers.connection.transport import LineResponse
from wxcontroller.drivers.web.decode.failures import HostMoved, Overloaded, refusal
from wxcontroller.drivers.web.decode.text import plain
from wxcontroller.drivers.web.wire.calls import SyncKey
from wxcontroller.drivers.web.wire.hosts import home_of, hosts_of

_UUID = re.compile(r"[A-Za-z0-9_+/=-]{4,128}")
_LOGIN_CODE = re.compile(r"QRLogin\.code\s*=\s*\"?(\d{1,6})")
_LOGIN_UUID = re.compile(r"QRLogin\.uuid\s*=\s*\"([^\"]{1,200})\"")
_CODE = re.compile(r"window\.code\s*=\s*(\d{1,6})")
_AVATAR = re.compile(r"userAvatar\s*=\s*['\"]data:[^,'\"]{0,60},([A-Za-z0-9+/=\s]*)")
_REDIRECT = re.compile(r"redirect_uri\s*=\s*\"([!#-~]{1,4000})\"")
_URL = re.compile(r"https?://([A-Za-z0-9.-]{1,200})(?::\d{1,5})?(/[!-\"$->@-~]*)?(?:\?([!-\"$-~]*))?(?:#.*)?")
_RETCODE = re.compile(r"retcode\s*:\s*\"?(-?\d{1,6})")
_SELECTOR = re.compile(r"selector\s*:\s*\"?(-?\d{1,6})")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Poll:
    """An answer to the login poll; ``redirect`` comes with code 200."""

    code: int
    avatar: bytes = field(default=b"", repr=False)
    redirect: "WebRedirect | None" = None


@dataclass(frozen=True, slots=True)
class WebRedirect:
    """A URL at one of WeChat's hosts."""

    host: str
    path: str
    query: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoginPage:
    """The answer of webwxnewloginpage: session values if ``ret`` is 0, else a refusal with WeChat's text."""

    ret: int
    message: str
    skey: str = field(default="", repr=False)
    sid: str = field(default="", repr=False)
    uin: int = 0
    pass_ticket: str = field(default="", repr=False)
    moved: WebRedirect | None = None


@dataclass(frozen=True, slots=True)
class Init:
    """webwxinit: oneself, some recent contacts, ids of recent chats."""

    user: JsonObject
    contacts: tuple[JsonObject, ...]
    chats: tuple[str, ...]
    sync_key: SyncKey = field(repr=False)
    skey: str = field(repr=False)
    invite_from: int = 40


@dataclass(frozen=True, slots=True)
class UploadCheck:
    """WeChat's answer before a large upload: ``media_id`` is set if it already has the file."""

    media_id: str
    aes_key: str = field(repr=False)
    signature: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Check:
    """The answer of synccheck; both numbers are 5.5's."""

    retcode: int
    selector: int


@dataclass(frozen=True, slots=True)
class News:
    """webwxsync: the news, and the keys that acknowledge it (empty: keep the old ones)."""

    messages: tuple[JsonObject, ...]
    changed: tuple[JsonObject, ...]
    gone: tuple[str, ...]
    profile: JsonObject
    more: bool
    sync_key: SyncKey = field(repr=False)
    check_key: SyncKey = field(repr=False)
    skey: str = field(repr=False)

    @property
    def empty(self) -> bool:
        return not (self.messages or self.changed or self.gone)


def uuid_of(answer: LineResponse) -> str:
    """Read jslogin's answer. Raises WeChatError with its code when it is not 200."""
    script = text_of(answer)
    code, uuid = _LOGIN_CODE.search(script), _LOGIN_UUID.search(script)
    if not code:
        raise UnreadableResponse(answer.call, Text("the answer contains no code"))
    if int(code[1]) != 200:
        raise refusal(answer.call, int(code[1]))
    if not uuid or not _UUID.fullmatch(uuid[1]):
        raise UnreadableResponse(answer.call, Text("the answer contains no uuid"))
    return uuid[1]


def picture_of(answer: LineResponse) -> bytes:
    """Return the JPEG of a QR code."""
    if answer.status != 200:
        raise UnreadableResponse(answer.call, Text("HTTP status {status}", status=answer.status))
    if not answer.body.startswith(b"\xff\xd8"):
        raise UnreadableResponse(answer.call, Text("the answer is not a JPEG"))
    return answer.body


def poll_of(answer: LineResponse) -> Poll:
    """Read an answer to the login poll (3.3)."""
    script = text_of(answer)
    match = _CODE.search(script)
    if not match:
        raise UnreadableResponse(answer.call, Text("the answer contains no code"))
    code = int(match[1])
    if code == 201:
        return Poll(code, avatar=_avatar(script))
    if code == 200:
        redirect = _REDIRECT.search(script)
        if not redirect:
            raise UnreadableResponse(answer.call, Text("confirmed, but without a redirect address"))
        return Poll(code, redirect=redirect_of(answer.call, redirect[1]))
    return Poll(code)


def redirect_of(call: str, url: str) -> WebRedirect:
    """Split an address, provided that it is one of WeChat's hosts: cookies go there."""
    match = _URL.fullmatch(url)
    host = match[1].lower() if match else ""
    try:
        hosts_of(host)
    except ValueError:
        raise UnreadableResponse(call, Text("sent on to a host that is not WeChat's")) from None
    assert match is not None
    return WebRedirect(host, match[2] or "/", match[3] or "")


def _avatar(script: str) -> bytes:
    match = _AVATAR.search(script)
    if not match:
        return b""
    try:
        return base64.b64decode("".join(match[1].split()), validate=True)
    except (binascii.Error, ValueError):
        return b""  # for show only


def push_uuid_of(answer: LineResponse) -> str:
    """Read the answer to a push login (3.4). Raises WeChatError when it is not offered."""
    found = _json(answer)
    ret, uuid = integer(found.get("ret"), -1), text(found.get("uuid"))
    if ret != 0:
        raise refusal(answer.call, ret)
    if not _UUID.fullmatch(uuid):
        raise UnreadableResponse(answer.call, Text("the answer contains no uuid"))
    return uuid


def login_page_of(answer: LineResponse) -> LoginPage:
    """Read webwxnewloginpage's answer, 200 and 301 alike (3.5); values by element, the rest may be anything."""
    if not (answer.status == 200 or 300 <= answer.status < 400):
        raise UnreadableResponse(answer.call, Text("HTTP status {status}", status=answer.status))
    page = answer.body[: 1 << 16].decode("utf-8", "replace")
    moved = element(page, "redirecturl")
    if moved:
        redirect = redirect_of(answer.call, plain(moved, False))
        return LoginPage(integer(element(page, "ret")), "", moved=redirect)
    ret = element(page, "ret")
    if not re.fullmatch(r"-?\d{1,6}", ret):
        raise UnreadableResponse(answer.call, Text("the answer is not the login page's XML"))
    uin = element(page, "wxuin")
    values = [element(page, name) for name in ("skey", "wxsid", "pass_ticket")]
    skey, sid, ticket = (value if re.fullmatch(r"[!-~]{0,1000}", value) else "" for value in values)
    return LoginPage(
        ret=int(ret),
        message=words(plain(element(page, "message"), False)),
        skey=skey,
        sid=sid,
        uin=int(uin) if re.fullmatch(r"\d{1,18}", uin) else 0,
        pass_ticket=ticket,
    )


def element(page: str, name: str) -> str:
    start = page.find(f"<{name}>")
    if start < 0:
        return ""
    start += len(name) + 2
    end = page.find(f"</{name}>", start)
    content = page[start:end].strip() if end >= 0 else ""
    if content.startswith("<![CDATA[") and content.endswith("]]>"):
        content = content[9:-3]
    return content


def words(message: str) -> str:
    """Return WeChat's words for people, on one line and not endless."""
    return " ".join("".join(c if c.isprintable() else " " for c in message).split())[:200]


def init_of(answer: LineResponse) -> Init:
    """Read webwxinit. Raises WeChatError with Ret ≠ 0."""
    found = json_with_ret(answer)
    user = obj(found.get("User"))
    if not text(user.get("UserName")):
        raise UnreadableResponse(answer.call, Text("the answer does not say who logged in"))
    return Init(
        user=user,
        contacts=objects(found.get("ContactList")),
        chats=names_in(text(found.get("ChatSet"))),
        sync_key=_sync_key(found.get("SyncKey")),
        skey=text(found.get("SKey")),
        invite_from=max(0, min(integer(found.get("InviteStartCount"), 40), 500)) or 40,
    )


def accepted(answer: LineResponse) -> None:
    """Look only whether Ret is 0. Raises WeChatError if not."""
    json_with_ret(answer)


def check_of(answer: LineResponse) -> Check:
    """Read synccheck's answer (5.5)."""
    script = text_of(answer)
    retcode, selector = _RETCODE.search(script), _SELECTOR.search(script)
    if not retcode:
        raise UnreadableResponse(answer.call, Text("the answer contains no retcode"))
    return Check(int(retcode[1]), int(selector[1]) if selector else 0)


def news_of(answer: LineResponse) -> News:
    """Read webwxsync. Raises WeChatError with Ret ≠ 0."""
    found = json_with_ret(answer)
    gone = (text(entry.get("UserName")) for entry in objects(found.get("DelContactList")))
    return News(
        messages=objects(found.get("AddMsgList")),
        changed=objects(found.get("ModContactList")),
        gone=tuple(name for name in gone if name),
        profile=obj(found.get("Profile")),
        more=integer(found.get("ContinueFlag")) != 0,
        sync_key=_sync_key(found.get("SyncKey")),
        check_key=_sync_key(found.get("SyncCheckKey")),
        skey=text(found.get("SKey")),
    )


def sent_of(answer: LineResponse) -> str:
    """Return the server's id of a sent message. Raises WeChatError with Ret ≠ 0."""
    message_id = text(json_with_ret(answer).get("MsgID"))
    if not message_id:
        raise UnreadableResponse(answer.call, Text("accepted, but without an id"))
    return message_id


def uploaded_of(answer: LineResponse, last: bool) -> str:
    """Return the MediaId after a piece of a file, "" before the ``last`` one. Raises WeChatError with Ret ≠ 0."""
    media_id = text(json_with_ret(answer).get("MediaId"))
    if last and not media_id:
        raise UnreadableResponse(answer.call, Text("accepted, but without a MediaId"))
    return media_id if last else ""


def checked_of(answer: LineResponse) -> UploadCheck:
    """Read webwxcheckupload (5.9). Raises WeChatError with Ret ≠ 0."""
    found = json_with_ret(answer)
    return UploadCheck(*(text(found.get(name)) for name in ("MediaId", "AESKey", "Signature")))


def group_made_of(answer: LineResponse) -> str:
    """Return the id of a group that was made (5.15). Raises WeChatError with Ret ≠ 0 or without an id."""
    name = text(json_with_ret(answer).get("ChatRoomName"))
    if not 0 < len(name) <= 256:
        raise UnreadableResponse(answer.call, Text("accepted, but without a group"))
    return name


def names_in(joined: str) -> tuple[str, ...]:
    """Split a comma list of UserNames, trailing comma or not."""
    return tuple(dict.fromkeys(name for name in joined.split(",") if 0 < len(name) <= 256))


def _sync_key(value: JsonValue) -> SyncKey:
    """Return a key's pairs; () for one that is empty or damaged, which must never replace a good one (5.6)."""
    found = obj(value)
    entries = objects(found.get("List"))
    if integer(found.get("Count")) <= 0 or not entries:
        return ()
    pairs = [(entry.get("Key"), entry.get("Val")) for entry in entries]
    kept = tuple((key, val) for key, val in pairs if type(key) is int and type(val) is int)
    return kept if len(kept) == len(pairs) and is_bounded(kept) else ()


def is_bounded(pairs: SyncKey) -> bool:
    return len(pairs) <= 1000 and all(abs(number) < 1 << 64 for pair in pairs for number in pair)


def objects(value: JsonValue) -> tuple[JsonObject, ...]:
    return tuple(entry for entry in items(value) if isinstance(entry, dict))


def text_of(answer: LineResponse) -> str:
    """Return an answer as text with invalid UTF-8 replaced. Raises UnreadableResponse for an error status."""
    if answer.status != 200:
        if 300 <= answer.status < 400 and answer.location:
            raise HostMoved(answer.call, home_of(redirect_of(answer.call, answer.location).host))
        kind = Overloaded if answer.status >= 500 else UnreadableResponse
        raise kind(answer.call, Text("HTTP status {status}", status=answer.status))
    return answer.body.decode("utf-8", "replace")


def _json(answer: LineResponse) -> JsonObject:
    content = text_of(answer)
    try:
        found: JsonValue = json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableResponse(answer.call, Text("the answer is not JSON")) from None
    if not isinstance(found, dict):
        raise UnreadableResponse(answer.call, Text("the answer is not a JSON object"))
    try:
        return obj(without_halves(found, content, 0, len(content)))
    except RecursionError:
        raise UnreadableResponse(answer.call, Text("the answer is nested too deeply")) from None


def without_halves(value: JsonValue, content: str, start: int, end: int) -> JsonValue:
    """Return a value that was read from a part of ``content`` without halves of surrogate pairs.

    They cannot be written anywhere again. May raise RecursionError.
    """
    return without_surrogates(value) if _ESCAPED_SURROGATE.search(content, start, end) else value


def without_surrogates(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [without_surrogates(entry) for entry in value]
    if isinstance(value, dict):
        return {_SURROGATE.sub("\ufffd", key): without_surrogates(entry) for key, entry in value.items()}
    return value


def json_with_ret(answer: LineResponse) -> JsonObject:
    found = _json(answer)
    accept(answer.call, found)
    return found


def accept(call: str, found: JsonObject) -> None:
    """Look whether Ret is 0. Raises WeChatError if not."""
    base = found.get("BaseResponse")
    ret = integer(obj(base).get("Ret"), 1 << 30)
    if not isinstance(base, dict) or ret == 1 << 30:
        raise UnreadableResponse(call, Text("the answer has no return code"))
    if ret != 0:
        raise refusal(call, ret)
