"""What webhooks, poll_api and the addresses of media return, and which addresses callers may name."""

import contextlib
import ipaddress
import json
from urllib.parse import unquote_plus, urlsplit

from yarl import URL

from tests.fuzz.target import HEAD, NotJson, Target, check_encodable, json_of, recorded, run
from wxcontroller.client.deliveries import receivers
from wxcontroller.client.incoming.roster import Roster
from wxcontroller.client.login.pollheartbeat import command_of
from wxcontroller.client.sends.content import urlfetch
from wxcontroller.client.sends.content.webhookreplies import Replies, Reply
from wxcontroller.client.store.tables.eventtables import Entry, EntryState
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.config.reporttargets import Targets
from wxcontroller.core.jsontypes import JsonObject, obj, one_line
from wxcontroller.core.model import Contact
from wxcontroller.core.net import egress
from wxcontroller.core.net.urls import url_of
from wxcontroller.core.registry.account import redacted, with_client, without_client
from wxcontroller.openwx.contract import media


def _command(content: str) -> None:
    """A command of poll_api is a call of the account's own port."""
    if command := command_of(content, 3000):
        assert (command.scheme, command.host, command.port, command.user) == ("http", "127.0.0.1", 3000, None)
        assert command.raw_path.startswith("/openwx/")
        assert not set(command.raw_path_qs) & set(" \r\n")


def _redirect(location: str, retry_after: str) -> None:
    if moved := receivers.moved_to(URL("https://bots.example/in?key=k"), location):
        assert moved.scheme in ("http", "https")
        assert moved.raw_host
        check_encodable(one_line(redacted(str(moved))))
    seconds = receivers.retry_after(retry_after)
    assert seconds is None or 0 <= seconds < 1e12


def _reply(answer: bytes, report: bytes) -> None:
    roster, sent = Roster(contacts={"@ann": Contact("@ann", "Ann")}), list[Reply]()
    received: JsonObject = {"post_type": "receive_message", "type": "friend_message", "sender_id": "@ann"}
    with contextlib.suppress(NotJson):
        received = obj(json_of(report))
    body = json.dumps(received).encode()
    state = (EntryState.PENDING, 0, 0, "", 0.0, "", 0, 0.0, len(body), "", 1)
    entry = Entry("0badcafe-1", "0badcafe-1", 1, 0, 0.0, "friend_message", *state, body)
    run(Replies(roster, lambda reply, _: sent.append(reply)).answered(entry, answer))
    for reply in sent:
        check_encodable(reply)
        assert reply.target == "@ann"
        assert reply.media == "" or reply.media.startswith(("http://", "https://"))


def _media_address(address: str, location: str) -> None:
    """Media are fetched from public addresses only, unless the settings allow others."""
    for private in (False, True):
        url = urlfetch.target(address, private)
        for host in (url.raw_host or "", urlfetch.redirected(url, location, private).raw_host or ""):
            assert host
            with contextlib.suppress(ValueError):
                assert private or ipaddress.ip_address(host).is_global


def _media_name(name: str, mime: str, key: str) -> None:
    kind = media.split_id(key)[1]
    found = media.mime_of(name, kind, mime)
    assert not set(found) & set("\r\n ;")
    extension = media.extension(name, mime, kind)
    assert extension.isascii() and extension.isalnum() and len(extension) <= 12
    safe = media.safe_name(name)
    assert len(safe) <= 120 and not set(safe) & set("/\\\0\r\n\x1b") and not safe.startswith(".")
    media.sniff(name.encode("utf-8", "surrogateescape"))
    media.media_id(key, media.kind_of(found))


def _webhook_target(listed: str, address: str) -> None:
    with contextlib.suppress(ValueError):
        Targets.parse(["https://bots.example/in"]).allow(address)
    targets = Targets.parse(listed.split())
    check_encodable(str(targets))
    assert str(Targets.parse(str(targets).split())) == str(targets)
    if targets.entries and targets.allow(address):
        url = url_of(address)
        origins = [(entry.url.scheme, entry.url.raw_host, entry.url.port) for entry in targets.entries]
        assert (url.scheme, url.raw_host, url.port) in origins


def _secret(address: str) -> None:
    """The secret in an address is not shown."""
    shown = redacted(address)
    if "hunter2" in shown:  # as the scheme, the host, the path or a key: there it is no secret
        parts = urlsplit(address)
        public = (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query)
        assert "hunter2" in unquote_plus(" ".join(public))
    egress.shown(address)
    checked = OPTIONS["post_api"].kind.check(address)
    named = with_client(checked, "小店")
    assert without_client(named) == without_client(checked)
    assert not checked or "client=" in named


_COMMANDS = (
    *("http://127.0.0.1:3000/openwx/send_friend_message?id=@a&content=hi%20there", "http://u:p@127.0.0.1:3000/"),
    *("http://localhost:3000/openwx/get_user_info", "http://u:p@127.0.0.1:3000/openwx/../v1/x", "http://[]/openwx/x"),
)
_REDIRECTS = (
    *(("/new?a=b", "120"), ("http://u:p@127.0.0.1:8080/in", "Wed, 21 Oct 2099 07:28:00 GMT")),
    ("//[::1]/x", "Sunday, 06-Nov-94 08:49:37 GMT"),
)
_REPLIES = (
    *((b'{"reply":"x"}', report) for report in recorded("report")),
    (b'{"reply": 4.5, "media": "https://x.invalid/a.jpg", "code": 0}', b""),
    (b'{"media":"http://h/\\ud800"}', b""),
)
_MEDIA_ADDRESSES = (
    ("https://example.com/a.jpg?x=1", "/b.jpg"),
    ("http://93.184.216.34:8080/a", "https://[2606:2800:220:1::1]/x"),
    *(("http://例え.テスト/", "//10.0.0.1/"), ("http://[]/x", ""), ("https://example.com/", "//[]")),
    ("https://example.com/", "http://example.com:x/"),
)
_MEDIA_NAMES = (
    *(("报告 & 数据.pdf", "application/pdf; charset=x", "@crypt_x:6"), ("../../a.JPG", "", "1:3")),
    ("//[", "", ""),
)
_TARGETS = (
    ("https://bots.example/in http://127.0.0.1:8080/", "https://bots.example/in/a?b=c"),
    *(("http://[::1]:80/a/b/", "http://[::1]/a/b/../c"), ("https://bots.example/", "http://[]/")),
    *(("http://[::99999]:80/a/b/", "http://[::1]/a/b/../c"), ("http://[::0\ufeff]:80/a/", "http://[::]/a/")),
)
_SECRETS = (
    *("http://user:hunter2@h:8080/in?key=hunter2&x=1#hunter2", "socks5://user:hunter2@proxy.example:1080"),
    *("https://[::1]:443/a?client=x&&client=y", "http://h/?hunter2", "http://h/?cli:\udcbf=x"),
    "socks5://user:hunter2@pro,y.exsocks5://user:hunter2@proxy.example:1080",
)
TARGETS = (
    Target("commands of poll_api", _command, _COMMANDS),
    Target("redirects and pauses of webhooks", _redirect, _REDIRECTS, longest=HEAD),
    Target("replies of webhooks", _reply, _REPLIES),
    Target("addresses of media", _media_address, _MEDIA_ADDRESSES, longest=HEAD),
    Target("names and ids of media", _media_name, _MEDIA_NAMES),
    Target("webhook targets", _webhook_target, _TARGETS, (ValueError,), longest=HEAD),
    Target("secrets in addresses", _secret, _SECRETS, (ValueError,)),
)
