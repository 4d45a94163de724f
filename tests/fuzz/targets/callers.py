"""Data that callers of the HTTP APIs send: parameters, tokens, names, options, notifications, calls of AI agents."""

from tests.fuzz.target import HEAD, NotJson, Target, check_encodable, run
from tests.unit.controller.machine import TEMPLATE
from wxcontroller.client.ilink import serving
from wxcontroller.client.ilink.sealing import Seals
from wxcontroller.controller.apis.mcp.protocol import Failed, _message, _parsed
from wxcontroller.controller.apis.mcp.tools import TOOLS
from wxcontroller.controller.apis.notify import dialects
from wxcontroller.controller.apis.notify.notification import BadNotification, checked
from wxcontroller.controller.openwxcalls import start_options
from wxcontroller.core.config.envfile import parse
from wxcontroller.core.config.options import OPTIONS, Origin, check_options
from wxcontroller.core.errors import BadName, BadOption, TemplateError, WxError
from wxcontroller.core.jsontypes import obj, text
from wxcontroller.core.names import instance_of, is_instance, parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account, account_from
from wxcontroller.core.registry.rendering import render_account
from wxcontroller.openwx.contract.replies import to_bytes
from wxcontroller.openwx.http import credentials
from wxcontroller.openwx.http.crosssite import foreign_origin, own_host
from wxcontroller.openwx.http.parameters import (
    BadParameter,
    form_pairs,
    holds_parameters,
    merged,
    query_of,
    query_pairs,
    text_of,
    values_of,
)

_PATHS = Paths()
_SEALS = Seals(bytes(32))


def _parameters(target: str, content_type: str, body: bytes) -> None:
    query, content_type = query_of(target), content_type[:HEAD]  # the parser of heads refuses longer ones
    holds_parameters(query, content_type)
    to_bytes(merged(query_pairs(query)))
    to_bytes(merged(form_pairs(content_type, body)))
    values = values_of(query, content_type, body)
    to_bytes(merged([(name, text_of(name, value)) for name, value in values if name != "media_data"]))


def _token(target: str, content_type: str, body: bytes) -> None:
    """A token is found, and not passed on."""
    content_type = content_type[:HEAD]
    credentials.from_headers(content_type, target)
    credentials.from_query(query_of(target))
    assert credentials.from_query(query_of(credentials.without_token(target))) is None
    token = credentials.from_form(content_type, body)
    rest = b"".join(body[start:end] for start, end in credentials.spans_without_token(content_type, body))
    assert len(rest) <= len(body)
    if token is not None and b"%" not in body and "urlencoded" in content_type:
        assert credentials.from_form(content_type, rest) is None


def _origin(origin: str, site: str, host: str, allowed: str) -> None:
    foreign_origin(origin, site, host, allowed.split(","))
    own_host(host, allowed.split(","))
    if own_host(host, ()):
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        assert name.removesuffix(".").lower() in ("localhost", "[::1]") or host.startswith("127.")
        assert not set(host) & set("@/\\?# \n\t")


def _name(raw: str) -> None:
    instance_of(raw)
    name = parse_name(raw)
    assert parse_name(name.name) == name
    assert is_instance(name.instance)
    assert _PATHS.account_file(name.instance).parent == _PATHS.accounts
    check_encodable(name)


def _start(*pairs: str) -> None:
    """The options of a start are in the account's file as they were given, and nothing else is."""
    given = {name: value for name, _, value in (pair.partition("=") for pair in pairs) if name}
    for option, value in check_options(list(given.items()), Origin.SETTINGS).options.items():
        assert OPTIONS[option].kind.check(value) == value
    wanted = start_options(given, ignore_unknown=True)
    account = Account(parse_name("alice"), 3000, options=wanted.checked.options, parameters=wanted.echo)
    again = account_from(parse(render_account(account, _PATHS, TEMPLATE)), "x")
    kept = {key: value for key, value in again.options.items() if key not in ("post_api", "poll_api")}
    asked = {key: value for key, value in account.options.items() if key not in ("post_api", "poll_api")}
    assert kept == {key: value for key, value in asked.items() if value or key in again.options}
    assert dict(again.parameters) == dict(account.parameters)


def _notification(content_type: str, value: str, body: bytes) -> None:
    content_type, value = content_type[:HEAD], value[:HEAD]
    credentials.from_publisher({"Authorization": value}, f"/?{value}")
    texts = dict.fromkeys(("title", "click", "message"), dialects._header(value))
    found = run(dialects.from_body(content_type, body))
    shown = checked(dialects.with_head(found, {**dict.fromkeys(dialects._NAMES, ""), **texts}))
    to_bytes({"text": shown.text, "message": shown.message, "title": shown.title, "tags": [*shown.tags]})
    if shown.attachment is not None:
        shown.attachment.name.encode()


def _mcp(data: bytes) -> None:
    sent = _message(_parsed(data))
    check_encodable(sent)
    params = obj(sent.get("params"))
    if tool := TOOLS.get(text(params.get("name"))):
        arguments = obj(params.get("arguments"))
        complaint = tool.complaint(arguments)
        assert complaint or set(tool.needed) <= arguments.keys() <= tool.fields.keys()
        complaint.encode("utf-8", "surrogateescape")


def _agent(body: bytes, sealed: str) -> None:
    """A call in iLink's protocol; nobody else can seal what it passes on."""
    assert _SEALS.open("c", sealed) in (None, b"x")
    try:
        check_encodable(serving._read(body))
    except ValueError:
        raise NotJson from None


_FORM, _JSON, _PARTS = "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=b"
_MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="client"\r\n\r\nalice\r\n'
    b"--b\r\nContent-Disposition: form-data; name=\"token\"; filename*=utf-8''%ff\r\n\r\nwxc_1\r\n"
    b'--b\r\nContent-Disposition: form-data; name="media_data"; filename="a\\"b.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\r\n--b--\r\n"
)
_REQUESTS = (
    ("/openwx/x?client=%E5%B0%8F&a=b+c&d&token=wxc_1", _FORM, b"content=%41&id=@a&token=wxc_1&=&a=1"),
    ("/x?%74oken=wxc_1", _PARTS, _MULTIPART),
    ("/x", "multipart/form-data; boundary*0*=utf-8''%62; boundary*1=c", _MULTIPART),
    ("/x?a", 'multipart/form-data; charset="x"; boundary="b"', b"x\r\n" + _MULTIPART),
    ("Bearer wxc_1", "Bearer wxc_2", b""),
    *(("/x", "multipart/form-data; boundary*=utf\0-8'x'%62", b"x"), ("/x", "multipart/form-data; boundary=ϐ", b"x")),
    ("/x", "multipart/form-data;\x85 boundary=b", b"x"),
)
_ORIGINS = (
    ("https://a.example", "same-origin", "127.0.0.1:2000", "wx.example,*"),
    *(("null", "", "[::1]", ""), ("http://localhost", "cross-site", "localhost.:80", "")),
)
_PAIRS = (
    ("client=alice", "post_api=http://h/in?a=b", "send_interval=3", "lang=zh_CN", "_=1", "account=x"),
    (
        "proxy=http://u:p%40@h:3128",
        "post_event_list=login,stop",
        "post_message_filter=a=b&c=%20",
        "desktop=on",
        "",
        "",
    ),
    (
        "media_size_max=1000",
        "http_agent=x",
        "poll_api=https://h/",
        "log_level=debug",
        "server=http://127.0.0.1:1",
        "",
    ),
    ("\ud800=1", "", "", "", "", ""),
)
_ALERTS = b'{"status": "firing", "alerts": [{"labels": {"alertname": "a"}, "annotations": {"summary": "down"}}]}'
_NOTIFICATIONS = (
    (_JSON, "=?UTF-8?B?5aSH5Lu9?=", _ALERTS),
    (_JSON, "Basic eDp5", b'{"heartbeat": {"msg": "m"}, "monitor": {"url": "https://x.example"}, "msg": "down"}'),
    (_FORM, "Bearer x", b"message=m&title=t&priority=high"),
    ("text/plain", "auth=QmVhcmVyIHg", b'{"message": "m", "tags": ["warning"], "priority": 4}'),
    ("", "https://x.example", b'{"text": "m", "attachment": "eA==", "filename": "f"}'),
)
_SEND = {"account": "alice", "to": "@ann", "text": "hi", "media_url": "http://h/a.png"}
_TOOL_CALLS = (
    {"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": {"name": "send_message", "arguments": _SEND}},
    b"""{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read_messages",
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"},
        "arguments": {"account": "alice", "limit": 5}}}""",
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
)
_AGENT_CALLS = (
    (b'{"msg": {"to_user_id": "w1@im.wechat", "context_token": "", "item_list": []}}', _SEALS.seal("c", b"x")),
    (rb'{"get_updates_buf": "\ud83d"}', "QUJD"),
)
_NAMES = ("alice", "小店 1", "x-abcdefghijklmno", "wxclient@my-bot.service", "Ａ\u0301.b@c")
TARGETS = (
    Target("parameters", _parameters, _REQUESTS, (BadParameter,)),
    Target("tokens", _token, _REQUESTS, (BadParameter,)),
    Target("origins and hosts", _origin, _ORIGINS),
    Target("names of accounts", _name, _NAMES, (BadName,)),
    Target("options of a start", _start, _PAIRS, (BadOption, TemplateError)),
    Target("notifications", _notification, _NOTIFICATIONS, (BadParameter, BadNotification)),
    Target("calls of MCP clients", _mcp, _TOOL_CALLS, (WxError, Failed)),
    Target("calls of iLink agents", _agent, _AGENT_CALLS, (NotJson,)),
)
