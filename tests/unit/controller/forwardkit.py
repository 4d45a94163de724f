"""An account that records what it gets from the controller, and requests with all kinds of mistakes."""

import asyncio
import contextlib
import random
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import h11

from bench.proxy import free_port
from tests.patience import PATIENCE
from tests.unit.controller.machine import Machine
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile, minted
from wxcontroller.core.names import parse_name
from wxcontroller.core.registry.materialise import Materialiser

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nDate: now\r\n\r\n"
# Headers of one connection (RFC 9110 7.6.1), tokens, what browsers say about a page, and the controller's own.
_LEFT_OUT = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer upgrade expect "
    b"host authorization x-auth-token cookie referer origin sec-fetch-site sec-fetch-mode sec-fetch-dest "
    b"sec-fetch-user accept-encoding x-wxcontroller x-wx-holder x-wx-caller".split()
)
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
# End the connection, whatever part of them belongs to the request before: bodies of it are not longer.
_REST = b"GET /openwx/check_client HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" * 2 + b"x" * 10_000


@dataclass(frozen=True)
class Message:
    """A request or an answer; headers are sorted, with names in lower case and without the date."""

    line: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    @property
    def status(self) -> int:
        """The status of an answer, 0 for none."""
        return int(self.line.split(b" ")[1]) if self.line else 0


async def read(reader: asyncio.StreamReader, to_head: bool = False) -> Message:
    """Read a message; ``to_head`` is whether it answers a HEAD. Raises IncompleteReadError."""
    head = b"HTTP/1.1 100"
    while head.startswith(b"HTTP/1.1 100"):
        head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head[:-4].split(b"\r\n")
    headers = sorted((name.lower(), value.strip()) for name, _, value in (field.partition(b":") for field in fields))
    values, body = dict(headers), b""
    if not to_head and b"transfer-encoding" in values:
        while size := int((await reader.readline()).partition(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    elif not to_head and not line.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304")):
        body = await reader.readexactly(int(values.get(b"content-length", b"0")))
    return Message(line, tuple((name, value) for name, value in headers if name != b"date"), body)


class Account:
    """A program at an account's port that records the requests it gets."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.arrived = asyncio.Event()
        self.answer = OK + b"{}"  # empty: none at all
        self.pause = 0.0  # seconds before each quarter of the answer but the first
        self.hangs_up = False
        self.takes = asyncio.Event()  # what arrives
        self.takes.set()
        self.hung_up = asyncio.Event()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self.takes.wait()
                self.got.append(await read(reader))
                self.arrived.set()
                is_head = self.got[-1].line.startswith(b"HEAD ")
                heads = self.answer.split(b"\r\n\r\n")[: 1 + self.answer.count(b"HTTP/1.1 102 ")]
                answer = b"".join(head + b"\r\n\r\n" for head in heads) if is_head else self.answer
                step = -(-len(answer) // 4) if self.pause else len(answer)
                for at in range(0, len(answer), step or 1):
                    await asyncio.sleep(self.pause if at else 0)
                    writer.write(answer[at : at + step])
                    await writer.drain()
                if self.hangs_up:
                    break
        self.hung_up.set()
        writer.close()


class Route:
    """A controller and its account ``bot``."""

    def __init__(self, host: Machine) -> None:
        self.host = host
        self.account = Account()
        self.secret = secrets.token_hex(32).encode()
        self.token = ""
        self.closed = False
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self, closed: bool) -> AsyncIterator["Route"]:
        host = self.host
        account = Materialiser(host.paths, host.settings).start(parse_name("bot"), {}, {})
        instance = account.name.instance
        host.paths.runtime(instance).mkdir(parents=True)
        host.paths.port_secret(instance).write_bytes(self.secret + b"\n")
        self.closed, self.port = closed, account.port
        self.token, made = minted("bot", Scope.SEND, (), None)
        if closed:
            TokenFile(host.paths.tokens_file).add(made)
        self.program = await asyncio.start_server(self.account.serve, "127.0.0.1", account.port)
        try:
            yield self
        finally:
            self.program.close()

    async def ask(self, raw: bytes) -> Message:
        """Send a request over a new connection; return the answer, or an empty one if it breaks off."""
        reader, writer = await asyncio.open_connection(*self.host.address)
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(raw)
                return await read(reader, raw.startswith(b"HEAD "))
        except (ConnectionError, asyncio.IncompleteReadError):
            return Message()
        finally:
            writer.close()

    async def check(self, raw: bytes) -> bool:
        """Send a request; return whether the account got it. It must get what h11 reads, or nothing."""
        self.account.got.clear()
        await _all_answers(self.host.address, raw)
        while self.host.server.connections:
            await asyncio.sleep(0.001)
        for _ in range(10):
            await asyncio.sleep(0)
        sent = map(self._sent_on, _requests_in(raw + _REST))
        for got in self.account.got:
            # In the order in which they were sent, each at most once.
            assert _comparable(got) in sent, (raw, got)
        return bool(self.account.got)

    def _sent_on(self, request: Message) -> Message:
        """Return what the account gets of a request: all but what is for the controller or for one connection."""
        method, target, _ = request.line.split(b" ")
        named = dict(request.headers).get(b"connection", b"").lower().split(b",")
        left_out = _LEFT_OUT | {each.strip() for each in named} - _FRAMING
        added = [
            (b"host", b"127.0.0.1:%d" % self.port),
            (b"x-wxcontroller", (b"send " if self.closed else b"admin ") + self.secret),
        ]
        if self.closed:
            added.append((b"x-wx-holder", self.token.split("_")[1].encode()))
        kept = [each for each in request.headers if each[0] not in left_out]
        line, body = b"%b %b HTTP/1.1" % (method, _plain(target)), request.body
        # Without tokens in use, a form is not searched for one.
        if self.closed and _is_form(request):
            body = b"&".join(pair for pair in body.split(b"&") if not _is_token(pair))
        return _comparable(Message(line, tuple(kept + added), body))


def _plain(target: bytes) -> bytes:
    """Return path and query of a target, without tokens."""
    if not target.startswith(b"/"):
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    path, _, query = target.partition(b"#")[0].partition(b"?")
    kept = [pair for pair in query.split(b"&") if not _is_token(pair)]
    return path + b"?" + b"&".join(kept) if query and kept else path


def _is_token(pair: bytes) -> bool:
    return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")) == b"token"


def _is_form(request: Message) -> bool:
    return b"urlencoded" in dict(request.headers).get(b"content-type", b"").lower()


def _comparable(request: Message) -> Message:
    """Return a request as it is compared: its body may be framed in another way, and a form have empty parts."""
    body = b"&".join(filter(None, request.body.split(b"&"))) if _is_form(request) else request.body
    headers = [(b"framing", b"") if name in _FRAMING else (name, value) for name, value in request.headers]
    return Message(request.line, tuple(sorted(headers)), body)


def _requests_in(raw: bytes) -> list[Message]:
    """Return the requests in these bytes as h11 reads them, up to what is not complete or not HTTP."""
    found: list[Message] = []
    with contextlib.suppress(h11.RemoteProtocolError):
        while True:
            while raw.startswith(b"\r\n"):
                raw = raw[2:]
            line, end, rest = raw.partition(b"\r\n")
            connection = h11.Connection(h11.SERVER)
            # Only there are bytes beyond ASCII accepted, and encoded.
            connection.receive_data(b"".join(_encoded(byte) for byte in line) + end + rest)
            request, body = connection.next_event(), b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
            if not isinstance(request, h11.Request) or not isinstance(event, h11.EndOfMessage):
                return found
            line = b"%b %b HTTP/%b" % (request.method, request.target, request.http_version)
            found.append(Message(line, tuple(request.headers), body))
            if connection.their_state is h11.MUST_CLOSE:
                return found
            raw, _ = connection.trailing_data
    return found


def _encoded(byte: int) -> bytes:
    return bytes((byte,)) if byte < 128 else b"%%%02X" % byte


async def _all_answers(address: tuple[str, int], raw: bytes) -> None:
    """Send a request and others behind it until the connection ends."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, address)
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(connection, raw + _REST)
            with contextlib.suppress(ConnectionError):
                while await loop.sock_recv(connection, 1 << 16):
                    pass


_COMMON = b"Host: 127.0.0.1:2000\r\nUser-Agent: curl/8\r\nAccept: */*\r\n"
_FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def requests(token: bytes) -> list[bytes]:
    """Return ordinary requests to the account ``bot``."""
    form = b"client=bot&id=filehelper&content=%E4%BD%A0+hello&token=" + token
    body = b'{"client":"bot","id":"x"}'
    shown = b"X-Auth-Token: " + token + b"\r\n"
    search = b"GET /openwx/search_friend.json?client=bot&name=%E4%BD%A0&token=" + token
    return [
        b"GET /openwx/get_user_info?client=bot HTTP/1.1\r\n" + _COMMON + b"\r\n",
        search + b" HTTP/1.1\r\n" + _COMMON + b"\r\n",
        b"HEAD /openwx/get_group_info?client=bot HTTP/1.1\r\n" + _COMMON + shown + b"\r\n",
        b"GET /openwx/get_friend_info?client=bot HTTP/1.1\r\nConnection: keep-alive\r\nCookie: a=b\r\n"
        + (_COMMON + b"Authorization: Bearer " + token + b"\r\n\r\n"),
        b"POST /openwx/send_friend_message HTTP/1.1\r\n"
        + (_COMMON + _FORM + b"Content-Length: %d\r\n" % len(form) + shown + b"\r\n" + form),
        b"POST /openwx/send_friend_message?client=bot HTTP/1.1\r\n"
        + (_COMMON + _FORM + b"Content-Length: 10\r\n" + shown + b"\r\nid=1&a=%41"),
        b"POST /openwx/send_group_message HTTP/1.1\r\nContent-Type: application/json\r\n"
        + (_COMMON + shown + b"Content-Length: %d\r\n\r\n" % len(body) + body),
    ]


_LINES = (
    b"Content-Length: 5|Content-Length: 0|Content-Length: +5|content-length:\t5|Content-Length: 5, 5|"
    b"Content-Length: 0x5|Content-Length: |Content-Length : 5|Content-Length: 99|Transfer-Encoding: chunked|"
    b"Transfer-Encoding: xchunked|Transfer-Encoding:\x0bchunked|Transfer-Encoding : chunked|"
    b"transfer-encoding: identity|TE: trailers|Trailer: X|Host: 127.0.0.1|Host: evil.example| Host: x|Host : x|"
    b"host: localhost|X: \x00|X: a\rb|Connection: close|Connection: x-auth-token|"
    b"Connection: keep-alive, content-length|Connection: x|Expect: 100-continue|Upgrade: websocket|"
    b"X-Wxcontroller: admin 00|x-wxcontroller: admin|Origin: https://evil.example|Sec-Fetch-Site: cross-site|"
    b"X-Forwarded-For: 10.0.0.1| folded|\tx|X-Auth-Token: wrong|Authorization: Bearer wrong|"
    b"Authorization: Basic eDp5|Cookie: c=d|:|Content-Type: application/json|"
    b"Content-Type: multipart/form-data; boundary=a|X-\xc3\xa9: a|X: \xc3\xa9|Keep-Alive: 5|"
    b"Proxy-Connection: keep-alive|Range: bytes=0-1|Content-Encoding: gzip|X:|x"
).split(b"|")
_PIECES = (
    b"\r\n~\n~\r~ ~\t~\x00~:~%~%00~%0d%0a~#~?~&~=~/~//~../~;~\xff~\x80~\r\n\r\n~\r\n ~client=bot~client=other~"
    b"&client=~%63lient=a~token=x~%74oken=y~+~HTTP/1.1~HTTP/1.0~GET ~0~5~-~*~http://x"
).split(b"~")
_NEXT = b"GET /openwx/send_friend_message?client=bot&id=smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def mutated(source: random.Random, request: bytes) -> bytes:
    """Return a request with one change to three."""
    for _ in range(source.choice((1, 1, 1, 2, 2, 3))):
        head, end, body = request.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        at, place = source.randrange(len(lines)), source.randint(0, len(request))
        match source.randrange(8):
            case 0 | 1 | 2:
                lines.insert(at + 1, source.choice(_LINES))
            case 3:
                lines.insert(at + 1, source.choice(lines))
            case 4:
                lines.pop(at)
            case 5:
                line = lines[at]
                lines[at] = source.choice((line.upper(), line.lower(), line + b" ", b" " + line, line + b"\nX: y"))
            case 6:
                request = request[:place] + source.choice(_PIECES) + request[place + source.randint(0, 2) :]
                continue
            case _:
                request += _NEXT
                continue
        request = b"\r\n".join(lines) + end + body
    return request


async def run(root: Path, number: int, seed: int, closed: bool) -> Counter[bool]:
    """Send mutated requests; return how many of them reached the account, and how many did not."""
    source, port = random.Random(seed), free_port()
    settings = {"max_connections_per_peer": 1024, "backend_start_port": port, "backend_end_port": port}
    async with Machine(root, **settings) as host, Route(host).running(closed) as route:
        host.gate.set_token_failures(1 << 60)
        ordinary = requests(route.token.encode())
        for each in ordinary:
            assert await route.check(each) == (not closed or each is not ordinary[0]), each
        return Counter([await route.check(mutated(source, source.choice(ordinary))) for _ in range(number)])
