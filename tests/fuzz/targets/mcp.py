"""What AI agents send to /mcp, and what accounts answer to its tools."""

from tests.fuzz.target import Target, fit
from wxcontroller.controller.mcp.protocol import Failed, _message
from wxcontroller.controller.mcp.tools import TOOLS, failure_in, object_of, shown_messages
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import field, obj, text
from wxcontroller.openwx.replies import to_bytes

_CALL = b"""{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read_messages",
"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}, "arguments": {"account": "alice", "limit": 5}}}"""
_SEND = b"""{"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": {"name": "send_message",
"arguments": {"account": "alice", "to": "@ann", "text": "hi", "media_url": "http://h/a.png"}}}"""
_PAGE = b"""{"account": "alice", "log": "0badcafe", "messages": [{"id": "1", "cursor": "0badcafe-1", "chat": "7",
"text": "hi", "sender": {"id": "7", "name": "Ann"},
"media": {"type": "image", "url": "/v1/accounts/alice/media/a.jpg"}}],
"pending": [], "more": false, "complete": true}"""
_ERROR = b'{"error": {"code": "no-such-peer", "message": "nobody has this id", "remedy": "take another"}}'


def _request(data: bytes) -> None:
    sent = _message(data)
    fit(sent)
    params = obj(sent.get("params"))
    tool = TOOLS.get(text(params.get("name")))
    if tool is not None:
        arguments = obj(params.get("arguments"))
        wrong = tool.complaint(arguments)
        assert wrong or set(tool.needed) <= arguments.keys() <= tool.fields.keys()
        wrong.encode("utf-8", "surrogateescape")


def _answer(data: bytes) -> None:
    to_bytes(failure_in("alice", 500, data).as_json())
    answer = object_of(data)
    shown = shown_messages(answer, "0badcafe-1")
    to_bytes(shown)
    assert field(shown, "more") in (True, False)


TARGETS = (
    Target(
        "requests of MCP clients",
        _request,
        (_CALL, _SEND, b'{"jsonrpc": "2.0", "method": "notifications/initialized"}'),
        refusals=(WxError, Failed),
        tokens=(b'"arguments": ', b'"limit": ', b'"account": '),
    ),
    Target(
        "answers of accounts to MCP tools",
        _answer,
        (_PAGE, _ERROR),
        tokens=(b'"messages": ', b'"media": ', b'"error": '),
    ),
)
