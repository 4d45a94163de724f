"""Running an external program: with input, a time limit, and its output in the journal."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from wxcontroller.alert.deliver import NotDelivered

_KILL_SECONDS = 5.0
# Variables of our own environment that other programs do not get.
_OWN = ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID")


class ProgramTimeout(NotDelivered):
    """A program did not end in time and was killed."""


async def run(
    argv: Sequence[str], content: bytes, seconds: float, environment: Mapping[str, str] | None = None
) -> int:
    """Run a program with ``content`` on its input; return its exit code, negative for a signal.

    Its output goes to the journal. Raises NotDelivered if it cannot be run, ProgramTimeout if it does not end.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in _OWN}
    try:
        async with asyncio.timeout(seconds):
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                env={**inherited, **(environment or {})},
                cwd="/",
                start_new_session=True,
            )
    except OSError as problem:
        # Worth a retry: it may be installed or made executable later.
        raise NotDelivered(f"{argv[0]} cannot be run: {problem.strerror or 'it does not begin'}") from None
    try:
        async with asyncio.timeout(seconds):
            await process.communicate(content)
    except TimeoutError:
        raise ProgramTimeout(f"{argv[0]} did not end within {seconds:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its child processes, too
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_KILL_SECONDS):
                    await process.wait()
    return process.returncode or 0
