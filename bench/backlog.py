"""Deliveries a second of a backlog, and CPU of each, compared with an aiohttp client that stores nothing.

/usr/bin/python3 -m bench.backlog [--code DIRECTORY]... [--receivers N]... [--rounds N] [--messages N] [--short]

N accounts have a receiver each. The other client posts as many reports of the same size to the same receivers, one at
a time to each: one process for all of them ("aiohttp"), and a process for each ("aiohttp each"), as accounts are.
Accounts and clients run on one core; the receivers and WeChat's sandbox on the other core. All take turns in each
round: in the accounts' turn, what was delivered is replayed. --short is for tests: few messages, one round.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.account import HERE, PYTHON, Receiver, Stage, client, log_in, sandbox, staged
from bench.cpu import own_seconds

# The sum over all receivers: a round has to be long compared with its beginning and end.
MESSAGES = {1: 2000, 16: 250}
_CORES = sorted(os.sched_getaffinity(0))
_LOAD_CORE, _CORE = {_CORES[0]}, {_CORES[-1]}


class Counter(Receiver):
    """A receiver that only looks at when a report came."""

    def take(self, body: bytes) -> None:
        self.stage.times.append(time.perf_counter())
        self.stage.last = body
        self.stage.news.set()


@dataclass(frozen=True, slots=True)
class Turn:
    rate: float
    cpu: float


@contextlib.contextmanager
def on_core(cores: set[int]) -> Iterator[None]:
    """Have processes that are started meanwhile run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def arrived(stages: Sequence[Stage], number: int) -> None:
    async with asyncio.timeout(300):
        for stage in stages:
            while len(stage.times) < number:
                stage.news.clear()
                await stage.news.wait()


async def turn(stages: Sequence[Stage], number: int, begin: Callable[[], object], pids: Sequence[int]) -> Turn:
    """Return what is delivered a second while all receivers have something to do, and the CPU seconds of each."""
    for stage in stages:
        stage.times.clear()
    begin()
    await arrived(stages[:1], 1)
    spent = sum(map(own_seconds, pids))
    await arrived(stages, number)
    spent = sum(map(own_seconds, pids)) - spent
    first, last = max(stage.times[0] for stage in stages), min(stage.times[number - 1] for stage in stages)
    delivered = sum(1 for stage in stages for at in stage.times if first < at <= last)
    return Turn(delivered / (last - first), spent / (number * len(stages)))


async def replay(stage: Stage) -> None:
    url = f"http://127.0.0.1:{stage.port}/v1/deliveries/replay"
    async with stage.http.post(url, json={"state": "delivered"}) as answer:
        assert answer.status < 300, await answer.text()


class Posters:
    """Programs that only post, each to its ports."""

    def __init__(self) -> None:
        self._programs = list[asyncio.subprocess.Process]()

    async def start(self, body: Path, number: int, ports: Sequence[int]) -> None:
        command = (PYTHON, "-m", "bench.poster", str(body), str(number), *map(str, ports))
        with on_core(_CORE):
            self._programs.append(await asyncio.create_subprocess_exec(*command, cwd=HERE, stdin=-1, stdout=-1))

    @property
    def pids(self) -> list[int]:
        return [program.pid for program in self._programs]

    def post(self) -> None:
        for program in self._programs:
            assert program.stdin is not None
            program.stdin.write(b"\n")

    async def ended(self) -> None:
        for program in self._programs:
            assert program.stdout is not None
            await program.stdout.readline()

    def kill(self) -> None:
        for program in self._programs:
            program.kill()


async def measure(codes: Sequence[Path], receivers: int, messages: int, rounds: int) -> None:
    found = defaultdict[tuple[str, str], list[float]](list)
    async with contextlib.AsyncExitStack() as running:
        wechat = await running.enter_async_context(sandbox())
        stages = defaultdict[Path, list[Stage]](list)
        for code in codes:
            for _ in range(receivers):
                stage = await running.enter_async_context(staged(code, wechat=wechat, receiver=Counter))
                with on_core(_CORE):
                    await running.enter_async_context(client(stage))
                await log_in(stage)
                stages[code].append(stage)
        every = [stage for some in stages.values() for stage in some]
        for stage in every:
            for number in range(messages):
                await stage.write(f"message {number}")
        await arrived(every, messages)
        body, hooked = every[0].place / "body", stages[codes[0]]
        body.write_bytes(every[0].last)
        single, each = Posters(), Posters()
        running.callback(single.kill)
        running.callback(each.kill)
        await single.start(body, messages, [stage.hook for stage in hooked])
        for stage in hooked if receivers > 1 else ():
            await each.start(body, messages, [stage.hook])
        for number in range(rounds + 1):
            bare = dict[str, Turn]()
            for name, posters in (("aiohttp", single), ("aiohttp each", each)):
                if posters.pids:
                    await asyncio.sleep(0.5)
                    bare[name] = await turn(hooked, messages, posters.post, posters.pids)
                    await posters.ended()
            for code in codes:
                await asyncio.sleep(0.5)
                tasks = list[asyncio.Task[None]]()

                def begin(tasks: list[asyncio.Task[None]] = tasks, some: Sequence[Stage] = stages[code]) -> None:
                    tasks.extend(asyncio.ensure_future(replay(stage)) for stage in some)

                ours = await turn(stages[code], messages, begin, [stage.pid for stage in stages[code]])
                await asyncio.gather(*tasks)
                if not number:  # the first round is to warm up
                    continue
                found[code.name, "a second"].append(ours.rate)
                found[code.name, "cpu ms"].append(ours.cpu * 1e3)
                for name, other in bare.items():
                    found[code.name, f"{name}: a second"].append(other.rate)
                    found[code.name, f"{name}: ratio"].append(ours.rate / other.rate)
                    found[code.name, f"{name}: cpu ms"].append(other.cpu * 1e3)
                    found[code.name, f"{name}: cpu ratio"].append(ours.cpu / other.cpu)
    for (name, what), values in found.items():
        spread = f"({min(values):.2f}–{max(values):.2f})"
        print(f"{receivers:2} receivers {name:14} {what:24} {statistics.median(values):10.2f}  {spread}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", action="append", type=Path, help="a checkout; this one by default")
    parser.add_argument("--receivers", action="append", type=int, help="1 and 16 by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=0, help="to each receiver")
    parser.add_argument("--short", action="store_true", help="a quick run for tests")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, _LOAD_CORE)
    codes = [code.resolve() for code in arguments.code or [HERE]]
    for receivers in arguments.receivers or ([1, 2] if arguments.short else [1, 16]):
        messages = 20 if arguments.short else arguments.messages or MESSAGES.get(receivers, 250)
        asyncio.run(measure(codes, receivers, messages, 1 if arguments.short else arguments.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
