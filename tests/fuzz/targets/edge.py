"""What callers send: parameters, heads, whole requests to the controller's and to an account's port."""

import asyncio
import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from aiohttp import web

from tests.fuzz.target import LONG, Target, joined, texts
from tests.unit.client.scripted import ScriptedDriver, logged_in
from tests.unit.controller.machine import Machine
from wxcontroller.client import service
from wxcontroller.client.config import ClientConfig, read_config
from wxcontroller.client.guard import Guard
from wxcontroller.client.service import Client
from wxcontroller.controller.account_port.backends import SERVER
from wxcontroller.controller.account_port.proxy import _ascii, sent_target
from wxcontroller.controller.origin import host_of_target
from wxcontroller.core.paths import Paths
from wxcontroller.openwx.admission import ADMISSION, Admission
from wxcontroller.openwx.connection import PatientConnection, connections
from wxcontroller.openwx.crosssite import foreign_origin, own_host
from wxcontroller.openwx.framing import escaped
from wxcontroller.openwx.parameters import (
    BadParameter,
    form_pairs,
    holds_parameters,
    merged,
    query_of,
    query_pairs,
    text_of,
    values_of,
)
from wxcontroller.openwx.replies import to_bytes


def _parameters(data: bytes) -> None:
    target, kind, body = data.split(b"\x1e", 2) if data.count(b"\x1e") > 1 else (data[:200], b"", data)
    query = query_of(target.decode("utf-8", "surrogateescape"))
    content_type = kind[:8190].decode("utf-8", "surrogateescape")  # longer ones don't get through the parser of heads
    holds_parameters(query, content_type)
    refused: BadParameter | None = None
    readers: tuple[Callable[[], list[tuple[str, str]]], ...] = (
        lambda: query_pairs(query),
        lambda: form_pairs(content_type, body),
        lambda: form_pairs(content_type, body, "client"),
        lambda: [(n, text_of(n, v)) for n, v in values_of(query, content_type, body) if n != "media_data"],
    )
    for read in readers:
        try:
            to_bytes(merged(read()))
        except BadParameter as problem:
            refused = problem
    if refused:
        raise refused


def _callers(data: bytes) -> None:
    origin, site, host, allowed = texts(data, 4)
    foreign_origin(origin, site, host, allowed.split(","))
    if own_host(host, ()):
        name = re.sub(r":\d+\Z", "", host).removesuffix(".").lower()
        assert name in ("localhost", "[::1]") or host.startswith("127.")
        assert not set(host) & set("@/\\?# \n\t")
    own_host(host, allowed.split(","))


def _target_line(data: bytes) -> None:
    sent = escaped(data)
    assert sent.isascii()
    raw = data.decode("utf-8", "surrogateescape")
    assert _ascii(sent_target(raw)).isascii()
    query_of(raw)

    class Said:
        raw_path = raw

    host_of_target(Said())  # type: ignore[arg-type]


class _Wire(asyncio.Transport):
    """A connection in memory: keeps what is written; the peer reads at once."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.protocol = protocol
        self.sent = bytearray()
        self.gone = False

    def write(self, data: Any) -> None:
        self.sent += data

    def writelines(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def close(self) -> None:
        if not self.gone:
            self.gone = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.gone

    pause_reading = resume_reading = lambda self: None

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False


_TICKS = 60
_ANSWER = re.compile(rb"HTTP/\d\.\d ([1-5]\d\d) ")


class Port:
    """A port in memory: made once in a process, fed with one connection's bytes after the other."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Callable[[], PatientConnection]]]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._protocol: Callable[[], PatientConnection] | None = None

    def __call__(self, data: bytes) -> None:
        if self._loop is None:
            logging.getLogger().addHandler(_Complaints(logging.ERROR))
            self._loop = asyncio.new_event_loop()
            self._protocol = self._loop.run_until_complete(self._make())
        self._loop.run_until_complete(self._feed(data))
        found, _Complaints.found = _Complaints.found, []
        assert not found, "\n".join(found)

    async def _feed(self, data: bytes) -> None:
        assert self._protocol is not None
        protocol = self._protocol()
        wire = _Wire(protocol)
        protocol.connection_made(wire)
        cut = data.find(b"\r\n", len(data) // 2) + 1  # in two pieces, as the network likes it
        for piece in (data[:cut], data[cut:]):
            if piece and not wire.gone:
                protocol.data_received(piece)
                await asyncio.sleep(0)
        for _ in range(_TICKS):
            if wire.gone or protocol.idle:
                break
            await asyncio.sleep(0)
        task = protocol._task_handler
        if not wire.gone:
            wire.close()
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=5)
            assert task.done(), "a request does not end when its caller is gone"
        for _ in range(3):
            await asyncio.sleep(0)
        if sent := bytes(wire.sent):
            found = _ANSWER.match(sent)
            assert found and found[1] != b"500" and b"Traceback" not in sent, sent[:400]


class _Complaints(logging.Handler):
    """What is logged as an error with a trace, or by asyncio: things that must not happen."""

    found: ClassVar[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.name == "asyncio":
            self.found.append(logging.Formatter().format(record))


async def _controller() -> Callable[[], PatientConnection]:
    place = tempfile.TemporaryDirectory(prefix="wxfuzz-")
    # Ports of its own: it lives as long as the process.
    first = 18_000 + os.getpid() % 100 * 10
    ports = {"backend_start_port": first, "backend_end_port": first + 9}
    host = Machine(Path(place.name), max_clients=8, ilink_serve=True, public_url="http://[::1]:2000", **ports)
    host.answered_by_others = ("/v1/",)  # nothing is judged here, as nobody would look
    await host.__aenter__()
    await host.start("alice")
    await host.start("小店")
    host.units.refuse = "no more"
    _running.extend((host, place))
    http = host.server._runner.server
    assert http is not None
    return connections(http, SERVER, host.shared.admission)


async def _account() -> Callable[[], PatientConnection]:
    directory = tempfile.TemporaryDirectory(prefix="wxfuzz-")
    place = Paths(Path(directory.name))
    place.runtime("alice").mkdir(parents=True)
    place.state("alice").mkdir(parents=True)
    environ = {"MOJO_WEIXIN_PLUGIN_OPENWX_PORT": "3000", "MOJO_WEIXIN_SEND_INTERVAL": "0", "WXCLIENT_JSONP": "1"}
    driver = ScriptedDriver()
    served: asyncio.Future[tuple[web.Server, Admission]] = asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def listening(app: web.Application, _: ClientConfig, _guard: Guard) -> Any:
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        assert runner.server is not None
        served.set_result((runner.server, app[ADMISSION]))
        yield

    with mock.patch.object(service, "listening", listening):
        client = Client(read_config("alice", environ, place), driver.make, paths=place)
        running = asyncio.ensure_future(client.run(asyncio.Event()))
        driver.play(logged_in())
        http, admission = await served
    _running.extend((running, directory))
    return connections(http, "wxclient", admission)


_running: list[object] = []  # what must not be collected while its port is used


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def _post(path: str, kind: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="client"\r\n\r\nalice\r\n'
    b'--b\r\nContent-Disposition: form-data; name="media_data"; filename="a\\"b.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\r\n--b--\r\n"
)
_HTTP = (
    *(f"{method} ".encode() for method in "QUERY PROPFIND GET POST PUT DELETE OPTIONS HEAD".split()),
    *(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n\r\n"),
    *(b"Host: evil.example\r\n", b"Origin: null\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"),
    *(b"Connection: upgrade\r\nUpgrade: x\r\n", b"Expect: 100-continue\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"5\r\nhello\r\n0\r\n\r\n", b"Range: bytes=0-\r\n", b"If-None-Match: *\r\n", b"Cookie: a=b\r\n", "好".encode()),
    *(b"Sec-Fetch-Site: cross-site\r\n", b"Access-Control-Request-Method: GET\r\n", b"Content-Length: -1\r\n"),
)
_OPENWX = b"/openwx/ start_client check_client stop_client get_qrcode ?client=alice &callback=f".split()
_CALLS = (
    "get_user_info get_friend_info get_group_info get_group_basic_info search_friend search_group get_avatar "
    "send_friend_message send_group_message consult revoke_message upload_media check_event get_client_info "
    "create_group invite_friend kick_group_member set_group_displayname stick set_markname make_friend "
    "accept_friend_request"
).split()

_PARAMETERS = (
    joined("/openwx/x?client=%E5%B0%8F&a=b+c&d", _FORM, b"content=%ff&id=@a&=&a=1"),
    joined("/x", "multipart/form-data; boundary=b", _MULTIPART),
    joined("/x", "multipart/form-data; boundary*0*=utf-8''%62; boundary*1=c", _MULTIPART),
    joined("/x?a", 'multipart/form-data; charset="x"; boundary="b"', b"x\r\n" + _MULTIPART),
)
_MULTIPART_WORDS = (
    *(b"boundary=", b"boundary*=utf-8'x'", b"boundary*0*=", b"--b", b"--b--", b"\r\n\r\n", b"filename*=x"),
    *(b"Content-Disposition: form-data; ", b'name="', b"name*=utf-8''%ff", b"multipart/form-data; "),
)
_CALLERS = (
    joined("https://a.example", "same-origin", "127.0.0.1:2000", "wx.example,*"),
    joined("null", "", "[::1]", ""),
)
_LINES = "GET /openwx/x?client=安&a=%zz HTTP/1.1".encode(), b"http://127.0.0.1:2000/openwx/x?y", b"*"
_TO_CONTROLLER = (
    *(_get("/openwx/check_client"), _get("/openwx/start_client?client=bob&send_interval=5&_=1")),
    *(_get("/openwx/stop_client?client=alice", "Connection: close"), _get("/v1/health", "Accept: */*") + _get("/")),
    *(_get("/v1/accounts", "Origin: http://127.0.0.1"), _get("/v1/accounts/alice/qr?format=svg")),
    _post("/v1/accounts/alice/start", _JSON, b'{"send_interval": 3, "download_media": false}'),
    _post("/openwx/start_client", _FORM, b"client=carol&lang=en_US"),
    *(_get("/v1/deliveries"), _get("/v1/events?account=nobody&types=login&cursor=1000")),
    _get("/v1/events?cursor=x", "Last-Event-ID: 1.alice=0badcafe-1"),
    _get("/v1/accounts/nobody/deliveries?state=dead&limit=5"),
    _get("/v1/accounts/nobody/media/x.jpg", "Range: bytes=0-9"),
    _post("/v1/accounts/nobody/deliveries/replay", _JSON, b'{"all": true}'),
    _post("/openwx/send_friend_message?client=nobody", "multipart/form-data; boundary=b", _MULTIPART),
    b"DELETE /v1/accounts/nobody HTTP/1.1\r\nHost: [::1]:2000\r\n\r\n",
    _post("/ilink/bot/get_bot_qrcode", _JSON, b'{"local_token_list": ["x"], "base_info": {}}'),
    _get("/for/alice/ilink/bot/get_qrcode_status?qrcode=x&verify_code=1"),
    _get("/ilink/c2c/download?encrypted_query_param=alice.helper.x"),
    _post("/v1/ilink/pairings/x", _JSON, b'{"account": "alice", "consumer": "helper"}'),
)
_TO_ACCOUNT = (
    *(_get(f"/openwx/{call}?id=@ann&content=hi&timeout=0.1&async=1") for call in _CALLS if call != "check_event"),
    *(_post(f"/openwx/{c}", _FORM, b"id=%40ann&content=%E4%BD%A0&media_path=/etc/passwd") for c in _CALLS[6:12]),
    *(_get("/v1/status"), _get("/v1/deliveries?state=held,pending,dead&after=0&limit=5")),
    *(_get("/v1/deliveries/0badcafe-1"), _get("/v1/events?after=0badcafe-1&types=login,x&limit=5")),
    _get("/v1/media/mojo_weixin_media_20260101000000_0000000000000000.jpg", "Range: bytes=0-9"),
    _post("/v1/deliveries/purge", _JSON, b'{"ids": ["0badcafe-1"]}'),
    _post("/v1/deliveries/replay", _JSON, b'{"state": "dead"}'),
    _post("/v1/messages", _JSON, b'{"to": "@ann", "text": "hi", "wait": 0, "reply_to": "1"}'),
    _post("/v1/messages", "multipart/form-data; boundary=b", _MULTIPART, "Idempotency-Key: 0f5c8a53"),
    *(_get("/v1/messages?chat=@ann&before=0badcafe-9&limit=5"), _get("/v1/chats?before=0badcafe-9&limit=5")),
    _get("/openwx/send_friend_message?id=@ann&content=x", "Idempotency-Key: 0f5c8a52"),
    _get("/openwx/get_user_info?datatype=jsonp&callback=f"),
    _post("/openwx/upload_media", "multipart/form-data; boundary=b", _MULTIPART),
    b"OPTIONS /openwx/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
)
_CONTROLLER_WORDS = (*_HTTP, *_OPENWX, *b"/v1/accounts/ /start /restart /stop /qr?format=".split())
_ACCOUNT_WORDS = (
    *_HTTP,
    *(call.encode() for call in _CALLS),
    *b"media_data= media_id=1:3 id=@all friends=@ben,".split(),
)
TARGETS = (
    Target(
        *("parameters of requests", _parameters, _PARAMETERS),
        refusals=(BadParameter,),
        tokens=_MULTIPART_WORDS,
        longest=LONG,
    ),
    Target("who calls", _callers, _CALLERS, refusals=()),
    Target("request lines", _target_line, _LINES, refusals=()),
    Target(
        *("requests to the controller", Port(_controller), _TO_CONTROLLER),
        refusals=(),
        tokens=_CONTROLLER_WORDS,
        weight=6,
        longest=LONG,
    ),
    Target(
        *("requests to an account", Port(_account), _TO_ACCOUNT),
        refusals=(),
        tokens=_ACCOUNT_WORDS,
        weight=6,
        longest=LONG,
    ),
)
