"""Accounts and controllers that are forked from a process which has imported their program: a tenth of a start's CPU.

``python3 -m tests.forking`` is that process. Each pytest process has one of each program, which ends with it.
"""

import array
import asyncio
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
_REQUEST_BYTES = 1 << 18


class Forked:
    """A process that was forked, with the part of ``asyncio.subprocess.Process`` that tests use."""

    def __init__(self, server: socket.socket, pid: int) -> None:
        self._server, self.pid = server, pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        self._handle = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._handle, self._end)

    async def wait(self) -> int:
        """Wait for its end; return its exit status, or the negative number of a signal."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
        self.returncode = int(_asked(self._server, {"ended": self.pid}))
        self._ended.set()


def fork(
    program: str, *arguments: str, environ: Mapping[str, str], stderr: int, listening: int | None = None
) -> Forked:
    """Start a program, ``client`` or ``controller``; ``listening`` is a socket that it gets as from systemd."""
    server, _ = _server(program)
    descriptors = (stderr,) if listening is None else (stderr, listening)
    request = {"arguments": arguments, "environ": {**environ}}
    return Forked(server, int(_asked(server, request, *descriptors)))


@functools.cache
def _server(program: str) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        command = [sys.executable, "-m", "tests.forking", program, str(its.fileno())]
        return ours, subprocess.Popen(command, cwd=ROOT, pass_fds=[its.fileno()])


def _asked(server: socket.socket, request: Mapping[str, object], *descriptors: int) -> bytes:
    socket.send_fds(server, [json.dumps(request).encode()], array.array("i", descriptors))
    answer = server.recv(100)
    assert answer, "the process from which others are forked has ended"
    return answer


def _serve(program: str, caller: socket.socket) -> None:
    from wxcontroller.core.process import footprint

    footprint.prepare()
    process = importlib.import_module(f"wxcontroller.{program}.process")
    faultpoints = importlib.import_module("wxcontroller.core.process.faultpoints")
    if program == "client":
        for driver in ("web", "ilink", "filehelper"):
            importlib.import_module("wxcontroller.drivers").factory_of(driver)
    gc.freeze()
    while True:
        content, descriptors, _, _ = socket.recv_fds(caller, _REQUEST_BYTES, 2)
        if not content:
            return
        request = json.loads(content)
        if "ended" in request:
            _, status = os.waitpid(request["ended"], 0)
            caller.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        if pid := os.fork():
            for descriptor in descriptors:
                os.close(descriptor)
            caller.send(str(pid).encode())
            continue
        caller.close()
        os.environ.clear()
        os.environ.update(request["environ"])
        time.tzset()
        os.dup2(descriptors[0], 2)
        if len(descriptors) > 1:
            os.dup2(descriptors[1], 3)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
        for descriptor in {*descriptors} - {3}:
            os.close(descriptor)
        footprint.trust_by_directory()
        importlib.reload(faultpoints)  # the only module that reads the environment at its import
        sys.argv = [program, *request["arguments"]]
        sys.exit(process.run(*request["arguments"]) if program == "client" else process.run())


if __name__ == "__main__":
    _serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
