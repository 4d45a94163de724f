"""Connections to accounts: to the account's own user, at its socket or its port, or none.

Users are real: the programs of others run as these users.
"""

import asyncio
import contextlib
import itertools
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import cast

import pytest

from tests.patience import PATIENCE
from tests.ports import free_port
from tests.unit.controller.machine import full_queue, unix_listener
from wxcontroller.controller.account_port import connecting
from wxcontroller.controller.account_port.connecting import AcceptedBy, connect
from wxcontroller.controller.account_port.portfailures import NotAnswering, NotRunning
from wxcontroller.core.names import parse_name
from wxcontroller.core.net.tcptable import Pair, listeners, owners_of_other_ends, program_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account

ALICE, MALLORY = 61_111, 61_222
# Listens, accepts, and prints what it receives until the end of the connection.
PROGRAM = """
import os, socket, sys
kind, place, accepts = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET6 if kind == "six" else socket.AF_INET)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if kind == "six":
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listener.bind(place if kind == "unix" else ("::" if kind == "six" else "127.0.0.1", int(place)))
listener.listen()
print("listens", flush=True)
sys.stdin.readline() if accepts == "later" else None
connection, _ = listener.accept()
while data := connection.recv(4096):
    print(data, flush=True)
print("ended", flush=True)
"""


class Place:
    """An account's runtime directory, and programs of any user."""

    def __init__(self, directory: Path) -> None:
        self.paths = Paths(directory)
        self.account = Account(parse_name("alice"), free_port())
        self.runtime = self.paths.runtime("alice")
        self.runtime.mkdir(parents=True)
        os.chown(self.runtime, ALICE, -1)
        self.programs: list[subprocess.Popen[str]] = []
        self.owners = AcceptedBy()

    @property
    def socket(self) -> Path:
        return self.paths.api_socket("alice")

    async def connect(self, seconds: float = PATIENCE) -> asyncio.Transport:
        made = await connect(str(self.runtime), self.account, Held, seconds, self.owners)
        return made.transport

    def run(self, user: int, kind: str, place: object, accepts: str = "now") -> "subprocess.Popen[str]":
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, kind, str(place), accepts]
        program = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=user, cwd="/"
        )
        self.programs.append(program)
        assert line_of(program) == "listens"
        return program


class Held(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # not of this class in every event loop


def line_of(program: "subprocess.Popen[str]") -> str:
    assert program.stdout is not None
    assert select.select([program.stdout], [], [], PATIENCE)[0]
    return program.stdout.readline().strip()


@pytest.fixture
def place() -> Iterator[Place]:
    # pytest's own directories are closed to other users.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        made = Place(Path(directory))
        yield made
        for program in made.programs:
            program.kill()
            program.wait()


async def said(transport: asyncio.Transport, program: "subprocess.Popen[str]") -> list[str]:
    """Send something and hang up; return what the program received."""
    transport.write(b"hello")
    transport.close()
    return [await asyncio.to_thread(line_of, program) for _ in range(2)]


async def test_account_is_reached_at_its_socket(place: Place) -> None:
    program = place.run(ALICE, "unix", place.socket)
    assert await said(await place.connect(), program) == ["b'hello'", "ended"]


async def test_account_without_a_process_is_not_running(place: Place) -> None:
    place.runtime.rmdir()
    with pytest.raises(NotRunning):
        await place.connect()


def to_another(place: Place) -> None:
    other = place.runtime.parent / "mallory.sock"
    os.chown(place.runtime.parent, MALLORY, -1)
    place.run(MALLORY, "unix", other)
    place.socket.symlink_to(other)


def linked(place: Place) -> None:
    to_another(place)
    target = place.socket.readlink()
    place.socket.unlink()
    place.socket.hardlink_to(target)


def directory_link(place: Place) -> None:
    place.runtime.rename(place.runtime.with_name("other"))
    other = place.paths.runtime("other")
    place.run(ALICE, "unix", other / "api.sock")
    place.runtime.symlink_to(other)


@pytest.mark.parametrize(
    "make",
    [
        to_another,
        linked,
        directory_link,
        lambda place: os.mkfifo(place.socket),
        lambda place: place.socket.write_bytes(b"x"),
        lambda place: place.socket.mkdir(),
        lambda place: place.socket.symlink_to("/dev/null"),
        lambda place: place.socket.symlink_to("missing"),
    ],
    ids=["link", "hard link", "linked directory", "fifo", "file", "directory", "device", "dangling"],
)
async def test_anything_but_its_own_socket_is_refused(place: Place, make: Callable[[Place], object]) -> None:
    # Its own program has the port: it is not asked there instead.
    place.run(ALICE, "port", place.account.port)
    make(place)
    with pytest.raises(NotAnswering):
        await place.connect()
    for program in place.programs:
        program.kill()
        assert "b'" not in program.communicate()[0]


async def test_ended_program_is_not_asked_at_its_port(place: Place) -> None:
    place.run(ALICE, "port", place.account.port)
    unix_listener(place.socket).close()
    with pytest.raises(NotAnswering):
        await place.connect()


async def test_full_queue_is_waited_for(place: Place) -> None:
    with (
        unix_listener(place.socket, backlog=1) as listening,
        full_queue(place.socket) as filling,
        contextlib.ExitStack() as stack,
    ):
        os.chown(place.runtime, os.getuid(), -1)
        with pytest.raises(TimeoutError):
            await place.connect(0.05)
        waiting = [asyncio.create_task(place.connect()) for _ in range(20)]
        done, _ = await asyncio.wait(waiting, timeout=0.05)
        assert not done
        waiting.pop().cancel()
        for _ in range(filling + len(waiting)):
            accepted, _ = await asyncio.to_thread(listening.accept)
            stack.enter_context(accepted)
        for transport in await asyncio.gather(*waiting):
            transport.close()


def test_waiting_connections_ask_ten_times_a_second_in_the_end() -> None:
    assert [*islice(connecting._pauses(), 8)] == [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.1, 0.1]


@pytest.mark.parametrize("kind", ["port", "six"])
async def test_program_without_a_socket_is_reached_at_its_port(place: Place, kind: str) -> None:
    program = place.run(ALICE, kind, place.account.port)
    assert await said(await place.connect(), program) == ["b'hello'", "ended"]


@pytest.mark.parametrize("kind", ["port", "six"])
async def test_other_program_at_the_port_gets_nothing(place: Place, kind: str) -> None:
    program = place.run(MALLORY, kind, place.account.port)
    assert listeners()[place.account.port] == {MALLORY}
    with pytest.raises(NotAnswering):
        await place.connect()
    assert line_of(program) == "ended"


async def test_port_of_users_that_cannot_be_told_apart_is_not_trusted(place: Place) -> None:
    """As with PrivateUsers=yes, where all other users are 65534."""
    os.chown(place.runtime, 65534, -1)
    program = place.run(65534, "port", place.account.port)
    with pytest.raises(NotAnswering):
        await place.connect()
    assert line_of(program) == "ended"


async def test_connection_is_used_only_once_its_program_has_accepted_it(place: Place) -> None:
    """Before, the kernel knows no user of the other end."""
    program = place.run(ALICE, "port", place.account.port, "later")
    connecting = asyncio.create_task(place.connect())
    done, _ = await asyncio.wait([connecting], timeout=0.3)
    assert not done
    assert program.stdin is not None
    program.stdin.write("\n")
    program.stdin.flush()
    assert await said(await connecting, program) == ["b'hello'", "ended"]


async def test_program_that_never_accepts_costs_little(place: Place) -> None:
    """The kernel's table is read for all of its waiting connections at once, and not all the time."""
    place.run(ALICE, "port", place.account.port, "later")
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        for _ in range(500):  # a busy machine's table
            stack.enter_context(socket.create_connection(listening.getsockname()))
            stack.enter_context(listening.accept()[0])
        began, worked = time.monotonic(), time.process_time()
        waiting = [asyncio.create_task(place.connect()) for _ in range(64)]
        done, _ = await asyncio.wait(waiting, timeout=1.5)
        share = (time.process_time() - worked) / (time.monotonic() - began)
        assert not done
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert share < 0.25


async def test_callers_that_hang_up_do_not_have_the_table_read_all_the_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.run(ALICE, "port", place.account.port, "later")
    looks = list[float]()

    def slow(pairs: Collection[Pair]) -> dict[Pair, int]:
        looks.append(time.monotonic())
        time.sleep(0.1)  # a large table
        return owners_of_other_ends(pairs)

    monkeypatch.setattr(connecting, "owners_of_other_ends", slow)
    waited = 0.03
    async with asyncio.timeout(PATIENCE):
        while len(looks) < 3:
            with contextlib.suppress(TimeoutError):
                await place.connect(waited)
            waited *= 1.1  # few enough for its backlog, and on a slow machine long enough for a look
    # It takes 0.1 s and rests for 9 times as long.
    assert min(later - earlier for earlier, later in itertools.pairwise(looks)) >= 1.0


async def test_connection_that_the_program_ends_fails_at_once(place: Place) -> None:
    program = place.run(ALICE, "port", place.account.port, "later")
    connecting = asyncio.create_task(place.connect())
    await asyncio.wait([connecting], timeout=0.2)
    program.kill()
    with pytest.raises(NotAnswering):
        await connecting


async def test_port_of_an_ended_unit_is_not_trusted(place: Place) -> None:
    """Its user may be another account's by then."""
    program = place.run(ALICE, "port", place.account.port, "later")
    connecting = asyncio.create_task(place.connect())
    await asyncio.wait([connecting], timeout=0.2)
    place.runtime.rename(place.runtime.with_name("ended"))
    assert program.stdin is not None
    program.stdin.write("\n")
    program.stdin.flush()
    with pytest.raises(NotAnswering):
        await connecting
    assert line_of(program) == "ended"


def test_programs_are_named_by_account_or_user(place: Place) -> None:
    assert str(program_of(ALICE, place.paths)) == "unit wxclient@alice.service"
    assert str(program_of(0, place.paths)) == "a program of user root"
    assert str(program_of(MALLORY, place.paths)) == f"a program of user {MALLORY}"
