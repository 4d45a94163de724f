"""What comes to an account from webhooks, poll_api and addresses of media, and what it reads from its own disk."""

import asyncio
import contextlib
import ipaddress
import json

from yarl import URL

from tests.fuzz.corpus import recorded
from tests.fuzz.target import LONG, NotJson, Target, fit, joined, json_of, parts, texts
from wxcontroller.client.config import read_config
from wxcontroller.client.deliveries import receivers
from wxcontroller.client.heartbeat import command_of
from wxcontroller.client.roster import Roster
from wxcontroller.client.sends import urlfetch
from wxcontroller.client.sends.replies import Replies, Reply, reply_of
from wxcontroller.client.store.events import Entry, EntryState
from wxcontroller.core.account import redacted
from wxcontroller.core.envfile import parse
from wxcontroller.core.jsontypes import JsonObject, obj, one_line
from wxcontroller.core.model import Contact
from wxcontroller.core.paths import Paths
from wxcontroller.openwx import media


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
_RECEIVED = {"post_type": "receive_message", "type": "friend_message", "sender_id": "@ann"}


def _reply(data: bytes) -> None:
    answer, report = parts(data, 2)
    roster, sent = Roster(contacts={"@ann": Contact("@ann", "Ann")}), list[Reply]()
    known: JsonObject = {**_RECEIVED}
    with contextlib.suppress(NotJson):
        known = obj(json_of(report))
    body = json.dumps(known).encode()
    state = (EntryState.PENDING, 0, 0, "", 0.0, "", 0, 0.0, len(body), "", 1)
    entry = Entry("0badcafe-1", "0badcafe-1", 1, 0, 0.0, "friend_message", *state, body)
    _LOOP.run_until_complete(Replies(roster, lambda reply, _: sent.append(reply)).answered(entry, answer))
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
        for host in (url.raw_host or "", urlfetch.redirected(url, location, private).raw_host or ""):
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

_COMMANDS = (
    *(b"http://127.0.0.1:3000/openwx/send_friend_message?id=@a&content=hi%20there", b"http://u:p@127.0.0.1:3000/"),
    *(b"http://localhost:3000/openwx/get_user_info", b"http://u:p@127.0.0.1:3000/openwx/../v1/x"),
)
_MOVES = (
    *(joined("/new?a=b", "120"), joined("http://u:p@127.0.0.1:8080/in", "Wed, 21 Oct 2099 07:28:00 GMT")),
    joined("//[::1]/x", "Sunday, 06-Nov-94 08:49:37 GMT"),
)
_REPLIES = (
    *(joined(b'{"reply":"x"}', report) for report in recorded()["report"]),
    joined(b'{"reply": 4.5, "media": "https://x.invalid/a.jpg", "code": 0}', b""),
)
_ADDRESSES = (
    joined("https://example.com/a.jpg?x=1", "/b.jpg"),
    joined("http://93.184.216.34:8080/a", "https://[2606:2800:220:1::1]/x"),
    joined("http://例え.テスト/", "//10.0.0.1/"),
)
_NAMES = joined("报告 & 数据.pdf", "application/pdf; charset=x", "@crypt_x:6"), joined("../../a.JPG", "", "1:3")
_MOVING = (b"http://", b"//", b" GMT", b"Oct", b"-0000")
_REPLYING = (b'"reply":', b'"media":', b"https://")
TARGETS = (
    Target("commands of poll_api", _command, _COMMANDS, refusals=()),
    Target("redirects and pauses of webhooks", _moved, _MOVES, refusals=(), tokens=_MOVING, longest=1 << 13),
    Target("replies of webhooks", _reply, _REPLIES, refusals=(NotJson,), tokens=_REPLYING, longest=LONG),
    Target("addresses of media", _media_address, _ADDRESSES, longest=1 << 13),
    Target("names, types and ids of media", _media_names, _NAMES, refusals=()),
    Target("environment of an account", _config, (_ENVIRONMENT,)),
)
