"""What other hosts of the fleet send, and what anybody sends in their name."""

import asyncio
import base64
import json
import ssl
import tempfile
from pathlib import Path

from tests.fuzz.target import NotJson, Target, fit, json_of
from wxcontroller.controller.hostrows import HostRows
from wxcontroller.core.access import Scope
from wxcontroller.core.errors import WxError
from wxcontroller.core.fleetsettings import EtcdSettings, FleetSettings, HostSettings, TakeoverSettings
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.paths import Paths
from wxcontroller.fleet.credentials import PeerCredentials
from wxcontroller.fleet.etcd import Compacted, Etcd, _object
from wxcontroller.fleet.failsafe import confirmation
from wxcontroller.fleet.hop import BadCaller, HopCaller, read_caller
from wxcontroller.fleet.host import HostState, OtherHost, _agents, told_rows
from wxcontroller.fleet.hosts import Hosts
from wxcontroller.fleet.owners import Owners
from wxcontroller.fleet.standby import standby_states
from wxcontroller.fleet.takeoverplan import Outlooks

_LOOP = asyncio.new_event_loop()
_TLS = ssl.create_default_context()


def _header(data: bytes) -> None:
    found = read_caller(data.decode("utf-8", "surrogateescape"))
    assert found.scope is not Scope.NOTIFY
    assert read_caller(str(found)) == found


def _rows(data: bytes) -> None:
    try:
        told = _LOOP.run_until_complete(told_rows(data))
    except ValueError:
        raise NotJson from None
    hosts = Hosts(FleetSettings("a"), Paths().fleet_state)
    host = OtherHost(_DESCRIBED, PeerCredentials(_TLS, ""), "a")
    hosts.by_name["b"] = host
    host._apply(told)
    for state in (HostState.UP, HostState.UNREACHABLE):
        host.state = state
        for instance, row in HostRows(hosts).current(()).items():
            shown = json.loads(row.body)
            assert (row.instance, shown["instance"], shown["host"]) == (instance, instance, "b")


def _greeting(data: bytes) -> None:
    for each in _agents(obj(json_of(data)).get("agents")):
        assert len(each.id + each.sha256) == 72


def _confirmation(data: bytes) -> None:
    for status in (200, 409):
        found = confirmation("b", status, data)
        assert found.reason or json.loads(data)["name"] == "b"


def _notes(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="wxfuzz-") as place:
        paths = Paths(Path(place))
        paths.standby.mkdir(parents=True)
        for file in (paths.standby_kept, paths.standby_sent):
            file.write_bytes(data)
        for state in standby_states(paths, "a", {"bob": ("bob", "b")}):
            fit(json.dumps(state.as_json()))


def _records(data: bytes) -> None:
    etcd = Etcd(EtcdSettings((_ETCD,)), PeerCredentials(_TLS, ""))
    owners = Owners(etcd, _PREFIX, "a", lambda: 1, 0)
    if (changes := etcd._changes(_ETCD, _object(_ETCD, data))) is not None:
        owners._follow(changes)
    shown = Outlooks(owners, TakeoverSettings(), lambda *_: -1).as_json()
    fit(json.dumps(shown))
    assert len(owners.accounts) <= len(items(shown.get("accounts")))


def _watched(*records: tuple[str, JsonObject]) -> bytes:
    """Return what a watch tells of new records."""
    kvs = [
        {
            "key": base64.b64encode(f"{_PREFIX}{key}".encode()).decode(),
            "value": base64.b64encode(json.dumps(value).encode()).decode(),
            **{"create_revision": "5", "mod_revision": "7", "lease": "9"},
        }
        for key, value in records
    ]
    return json.dumps({"result": {"header": {"revision": "7"}, "events": [{"kv": kv} for kv in kvs]}}).encode()


_ETCD, _PREFIX = "http://127.0.0.1:2379", "/wxcontroller/main/"
_DESCRIBED = HostSettings("b", "https://b")
_CALLERS = (
    HopCaller("a", Scope.READ, None, "token x (0badcafe)"),
    HopCaller("a", None, frozenset(), "somebody", "https://wx.example/for/alice"),
    HopCaller("a", Scope.SEND, frozenset({"alice", "x-aaaaaaaaaaaaaaa"}), "token y"),
)
_ROWS = (
    b'{"accounts":[{"name":"bob","instance":"bob","condition":"running","issues":[]}],"gone":[],"all":true}',
    b'{"accounts":[{"name":"bob","instance":"bob","desired":"started"}],"gone":["eve"]}',
)
_AGENTS = json.dumps({"agents": [{"id": "0badcafe", "sha256": "a" * 64, "instance": "bob"}]}).encode()
_HOST: JsonObject = {"capacity": 9, "egress": "line-2"}
_ACCOUNT: JsonObject = {"host": "c", "epoch": 3, "desired": "started", "policy": "any", "standby": "b"}
_TAKEOVER: JsonObject = {"from": "c", "host": "b", "epoch": 2, "at": 5, "made": 4, "done": False}
_RECORDS = (
    _watched(("hosts/b", {"version": "2.3.0", "labels": ["eu"], "capacity": 100})),
    _watched(("owners/bob", {"host": "b", "epoch": 3}), ("accounts/bob", {"name": "bob", "host": "b", "epoch": 3})),
    _watched(("hosts/b", _HOST), ("accounts/bob", _ACCOUNT), ("takeovers/eve", _TAKEOVER)),
    _watched(("failsafe/c", {"hosts": ["b"], "machine": "5f2c"}), ("hosts/b", {})),
    b'{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}',
)
_CONFIRMATIONS = (
    b'{"name":"b","confirmed":true,"etcd":false}',
    b'{"error":{"code":"lease-ended","message":"host b has seen the end of the lease of a"}}',
)
_NOTES = (
    b'{"bundles":{"bob":{"name":"bob","host":"b","epoch":1,"at":5,"size":9,"ran":true}}}',
    b'{"bundles":{"bob":{"to":"b","epoch":2,"at":5,"size":9,"digest":"a","tried":4,"took":1,"changed":3}}}',
)
_WORDS = tuple(
    f'"{word}":'.encode()
    for word in "scope accounts name instance issues gone kv value mod_revision bundles at changed reason".split()
)
_ETCD_WORDS = (*_WORDS, b'"type":"DELETE"', b'"canceled":true')
TARGETS = (
    Target(
        *("callers of forwarded calls", _header, tuple(str(each).encode() for each in _CALLERS)),
        refusals=(BadCaller,),
        tokens=_WORDS,
    ),
    Target("rows of another host", _rows, _ROWS, refusals=(NotJson,), tokens=_WORDS),
    Target("greetings of another host", _greeting, (_AGENTS,), refusals=(NotJson,)),
    Target("confirmations of another host", _confirmation, _CONFIRMATIONS, tokens=_WORDS),
    Target("records in etcd", _records, _RECORDS, refusals=(WxError, Compacted), tokens=_ETCD_WORDS),
    Target("notes of standby bundles", _notes, _NOTES, tokens=_WORDS),
)
