"""What WeChat sends on the web route: its answers, the messages of peers in them, cookies and content."""

import asyncio
import io
import json
from collections.abc import Callable, Iterable
from functools import partial

from tests.fuzz.target import NotJson, Part, Target, check_encodable, check_printable, json_of, recorded
from tests.unit.drivers.kit import Store
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.model import Contact, Group, Member, Message
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.connection.transport import LineResponse, ReceivedFile
from wxcontroller.drivers.web.decode import answers, contacts, contents, messages, text
from wxcontroller.drivers.web.decode.listing import batch_of, contact_page_of
from wxcontroller.drivers.web.media.intake import Intake
from wxcontroller.drivers.web.session.saved import Saved
from wxcontroller.drivers.web.wire.cookies import Jar, when
from wxcontroller.drivers.web.wire.hosts import home_of, hosts_of
from wxcontroller.openwx.contract import objects, reports
from wxcontroller.openwx.contract.replies import to_bytes
from wxcontroller.sandbox.media import samplemedia

_ME = Contact("@me", "我", 4711)
_FRIEND = Contact("@ann", "Ann", markname="安")
_MEMBER = Member("@ann", "Ann", display="A")
_GROUP = Group("@@team", "", (Member("@me", "我"), _MEMBER))


def _of_answer(*reads: Callable[[LineResponse], object]) -> Callable[[bytes], object]:
    return lambda data: check_encodable([read(LineResponse("call", 200, data)) for read in reads])


def _redirect(location: str) -> None:
    redirect = answers.redirect_of("call", location)
    hosts_of(redirect.host)
    assert not set(redirect.path + redirect.query) & set(" \r\n\x00")
    check_encodable(redirect)


def check_report(message: Message) -> None:
    """Fail unless a message can be reported."""
    check_encodable(message)
    for chat in (reports.Chat(_ME), reports.Chat(_ME, _FRIEND), reports.Chat(_ME, group=_GROUP, member=_MEMBER)):
        body = to_bytes(reports.received(message, chat))
        assert isinstance(json.loads(body), dict)
        assert b"\n" not in body


def _check_message(raw: JsonObject) -> None:
    for emoji_names in (True, False):
        message = messages.message_of(raw, "@me", emoji_names)
        if isinstance(message, Message):
            check_report(message)
        elif isinstance(message, messages.IncomingFriendRequest):
            to_bytes(reports.friend_request(message.request))
        check_encodable(message)


def _check_people(entries: Iterable[JsonObject]) -> None:
    people, groups = contacts.split(entries)
    for person in people:
        contact = contacts.contact_of(person, True)
        contacts.remark_of(person)
        check_encodable(contacts.merge_contact(contact, contact, True))
        to_bytes(objects.friend(contact))
        to_bytes(objects.user(contacts.profile_changes(person, contact, False)))
    for one in groups:
        group = contacts.merge_group(None, contacts.group_of(one, "@me", False))
        check_encodable(contacts.merge_group(group, contacts.with_details(group, {"@ann": _FRIEND})))
        to_bytes(objects.group(group, "@me"))


def _message(data: bytes) -> None:
    _check_message(obj(answers.without_halves(obj(json_of(data)), "\\ud800", 0, 6)))


def _sync(data: bytes) -> None:
    news = answers.news_of(LineResponse("call", 200, data))
    check_encodable([*news.gone, *news.sync_key, *news.check_key, news.skey])
    _check_people(news.changed)
    for raw in news.messages:
        messages.id_of(raw)
        _check_message(raw)


def _init(data: bytes) -> None:
    init = answers.init_of(LineResponse("call", 200, data))
    check_encodable([*init.chats, *init.sync_key, init.skey, init.invite_from])
    _check_people([init.user])
    for portion in contacts.portions(init.contacts):
        _check_people(portion)


def _pages(data: bytes) -> None:
    for read in (contact_page_of, batch_of):
        page = read(LineResponse("call", 200, data))
        entries = list(page)
        assert page.count == len(entries)
        _check_people(entries)


def _plain(data: bytes) -> None:
    """Text of peers; their names are shown on terminals."""
    raw = data.decode("utf-8", "replace")
    for names in (True, False):
        text.plain(raw, names).encode()
        check_printable(text.plain_name(raw, names))
        text.plain_emoji(raw, names, escape=True).encode()
    text.split_sender(raw)
    text.plain_mentions(raw).encode()


def _cookies(date: str, *headers: str) -> None:
    async def read() -> None:  # aiohttp's jar needs an event loop
        jar, again = Jar(), Jar()
        jar.take("wx.qq.com", [*headers], date)
        when(date)
        assert not set(jar.header("wx.qq.com", "/cgi-bin/x", True)) & set("\r\n\x00")
        jar.move("wx.qq.com", "wx2.qq.com")
        again.restore(jar.stored())
        assert again.stored() == jar.stored()
        json.dumps(jar.stored(), allow_nan=False)

    asyncio.run(read())


def _session(data: bytes) -> None:
    """A damaged login is not used: the account logs in again."""

    async def load() -> None:
        saved = Saved(Store(data), "wx.qq.com", keep=True)
        saved.load()
        hosts_of(saved.memory.domain)
        assert not set(saved.memory.jar.header(saved.memory.domain, "/", True)) & set("\r\n\x00")
        saved.save_now()

    asyncio.run(load())


def _content(*answers: bytes) -> None:
    """Content in two answers: range and type, then the bytes."""
    intake = Intake(io.BytesIO(), "call", 1 << 16, anything=answers[0][:1] == b"a", announced=100)
    for answer in answers:
        head, _, body = answer.partition(b";")
        numbers = [int(number) % (1 << 20) for number in head[:60].split(b",") if number.isdigit()]
        size, start, total = [*numbers, 0, 0, 0][:3]
        intake.begin(ReceivedFile(size, head[:20].decode("latin-1").lower(), start, total))
        intake.take(body)
        assert intake.got <= 1 << 16
    assert intake.end().size == intake.got
    intake.broken(Text("x"))


def _names(name: str) -> None:
    answers.names_in(name)
    check_encodable(contents.file_key(name))
    home_of(name)
    assert name.endswith(("qq.com", "wechat.com"))


_SENT = (answers.accepted, answers.sent_of, partial(answers.uploaded_of, last=True), answers.checked_of)
_SENDS = (
    b'{"BaseResponse":{"Ret":0},"MsgID":"1","MediaId":"@a","ChatRoomName":"@@a","AESKey":"","Signature":""}',
    *(recorded("webwxsendmsg") + recorded("webwxsendappmsg") + recorded("webwxuploadmedia")),
)
_LOGIN_PAGES = recorded("webwxnewloginpage")
_REDIRECTS = ("https://wx2.qq.com:443/cgi-bin/x?ticket=a%2F&lang=zh_CN#x",)
# Escaped markup as in the text of a message: files, links, emoji, locations.
_MARKUP = (
    *(
        "&lt;msg&gt;&lt;appmsg appid='x' sdkver=''&gt;&lt;type&gt;6&lt;/type&gt;&lt;attachid/&gt;&lt;/msg&gt;",
        "@a:<br/>",
    ),
    *("&lt;?xml version='1.0' encoding='utf-16'?&gt;&lt;![CDATA[a]]&gt;&lt;!--x--&gt;", "&lt;emoji md5='a'"),
    f"&lt;?xml version='1.0' encoding='{'x' * 300}'?&gt;&lt;msg/&gt;",
    *("&lt;item&gt;&lt;link name='a'&gt;$a$", '<span class="emoji emoji1f604"></span>', "@a\u2005"),
)
_MESSAGES: tuple[Part, ...] = (
    *recorded("message"),
    *({"MsgId": "1", "FromUserName": "@@a", "MsgType": 49, "AppMsgType": 6, "Content": each} for each in _MARKUP),
)
_CONTENTS = (
    *(
        (b"100,0,100;" + make("x")[:200], b"")
        for make in (samplemedia.png, samplemedia.gif, samplemedia.picture, samplemedia.mp4)
    ),
    *((b"0;" + samplemedia.mp3(100)[:100], b"a"), (b"a5,0,9;hello", b'4,5,9;late{"BaseResponse":')),
)
_COOKIES = (
    ("Wed, 21 Oct 2026 07:28:00 GMT", *(cookie.decode() for cookie in recorded("cookie")[:3])),
    ("", "a=b; Expires=Wed, 21-Oct-2099 07:28:00 GMT; Path=/x; Secure", "c=d; Max-Age=60", "e=; Max-Age=--1"),
    ("", "a=b; Expires=Wed, 9999999999999999999-Oct-2099 07:28:00 GMT", "", ""),
)
_SESSIONS = (
    *recorded("session"),
    b'{"version":1,"domain":"wx.qq.com","session":{"domain":"wx.qq.com","opened":%d}}' % 10**400,
)
_NAMES = ("login.wx2.qq.com", "@a,@@b,c", '["@a","@crypt_1","x%2F","a.txt"]', '["@a","\\ud800","",""]')
TARGETS = (
    Target("jslogin", _of_answer(answers.uuid_of), recorded("jslogin")),
    Target("login poll", _of_answer(answers.poll_of), recorded("login")),
    Target("login redirect", _redirect, _REDIRECTS),
    Target("login page", _of_answer(answers.login_page_of), _LOGIN_PAGES),
    Target("push login", _of_answer(answers.push_uuid_of), (b'{"ret":"0","msg":"all ok","uuid":"4Yh3x=="}',)),
    Target("webwxinit", _init, recorded("webwxinit")),
    Target("synccheck", _of_answer(answers.check_of), recorded("synccheck")),
    Target("webwxsync", _sync, recorded("webwxsync")),
    Target("answers to sends and commands", _of_answer(*_SENT, answers.group_made_of), _SENDS),
    Target("address book and batches", _pages, recorded("webwxgetcontact") + recorded("webwxbatchgetcontact")),
    Target("messages", _message, _MESSAGES, (NotJson,)),
    Target("texts of messages", _plain, tuple(each.encode() for each in _MARKUP)),
    Target("content", _content, _CONTENTS),
    Target("ids and hosts", _names, _NAMES, (ValueError,)),
    Target("cookies", _cookies, _COOKIES),
    Target("stored session", _session, _SESSIONS),
)
