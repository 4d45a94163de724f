"""Whether an account's process grows: its private memory after thousands of messages and many logins.

/usr/bin/python3 -m bench.growth [--messages 200000] [--logins 100] [--warm 2000] [--short]

All messages are delivered to a webhook. It ends with 1 when the memory at the end is more than a tenth above that
after the first messages. --short is for tests: a few messages, and whatever the memory.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator

from bench.account import HERE, Stage, client, log_in, private, staged, state_of

# An account returns freed memory once a minute (``client.memory``).
SETTLE_SECONDS = 65.0
BATCH = 500
WRITERS = 8
# An account pauses longer and longer, and gives up, when so many sessions are lost within an hour as here.
_PROGRAM = """
from wxcontroller.core.process import footprint
footprint.prepare()
from wxcontroller.drivers.web.wire.timing import DEFAULT
object.__setattr__(DEFAULT, "relogins", 10_000)
object.__setattr__(DEFAULT, "retry_longest", 1.0)
from wxcontroller.client.__main__ import main
main()
"""


async def write(stage: Stage, first: int, end: int) -> None:
    """Write messages and wait for the last of each batch to be delivered."""
    for start in range(first, end, BATCH):
        numbers = range(start, min(start + BATCH, end))
        waiting = iter(numbers)

        async def some(waiting: Iterator[int] = waiting) -> None:
            for number in waiting:
                await stage.write(f"{number}: " + "text " * 20)

        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(some())
        for number in numbers:
            await stage.until(f"{number}: " + "text " * 20, 600)
        stage.came.clear()


async def log_in_again(stage: Stage) -> None:
    async with stage.http.post(f"{stage.wechat}/sandbox/accounts/{stage.uin}/logout", json={"forget": True}) as got:
        assert got.status < 300, await got.text()
    async with asyncio.timeout(120):
        while state_of(stage) == "running":
            await asyncio.sleep(0.02)
    await log_in(stage)


async def grow(messages: int, logins: int, warm: int, settle: float = SETTLE_SECONDS) -> bool:
    """Return whether the memory grew by more than a tenth."""

    async def settled() -> float:
        await asyncio.sleep(settle)
        return private(stage.pid)

    async with staged(HERE) as stage, client(stage, _PROGRAM):
        await log_in(stage)
        print(f"idle {await settled():.2f} MiB", flush=True)
        await write(stage, 0, warm)
        before, begun = await settled(), time.monotonic()
        print(f"after {warm} messages {before:.2f} MiB", flush=True)
        steps = max(logins, 1)
        for step in range(steps):
            await write(stage, warm + messages * step // steps, warm + messages * (step + 1) // steps)
            if logins:
                await log_in_again(stage)
            if step % max(steps // 20, 1) == 0 or step == steps - 1:
                sent, seconds = messages * (step + 1) // steps, time.monotonic() - begun
                print(
                    f"{sent} messages, {step + 1} logins, {seconds:.0f} s: {private(stage.pid):.2f} MiB", flush=True
                )
        after = await settled()
        print(f"at the end {after:.2f} MiB, {(after / before - 1) * 100:+.1f} %", flush=True)
        return after > before * 1.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--logins", type=int, default=100)
    parser.add_argument("--warm", type=int, default=2000)
    parser.add_argument("--short", action="store_true", help="a quick run for tests")
    arguments = parser.parse_args()
    if arguments.short:
        asyncio.run(grow(20, 1, 10, settle=0.1))
        return 0
    return int(asyncio.run(grow(arguments.messages, arguments.logins, arguments.warm)))


if __name__ == "__main__":
    sys.exit(main())
