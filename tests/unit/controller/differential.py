"""Send requests to the controller with and without its fast path, and compare what accounts receive."""

import asyncio
import contextlib
import random
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

from bench.proxy import free_port
from tests.unit.controller import strict
from tests.unit.controller.machine import Machine
from tests.unit.controller.strict import Ambiguous, Incomplete, Sent
from wxcontroller.controller.app import application
from wxcontroller.controller.server import Server
from wxcontroller.core.access import Scope
from wxcontroller.core.materialise import Materialiser
from wxcontroller.core.names import parse_name
from wxcontroller.core.tokens import TokenFile, minted

_OWN_NAMES = {b"host", b"x-wxcontroller", b"content-length", b"transfer-encoding"}
# RFC 9110 7.6.1, and what is the caller's or his browser's alone.
_STAY_HERE = _OWN_NAMES | {
    *(b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te"),
    *(b"trailer", b"upgrade", b"expect", b"authorization", b"x-auth-token", b"cookie", b"referer", b"origin"),
    *(b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-user", b"sec-fetch-storage-access"),
    b"accept-encoding",
}
_FORM = b"application/x-www-form-urlencoded"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nDate: now\r\n\r\n"


@dataclass
class Answer:
    """What a caller gets; ``status`` 0 for nothing."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


class Account:
    """A program at an account's port that notes what it is sent, byte for byte."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.arrived = asyncio.Event()
        self.answer = OK + b"{}"  # empty: none at all
        self.hangs_up = False
        self.hung_up = asyncio.Event()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = b""
        self.connections += 1
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                held += data
                try:
                    is_head = strict.read(held).method == b"HEAD"
                except Incomplete:
                    continue
                self.got.append(held)
                held = b""
                self.arrived.set()
                heads = self.answer.split(b"\r\n\r\n")[: 2 if self.answer.startswith(b"HTTP/1.1 102") else 1]
                writer.write(b"".join(each + b"\r\n\r\n" for each in heads) if is_head else self.answer)
                await writer.drain()
                if self.hangs_up:
                    break
        self.hung_up.set()
        writer.close()


class Pair:
    """One controller on two ports, with the fast path and without it, and its account ``bot``."""

    def __init__(self, host: Machine) -> None:
        self.host = host
        self.account = Account()
        self.secret = secrets.token_hex(32).encode()
        self.token = ""

    @contextlib.asynccontextmanager
    async def running(self, closed: bool) -> AsyncIterator["Pair"]:
        host = self.host
        account = Materialiser(host.paths, host.settings).start(parse_name("bot"), {}, {})
        instance = account.name.instance
        host.paths.runtime(instance).mkdir(parents=True)
        host.paths.port_secret(instance).write_bytes(self.secret + b"\n")
        self.token, made = minted("bot", Scope.SEND, (), None)
        if closed:
            TokenFile(host.paths.tokens_file).add(made)
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.plain: tuple[str, int] = listening.getsockname()
        self.without = without = Server(application(host.shared), [listening], short=False)
        await without.start()
        program = await asyncio.start_server(self.account.serve, "127.0.0.1", account.port)
        try:
            yield self
        finally:
            await without.drain()
            program.close()

    async def ask(self, address: tuple[str, int], raw: bytes, answers: int, patience: float) -> list[Answer]:
        """Send bytes over a connection of their own; return the answers, no more than there should be."""
        reader, writer = await asyncio.open_connection(*address)
        found: list[Answer] = []
        try:
            async with asyncio.timeout(patience):
                writer.write(raw)
                for _ in range(answers):
                    found.append(await _answer(reader, raw.lstrip(b"\r\n").startswith(b"HEAD ") and not found))
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
        return found or [Answer()]

    async def compare(self, raw: bytes) -> str:
        """Send a request to both and hold what became of it against the strict reading; return what that was."""
        raw = completed(raw)
        wanted, doubtful = readings(raw)
        # What is no request may be waited on for its rest. A busy machine needs time to refuse it, too.
        results: list[tuple[int, object, bytes, list[object]]] = []
        for patience in (0.2, 3.0, 30.0) if doubtful else (30.0,):
            results = []
            for address in (self.host.address, self.plain):
                self.account.got.clear()
                found = await self.ask(address, raw, max(1, len(wanted) + doubtful), patience)
                await self._until_quiet()
                got = list(self.account.got)
                self._hold(got, wanted, raw)
                first = found[0]
                results.append((first.status, shown(first), first.body, [comparable(each) for each in got[:1]]))
            if results[0] == results[1]:
                return "ambiguous" if not wanted else "passed on" if results[0][3] else "not passed on"
        raise AssertionError(f"{raw!r}\nshort:   {results[0]}\nwithout: {results[1]}")

    async def _until_quiet(self) -> None:
        """Wait until nothing of the last request is on its way any more."""
        while self.host.server.connections or self.without.connections:
            await asyncio.sleep(0.001)
        for _ in range(10):
            await asyncio.sleep(0)

    def _hold(self, got: list[bytes], wanted: list[Sent], raw: bytes) -> None:
        """See that the account got nothing but what the request says beyond doubt."""
        left = list(wanted)
        for each in got:
            sent = strict.read(each)
            assert not sent.rest, f"more than one request: {each!r} of {raw!r}"
            while left and not same(sent, left[0]):
                left.pop(0)
            assert left, f"{each!r} is not what was sent: {raw!r}"
            assert strict.client_of(left[0]) == b"bot", f"another account's: {raw!r}"
            [shown_secret] = sent.all(b"x-wxcontroller")
            assert shown_secret.endswith(b" " + self.secret)
            left.pop(0)


def completed(raw: bytes) -> bytes:
    """Return a request with what it says is still to come."""
    for more in (b"\r\n\r\n", b"a" * 100, b"\r\n0\r\n\r\n"):
        try:
            strict.read(raw)
        except Incomplete:
            raw += more
        except Ambiguous:
            return raw + b"\r\n\r\n"
    return raw


def readings(raw: bytes) -> tuple[list[Sent], bool]:
    """Return the requests in these bytes, and whether something doubtful follows."""
    found = []
    while raw.strip(b"\r\n"):
        try:
            found.append(strict.read(raw))
        except (Ambiguous, Incomplete):
            return found, True
        raw = found[-1].rest
    return found, False


def same(got: Sent, sent: Sent) -> bool:
    """Say whether an account got what was sent, but for what stays here."""
    named = {word.strip().lower() for value in sent.all(b"connection") for word in value.split(b",")}
    # What is no UTF-8 in a header does not arrive.
    kept = [
        (name, value.decode("utf-8", "ignore").strip().encode())
        for name, value in sent.headers
        if name not in _STAY_HERE | named
    ]
    is_form = b"".join(sent.all(b"content-type")[:1]).lower().startswith(_FORM)
    return (
        got.method == sent.method
        and _target(got.target) == _target(sent.target)
        and [(name, value) for name, value in got.headers if name not in _OWN_NAMES] == kept
        and (got.body == sent.body or (is_form and _pairs(got.body) == _pairs(sent.body)))
    )


def comparable(got: bytes) -> object:
    sent = strict.read(got)
    return sent.method, sent.target, sorted(sent.headers), sent.body


def shown(answer: Answer) -> object:
    return sorted((name, value) for name, value in answer.headers if name != b"date")


def _target(target: bytes) -> tuple[bytes, list[bytes]]:
    if not target.startswith(b"/"):
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    target = b"".join(bytes([each]) if each < 128 else b"%%%02X" % each for each in target.partition(b"#")[0])
    path, _, query = target.partition(b"?")
    return path, _pairs(query)


def _pairs(content: bytes) -> list[bytes]:
    """Return what there is between the ``&``, without a token."""
    return [each for each in content.split(b"&") if each and unquote_to_bytes(each.partition(b"=")[0]) != b"token"]


async def _answer(reader: asyncio.StreamReader, is_head: bool) -> Answer:
    head = b"HTTP/1.1 100"
    while head.startswith(b"HTTP/1.1 100"):
        head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head[:-4].split(b"\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (each.partition(b":") for each in fields)]
    answer = Answer(int(line.split(b" ")[1]), headers)
    known = dict(headers)
    if is_head or answer.status in (204, 304):
        return answer
    if b"transfer-encoding" in known:
        while size := int(await reader.readline(), 16):
            answer.body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        answer.body = await reader.readexactly(int(known.get(b"content-length", b"0")))
    return answer


async def run(root: Path, number: int, seed: int, closed: bool) -> Counter[str]:
    """Compare so many mutated requests; return how many of them were read how."""
    source, found = random.Random(seed), Counter[str]()
    port = free_port()
    settings = {"max_connections_per_peer": 1024, "backend_start_port": port, "backend_end_port": port}
    async with Machine(root, **settings) as host, Pair(host).running(closed) as pair:
        host.gate.set_token_failures(1 << 60)
        ordinary = strict.requests(pair.token.encode())
        for each in ordinary:
            expected = "not passed on" if closed and each is ordinary[0] else "passed on"
            assert await pair.compare(each) == expected, each
        for _ in range(number):
            found[await pair.compare(strict.mutated(source, source.choice(ordinary)))] += 1
    return found
