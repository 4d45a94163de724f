"""What comes to an account from webhooks, poll_api and addresses of media, and what it reads from its own disk."""

import asyncio
import contextlib
import ipaddress
import json
import sqlite3

from yarl import URL

from tests.fuzz.corpus import recorded
from tests.fuzz.target import NotJson, Target, fit, joined, json_of, parts, texts
from wxcontroller.client.config import read_config
from wxcontroller.client.deliveries import receivers
from wxcontroller.client.heartbeat import command_of
from wxcontroller.client.roster import Roster
from wxcontroller.client.sends import urlfetch
from wxcontroller.client.sends.replies import Replies, Reply, reply_of
from wxcontroller.client.store.events import Entry, EntryState
from wxcontroller.client.store.media import Way, import_book, recall, upload_from_json
from wxcontroller.client.store.schema import SCHEMA
from wxcontroller.client.store.sends import days, import_days
from wxcontroller.core.account import redacted
from wxcontroller.core.envfile import parse
from wxcontroller.core.jsontypes import kept_json, obj, one_line
from wxcontroller.core.model import Contact
from wxcontroller.core.paths import Paths
from wxcontroller.openwx import media

WEBHOOK = "the receiver of an account's reports, and whoever can stand in for it"
POLLED = "the server behind poll_api"
SERVER = "any web server that media_path or a reply names"
CALLER = "whoever may call the API"
DISK = "the account's own state directory"
_CLIENT = "wxcontroller.client"


def _command(data: bytes) -> None:
    command = command_of(data.decode("utf-8", "surrogateescape"), 3000)
    if command is not None:
        assert (command.scheme, command.host, command.port, command.user) == ("http", "127.0.0.1", 3000, None)
        assert command.raw_path.startswith("/openwx/")
        assert not set(command.raw_path_qs) & set(" \r\n")


def _moved(data: bytes) -> None:
    location, pause = texts(data, 2)
    moved = receivers.moved_to(URL("https://bots.example/in?key=k"), location)
    if moved is not None:
        assert moved.scheme in ("http", "https")
        assert moved.raw_host
        fit(one_line(redacted(str(moved))))
    seconds = receivers.retry_after(pause)
    assert seconds is None or 0 <= seconds < 1e12


_LOOP = asyncio.new_event_loop()


def _entry(body: bytes) -> Entry:
    state = (EntryState.PENDING, 0, 0, "", 0.0, "", 0, 0.0, len(body), "", 1)
    return Entry("0badcafe-1", 1, 0, 0.0, "friend_message", *state, body)


def _reply(data: bytes) -> None:
    answer, report = parts(data, 2)
    roster, sent = Roster(contacts={"@ann": Contact("@ann", "Ann")}), list[Reply]()

    def send(reply: Reply, event: int) -> None:
        assert event == 1
        sent.append(reply)

    try:
        known = obj(json_of(report))
    except NotJson:
        known = {"post_type": "receive_message", "type": "friend_message", "sender_id": "@ann"}
    _LOOP.run_until_complete(Replies(roster, send).answered(_entry(json.dumps(known).encode()), answer))
    for reply in sent:
        fit(reply)
        assert reply.target == "@ann"
        assert reply.media == "" or reply.media.startswith(("http://", "https://"))
    with contextlib.suppress(NotJson):
        asked = reply_of(known, obj(json_of(answer)))
        fit([asked.content, asked.media] if asked else None)


def _media_address(data: bytes) -> None:
    given, location = texts(data, 2)
    for private in (False, True):
        url = urlfetch.target(given, private)
        _checked(url.raw_host or "", private)
        _checked(urlfetch.redirected(url, location, private).raw_host or "", private)


def _checked(host: str, private: bool) -> None:
    assert host
    with contextlib.suppress(ValueError):
        assert private or ipaddress.ip_address(host).is_global, "a private address got through"


def _media_names(data: bytes) -> None:
    name, mime, key = texts(data, 3)
    kind = media.split_id(key)[1]
    found = media.mime_of(name, kind, mime)
    assert not set(found) & set("\r\n ;")
    assert media.kind_of(found) in media.CODES
    ext = media.extension(name, mime, kind)
    assert ext.isascii() and ext.isalnum() and len(ext) <= 12
    safe = media.safe_name(name)
    assert len(safe) <= 120 and not set(safe) & set("/\\\0\r\n\x1b") and not safe.startswith(".")
    media.sniff(data)
    media.media_id(key, media.kind_of(found))


def _database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    for statements in SCHEMA:
        db.executescript(statements)
    return db


def _book(data: bytes) -> None:
    with contextlib.closing(_database()) as db:
        import_book(db, obj(json_of(data)))
        recall(db, Way.UPLOADED, "@crypt_x")
        for (known,) in db.execute("SELECT known FROM media_index"):
            assert upload_from_json(kept_json(known)) is not None


def _days(data: bytes) -> None:
    with contextlib.closing(_database()) as db:
        import_days(db, obj(json_of(data)))
        assert all(number >= 0 for number in days(db).values())


def _config(data: bytes) -> None:
    content = data.decode("utf-8", "surrogateescape")
    environ = {"MOJO_WEIXIN_PLUGIN_OPENWX_PORT": "3000", **parse(content)}
    config = read_config("alice", environ, Paths())
    assert 0 < config.port < 65536
    config.seconds("send_interval")
    config.number("media_size_max")


_ENVIRONMENT = b"""MOJO_WEIXIN_ACCOUNT="alice"
MOJO_WEIXIN_PLUGIN_OPENWX_PORT="3001"
MOJO_WEIXIN_PLUGIN_OPENWX_POST_API="http://h:8080/in?key=k&client=alice"
MOJO_WEIXIN_POST_API="https://u:p@h/"
MOJO_WEIXIN_SEND_INTERVAL="3.5"
MOJO_WEIXIN_MEDIA_SIZE_MAX="1000"
WXCLIENT_PROXY="socks5://u:p%20@proxy.example:1080"
MOJO_WEIXIN_POST_EVENT_LIST="login,stop"
MOJO_WEIXIN_POST_MESSAGE_FILTER="type=group_message&format=text"
WXCLIENT_MEDIA_PATHS="/srv/a:/srv/b"
"""

# As 2.0.0 kept them.
_BOOK = b"""{"uploaded": [{"kind": "image", "key": "@crypt_x", "name": "a.png", "size": 141, "signature": "",
"reference": ""}], "received": [{"kind": "file", "key": "@crypt_y", "name": "b.pdf", "size": 9, "public": "17",
"reference": "<appmsg/>", "path": "/var/lib/wxclient/alice/media/b"}]}"""

TARGETS = (
    Target(
        "commands of poll_api",
        POLLED,
        _command,
        (
            b"http://127.0.0.1:3000/openwx/send_friend_message?id=@a&content=hi%20there",
            b"http://localhost:3000/openwx/get_user_info",
            b"http://u:p@127.0.0.1:3000/openwx/../v1/x",
        ),
        (f"{_CLIENT}.heartbeat",),
        (),
        weight=2,
    ),
    Target(
        "redirects and pauses of webhooks",
        WEBHOOK,
        _moved,
        (
            joined("/new?a=b", "120"),
            joined("http://u:p@127.0.0.1:8080/in", "Wed, 21 Oct 2099 07:28:00 GMT"),
            joined("//[::1]/x", "Sunday, 06-Nov-94 08:49:37 GMT"),
        ),
        (f"{_CLIENT}.deliveries.receivers",),
        (),
        tokens=(b"http://", b"//", b" GMT", b"Oct", b"-0000"),
        weight=1,
        longest=1 << 13,
    ),
    Target(
        "replies of webhooks",
        WEBHOOK,
        _reply,
        (
            *(joined(b'{"reply":"x"}', report) for report in recorded()["report"]),
            joined(b'{"reply": 4.5, "media": "https://x.invalid/a.jpg", "code": 0}', b""),
        ),
        (f"{_CLIENT}.sends.replies",),
        (NotJson,),
        tokens=(b'"reply":', b'"media":', b"https://"),
    ),
    Target(
        "addresses of media",
        SERVER,
        _media_address,
        (
            joined("https://example.com/a.jpg?x=1", "/b.jpg"),
            joined("http://93.184.216.34:8080/a", "https://[2606:2800:220:1::1]/x"),
            joined("http://例え.テスト/", "//10.0.0.1/"),
        ),
        (f"{_CLIENT}.sends.urlfetch", "wxcontroller.core.urls"),
        weight=2,
        longest=1 << 13,
    ),
    Target(
        "names, types and ids of media",
        CALLER,
        _media_names,
        (joined("报告 & 数据.pdf", "application/pdf; charset=x", "@crypt_x:6"), joined("../../a.JPG", "", "1:3")),
        ("wxcontroller.openwx.media",),
        (),
        weight=2,
    ),
    Target("remembered media", DISK, _book, (_BOOK,), (f"{_CLIENT}.store.media",), (NotJson,), weight=2),
    Target(
        "count of the day's sends",
        DISK,
        _days,
        (b'{"2026-11-25": 8, "2026-11-26": 3}',),
        (f"{_CLIENT}.store.sends",),
        (NotJson,),
        weight=1,
    ),
    Target(
        "environment of an account",
        "the admin",
        _config,
        (_ENVIRONMENT,),
        (f"{_CLIENT}.config",),
        weight=2,
        longest=1 << 14,
    ),
)
