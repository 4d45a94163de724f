"""Figures of one account's process on this machine, without packages: memory, start, messages, answers.

/usr/bin/python3 -m bench.account [--code DIRECTORY]... [--only ROW]... [--rounds N]

Each --code is a checkout whose client is measured; several take turns in one run, so that they meet the same load. A
sandbox plays WeChat. ``private`` is what the process has for itself; the base beside it is the interpreter with
asyncio, ssl, sqlite3 and aiohttp.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

HERE = Path(__file__).parents[1]
PYTHON = "/usr/bin/python3"
BASE = "import asyncio, ssl, sqlite3, aiohttp, aiohttp.web"
SETTLE_SECONDS = 3.0
SLOW_MESSAGES, FAST_MESSAGES = 12, 200
CONTACTS = (10, 100, 1000, 5000)
_CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
# As in a unit: a shell may name other certificates, or other places of modules.
_INHERITED = {name: value for name, value in os.environ.items() if not name.startswith(("SSL_", "PYTHON"))}
_PROGRAM = "from wxcontroller.client.__main__ import main; main()"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Receiver(asyncio.Protocol):
    """A receiver with little overhead: stores the time of each report under its content."""

    def __init__(self, stage: "Stage") -> None:
        self.stage, self._data = stage, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            match = _CONTENT_LENGTH.search(self._data, 0, end + 2)
            size = end + 4 + (int(match[1]) if match else 0)
            if len(self._data) < size:
                return
            body = bytes(self._data[end + 4 : size])
            del self._data[:size]
            self._transport.write(_OK)
            self.take(body)

    def take(self, body: bytes) -> None:
        report = json.loads(body)
        self.stage.came[str(report.get("content", report.get("event")))] = time.time()
        self.stage.news.set()


@dataclass
class Stage:
    """A sandbox, a receiver, and the client of one checkout; ``came`` is when each report came, by content."""

    http: aiohttp.ClientSession
    wechat: str
    place: Path
    code: Path
    uin: str = ""
    friend: str = ""
    hook: int = 0
    came: dict[str, float] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)  # instead of ``came``, where only they matter
    last: bytes = b""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    pid: int = 0
    environ: dict[str, str] = field(default_factory=dict)

    async def until(self, content: str, seconds: float = 60.0) -> float:
        async with asyncio.timeout(seconds):
            while content not in self.came:
                self.news.clear()
                await self.news.wait()
        return self.came[content]

    async def write(self, text: str) -> None:
        body = {"from": self.friend, "text": text}
        async with self.http.post(f"{self.wechat}/sandbox/accounts/{self.uin}/receive", json=body) as answer:
            assert answer.status < 300, await answer.text()

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def private(pid: int | str) -> float:
    """Return the MiB that a process has for itself."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE)) / 1024


@contextlib.asynccontextmanager
async def sandbox() -> AsyncIterator[str]:
    """Run WeChat's servers; yield where."""
    port = free_port()
    command = [PYTHON, "-m", "wxcontroller.sandbox", "serve", f"--listen=127.0.0.1:{port}", "--accounts=0"]
    process = await asyncio.create_subprocess_exec(*command, cwd=HERE, stdout=-3, stderr=-3)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def staged(
    code: Path, friends: int = 42, wechat: str = "", receiver: type[Receiver] = Receiver
) -> AsyncIterator[Stage]:
    """Have everything but the client itself; ``wechat`` is a sandbox that runs already."""
    async with contextlib.AsyncExitStack() as running:
        wechat = wechat or await running.enter_async_context(sandbox())
        http = await running.enter_async_context(aiohttp.ClientSession())
        stage = Stage(http, wechat, Path(running.enter_context(tempfile.TemporaryDirectory())), code)
        server = await asyncio.get_running_loop().create_server(lambda: receiver(stage), "127.0.0.1", 0)
        running.callback(server.close)
        stage.hook = server.sockets[0].getsockname()[1]
        for _ in range(600):
            with contextlib.suppress(aiohttp.ClientError):
                async with http.post(f"{wechat}/sandbox/accounts", json={"nickname": "B", "friends": friends}) as got:
                    stage.uin = str((await got.json())["uin"])
                    break
            await asyncio.sleep(0.05)
        async with http.get(f"{wechat}/sandbox/accounts/{stage.uin}") as got:
            contacts = (await got.json())["contacts"]
        stage.friend = next(str(contact["name"]) for contact in contacts if contact["kind"] == "friend")
        yield stage


@contextlib.asynccontextmanager
async def client(stage: Stage, program: str = _PROGRAM, **more: str) -> AsyncIterator[float]:
    """Run the client; yield after how many seconds it was READY."""
    stage.port = free_port()
    prefix, place = "MOJO_WEIXIN_", stage.place
    stage.environ = {
        f"{prefix}PLUGIN_OPENWX_PORT": str(stage.port),
        f"{prefix}PLUGIN_OPENWX_POST_API": f"http://127.0.0.1:{stage.hook}/in",
        f"{prefix}STATE_PATH": f"{place}/state.json",
        f"{prefix}QRCODE_PATH": f"{place}/qr.jpg",
        f"{prefix}PID_PATH": f"{place}/pid",
        f"{prefix}COOKIE_PATH": f"{place}/cookie",
        f"{prefix}MEDIA_DIR": f"{place}/media",
        "WXCLIENT_SERVER": stage.wechat,
        "WXCLIENT_DRIVER": "web",
        "MALLOC_MMAP_THRESHOLD_": "300000",
        "MALLOC_TRIM_THRESHOLD_": "600000",
        "MALLOC_ARENA_MAX": "1",
        **more,
    }
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify,
        (place / "log").open("ab") as log,
    ):
        address = f"{place}/notify{stage.port}"
        Path(address).unlink(missing_ok=True)  # of an earlier client that had the same port
        notify.bind(address)
        begun = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "-c", program, "alice"),
            env={**_INHERITED, **stage.environ, "NOTIFY_SOCKET": address},
            cwd=stage.code,
            stdout=log,
            stderr=log,
        )
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            while b"READY=1" not in await loop.sock_recv(notify, 4096):
                pass
        ready = time.monotonic() - begun
        stage.pid = int((place / "pid").read_text())
        loop.add_reader(notify, notify.recv, 4096)  # a full socket would hold the account up
        try:
            yield ready
        finally:
            process.terminate()
            await process.wait()
            loop.remove_reader(notify)


async def log_in(stage: Stage) -> None:
    """Scan the code and confirm, unless there is a session; return when the account runs."""
    base, scanned = f"{stage.wechat}/sandbox/logins", set[str]()
    async with asyncio.timeout(600):
        while (state := state_of(stage)) != "running":
            if state == "scaning":
                async with stage.http.get(f"{base}?state=waiting&wait=1") as got:
                    found = await got.json()
                codes = [login["uuid"] for login in (found["logins"] if isinstance(found, dict) else found)]
                for uuid in [
                    code for code in codes[-1:] if code not in scanned
                ]:  # a code that came late is scanned too
                    scanned.add(uuid)
                    for verb, body in (("scan", {"uin": stage.uin}), ("confirm", {})):
                        async with stage.http.post(f"{base}/{uuid}/{verb}", json=body) as got:
                            assert got.status < 300, await got.text()
            await asyncio.sleep(0.05)


def state_of(stage: Stage) -> str:
    with contextlib.suppress(OSError, ValueError):
        return str(json.loads((stage.place / "state.json").read_text())["state"])
    return ""


# -- rows: each returns figures by name


async def memory(code: Path) -> dict[str, float]:
    async with staged(code) as stage, client(stage):
        before = private(stage.pid)
        await log_in(stage)
        await asyncio.sleep(SETTLE_SECONDS)
        program = f"{BASE}; import sys; print(1, flush=True); sys.stdin.read()"
        bare = await asyncio.create_subprocess_exec(PYTHON, "-c", program, stdin=-1, stdout=-1)
        assert bare.stdin is not None and bare.stdout is not None
        await bare.stdout.readline()
        base = private(bare.pid)
        bare.stdin.close()
        await bare.wait()
        return {"before login MiB": before, "idle MiB": private(stage.pid), "base MiB": base}


async def start(code: Path) -> dict[str, float]:
    async with staged(code) as stage:
        times, bare = [], []
        for _ in range(10):
            async with client(stage) as ready:
                times.append(ready)
            begun = time.monotonic()
            await (await asyncio.create_subprocess_exec(PYTHON, "-c", "import aiohttp.web")).wait()
            bare.append(time.monotonic() - begun)
        low, other = statistics.median(times), statistics.median(bare)
        return {"READY ms": low * 1e3, "import aiohttp.web ms": other * 1e3, "ratio": low / other}


async def messages(code: Path) -> dict[str, float]:
    """Time until the webhook has a message: since the sandbox was asked to write it, and since it answered."""
    async with staged(code) as stage, client(stage):
        await log_in(stage)
        found = {}
        for rate, number in ((1, SLOW_MESSAGES), (50, FAST_MESSAGES)):
            spent, begun = stage.cpu(), time.monotonic()
            asked, taken = dict[str, float](), dict[str, float]()
            for count in range(number):
                await asyncio.sleep(max(0.0, begun + count / rate * 1.05 - time.monotonic()))
                asked[text := f"{rate} {count}"] = time.time()
                await stage.write(text)
                taken[text] = time.time()
            arrived = {text: await stage.until(text) for text in asked}
            for since, times in (("", asked), (" after the sandbox's answer", taken)):
                delays = sorted(arrived[text] - at for text, at in times.items())
                found[f"p50 ms at {rate}/s{since}"] = statistics.median(delays) * 1e3
                found[f"p99 ms at {rate}/s{since}"] = delays[int(number * 0.99)] * 1e3
            found[f"cpu ms at {rate}/s"] = (stage.cpu() - spent) / number * 1e3
        return found


async def calls(code: Path) -> dict[str, float]:
    """System calls a message at 1/s."""
    async with staged(code) as stage, client(stage):
        await log_in(stage)
        await stage.write("warm")
        await stage.until("warm")
        await asyncio.sleep(SETTLE_SECONDS)
        out = stage.place / "strace"
        tracer = await asyncio.create_subprocess_exec(
            "strace", "-f", "-c", "-o", out, "-p", str(stage.pid), stderr=-3
        )
        await asyncio.sleep(1)
        for count in range(SLOW_MESSAGES):
            await stage.write(f"traced {count}")
            await stage.until(f"traced {count}")
            await asyncio.sleep(1.05)
        tracer.terminate()
        await tracer.wait()
        counts = defaultdict[str, int](int)
        for words in (line.split() for line in out.read_text().splitlines()):
            if len(words) >= 5 and words[3].isdecimal():
                counts[words[-1]] = int(words[3])
        top = sorted(((n, name) for name, n in counts.items() if name != "total"), reverse=True)[:8]
        return {"calls": counts["total"] / SLOW_MESSAGES, **{name: n / SLOW_MESSAGES for n, name in top}}


async def contacts(code: Path) -> dict[str, float]:
    """The cost of more contacts: memory, login, and processor time of get_friend_info while they are unchanged."""
    found: dict[str, float] = {}
    for number in CONTACTS:
        async with staged(code, number) as stage, client(stage):
            before, begun = stage.cpu(), time.monotonic()
            await log_in(stage)
            found[f"{number}: login ms"] = (time.monotonic() - begun) * 1e3
            found[f"{number}: login cpu ms"] = (stage.cpu() - before) * 1e3
            url = f"http://127.0.0.1:{stage.port}/openwx/get_friend_info"
            async with stage.http.get(url) as got:
                found[f"{number}: bytes"] = len(await got.read())
            spent = stage.cpu()
            for _ in range(50):
                async with stage.http.get(url) as got:
                    await got.read()
            found[f"{number}: call cpu ms"] = (stage.cpu() - spent) / 50 * 1e3
            await asyncio.sleep(SETTLE_SECONDS)
            found[f"{number}: private MiB"] = private(stage.pid)
    return found


ROWS: dict[str, Callable[[Path], Coroutine[None, None, dict[str, float]]]] = {
    row.__name__: row for row in (memory, start, messages, calls, contacts)
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", action="append", type=Path, help="a checkout; this one by default")
    parser.add_argument("--only", action="append", choices=ROWS, help="a row; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.only or ROWS:
        found = defaultdict[tuple[Path, str], list[float]](list)
        for _ in range(arguments.rounds):
            for code in arguments.code or [HERE]:
                for what, value in asyncio.run(ROWS[name](code.resolve())).items():
                    found[code, what].append(value)
        for (code, what), values in found.items():
            spread = f"({min(values):.2f}–{max(values):.2f})"
            print(
                f"{name:9} {code.resolve().name:14} {what:34} {statistics.median(values):10.2f}  {spread}", flush=True
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
