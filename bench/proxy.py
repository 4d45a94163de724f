"""CPU and latency of forwarding a request to an account, compared with nginx as the proxy of the same backend.

python3 -m bench.proxy [--other NAME=CHECKOUT]... [--nginx FILE] [--peers] [--json FILE] [--short]

All run in one go and take turns: the controller of this checkout, which reaches the account at its socket or ("by
port") at its port, the one of each other checkout, and nginx; with ``--peers`` also HAProxy and Caddy, where they are
installed, and a plain proxy made with aiohttp (``bench.plain``). The backend, nginx again, stands for an account's
program, so that the figures are of the proxies alone. The load and the backend have one core, the proxies the other.
CPU is what the kernel has counted for the proxy and what it starts (``bench.cpu``).

No two requests are equal: each has another query, another header, and another body of another length.

A row shows for each proxy microseconds of CPU per request, and that divided by nginx's in the same round, as median
(least to most) of the rounds; then the median of the times of the requests, and their p99. ``--short`` is for tests:
one quick round of all cases, without peers.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from bench.cpu import Counter, counted
from bench.standin import PAGE, STATUS
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile, minted
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.materialise import Materialiser

CHECKOUT = Path(__file__).parents[1]
CORES = sorted(os.sched_getaffinity(0))
_SYSTEMCTL = '#!/bin/sh\ncase "$*" in *list-units*) echo "[]";; esac\n'
_SMALL, _MB = b'{"code":0,"status":"success"}', 1 << 20
_FORM_TYPE, _JSON_TYPE = "application/x-www-form-urlencoded", "application/json"
_COMMON = """
daemon off; master_process off; pid {root}/nginx-{name}.pid; error_log {root}/nginx-{name}.log;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root};
uwsgi_temp_path {root}; scgi_temp_path {root}; keepalive_requests 100000000; default_type application/json; {http} }}
"""
_BACKEND = """sendfile on; server {{ listen 127.0.0.1:{port}; {sockets} root {root}/www;
  location /openwx/get_group_info {{ try_files /$arg_size =404; }} location /v1/ {{ return 200 '{page}'; }}
  location /v1/status {{ return 200 '{status}'; }}
  location / {{ return 200 '{small}'; }} }}"""
_PROXY = """upstream account {{ server 127.0.0.1:{backend}; keepalive 300; keepalive_requests 100000000; }}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://account; proxy_http_version 1.1;
  proxy_set_header Connection ""; }} }}"""


_HAPROXY = """global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen account
  bind 127.0.0.1:{port}
  http-reuse always
  server account 127.0.0.1:{backend}
"""
_CADDY = """{{
  admin off
  auto_https off
}}
:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{backend}
}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load.

    ``token``: on a controller that has tokens, in a header or in the ``form``. ``kind`` is the type of the body, ""
    for a GET. ``size`` is that of the answer of get_group_info. ``closes``: each request has its own connection.
    """

    name: str
    connections: int
    path: str = "/openwx/get_user_info?client=bench&"
    token: str = ""
    kind: str = ""
    size: int = 0
    closes: bool = False

    def requests(self, token: str) -> Iterator[bytes]:
        """Yield requests, each another one."""
        shown = f"X-Auth-Token: {token}\r\n" if self.token == "header" else ""
        ends = "Connection: close\r\n" if self.closes else ""
        common = f"Host: 127.0.0.1:2000\r\nUser-Agent: bench\r\nAccept: */*\r\n{shown}{ends}"
        size = f"size={self.size}&" if self.size else ""
        for number in itertools.count(secrets.randbelow(1 << 20)):
            query, other = f"{self.path}{size}_={number}", f"X-Request-Id: {number * 7919:016x}\r\n"
            if not self.kind:
                yield f"GET {query} HTTP/1.1\r\n{common}{other}\r\n".encode()
                continue
            fields = {"id": "filehelper", "content": f"hello {number}" * (5 + number % 20)}
            if self.token == "form":
                fields["token"] = token
            if "client=" not in self.path and self.path.startswith("/openwx/"):
                fields["client"] = "bench"
            body = urlencode(fields) if self.kind == _FORM_TYPE else json.dumps(fields)
            head = f"POST {query} HTTP/1.1\r\n{common}{other}Content-Type: {self.kind}\r\n"
            yield f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


_SEND, _GROUPS = "/openwx/send_friend_message?", "/openwx/get_group_info?client=bench&"
CASES = (
    Case("GET, 1 connection", 1),
    Case("GET, 16 connections", 16),
    Case("GET, 64 connections", 64),
    Case("GET with a token, 16 connections", 16, token="header"),
    Case("GET, Connection: close", 16, closes=True),
    Case("POST form, 64 connections", 64, _SEND, kind=_FORM_TYPE),
    Case("POST form, token in a header", 64, _SEND, "header", _FORM_TYPE),
    Case("POST form, token in the form", 64, _SEND, "form", _FORM_TYPE),
    Case("POST JSON, 64 connections", 64, _SEND, kind=_JSON_TYPE),
    Case("/v1 messages, 64 connections", 64, "/v1/accounts/bench/messages?"),
    Case("/v1 account, 64 connections", 64, "/v1/accounts/bench?"),
    Case("1 MB, 4 connections", 4, _GROUPS, size=_MB),
)
GROWTH = (
    *(Case(f"GET, {number} connection{'s' * (number > 1)}", number) for number in (1, 4, 16, 64, 256)),
    *(Case(f"{size:,} bytes, 4 connections", 4, _GROUPS, size=size) for size in (100, 10_000, _MB, 20 * _MB)),
)


class _Caller(asyncio.Protocol):
    """Sends a request, takes its answer, and so on. ``seconds`` are the times of the answers."""

    def __init__(self, requests: Iterator[bytes], seconds: list[float], once: bool) -> None:
        self._requests, self._seconds, self._once = requests, seconds, once
        self._held, self._left, self._began = b"", -1, 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stop = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._held += data
            end = self._held.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data, self._held = self._held[:end].lower(), self._held[end + 4 :], b""
            if b" 200 " not in head[:16]:
                raise SystemExit(f"a bad answer: {head!r} {data!r}")
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._left = int(length) if length else len(data)  # nginx sends small answers in one chunk
        self._left -= len(data)
        if not self._left:
            self._left = -1
            self._seconds.append(time.perf_counter() - self._began)
            if not self._once:
                self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self) -> None:
        if self.stop:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))  # type: ignore[attr-defined]


@dataclass
class Proxy:
    """A program that passes requests on. ``port`` is where it asks for none, and ``closed`` where for tokens."""

    name: str
    port: int
    closed: int
    counters: Sequence[Counter]
    micros: dict[str, list[float]] = field(default_factory=dict)
    p50: dict[str, list[float]] = field(default_factory=dict)
    p99: dict[str, list[float]] = field(default_factory=dict)

    def cpu(self) -> float:
        return sum(counter.seconds() for counter in self.counters)


async def load(port: int, case: Case, token: str, seconds: float) -> list[float]:
    """Load a port; return how long each answer took."""
    loop, found, requests = asyncio.get_running_loop(), list[float](), case.requests(token)
    latest = loop.time() + seconds

    async def call() -> None:
        while True:
            made = loop.create_connection(lambda: _Caller(requests, found, case.closes), "127.0.0.1", port)
            _, caller = await made
            if not case.closes:
                await asyncio.sleep(latest - loop.time())
                caller.stop = True
            async with asyncio.timeout(60):
                await caller.ended
            if loop.time() >= latest:
                return

    await asyncio.gather(*(call() for _ in range(case.connections)))
    return found


async def measure(proxies: Sequence[Proxy], cases: Sequence[Case], token: str, rounds: int, seconds: float) -> None:
    """Take the figures of all proxies, which take turns."""
    for case in cases:
        for _ in range(rounds):
            for proxy in proxies:
                port = proxy.closed if case.token else proxy.port
                await load(port, case, token, seconds / 10)
                before = proxy.cpu()
                times = sorted(await load(port, case, token, seconds))
                proxy.micros.setdefault(case.name, []).append((proxy.cpu() - before) / len(times) * 1e6)
                proxy.p50.setdefault(case.name, []).append(statistics.median(times) * 1e6)
                proxy.p99.setdefault(case.name, []).append(times[int(len(times) * 0.99)] * 1e6)
        show(case, proxies)


def show(case: Case, proxies: Sequence[Proxy]) -> None:
    peer = proxies[-1]
    for proxy in proxies:
        micros, p50, p99 = (figures[case.name] for figures in (proxy.micros, proxy.p50, proxy.p99))
        ratios = _divided(micros, peer.micros[case.name])
        median, tail = _divided(p50, peer.p50[case.name]), _divided(p99, peer.p99[case.name])
        print(
            f"{case.name:38} {proxy.name:12} {_spread(micros, 1)} us  ÷ {peer.name}: {_spread(ratios, 2)}"
            f"  p50 {_spread(p50, 0)} us, ÷ {_spread(median, 2)}  p99 ÷ {_spread(tail, 2)}",
            flush=True,
        )


def as_json(proxies: Sequence[Proxy], cases: Sequence[Case]) -> dict[str, object]:
    """Return all figures, by case and proxy: microseconds of CPU; CPU, p50 and p99 of the time divided by nginx's."""
    peer = proxies[-1]
    found = {
        case.name: {
            proxy.name: {
                "micros": proxy.micros[case.name],
                "ratio": _divided(proxy.micros[case.name], peer.micros[case.name]),
                "p50": _divided(proxy.p50[case.name], peer.p50[case.name]),
                "p99": _divided(proxy.p99[case.name], peer.p99[case.name]),
            }
            for proxy in proxies
        }
        for case in cases
    }
    return {"load": os.getloadavg()[0], "cores": len(CORES), "cases": found}


def _divided(mine: Sequence[float], its: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(mine, its, strict=True)]


def _spread(figures: Sequence[float], digits: int) -> str:
    low, middle, high = min(figures), statistics.median(figures), max(figures)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def running(*command: str, core: int, port: int, **more: object) -> Iterator[Counter]:
    """Run a program on one core; the block begins when it listens on ``port``."""
    pinned = ["taskset", "-c", str(CORES[core % len(CORES)]), *command]
    process = subprocess.Popen(pinned, **more)  # type: ignore[call-overload]
    with counted(process) as counter:
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} ended with {process.returncode}")
                time.sleep(0.1)
            yield counter
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextlib.contextmanager
def nginx(program: str, root: Path, name: str, core: int, port: int, http: str) -> Iterator[Counter]:
    conf = root / f"nginx-{name}.conf"
    conf.write_text(_COMMON.format(root=root, name=name, http=http))
    with running(program, "-c", str(conf), "-p", str(root), core=core, port=port) as counter:
        yield counter


@contextlib.contextmanager
def peers(root: Path, backend: int) -> Iterator[list[Proxy]]:
    """Run other proxies that are installed, each on the core of the proxies."""
    found = []
    home = {**os.environ, "HOME": str(root), "XDG_DATA_HOME": str(root), "GOMAXPROCS": "1"}
    with contextlib.ExitStack() as stack, (root / "peers.log").open("w") as log:

        def add(name: str, port: int, *command: str) -> None:
            counter = running(*command, core=1, port=port, cwd=CHECKOUT, env=home, stdout=log, stderr=log)
            found.append(Proxy(name, port, port, [stack.enter_context(counter)]))

        for name, program, conf in (("HAProxy", "haproxy", _HAPROXY), ("Caddy", "caddy", _CADDY)):
            port, file = free_port(), root / f"{program}.conf"
            file.write_text(conf.format(port=port, backend=backend))
            options = {"haproxy": ("-db", "-f"), "caddy": ("run", "--adapter", "caddyfile", "--config")}[program]
            if shutil.which(program):
                add(name, port, program, *options, str(file))
        port = free_port()
        add("aiohttp", port, sys.executable, "-m", "bench.plain", str(port), str(backend))
        yield found


def registered(root: Path, backend: int, token: str) -> int:
    """Make a root directory with one account, ``bench``, at the backend's port; return the controller's port.

    ``token`` is the file of the tokens that it knows, "" for none. The backend must not listen yet.
    """
    paths, port = Paths(root), free_port()
    paths.template.parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / "etc/client.env.j2", paths.template)
    listen = f'template_path = "{paths.template}"\nlisten = [{{ host = "127.0.0.1", port = {port} }}]\n'
    paths.settings_file.write_text(f"{listen}backend_start_port = {backend}\nbackend_end_port = {backend}\n")
    if token:
        paths.tokens_file.write_text(token)
    paths.accounts.mkdir(parents=True)
    settings = Settings(template_path=paths.template, backend_start_port=backend, backend_end_port=backend)
    account = Materialiser(paths, settings).start(parse_name("bench"), {}, {})
    paths.runtime(account.name.instance).mkdir(parents=True)
    paths.port_secret(account.name.instance).write_text(secrets.token_hex(32) + "\n")
    systemctl = root / "bin/systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(_SYSTEMCTL)
    systemctl.chmod(0o755)
    return port


@contextlib.contextmanager
def controller(checkout: Path, root: Path, port: int) -> Iterator[Counter]:
    """Run a checkout's controller on a root directory."""
    environment = {**os.environ, "PATH": f"{root / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(checkout)}
    command = (sys.executable, "-m", "wxcontroller.controller", "--root", str(root))
    with (
        (root / "log").open("w") as log,
        running(*command, core=1, port=port, cwd=checkout, env=environment, stderr=log) as counter,
    ):
        yield counter


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", action="append", default=[], metavar="NAME=CHECKOUT", help="another checkout")
    parser.add_argument("--nginx", default=shutil.which("nginx"), metavar="FILE", help="the peer, and the backend")
    parser.add_argument("--peers", action="store_true", help="HAProxy, Caddy and a plain aiohttp proxy, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--growth", action="store_true", help="other cases: 1 to 256 connections, 100 B to 20 MB")
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--short", action="store_true", help="one quick round without peers")
    arguments = parser.parse_args()
    every = (*CASES, *GROWTH) if arguments.short else GROWTH if arguments.growth else CASES
    cases = [case for case in every if arguments.only in case.name]
    os.sched_setaffinity(0, CORES[:1])
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wxbench-")))
        backend, (shown, token) = free_port(), _token()
        # The same code reaches a program without a socket by its port, after a look at the kernel's table.
        checkouts = [each.split("=", 1) for each in arguments.other]
        checkouts += [["by port", str(CHECKOUT)], ["product", str(CHECKOUT)]]
        roots = [[root / f"{name}-{kind}" for kind in ("open", "closed")] for name, _ in checkouts]
        ports = [
            [registered(at, backend, record) for at, record in zip(pair, ("", token), strict=True)] for pair in roots
        ]
        own = [Paths(at).api_socket("bench") for at in roots[-1]]
        _start_backend(stack, root, backend, own, None if arguments.short else arguments.nginx)
        proxies = []
        for (name, checkout), pair, its in zip(checkouts, roots, ports, strict=True):
            counters = [
                stack.enter_context(controller(Path(checkout), at, port)) for at, port in zip(pair, its, strict=True)
            ]
            proxies.append(Proxy(name, its[0], its[1], counters))
        if arguments.peers:
            proxies += stack.enter_context(peers(root, backend))
        if not arguments.short:
            if arguments.nginx is None:
                parser.error("nginx is missing; give its path with --nginx")
            port = free_port()
            conf = _PROXY.format(backend=backend, port=port)
            counter = stack.enter_context(nginx(arguments.nginx, root, "proxy", 1, port, conf))
            proxies.append(Proxy("nginx", port, port, [counter]))
        rounds, seconds = (1, 0.05) if arguments.short else (arguments.rounds, arguments.seconds)
        asyncio.run(measure(proxies, cases, shown, rounds, seconds))
        if arguments.json:
            arguments.json.write_text(json.dumps(as_json(proxies, cases), indent=1) + "\n")
    return 0


def _start_backend(
    stack: contextlib.ExitStack, root: Path, port: int, own: Sequence[Path], program: str | None
) -> None:
    """Run the backend on a port, and with ``program`` also on sockets."""
    if program:
        (root / "www").mkdir()
        for size in {case.size for case in (*CASES, *GROWTH) if case.size}:
            (root / f"www/{size}").write_bytes(b"x" * size)
        sockets = " ".join(f"listen unix:{each};" for each in own)
        conf = _BACKEND.format(
            port=port, sockets=sockets, root=root, small=_SMALL.decode(), page=PAGE.decode(), status=STATUS.decode()
        )
        stack.enter_context(nginx(program, root, "backend", 0, port, conf))
    else:
        stack.enter_context(
            running(sys.executable, "-m", "bench.standin", str(port), core=0, port=port, cwd=CHECKOUT)
        )


def _token() -> tuple[str, str]:
    """Make a token; return it, and a file of tokens that knows it."""
    with tempfile.TemporaryDirectory() as directory:
        shown, token = minted("bench", Scope.SEND, (), None)
        file = Path(directory) / "tokens"
        TokenFile(file).add(token)
        return shown, json.dumps(json.loads(file.read_text()))


if __name__ == "__main__":
    sys.exit(main())
