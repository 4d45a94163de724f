"""The only interface to systemd: queries and actions through ``systemctl``.

One unit at a time, a few in flight: a bulk ``systemctl start`` of hundreds fails for a caller that is not root, and
more in parallel is not faster. Every call has a timeout.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from wxcontroller.core.config.alertsettings import Channel
from wxcontroller.core.errors import UnitFailed, reason_of
from wxcontroller.core.jsontypes import field, items, read_json, text
from wxcontroller.core.names import instance_of, unit_of
from wxcontroller.core.states import UnitState
from wxcontroller.core.text.templates import N_, NOTHING, Text

# systemctl processes for starts, and as many for stops, at a time: systemd refuses hundreds at once from callers that
# are not root (polkit asks for each).
SYSTEMCTL_AT_A_TIME = 4
# For list-units, which takes 11 ms for 300 accounts.
SYSTEMD_LOOK_SECONDS = 10.0
# A query costs 11 ms for 300 units, and no caller needs a fresher one, except after our own actions.
MAX_AGE = 1.0
_KILL_TIMEOUT = 5.0
_OWN_UNIT = "wxcontroller.service"
_MAX_WORDS = 400
_MAX_LOOKS = 3
# systemctl's messages when polkit refuses: without our rule, and because of another rule.
_FORBIDDEN = ("Interactive authentication required", "Access denied")
# systemctl's messages when PID 1 was replaced during the query, as by daemon-reexec. Repeating it is safe.
_MOMENTARY = (
    b"disconnected from message bus",
    b"Connection reset by peer",
    b"Connection terminated",
    b"Transport endpoint is not connected",
)
_REEXEC_SECONDS = 10.0
_REEXEC_LOOK = 0.2
# What systemd is asked for about restarts. ExecMainCode has the numbers of waitid(2).
_RESTARTS = ("Id", "NRestarts", "Result", "ExecMainCode", "ExecMainStatus", "StateChangeTimestamp")
_EXITED = "1"
# Ends that systemd's result describes better than the signal that it sent.
_RESULTS = {
    "watchdog": N_("it hung, and was killed by the watchdog"),
    "oom-kill": N_("it ran out of memory"),
    "timeout": N_("it did not start in time"),
}
_RULE = "/usr/share/polkit-1/rules.d/50-wxcontroller.rules"


class Verb(StrEnum):
    """Actions on an account's unit, as systemctl names them."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RESET_FAILED = "reset-failed"


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """An account's unit as systemd sees it; ``sub`` is its finer state (running, start, auto-restart, …)."""

    instance: str
    state: UnitState
    sub: str

    @property
    def has_process(self) -> bool:
        """Whether a process exists or is being started. False while systemd waits to restart it."""
        return self.state.has_process and not self.sub.startswith("auto-restart")

    @property
    def words(self) -> str:
        if self.state is UnitState.ABSENT:
            return "not loaded"
        return f"{self.state} ({self.sub})" if self.sub and self.sub != self.state else str(self.state)


def absent(instance: str) -> UnitRecord:
    """The record of a unit that systemd has not loaded."""
    return UnitRecord(instance, UnitState.ABSENT, "")


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often systemd has restarted a unit automatically, since when (seconds since 1970, 0 for unknown) it is in
    its present state, and how its last process ended; NOTHING while one runs.
    """

    count: int
    since: int = 0
    end: Text = NOTHING


class Units(Protocol):
    """The controller's interface to systemd. All methods raise UnitFailed with systemd's message."""

    async def snapshot(self, max_age: float = MAX_AGE) -> Mapping[str, UnitRecord]:
        """Return the units of all accounts by instance, not older than ``max_age`` seconds."""
        ...

    def recent(self, max_age: float = MAX_AGE) -> Mapping[str, UnitRecord] | None:
        """Return the result of ``snapshot`` if that needs no query, else None."""
        ...

    async def act(self, verb: Verb, instance: str, timeout: float) -> None:
        """Perform one action on an account's unit and wait for its end."""
        ...

    async def purge(self, instance: str, timeout: float) -> None:
        """Stop an account's unit and delete its private state and runtime directories."""
        ...

    async def restarts(self, instances: Iterable[str]) -> Mapping[str, Restarts]:
        """Return how often and why systemd has restarted these accounts' units since their last start."""
        ...

    async def deliver(self, channel: Channel, on: bool) -> None:
        """Have systemd start the delivery of a channel's alerts when there are some, or not."""
        ...

    async def shorten_own_delay(self) -> None:
        """Have the controller restarted without delay after its next crash."""
        ...


async def record(units: Units, instance: str, max_age: float = MAX_AGE) -> UnitRecord:
    """Return one account's unit."""
    return (await units.snapshot(max_age)).get(instance) or absent(instance)


class Systemd:
    """``systemctl`` as a subprocess. Use as an async context manager; it owns a look in progress."""

    def __init__(self, systemctl: str = "systemctl") -> None:
        self._systemctl = systemctl
        self._slots = asyncio.Semaphore(SYSTEMCTL_AT_A_TIME)
        # Stops have their own slots: they must not wait for hanging starts to time out.
        self._stop_slots = asyncio.Semaphore(SYSTEMCTL_AT_A_TIME)
        self._seen: Mapping[str, UnitRecord] = {}
        self._seen_at = float("-inf")
        self._output = b""  # from systemctl, the source of ``_seen``
        self._look: asyncio.Task[Mapping[str, UnitRecord]] | None = None
        self._actions = 0
        # One for each systemctl at a time: starts, stops, a list of units, and a query for restarts.
        self._threads = ThreadPoolExecutor(2 * SYSTEMCTL_AT_A_TIME + 2, "systemctl")

    async def __aenter__(self) -> "Systemd":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._look is not None:
            self._look.cancel()
            with contextlib.suppress(asyncio.CancelledError, UnitFailed):
                await self._look
        self._threads.shutdown(wait=False)

    async def snapshot(self, max_age: float = MAX_AGE) -> Mapping[str, UnitRecord]:
        if (found := self.recent(max_age)) is not None:
            return found
        # Concurrent callers share one query; a disconnecting caller must not cancel it.
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._list(), name="list-units")
        return await asyncio.shield(self._look)

    def recent(self, max_age: float = MAX_AGE) -> Mapping[str, UnitRecord] | None:
        # uvloop's clock counts milliseconds: with ``max_age`` 0, a query in this millisecond would be recent enough.
        return self._seen if time.monotonic() - self._seen_at <= max_age else None

    async def act(self, verb: Verb, instance: str, timeout: float) -> None:
        await self._change(verb, unit_of(instance), timeout, instance)

    async def purge(self, instance: str, timeout: float) -> None:
        unit_of(instance)  # raises BadName, so that no other text becomes part of a unit's name
        await self._change(Verb.START, f"wxclient-purge@{instance}.service", timeout)

    async def deliver(self, channel: Channel, on: bool) -> None:
        unit = f"wxcontroller-alert@{channel}.path"
        await self._change(Verb.START if on else Verb.STOP, unit, SYSTEMD_LOOK_SECONDS)

    async def shorten_own_delay(self) -> None:
        await self._change(Verb.RESET_FAILED, _OWN_UNIT, SYSTEMD_LOOK_SECONDS)

    async def restarts(self, instances: Iterable[str]) -> Mapping[str, Restarts]:
        units = [unit_of(instance) for instance in instances]
        if not units:
            return {}
        asked = ["show", "--timestamp=unix", f"--property={','.join(_RESTARTS)}", "--", *units]
        code, output, complaint = await self._run(asked, SYSTEMD_LOOK_SECONDS)
        if code != 0:
            raise UnitFailed(
                N_("systemd cannot be asked for restarts: {first_words}"),
                N_("see: journalctl -u wxcontroller"),
                first_words=_first_words(complaint),
            )
        return parse_restarts(output)

    async def _change(self, verb: Verb, unit: str, timeout: float, instance: str = "") -> None:
        """Perform one action on a unit. Raises UnitFailed, which refers to the unit's journal.

        For the unit of an account ``instance``, it refers to that of all units of the account.
        """
        async with self._stop_slots if verb is Verb.STOP else self._slots:
            try:
                code, _, complaint = await self._run([verb, unit], timeout)
            finally:
                # Also if it failed or was cancelled: systemd may have done it anyway.
                self._forget()
        if code != 0:
            words = _first_words(complaint) or f"systemctl ended with {code}"
            if any(each in words for each in _FORBIDDEN):
                raise UnitFailed(
                    N_("{unit}: polkit does not let the controller {verb} it: {words}"),
                    N_("check that {rule} exists and no other rule precedes it: wxctl doctor"),
                    unit=unit,
                    verb=verb,
                    words=words,
                    rule=_RULE,
                )
            raise UnitFailed(
                N_("{unit}: {verb} failed: {words}"),
                N_("see: wxctl logs {instance}") if instance else N_("see: journalctl -u {unit}"),
                unit=unit,
                verb=verb,
                words=words,
                instance=instance,
            )

    def _forget(self) -> None:
        """Force a new query next time, even if one that began before an action is still running."""
        self._seen_at = float("-inf")
        self._actions += 1

    async def _list(self) -> Mapping[str, UnitRecord]:
        found: Mapping[str, UnitRecord] = {}
        for _ in range(_MAX_LOOKS):
            began, actions = time.monotonic(), self._actions
            code, output, complaint = await self._run(
                ["list-units", "--all", "--full", "--no-pager", "--output=json", "wxclient@*.service"],
                SYSTEMD_LOOK_SECONDS,
            )
            if code != 0:
                raise UnitFailed(
                    N_("systemd cannot be asked for the accounts' units: {first_words}"),
                    N_("see: systemctl status dbus.socket; journalctl -u wxcontroller"),
                    first_words=_first_words(complaint),
                )
            # Unchanged units stay the same object, so that hundreds are not compared again.
            found = self._seen if output == self._output else parse_list(output)
            # This answer does not include an action that ended meanwhile: query again, and do not cache it.
            if actions == self._actions:
                # Its age counts from the query, not from the answer.
                self._seen, self._seen_at, self._output = found, began, output
                break
        return found

    async def _run(self, arguments: list[str], timeout: float) -> tuple[int, bytes, bytes]:
        # Without a terminal, a question could not be answered and would wait for the timeout.
        command = [self._systemctl, "--no-ask-password", *arguments]
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
        try:
            async with asyncio.timeout(timeout):
                return await run_command(command, environment, self._threads)
        except TimeoutError:
            unit = arguments[-1]
            raise UnitFailed(
                N_("{unit}: {arguments} was not done after {timeout} s"),
                N_("systemd may still be working on it; see: systemctl status {unit}"),
                unit=unit,
                arguments=arguments[0],
                timeout=f"{timeout:g}",
            ) from None
        except OSError as problem:
            raise UnitFailed(
                N_("{systemctl} cannot be run: {reason}"),
                N_("install systemd, or check the sandbox"),
                systemctl=self._systemctl,
                reason=reason_of(problem),
            ) from None


async def run_command(
    command: list[str], environment: Mapping[str, str], threads: Executor
) -> tuple[int, bytes, bytes]:
    """Run a command, and retry while systemd is being re-executed; return its code and output. Raises OSError."""
    clock = asyncio.get_running_loop().time
    end = clock() + _REEXEC_SECONDS
    while True:
        code, output, complaint = await _run_once(command, environment, threads)
        if code == 0 or clock() > end or not any(words in complaint for words in _MOMENTARY):
            return code, output, complaint
        await asyncio.sleep(_REEXEC_LOOK)


async def _run_once(
    command: list[str], environment: Mapping[str, str], threads: Executor
) -> tuple[int, bytes, bytes]:
    """Run a command. Neither it nor its child processes outlive the call."""
    process = _started(command, environment)
    ended = asyncio.get_running_loop().run_in_executor(threads, process.communicate)
    try:
        # The thread cannot be cancelled: it ends when the process does, which is killed below.
        output, complaint = await asyncio.shield(ended)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.wait([ended], timeout=_KILL_TIMEOUT)
    return process.returncode, output, complaint


def _started(command: list[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    # Not by the event loop: uvloop forks, and of a controller with 1,000 accounts that takes 10 ms of CPU, most of it
    # in the loop. ``subprocess`` shares the memory until the command has begun (vfork): 1.5 ms.
    return subprocess.Popen(  # noqa: S603 - fixed program and words
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A separate session, so that it can be killed with its children (an agent that asks for passwords).
        process_group=0,
    )


def parse_list(output: bytes) -> dict[str, UnitRecord]:
    """Read the answer of ``list-units --output=json``. Raises UnitFailed when it is not that."""
    try:
        listed = read_json(output or b"[]")
    except ValueError:
        raise UnitFailed(
            N_("systemctl list-units gave no JSON"), N_("check the version of systemd (≥ 246)")
        ) from None
    found: dict[str, UnitRecord] = {}
    for entry in items(listed):
        instance = instance_of(text(field(entry, "unit")))
        if instance is None:
            continue
        try:
            state = UnitState(text(field(entry, "active")))
        except ValueError:
            state = UnitState.MAINTENANCE  # a state that this version does not know
        found[instance] = UnitRecord(instance, state, text(field(entry, "sub")))
    return found


def parse_restarts(output: bytes) -> dict[str, Restarts]:
    """Read the answer of ``show``: lines of one unit, an empty line, the next unit."""
    found: dict[str, Restarts] = {}
    for block in output.decode("utf-8", "replace").split("\n\n"):
        lines = dict(line.partition("=")[::2] for line in block.splitlines())
        instance, count = instance_of(lines.get("Id", "")), lines.get("NRestarts", "")
        if instance is not None and count.isdecimal():
            since = lines.get("StateChangeTimestamp", "").removeprefix("@")
            found[instance] = Restarts(int(count), int(since) if since.isdecimal() else 0, end_of(lines))
    return found


def end_of(unit: Mapping[str, str]) -> Text:
    """Return how a unit's last process ended, NOTHING if it still runs or ended well."""
    result, code, status = (unit.get(name, "") for name in ("Result", "ExecMainCode", "ExecMainStatus"))
    if result in _RESULTS:
        return Text(_RESULTS[result])
    if not status.isdecimal() or status == "0":
        return NOTHING
    if code == _EXITED:
        return Text(N_("exit status {status}"), status=int(status))
    try:
        return Text(N_("signal {name}"), name=signal.Signals(int(status)).name)
    except ValueError:
        return Text(N_("signal {name}"), name=status)


def _first_words(complaint: bytes) -> str:
    lines = [line.strip() for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()]
    # Omit systemctl's advice: the remedy contains ours.
    kept = [line for line in lines if not line.startswith(("See ", "Hint:"))]
    return " ".join(kept)[:_MAX_WORDS].rstrip(".")
