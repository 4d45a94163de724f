"""Data that the controller and wxctl get from accounts and other hosts, which may be compromised."""

import base64
import contextlib
import io
import json
import re
import socket
import ssl
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import aiohttp
from click.testing import CliRunner

from tests.fuzz.target import BODY, HEAD, NotJson, Target, check_encodable, check_printable, json_of, recorded, run
from wxcontroller.cli.connection.requests import Connection
from wxcontroller.cli.connection.serversent import server_sent
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.program import cli
from wxcontroller.cli.transfer.copy.accountreader import END, FAILED, FILE, HEADER, LEFT_OUT
from wxcontroller.cli.transfer.copy.pack import unpack
from wxcontroller.cli.transfer.copy.receivedfiles import ReceivedFiles
from wxcontroller.cli.verbs.account.remotelogs import put
from wxcontroller.cli.verbs.traffic.events import words_of
from wxcontroller.controller.account_port.eventhub import event_of
from wxcontroller.controller.accounts.journallines import line_of
from wxcontroller.controller.accounts.statefiles import state_of
from wxcontroller.controller.apis.mcp.tools import failure_in, object_of, shown_messages
from wxcontroller.controller.apis.v1.account.journalstream import _event
from wxcontroller.controller.apis.v1.form.cursor import Cursor, parse
from wxcontroller.controller.hosts.hostrows import HostRows
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.budget import Budget
from wxcontroller.core.config.fleetsettings import EtcdSettings, FleetSettings, HostSettings
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, items, obj, read_json
from wxcontroller.core.names import parse_name
from wxcontroller.core.net.eventlines import events_in
from wxcontroller.core.paths import Paths
from wxcontroller.core.records.accountrecords import AccountAnswer, StatusRecord
from wxcontroller.core.records.decoding import Undecodable, WireRecord, decode, decode_aside, encode
from wxcontroller.core.records.deliveryrecords import DeliveryPage
from wxcontroller.core.records.eventrecords import EventPage
from wxcontroller.core.records.messagerecords import ChatPage, MessagePage, SendList, SentMessage
from wxcontroller.core.records.peoplerecords import ContactPage, MemberList
from wxcontroller.core.records.texts import FailureRecord
from wxcontroller.core.registry.account import Account
from wxcontroller.fleet.credentials import PeerCredentials
from wxcontroller.fleet.etcd import Compacted, Etcd, _object
from wxcontroller.fleet.hop import BadCaller, HopCaller, read_caller
from wxcontroller.fleet.host import HostState, OtherHost, _agents, rows_event
from wxcontroller.fleet.hosts import Hosts
from wxcontroller.fleet.owners import Owners
from wxcontroller.fleet.takeoverplan import Outlooks
from wxcontroller.openwx.contract.replies import to_bytes

_ACCOUNT = Account(parse_name("alice"), 3000)
_TLS = ssl.create_default_context()
_ETCD, _PREFIX = "http://127.0.0.1:2379", "/wxcontroller/main/"


def _state_file(data: bytes) -> None:
    state = state_of(obj(read_json(data)), (1, 2, 3))
    assert json.loads(state.rendered(3000))["port"] == 3000
    assert "qrcode_link" not in json.loads(state.rendered(3000))
    client = state.client
    check_encodable([client.since, state.pid, state.start_time, state.qrcode_number])
    for words in (str(client.status), str(client.reason), client.word, *(state.user or {}).values()):
        check_encodable(words)
        check_printable(words)


def _journal(data: bytes) -> None:
    for raw in data.splitlines():
        if line := line_of(raw):
            check_encodable(line)
            _event(raw).decode()


def _stream(data: bytes) -> None:
    """Events of an account on the controller's stream of all accounts."""

    async def read() -> None:
        reader = aiohttp.StreamReader(mock.Mock(), 1 << 20)
        reader.feed_data(data)
        reader.feed_eof()
        async for sent in events_in(reader, 1 << 24, Budget()):
            if event := await event_of(lambda _: _ACCOUNT.name, sent.type, sent.data):
                assert b"\n" not in event.body
                assert json.loads(event.at("a"))["host"] == "a"
                assert re.fullmatch("[a-z_]{1,64}", event.type)
                parse(str(Cursor(1, {event.instance: event.id})))

    run(read())


def _answer(letter: str, data: bytes) -> None:
    """An answer of an account, as its callers get it: readable, and without a path that the account made up."""
    kind = _KINDS.get(letter[:1], MessagePage)
    record = run(decode_aside(data, kind))
    record.locate("a b")
    shown = encode(record)
    again = decode(shown, kind)
    again.locate("a b")
    assert encode(again) == shown
    for place in _PLACES.findall(shown):
        assert re.fullmatch(rb"/v1/accounts/a%20b/media/[\w.]+|/openwx/get_avatar\?client=a\+b&id=[\w.%+-]*", place)


def _mcp(data: bytes) -> None:
    to_bytes(failure_in(500, data).as_json())
    shown = shown_messages(object_of(data, MessagePage, "alice"), "0badcafe-1")
    to_bytes(shown)
    assert shown["more"] in (True, False)


def _wxctl(verb: str, content: bytes) -> None:
    """wxctl prints a controller's answer, or its error, and nothing that a terminal executes."""
    arguments = _VERBS.get(verb[:1], ["list"])
    status = 500 if verb[1:2] == "5" else 200
    try:
        with mock.patch.object(Connection, "_exchange", lambda *_: (status, content)):
            done = CliRunner().invoke(cli, arguments, obj=WxctlRun(), catch_exceptions=False)
    except WxError as problem:  # as main() prints it
        check_printable(f"{problem.message}\n{problem.remedy}")
        raise
    assert done.exit_code in range(8)
    check_printable(done.output)


def _wxctl_logs(data: bytes) -> None:
    for as_json in (False, True):
        with CliRunner().isolation() as (shown, *_):
            for _, _, sent in server_sent(io.BytesIO(data)):
                with contextlib.suppress(ValueError):
                    put(WxctlRun(json=as_json), found := obj(read_json(sent)))
                    check_printable(words_of(found))
            check_printable(shown.getvalue().decode())


def _bundle(data: bytes) -> None:
    """Nothing of a bundle is written outside of its directory."""
    with tempfile.TemporaryDirectory(prefix="wxfuzz-") as place:
        outside, staging = Path(place, "outside"), Path(place, "staging")
        outside.mkdir()
        staging.mkdir()
        try:
            check_encodable(unpack(io.BytesIO(data), staging).manifest.name)
        finally:
            assert {path.name for path in Path(place).iterdir()} == {"outside", "staging"}
            assert not any(outside.iterdir())
            assert not any(path.is_symlink() for path in staging.rglob("*"))


def _account_files(data: bytes) -> None:
    """Each file can be made in a directory, and nothing else is shown."""
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryDirectory(prefix="wxfuzz-") as place:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * BODY)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * BODY)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        files = ReceivedFiles(parse_name("alice"), ours, BODY)
        for file in files.requested(media=True):
            path = Path(place, file.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as made:
                made.write(file.read(BODY))
            assert path.resolve() == path
        check_printable("".join(files.left_out))


def _caller(header: str) -> None:
    caller = read_caller(header)
    assert caller.scope is not Scope.NOTIFY
    assert read_caller(str(caller)) == caller


def _rows(data: bytes) -> None:
    """A host is believed about its own accounts only."""
    told = run(rows_event(data))
    hosts = Hosts(FleetSettings("a"), Paths().fleet_state)
    host = hosts.by_name["b"] = OtherHost(HostSettings("b", "https://b"), PeerCredentials(_TLS, ""), "a")
    host._apply(told)
    for state in (HostState.UP, HostState.UNREACHABLE):
        host.state = state
        for instance, each in HostRows(hosts).current(()).items():
            shown = json.loads(each.body)
            assert (each.instance, shown["instance"], shown["host"]) == (instance, instance, "b")


def _greeting(data: bytes) -> None:
    for agent in _agents(obj(json_of(data)).get("agents")):
        assert len(agent.id + agent.sha256) == 72


def _records(data: bytes) -> None:
    etcd = Etcd(EtcdSettings((_ETCD,)), PeerCredentials(_TLS, ""))
    owners = Owners(etcd, _PREFIX, "a", lambda: 1, 0)
    if (changes := etcd._changes(_ETCD, _object(_ETCD, data))) is not None:
        owners._follow(changes)
    shown = Outlooks(owners, EtcdSettings(), lambda *_: -1).as_json()
    check_encodable(json.dumps(shown))
    assert len(owners.accounts) <= len(items(shown.get("accounts")))


def _watched(**records: object) -> dict[str, object]:
    """Return what a watch reports of new records."""

    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    events = [
        {
            "kv": {
                "key": encoded(_PREFIX + key),
                "value": encoded(json.dumps(value)),
                "mod_revision": "7",
                "lease": "9",
            }
        }
        for key, value in records.items()
    ]
    return {"result": {"header": {"revision": "7"}, "events": events}}


def _moved(file: str) -> bytes:
    manifest = {"format": 1, "name": "alice", "version": "2.0.0", "parameters": {"lang": "en_US"}, "exported": 5}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (("account.json", json.dumps(manifest).encode()), (file, b"x" * 10)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


_STATES = (
    b'{"state":"running","login_state":"scanning","qrcode_link":"l","pid":"7","user":{}}',
    b'{"state": "running", "status": "\\u001b[2J\\ud800"}',
    *recorded("state file"),
)
_JOURNAL = (
    b'{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795623697352121","PRIORITY":"4","MESSAGE":"m","WX_EVENT":"state"}',
    b'{"MESSAGE":[104,105,255],"PRIORITY":null}\n{"__REALTIME_TIMESTAMP":"9"}',
)
_OPEN = b'event: open\ndata: {"account":"alice","first":1,"last":2,"log":"0badcafe"}\n\n'
_EVENT = (
    b'id: 0badcafe-1\nevent: friend_message\ndata: {"id":"0badcafe-1","seq":1,"stamp":5,"account":"alice","time":5.0,'
    b'"type":"friend_message","report":{"post_type":"receive_message","type":"friend_message","content":"hi"}}\n\n'
)
_STREAMS = (_OPEN + _EVENT, _OPEN + b"event: here\ndata: {}\n\n" + _EVENT * 2)
_MESSAGE: JsonObject = {
    **{"id": "1", "cursor": "0badcafe-1", "chat": "7", "chat_name": "Ann", "is_group": False, "direction": "in"},
    **{"sender": {"id": "7", "name": "Ann"}, "time": 1700000000, "kind": "image", "text": "hi", "origin": None},
    **{"quote": {"id": "0", "sender": None, "text": "q"}, "recalled": False, "state": None},
    "media": {
        **{"type": "image", "name": "a", "mime": "image/jpeg", "size": 5, "id": "@x:3", "error": None},
        **{"file": "mojo_weixin_media_20261202010203_0123456789abcdef.jpg", "url": "/v1/accounts/bob/stop"},
    },
}
_PAGE: JsonObject = {
    **{"account": "alice", "log": "0badcafe", "messages": [_MESSAGE], "pending": [], "more": False},
}
_PAGES = (_PAGE, b'{"error": {"code": "no-such-peer", "message": "nobody has this id", "remedy": "take another"}}')
_CONTACT: JsonObject = {
    **{"id": "7", "name": "Ann", "kind": "friend", "sex": "female"},
    **dict.fromkeys(("remark", "nickname", "wechat_id", "province", "city", "signature"), ""),
}
_SENT: JsonObject = {"id": "s1", "state": "held", "reason": "window", "detail": "x", "code": -7}
_QUEUED: JsonObject = {
    **{"id": "s1", "state": "held", "reason": "window", "peer": "7", "is_group": False, "kind": "text"},
    "held_until": None,
}
_REPORTED: JsonObject = {
    **{"id": "0badcafe-1", "account": "alice", "type": "friend_message", "seq": 1, "stamp": 5, "time": 5.0},
    "report": {"content": "hi", "media": [{"a": 1}]},
}
_POSTED: JsonObject = {
    **{"id": "0badcafe-1", "seq": 1, "time": 1.5, "type": "login", "state": "dead", "attempts": 1, "bytes": 1},
    **dict.fromkeys(("lane", "next_at", "last_error", "last_status", "settled_at")),
}
_KINDS: Mapping[str, type[WireRecord]] = {
    **{"m": MessagePage, "c": ChatPage, "p": ContactPage, "g": MemberList, "s": StatusRecord, "a": AccountAnswer},
    **{"w": SendList, "o": SentMessage, "d": DeliveryPage, "e": EventPage, "f": FailureRecord},
}
_PLACES = re.compile(rb'"(?:url|avatar)":"([^"]*)"')
_SHOWN: JsonObject = {
    **{"name": "alice", "instance": "alice", "unit": "wxclient@alice.service", "driver": "web", "desired": "started"},
    **{"unit_state": "active", "unit_sub": "running", "login_state": "running", "state": "running", "reason": ""},
    **{"status": "is running", "since": 1700000000, "pid": 7, "port": 3000, "post_api": "http://h/", "proxy": ""},
    **{"qrcode": False, "qrcode_number": None, "user": {"id": "@a", "name": "小明"}, "start_time": 1600000000},
    **{"client": {"version": "2", "pid": 7}, "client_reason": "", "media": {"files": 3, "bytes": 12345}},
    **{"queue": {"waiting": 3, "in_flight": 1, "oldest_since": 1700000000, "next_send_at": 1.5, "interval": 3}},
    **{"reports": {"to": "http://h/", "waiting": 2, "last_error": "the webhook returned 500", "dropped": 0}},
    **{"roster": {"contacts": 3, "groups": 4, "members": 5}, "last_sync_time": 1700000000},
    "last_message_time": {"received": 1700000000, "sent": None},
}
_OF_ACCOUNTS: tuple[tuple[str, Mapping[str, object] | bytes], ...] = (
    *(("m", _PAGE), ("p", {"account": "alice", "contacts": [_CONTACT], "more": True}), ("a", _SHOWN)),
    ("c", {**_PAGE, "chats": [{"id": "7", "name": "Ann", "is_group": False, "known": True, "last": _MESSAGE}]}),
    ("g", {"account": "alice", "group": "g", "members": [{"display": "", "nickname": "", "id": "7", "name": "A"}]}),
    (
        "s",
        {"instance": "alice", "reports": {"dead": 1}, "windows": [], "status_text": {"template": "x", "values": {}}},
    ),
    *(("w", {"sends": [_QUEUED]}), ("o", {**_SENT, "chat": "7", "parts": [_SENT]})),
    ("d", {"account": "alice", "dead": 1, "deliveries": [_POSTED], "next": None}),
    ("e", {"account": "alice", "log": "0badcafe", "first": 1, "last": 2, "events": [_REPORTED], "more": False}),
    ("f", _PAGES[1]),
    ("m", b'{"account":"\\ud800","log":"","messages":[],"pending":[],"more":false}'),
)
_HEALTH: JsonObject = {
    **{"status": "ok", "version": "2", "notices": ["x"], "settings": {"read_at": 1, "error": "bad"}},
    "accounts": [_SHOWN],
}
_VERBS = {
    **{"l": ["list"], "s": ["status", "alice"], "o": ["status"]},
    **{"m": ["messages", "alice"], "d": ["deliveries", "list", "alice"]},
    **{"x": ["deliveries", "show", "alice", "1-1"], "a": ["deliveries", "list"]},
}
_FAR = 10**20  # seconds: no calendar has the year
_ACTS = "\x9b2J\x07"  # on a terminal
_DELIVERY: JsonObject = {
    "id": _ACTS,
    "type": _ACTS,
    "state": _ACTS,
    "lane": _ACTS,
    "last_error": _ACTS,
    "attempts": 1,
}
_ANSWERS = (
    *(("l", {"accounts": [_SHOWN]}), ("s", _SHOWN), ("o", _HEALTH)),
    ("s5", b'{"error":{"code":"x","message":"\\u001b[2J","remedy":"\\r"}}'),
    ("s", b'{"name":"alice","status":"\\u001b]0;x\\u0007\\u009b","reason":"\\ud800","since":1e300}'),
    ("m", {"messages": [{"time": _FAR, "chat": "@a", "text": "x", "direction": "out", "state": "delivered"}]}),
    ("d", {"deliveries": [{**_DELIVERY, "time": _FAR, "next_at": 5}], "to": _ACTS, "trouble": _ACTS, "next": _ACTS}),
    ("x", {**_DELIVERY, "report": {"content": _ACTS}}),
    ("a", {"accounts": [{"account": _ACTS, "pending": 1, "to": _ACTS, "trouble": _ACTS}, {"error": _ACTS}]}),
)
_LINE = {"cursor": "s=1", "time": 1700000000.5, "priority": 3, "message": "a\x1b[2J\nb", "event": "login"}
_LINES = (
    f"retry: 1\n\nid: s=1\nevent: line\ndata: {json.dumps(_LINE)}\n\nevent: heartbeat\ndata: {{}}\n\n".encode(),
    f"event: line\ndata: {json.dumps({'time': _FAR, 'account': _ACTS, 'type': _ACTS})}\n\n".encode(),
)
_CALLERS = (
    str(HopCaller("a", Scope.READ, None, "token x (0badcafe)")),
    str(HopCaller("a", None, frozenset(), "somebody", "https://wx.example/for/alice")),
    str(HopCaller("a", Scope.SEND, frozenset({"alice", "x-aaaaaaaaaaaaaaa"}), "token y")),
)
_ROWS = (
    b'{"accounts":[{"name":"bob","instance":"bob","condition":"running","issues":[]}],"gone":[],"all":true}',
    b'{"accounts":[{"name":"bob","instance":"bob","desired":"started"}],"gone":["eve"]}',
)
_GREETINGS = ({"agents": [{"id": "0badcafe", "sha256": "a" * 64, "instance": "bob"}]},)
_OWNED: JsonObject = {
    "owner": {"host": "c", "epoch": 3, "lease": 7, "removed": False},
    **{"desired": "started", "policy": "any", "standby": "b", "copies": {"b": 2}},
}
_TAKEOVER: JsonObject = {"from": "c", "host": "b", "epoch": 2, "at": 5, "made": 4, "done": False}
_RECORDS = (
    _watched(
        **{
            "accounts/bob": {"host": "b", "epoch": 3},
            "owners/bob": {"host": "b", "epoch": 3},
            "hosts/b": {"version": "2.3.0", "labels": ["eu"]},
        }
    ),
    _watched(**{"hosts/b": {"capacity": 9, "egress": "x"}, "accounts/bob": _OWNED, "takeovers/eve": _TAKEOVER}),
    b'{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}',
)
_BUNDLES = tuple(map(_moved, ("state/media/a.jpg", "state/../../outside/a.jpg", ".")))
_FILES = (
    HEADER.pack(FILE, 1, 3, 1) + b"axyz" + HEADER.pack(FILE, 3, 0, 1) + b"b/c" + HEADER.pack(END, 0, 0, 0),
    HEADER.pack(FILE, 4, 1, 1) + b"../ax" + HEADER.pack(LEFT_OUT, 2, 0, 0) + b"\x1b[" + HEADER.pack(FAILED, 0, 1, 0),
    HEADER.pack(FILE, 1, 1, 1) + b"ax" + HEADER.pack(FILE, 3, 1, 1) + b"a/bx" + HEADER.pack(FILE, 1, 1, 1) + b"ax",
    HEADER.pack(LEFT_OUT, 9, 0, 0) + b"\xff\xfe\n\0\x9bxyz." + HEADER.pack(END, 0, 0, 0),
)
TARGETS = (
    Target("state files", _state_file, _STATES, (ValueError,)),
    Target("lines of the journal", _journal, _JOURNAL),
    Target("streams of accounts", _stream, _STREAMS, (ValueError,)),
    Target("answers of accounts", _answer, _OF_ACCOUNTS, (Undecodable,)),
    Target("answers of accounts to MCP tools", _mcp, _PAGES),
    # Rich takes time in the square of a column's width. Names have at most 64 characters.
    Target("answers to wxctl", _wxctl, _ANSWERS, longest=HEAD),
    Target("journal lines and events to wxctl", _wxctl_logs, _LINES),
    Target("bundles of accounts", _bundle, _BUNDLES),
    Target("files of accounts", _account_files, _FILES),
    Target("callers of forwarded calls", _caller, _CALLERS, (BadCaller,)),
    Target("rows of another host", _rows, _ROWS, (ValueError,)),
    Target("greetings of another host", _greeting, _GREETINGS, (NotJson,)),
    Target("records in etcd", _records, _RECORDS, (WxError, Compacted)),
)
