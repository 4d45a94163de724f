"""Whole requests to the controller's and to an account's port, in memory."""

import asyncio
import contextlib
import gc
import logging
import re
import socket
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from aiohttp import web

from tests.fuzz.target import Target, run
from tests.ports import FIRST_PORT
from tests.unit.client.scripted import ScriptedDriver, logged_in
from tests.unit.controller.machine import Machine
from wxcontroller.client import service
from wxcontroller.client.config import read_config
from wxcontroller.client.service import Client
from wxcontroller.controller.account_port.backends import SERVER
from wxcontroller.core.paths import Paths
from wxcontroller.openwx.http.admission import ADMISSION, Admission
from wxcontroller.openwx.http.connection import HttpConnection, connections

# Turns of the event loop that a request gets before its caller hangs up.
_TURNS = 60
_STATUS_LINE = re.compile(rb"HTTP/\d\.\d ([1-5]\d\d) ")
_running: list[object] = []  # what must not be collected while its port is used


class _Connection(asyncio.Transport):
    """A connection in memory, whose peer reads at once."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__(
            {"peername": ("127.0.0.1", 1), "socket": mock.Mock(family=socket.AF_INET, **{"fileno.return_value": -1})}
        )
        self.protocol, self.sent, self.closed = protocol, bytearray(), False

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    pause_reading = resume_reading = lambda self: None

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False


class _Errors(logging.Handler):
    """Tracebacks in the log, and asyncio's complaints."""

    found: ClassVar[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.name == "asyncio":
            self.found.append(logging.Formatter().format(record))


class _Port:
    """A port, made once in a process. It gets one connection's bytes at a time."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Callable[[], HttpConnection]]]) -> None:
        self._make = make
        self._protocol: Callable[[], HttpConnection] | None = None

    def __call__(self, data: bytes) -> None:
        if self._protocol is None:
            gc.collect()  # asyncio's complaints about earlier tests
            logging.getLogger().addHandler(_Errors(logging.ERROR))
            self._protocol = run(self._make())
        run(self._feed(self._protocol(), data))
        found, _Errors.found = _Errors.found, []
        assert not found, "\n".join(found)

    async def _feed(self, protocol: HttpConnection, data: bytes) -> None:
        connection = _Connection(protocol)
        protocol.connection_made(connection)
        cut = data.find(b"\r\n", len(data) // 2) + 1
        for piece in (data[:cut], data[cut:]):
            if piece and not connection.closed:
                protocol.data_received(piece)
                await asyncio.sleep(0)
        for _ in range(_TURNS):
            if connection.closed or protocol.idle:
                break
            await asyncio.sleep(0)
        task = protocol._task_handler
        connection.close()
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=5)
            assert task.done(), "a request does not end when its caller is gone"
        for _ in range(3):
            await asyncio.sleep(0)
        if sent := bytes(connection.sent):
            status = _STATUS_LINE.match(sent)
            assert status and status[1] != b"500" and b"Traceback" not in sent, sent[:400]


async def _controller() -> Callable[[], HttpConnection]:
    place = tempfile.TemporaryDirectory(prefix="wxfuzz-")
    # The last ports of this process: the accounts run until it ends, next to those of later tests.
    ports = {"backend_start_port": FIRST_PORT + 180, "backend_end_port": FIRST_PORT + 189}
    host = Machine(Path(place.name), max_clients=8, ilink_serve=True, public_url="http://[::1]:2000", **ports)
    host.answered_by_others = ("/v1/",)  # not compared with the API's description
    await host.__aenter__()
    await host.start("alice")
    host.units.refuse = "no more"
    _running.extend((host, place))
    http = host.server._runner.server
    assert http is not None
    return connections(http, SERVER, host.shared.admission, host.server._forwarder)


async def _account() -> Callable[[], HttpConnection]:
    directory = tempfile.TemporaryDirectory(prefix="wxfuzz-")
    place = Paths(Path(directory.name))
    place.runtime("alice").mkdir(parents=True)
    place.state("alice").mkdir(parents=True)
    environ = {"MOJO_WEIXIN_PLUGIN_OPENWX_PORT": "3000", "MOJO_WEIXIN_SEND_INTERVAL": "0", "WXCLIENT_JSONP": "1"}
    driver = ScriptedDriver()
    served: asyncio.Future[tuple[web.Server, Admission]] = asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def listening(app: web.Application, *_: object) -> Any:
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


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def _post(path: str, kind: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


_FORM, _JSON, _PARTS = "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=b"
_MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="client"\r\n\r\nalice\r\n'
    b'--b\r\nContent-Disposition: form-data; name="media_data"; filename="a\\"b.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\r\n--b--\r\n"
)
_TO_BOTH = (
    b"POST /openwx/get_user_info?client=alice HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    b"Expect: 100-continue\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /openwx/get_user_info?client=alice HTTP/1.0\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    b"QUERY /openwx/get_user_info?client=alice HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /openwx/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n"
    + b"x" * 64
    + b"\r\nno size\r\n",
    b"OPTIONS /openwx/x HTTP/1.1\r\nHost: evil.example\r\nAccess-Control-Request-Method: GET\r\n\r\n",
    b"PROPFIND * HTTP/1.1\r\nHost: a\r\nOrigin: null\r\nSec-Fetch-Site: cross-site\r\nCookie: a=b\r\n\r\n",
    *(_get("http://[::1/"), _get("http://[]/openwx/check_client"), _get("/%2e%2e/openwx/x?client=好&a=%zz")),
    _get("http://127.0.0.1:2000/openwx/get_user_info?client=alice&datatype=jsonp&callback=f", "If-None-Match: *"),
)
_TO_CONTROLLER = (
    *_TO_BOTH,
    *(_get("/openwx/check_client"), _get("/openwx/start_client?client=bob&send_interval=5&_=1")),
    *(_get("/openwx/stop_client?client=alice", "Connection: close"), _get("/v1/health", "Accept: */*") + _get("/")),
    *(_get("/v1/accounts", "Origin: http://127.0.0.1"), _get("/v1/accounts/alice/qr?format=svg")),
    _post("/v1/accounts/alice/start", _JSON, b'{"options": {"send_interval": 3, "post_event": false}}'),
    _post("/openwx/start_client", _FORM, b"client=carol&lang=en_US"),
    *(_get("/v1/deliveries"), _get("/v1/events?account=nobody&types=login&cursor=1000")),
    _get("/v1/events?cursor=x", "Last-Event-ID: 1.alice=0badcafe-1"),
    _get("/v1/accounts/nobody/deliveries?state=dead&limit=5"),
    _get("/v1/accounts/nobody/media/x.jpg", "Range: bytes=0-9"),
    _post("/v1/accounts/nobody/deliveries/replay", _JSON, b'{"all": true}'),
    _post("/openwx/send_friend_message?client=nobody", _PARTS, _MULTIPART),
    b"DELETE /v1/accounts/nobody HTTP/1.1\r\nHost: [::1]:2000\r\n\r\n",
    _post("/ilink/bot/get_bot_qrcode", _JSON, b'{"local_token_list": ["x"], "base_info": {}}'),
    _get("/for/alice/ilink/bot/get_qrcode_status?qrcode=x&verify_code=1"),
    _get("/ilink/c2c/download?encrypted_query_param=alice.helper.x"),
    _post("/v1/ilink/pairings/x", _JSON, b'{"account": "alice", "consumer": "helper"}'),
)
_READS = "get_friend_info get_group_info get_group_basic_info search_friend search_group get_avatar get_client_info"
_SENDS = "send_friend_message send_group_message consult revoke_message upload_media"
_COMMANDS = (
    "create_group invite_friend kick_group_member set_group_displayname stick set_markname make_friend "
    "accept_friend_request"
)
_TO_ACCOUNT = (
    *_TO_BOTH,
    *(_get(f"/openwx/{call}?id=@ann&content=hi&timeout=0.1&async=1") for call in f"{_READS} {_COMMANDS}".split()),
    *(
        _post(f"/openwx/{call}", _FORM, b"id=%40ann&content=%E4%BD%A0&media_path=/etc/passwd")
        for call in _SENDS.split()
    ),
    _get("/openwx/send_friend_message?id=@ann&media_path=http://[]/"),
    *(_get("/v1/status"), _get("/v1/deliveries?state=held,pending,dead&after=0&limit=5")),
    *(_get("/v1/deliveries/0badcafe-1"), _get("/v1/events?after=0badcafe-1&types=login,x&limit=5")),
    _get("/v1/media/mojo_weixin_media_20260101000000_0000000000000000.jpg", "Range: bytes=0-9"),
    _post("/v1/deliveries/purge", _JSON, b'{"ids": ["0badcafe-1"]}'),
    *(
        _post("/v1/deliveries/replay", _JSON, b'{"state": "dead"}'),
        _post("/v1/deliveries/replay", _JSON, b'{"state": ""}'),
    ),
    _post("/v1/input", _JSON, b'{"id": "allow-desktop", "value": "yes"}'),
    _post("/v1/messages", _JSON, b'{"to": "@ann", "text": "hi", "wait": 0, "reply_to": "1"}'),
    _post("/v1/messages", _PARTS, _MULTIPART, "Idempotency-Key: 0f5c8a53"),
    *(_get("/v1/messages?chat=@ann&before=0badcafe-9&limit=5"), _get("/v1/chats?before=0badcafe-9&limit=5")),
    _get("/openwx/send_friend_message?id=@ann&content=x", 'Idempotency-Key: "0f5c8a52"'),
    _post("/openwx/upload_media", _PARTS, _MULTIPART),
)
TARGETS = (
    Target("requests to the controller", _Port(_controller), _TO_CONTROLLER),
    Target("requests to an account", _Port(_account), _TO_ACCOUNT),
)
