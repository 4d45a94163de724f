"""What is read from this machine: files of accounts and of the admin, and systemd's answers."""

import contextlib
import json
import tempfile
from pathlib import Path
from urllib.parse import unquote_plus, urlsplit

from tests.fuzz.corpus import recorded
from tests.fuzz.target import LONG, NotJson, Target, fit, joined, texts
from tests.unit.controller.machine import TEMPLATE
from wxcontroller.controller.openwx import start_options
from wxcontroller.controller.statefiles import state_of
from wxcontroller.controller.units import parse_list
from wxcontroller.controller.v1.journal import line_of
from wxcontroller.controller.v1.journalstream import _event
from wxcontroller.core import egress
from wxcontroller.core.account import Account, account_from, redacted, variables_of, with_client, without_client
from wxcontroller.core.envfile import FILE_VALUE_LENGTH, parse, quote
from wxcontroller.core.errors import BadName, BadOption, TemplateError
from wxcontroller.core.jsontypes import read_json
from wxcontroller.core.names import instance_of, is_instance, parse_name, unit_of
from wxcontroller.core.options import OPTIONS, Origin, check_options
from wxcontroller.core.paths import Paths
from wxcontroller.core.rendering import render_account
from wxcontroller.core.settings import load_settings

_PLACE = tempfile.TemporaryDirectory(prefix="wxfuzz-")
_PATHS = Paths(Path(_PLACE.name))


def _state_file(data: bytes) -> None:
    try:
        content = read_json(data)
    except ValueError:
        raise NotJson from None
    if not isinstance(content, dict):
        raise NotJson
    state = state_of(content, (1, 2, 3))
    rendered = state.rendered(3000)
    assert json.loads(rendered)["port"] == 3000
    assert b"qrcode_link" not in rendered.replace(b"\\", b"") or '"qrcode_link"' not in json.loads(rendered)
    json.dumps([state.since, state.pid, state.start_time, state.qrcode_number], allow_nan=False)
    for words in (str(state.status), str(state.reason), state.word, *(state.user or {}).values()):
        fit(words)
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in words)


def _journal(data: bytes) -> None:
    for raw in data.splitlines():
        if (line := line_of(raw)) is not None:
            json.dumps(line, allow_nan=False)
            fit(str(line["message"]))
            _event(raw).decode()


def _units(data: bytes) -> None:
    for instance, record in parse_list(data).items():
        assert is_instance(instance)
        assert record.instance == instance


def _environment_file(data: bytes) -> None:
    found = parse(data.decode("utf-8", "surrogateescape"))
    for key, value in found.items():
        assert "\x00" not in key
        if len(value) <= FILE_VALUE_LENGTH:
            with contextlib.suppress(BadOption):
                assert parse(f"A={quote(value)}\n") == {"A": value}
    account = account_from(found, "x")
    unit_of(account.name.instance)
    for value in (account.options.get("post_api", ""), account.options.get("proxy", "")):
        redacted(value).encode("utf-8", "surrogateescape")
        egress.shown(value)
    variables_of(account, _PATHS)


def _name(data: bytes) -> None:
    raw = data.decode("utf-8", "surrogateescape")
    instance_of(raw)
    name = parse_name(raw)
    assert parse_name(name.name) == name
    assert is_instance(name.instance)
    assert _PATHS.account_file(name.instance).parent == _PATHS.accounts
    fit(name)


def _options(data: bytes) -> None:
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in texts(data, 6)) if name]
    for by in (Origin.REQUEST, Origin.SETTINGS):
        checked = check_options(pairs, by)
        for option, value in checked.options.items():
            assert OPTIONS[option].check(value) == value
            quote(value)


def _start(data: bytes) -> None:
    """Whatever a start is asked for comes back from the account's file as it was taken."""
    given = {name: value for name, _, value in (part.partition("=") for part in texts(data, 6)) if name}
    wanted = start_options(given, ignore_unknown=True)
    account = Account(parse_name("alice"), 3000, options=wanted.checked.options, parameters=wanted.echo)
    rendered = render_account(account, _PATHS, TEMPLATE)
    back = account_from(parse(rendered), "x")
    urls = ("post_api", "poll_api")
    assert {k: v for k, v in back.options.items() if k not in urls} == {
        k: v for k, v in account.options.items() if k not in urls and (v or k in back.options)
    }
    assert dict(back.parameters) == dict(account.parameters)


def _address(data: bytes) -> None:
    address = data.decode("utf-8", "surrogateescape")
    shown = redacted(address)
    if "hunter2" in shown:  # as the scheme, the host, the path or a key: there it is no secret
        parts = urlsplit(address)
        public = (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query)
        assert "hunter2" in unquote_plus(" ".join(public))
    egress.shown(address)
    try:
        checked = OPTIONS["post_api"].check(address)
    except ValueError:
        return
    merged = with_client(checked, "小店")
    assert without_client(merged) == without_client(checked)
    assert (not checked) or merged.count("client=") >= 1


def _settings(data: bytes) -> None:
    _PATHS.settings_file.parent.mkdir(parents=True, exist_ok=True)
    _PATHS.settings_file.write_bytes(data)
    load_settings(_PATHS)


_PAIRS = (
    joined("client=alice", "post_api=http://h/in?a=b", "send_interval=3", "lang=zh_CN", "_=1", "account=x"),
    joined("proxy=http://u:p%40@h:3128", "post_event_list=login,stop", "post_message_filter=a=b&c=%20", "desktop=on"),
    joined(
        "media_size_max=1000", "http_agent=x", "poll_api=https://h/", "log_level=debug", "server=http://127.0.0.1:1"
    ),
)
_FILE = b"""# made by the controller
MOJO_WEIXIN_ACCOUNT="alice"
MOJO_WEIXIN_PLUGIN_OPENWX_PORT="3001"
MOJO_WEIXIN_PLUGIN_OPENWX_POST_API="http://h/in?key=\\$k&client=alice"
WXCLIENT_INSTANCE="alice"
WXCLIENT_DESIRED="started"
WXCLIENT_PARAMETERS="{\\"client\\": \\"alice\\", \\"a\\": \\"1\\"}"
MOJO_WEIXIN_LANG='en_US' # x
"""
_TOML = b"""post_api = "http://127.0.0.1:8080/x"
max_clients = 300
listen = [{ host = "127.0.0.1", port = 2000 }]
allow_origins = ["https://panel.example:8443"]
allow_hosts = ["wx.example"]
start_timeout = 1.5
http_debug = true
[client]
send_interval = 5
proxy = "socks5://h:1"
"""
_UNITS = b'[{"unit":"wxclient@alice.service","load":"loaded","active":"active","sub":"running","description":"x"}]'
_STATES = (
    b'{"state":"running","login_state":"scanning","qrcode_link":"l","pid":"7","user":{}}',
    *recorded()["state file"],
)
_LINES = (
    b'{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795623697352121","PRIORITY":"4","MESSAGE":"m","WX_EVENT":"state"}',
    b'{"MESSAGE":[104,105,255],"PRIORITY":null}\n{"__REALTIME_TIMESTAMP":"9"}',
)
_VARIABLES = (b"WXCLIENT_PARAMETERS=", b"MOJO_WEIXIN_PLUGIN_OPENWX_POLL_API=http://[", b"\\\n", b"'")
_NAMES = b"alice", "小店 1".encode(), b"x-abcdefghijklmno", b"wxclient@my-bot.service", "Ａ\u0301.b@c".encode()
_ADDRESSES = (
    *(b"http://user:hunter2@h:8080/in?key=hunter2&x=1#hunter2", b"socks5://user:hunter2@proxy.example:1080"),
    b"https://[::1]:443/a?client=x&&client=y",
)
_REFUSED = (BadOption, TemplateError)
TARGETS = (
    Target("state files", _state_file, _STATES, refusals=(NotJson,), longest=LONG),
    Target("lines of the journal", _journal, _LINES, longest=LONG),
    Target("list of units", _units, (_UNITS,), longest=LONG),
    Target("environment files", _environment_file, (_FILE,), tokens=_VARIABLES),
    Target("names of accounts", _name, _NAMES, refusals=(BadName,), longest=LONG),
    Target("options", _options, _PAIRS, refusals=(BadOption,), longest=LONG),
    Target("start requests, written and read back", _start, _PAIRS, refusals=_REFUSED, longest=LONG),
    Target("addresses of reports and proxies", _address, _ADDRESSES, refusals=(), longest=LONG),
    Target("settings", _settings, (_TOML,), longest=1 << 13),
)
