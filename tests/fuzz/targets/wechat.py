"""What comes from WeChat: its answers, the messages of peers in them, and an account's own files."""

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from tests.fuzz.corpus import recorded
from tests.fuzz.target import LONG, NotJson, Target, fit, joined, json_of, texts
from tests.unit.drivers.kit import Store
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.messages import Text
from wxcontroller.core.model import Contact, Group, Member, Message
from wxcontroller.drivers.connection.transport import LineResponse, ReceivedFile
from wxcontroller.drivers.web.decode import answers, contacts, contents, markup, messages, text
from wxcontroller.drivers.web.decode.emoji import character_of, name_of
from wxcontroller.drivers.web.decode.listing import batch_of, contact_page_of
from wxcontroller.drivers.web.media.intake import Intake
from wxcontroller.drivers.web.session.consent import Consent
from wxcontroller.drivers.web.session.saved import Saved
from wxcontroller.drivers.web.wire.cookies import Jar, when
from wxcontroller.drivers.web.wire.hosts import home_of, hosts_of
from wxcontroller.openwx import objects, reports
from wxcontroller.openwx.replies import to_bytes
from wxcontroller.sandbox import samples

ME = Contact("@me", "我", 4711)
_FRIEND = Contact("@ann", "Ann", markname="安")
_MEMBER = Member("@ann", "Ann", display="A")
_GROUP = Group("@@team", "", (Member("@me", "我"), _MEMBER))


def _answer(data: bytes) -> LineResponse:
    """Return an answer of WeChat; now and then with another status."""
    if data[:1] == b"\x01":
        return LineResponse("call", 301, data[1:], data[1:].decode("utf-8", "replace"))
    if data[:1] == b"\x02":
        return LineResponse("call", 503, data[1:])
    return LineResponse("call", 200, data)


def _of_answer(*reads: Callable[[LineResponse], object]) -> Callable[[bytes], object]:
    return lambda data: fit([read(_answer(data)) for read in reads])


def _redirect(data: bytes) -> None:
    found = answers.redirect_of("call", data.decode("utf-8", "replace"))
    hosts_of(found.host)
    assert not set(found.path + found.query) & set(" \r\n\x00")
    fit(found)


def report(message: Message) -> None:
    """Whatever a message is, it can be reported."""
    fit(message)
    for chat in (reports.Chat(ME), reports.Chat(ME, _FRIEND), reports.Chat(ME, group=_GROUP, member=_MEMBER)):
        body = to_bytes(reports.received(message, chat))
        assert isinstance(json.loads(body), dict)
        assert b"\n" not in body


def _message(data: bytes) -> None:
    raw = obj(json_of(data))
    for emoji_names in (True, False):
        # As decode does before anybody reads it.
        whole = obj(answers.without_halves(raw, "\\ud800", 0, 6))
        found = messages.message_of(whole, "@me", emoji_names)
        if isinstance(found, Message):
            report(found)
        elif isinstance(found, messages.IncomingFriendRequest):
            fit(found)
            to_bytes(reports.friend_request(found.request))
        else:
            fit(found)


def _people(data: bytes) -> None:
    for raw in (obj(one) for one in _entries(data)):
        whole = obj(answers.without_halves(raw, "\\ud800", 0, 6))
        people, groups = contacts.split([whole])
        for one in people:
            contact = contacts.contact_of(one, True)
            contacts.remark_of(one)
            fit(contacts.merge_contact(contact, contact, True))
            to_bytes(objects.friend(contact))
            to_bytes(objects.user(contacts.profile_changes(one, contact, False)))
        for one in groups:
            group = contacts.merge_group(None, contacts.group_of(one, "@me", False))
            fit(contacts.merge_group(group, contacts.with_details(group, {"@ann": _FRIEND})))
            to_bytes(objects.group(group, "@me"))


def _entries(data: bytes) -> list[object]:
    value = json_of(data)
    return list(value) if isinstance(value, list) else [value]


def _sync(data: bytes) -> None:
    news = answers.news_of(_answer(data))
    fit([*news.gone, *news.sync_key, *news.check_key, news.skey])
    contacts.split(news.changed)
    for raw in news.messages:
        found = messages.message_of(raw, "@me", True)
        messages.id_of(raw)
        if isinstance(found, Message):
            report(found)


def _init(data: bytes) -> None:
    found = answers.init_of(_answer(data))
    fit([*found.chats, *found.sync_key, found.skey, found.invite_from])
    list(contacts.portions(found.contacts))
    fit(contacts.contact_of(found.user, False))


def _pages(data: bytes) -> None:
    for read in (contact_page_of, batch_of):
        page = read(_answer(data))
        entries = list(page)
        assert page.count == len(entries)
        assert isinstance(page.seq, int)
        for one in contacts.split(entries)[0]:
            fit(contacts.contact_of(one, True))


def _markup(data: bytes) -> None:
    source = data.decode("utf-8", "replace")
    found = markup.read(source, True)
    for place in ("appmsg/title", "revokemsg/msgid", "appattach/attachid", "title", "category/name"):
        found.text(place).encode()
    for place in ("img", "msg", "emoji", "appmsg", "location"):
        found.attribute(place, "length", "md5", "appid", "x").encode()
    for item in (*found.each("category/item"), *found.each("link_list/link")):
        item.text("title").encode()


def _plain(data: bytes) -> None:
    raw = data.decode("utf-8", "replace")
    for names in (True, False):
        text.plain(raw, names).encode()
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in text.plain_name(raw, names))
        text.plain_emoji(raw, names, escape=True).encode()
    sender, rest = text.split_sender(raw)
    assert len(sender) + len(rest) <= len(raw)
    text.is_group(raw)
    text.plain_mentions(raw).encode()
    for code in (raw[:10].lower(), "".join(c for c in raw[:40] if c in "0123456789abcdef")[:10]):
        if code and all(c in "0123456789abcdef" for c in code):
            character_of(code).encode()
            name_of(code).encode()


def _in_a_loop(read: Callable[[bytes], Coroutine[None, None, None]]) -> Callable[[bytes], None]:
    """Return a target of what has to run where an account does: aiohttp's jar is made inside an event loop."""
    return lambda data: asyncio.run(read(data))


async def _cookies(data: bytes) -> None:
    jar = Jar()
    date, *headers = texts(data, 4)
    jar.take("wx.qq.com", headers, date)
    when(date)
    line = jar.header("wx.qq.com", "/cgi-bin/x", True)
    assert not set(line) & set("\r\n\x00"), "a header of our own request was split"
    jar.move("wx.qq.com", "wx2.qq.com")
    other = Jar()
    other.restore(jar.stored())
    assert other.stored() == jar.stored()
    json.dumps(jar.stored(), allow_nan=False)


async def _session(data: bytes) -> None:
    saved = Saved(Store(data), "wx.qq.com", keep=True)
    saved.load()
    memory = saved.memory
    hosts_of(memory.domain)
    if memory.session is not None:
        hosts_of(memory.session.domain)
    line = memory.jar.header(memory.domain, "/", True)
    assert not set(line) & set("\r\n\x00"), "a header of our own request was split"
    saved.save_now()


def _decisions(data: bytes) -> None:
    store = Store(data)
    consent = Consent("alice", None, store)
    consent.load()
    consent.push_mode(True)
    asyncio.run(consent.refused(True))
    again = Consent("alice", None, store)
    again.load()
    assert again.next_step() == consent.next_step(), "what was written is read as something else"


def _content(data: bytes) -> None:
    """Content in several answers, each with what it says of itself."""
    sink = io.BytesIO()
    intake = Intake(sink, "call", 1 << 16, anything=data[:1] == b"a", announced=len(data) // 2)
    for part in data.split(b"\x1e")[:6]:
        head, _, body = part.partition(b"\x1d")
        numbers = [int(n) % (1 << 20) for n in head[:60].split(b",") if n.isdigit() and len(n) < 20]
        size, start, total = [*numbers, 0, 0, 0][:3]
        intake.begin(ReceivedFile(size, head[:20].decode("latin-1").lower(), start, total))
        intake.take(body)
        assert intake.got <= 1 << 16
        assert intake.whole in (True, False)
    found = intake.end()
    assert found.size == intake.got
    intake.broken(Text("x"))


def _names(data: bytes) -> None:
    name = data.decode("utf-8", "replace")
    answers.names_in(name)
    found = contents.file_key(name)
    fit(found)
    try:
        home_of(name)
    except ValueError:
        return
    assert name.endswith(("qq.com", "wechat.com"))


def _seeds(*kinds: str) -> tuple[bytes, ...]:
    return tuple(content for kind in kinds for content in recorded().get(kind, ()))


def _xml_of_messages() -> tuple[bytes, ...]:
    found = (json.loads(raw).get("Content", "") for raw in recorded()["message"])
    return tuple({content.encode() for content in found if isinstance(content, str) and content})


_XML = tuple(
    piece.encode()
    for piece in (
        *("&lt;msg&gt;", "&lt;/msg&gt;", "&lt;appmsg appid='x' sdkver=''&gt;", "&lt;type&gt;6&lt;/type&gt;"),
        "&lt;!--",
        *("&lt;attachid&gt;", "&lt;attachid/&gt;", "&lt;a&gt;", "&lt;/a&gt;", "--&gt;", "&lt;![CDATA[", "]]&gt;"),
        *("&lt;item&gt;", "&lt;link name='a'&gt;", "$a$", "&lt;emoji md5='", "@a:<br/>", "@@a", "pictype=location"),
        *('<span class="emoji emoji1f604"></span>', "&lt;?xml version='1.0' encoding='utf-16'?&gt;", "\u2005"),
    )
)
_JSON = (
    *(b'"BaseResponse":{"Ret":0}', b'"MemberList":[', b'"Ret":1101'),
    b'"SyncKey":{"Count":1,"List":[{"Key":1,"Val":2}]}',
)
_SENT = (
    b'{"BaseResponse":{"Ret":0},"MsgID":"1","MediaId":"@a","ChatRoomName":"@@a","AESKey":"","Signature":""}',
    *_seeds("webwxsendmsg", "webwxsendappmsg", "webwxuploadmedia", "webwxstatusnotify"),
)
_SENDS = (answers.accepted, answers.sent_of, partial(answers.uploaded_of, last=True), answers.checked_of)
_SOMEBODY = tuple(
    json.dumps(entry, ensure_ascii=False).encode()
    for raw in _seeds("webwxinit", "webwxbatchgetcontact", "webwxgetcontact")
    for key in ("ContactList", "MemberList")
    for entry in json.loads(raw).get(key, ())
)
_CONTENTS = (
    *(b"100,0,100\x1d" + make("x")[:200] for make in (samples.png, samples.gif, samples.picture, samples.mp4)),
    *(b"0\x1d" + samples.mp3(100)[:100], b'a5,0,9\x1dhello\x1e4,5,9\x1dlate\x1e\x1d{"BaseResponse":'),
)
_NAMES = b"@a,@@b,c", b'["@a","@crypt_1","x%2F","a.txt"]', b"login.wx2.qq.com", b"webpush.web.wechat.com"
_DATED = "a=b; Expires=Wed, 21-Oct-2099 07:28:00 GMT; Path=/x; Secure", "c=d; Max-Age=60", "e=; Max-Age=-1"
_COOKIES = (
    *(joined("Wed, 21 Oct 2026 07:28:00 GMT", cookie) for cookie in _seeds("cookie")),
    joined("", *_DATED),
)
_COOKIE_WORDS = (b"Max-Age=", b"Expires=", b"Domain=", b"Path=", b"Secure", b"--1", b"; ")
_DECIDED = (
    b'{"version":1,"agreed":0.0,"refused":{"normal":[1764200000.0],"desktop":[]}}',
    b'{"version":1,"agreed":1764200000.5,"refused":{"normal":[1e9,2e9,3e9],"desktop":[1764200000]}}',
)
_DECIDING = (b'"normal"', b'"desktop"', b'"agreed"', b"1e999", b"-1")
_REDIRECTS = (b"https://wx2.qq.com:443/cgi-bin/x?ticket=a%2F&lang=zh_CN#x", *_seeds("location"))
_PUSHED = (b'{"ret":"0","msg":"all ok","uuid":"4Yh3x=="}',)
_BOOKS = _seeds("webwxgetcontact", "webwxbatchgetcontact")


def _long(name: str, decode: Callable[[bytes], object], seeds: tuple[bytes, ...], **more: Any) -> Target:
    return Target(name, decode, seeds, longest=LONG, **more)


TARGETS = (
    _long("jslogin", _of_answer(answers.uuid_of), _seeds("jslogin")),
    _long("login poll", _of_answer(answers.poll_of), _seeds("login")),
    _long("login redirect", _redirect, _REDIRECTS),
    _long("login page", _of_answer(answers.login_page_of), _seeds("webwxnewloginpage")),
    _long("push login", _of_answer(answers.push_uuid_of), _PUSHED),
    _long("webwxinit", _init, _seeds("webwxinit"), tokens=_JSON, weight=4),
    _long("synccheck", _of_answer(answers.check_of), _seeds("synccheck")),
    _long("webwxsync", _sync, _seeds("webwxsync"), tokens=_JSON, weight=8),
    _long("answers to sends and commands", _of_answer(*_SENDS, answers.group_made_of), _SENT, tokens=_JSON),
    _long("address book and batches", _pages, _BOOKS, tokens=_JSON, weight=4),
    _long("people and groups", _people, _SOMEBODY, refusals=(NotJson,), weight=4),
    _long("messages", _message, _seeds("message"), refusals=(NotJson,), tokens=_XML, weight=16),
    _long("XML in messages", _markup, _xml_of_messages(), tokens=_XML, weight=8),
    _long("texts and emoji", _plain, _xml_of_messages(), tokens=_XML, weight=4),
    _long("received content", _content, _CONTENTS),
    _long("ids and hosts", _names, _NAMES),
    _long("cookies", _in_a_loop(_cookies), _COOKIES, tokens=_COOKIE_WORDS, weight=4),
    _long("stored session", _in_a_loop(_session), _seeds("session"), weight=4),
    _long("stored decisions", _decisions, _DECIDED, tokens=_DECIDING),
)
