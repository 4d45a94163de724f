"""What one compromised account takes from the controller, and from the callers of others.

Controller and account are processes. Run as a program, this prints the times of other calls beside each attack.
"""

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.patience import PATIENCE
from tests.ports import free_port
from tests.unit.controller import hostile
from tests.unit.controller.processes import Host, started

# The account has a fifth of the time; the rest is what the controller does for the other calls.
_SHARE = 0.45
_SECONDS = 1.5
ATTACKS = {
    "interim answers": ("interim", "/openwx/get_user_info?client=mallory"),
    "interim answers in /v1": ("interim", "/v1/accounts/mallory/messages"),
    "chunks": ("chunks", "/openwx/get_user_info?client=mallory"),
    "chunks in /v1": ("chunks", "/v1/accounts/mallory/media/mojo_weixin_media_20261202010203_0123456789abcdef.jpg"),
    "chunks in a list": ("chunks", "/v1/accounts/mallory/messages"),
    "line ends in all events": ("lines", "/v1/events"),
    "line ends in its events": ("lines", "/v1/accounts/mallory/events"),
    "fields in all events": ("fields", "/v1/events"),
    "invalid events in all events": ("events", "/v1/events"),
    "openings in all events": ("openings", "/v1/events"),
}


@dataclass(slots=True)
class Beside:
    """The times of other calls in seconds, and the controller's part of a processor, each beside an attack."""

    times: list[float]
    share: float

    def __str__(self) -> str:
        p95 = sorted(self.times)[int(0.95 * len(self.times))]
        median, longest = statistics.median(self.times), max(self.times)
        return f"p50 {median * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms, max {longest * 1e3:.0f} ms, CPU {self.share:.0%}"


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def mallory(host: Host, answers: str) -> AsyncIterator[None]:
    """Run a hostile account."""
    port = free_port()
    host.register("mallory", port)
    unit = {"unit": "wxclient@mallory.service", "active": "active", "sub": "running"}
    (host.bin / "systemctl.units").write_text(json.dumps([unit]))
    host.paths.runtime("mallory").mkdir(parents=True)
    host.paths.port_secret("mallory").write_text("0" * 64 + "\n")
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        hostile.__file__,
        str(host.paths.api_socket("mallory")),
        answers,
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            assert await program.stdout.readline() == b"listens\n"
        yield
    finally:
        program.kill()
        await program.wait()


async def beside(root: Path, attack: str, seconds: float = _SECONDS) -> Beside:
    """Make one call of the attack, and other calls while it takes its time."""
    answers, path = ATTACKS[attack]
    with Host(root) as host:
        async with mallory(host, answers), started(host) as controller:
            url = f"http://127.0.0.1:{host.address[1]}"
            async with aiohttp.ClientSession(url) as http, aiohttp.ClientSession(url) as attacker:

                async def call() -> None:
                    with contextlib.suppress(aiohttp.ClientError):
                        async with attacker.get(path, headers={"Accept": "text/event-stream, */*"}) as answer:
                            async for _ in answer.content.iter_any():
                                pass

                async def other() -> float:
                    began = time.perf_counter()
                    async with http.get("/v1/health") as answer:
                        assert answer.status == 200
                        await answer.read()
                    return time.perf_counter() - began

                await other()
                attacking = asyncio.create_task(call())
                await asyncio.sleep(0.2)
                began, cpu, times = time.perf_counter(), _cpu(controller.pid), []
                while time.perf_counter() - began < seconds:
                    times.append(await other())
                    await asyncio.sleep(0.02)
                share = (_cpu(controller.pid) - cpu) / (time.perf_counter() - began)
                attacking.cancel()
    return Beside(times, share)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_one_call_to_a_compromised_account_takes_a_part_of_the_time(tmp_path: Path, attack: str) -> None:
    found = await beside(tmp_path, attack)
    assert found.share < _SHARE, str(found)


@pytest.mark.parametrize("attack", ["interim answers", "interim answers in /v1"])
async def test_interim_answers_without_end_are_no_answer(tmp_path: Path, attack: str) -> None:
    answers, path = ATTACKS[attack]
    with Host(tmp_path) as host:
        async with (
            mallory(host, answers),
            started(host),
            aiohttp.ClientSession(f"http://127.0.0.1:{host.address[1]}") as http,
            http.get(path, timeout=aiohttp.ClientTimeout(5)) as answer,
        ):
            assert answer.status == 502


async def main() -> None:
    for attack in sys.argv[1:] or ATTACKS:
        with tempfile.TemporaryDirectory() as directory:
            print(f"{attack}: {await beside(Path(directory) / 'root', attack, 4.0)}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
