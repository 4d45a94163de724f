"""Ports of this machine that lead into a booted host, for browsers."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence

from tests.system.host import Host
from tests.unit.drivers.proxies import copy


@contextlib.contextmanager
def forwarding(host: Host, *ports: int) -> Iterator[None]:
    """Forward 127.0.0.1:PORT of this machine to the same port inside the host.

    Raises OSError if a port is in use here.
    """
    with _listening(host, [(port, port) for port in ports]):
        yield


@contextlib.contextmanager
def forwarded(host: Host, port: int) -> Iterator[int]:
    """Do the same with a free port of this machine, and yield it."""
    with _listening(host, [(0, port)]) as [own]:
        yield own


@contextlib.contextmanager
def passing_on(listener: socket.socket, host: Host, port: int) -> Iterator[None]:
    """Forward connections of a listener to a port inside the host."""
    with _serving(host, [(listener, port)]):
        yield


@contextlib.contextmanager
def _listening(host: Host, ports: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    listeners = [(socket.create_server(("127.0.0.1", here), reuse_port=False), inside) for here, inside in ports]
    with _serving(host, listeners):
        yield [listener.getsockname()[1] for listener, _ in listeners]


@contextlib.contextmanager
def _serving(host: Host, listeners: list[tuple[socket.socket, int]]) -> Iterator[None]:
    for listener, _ in listeners:
        listener.setblocking(False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_run, args=(loop, host, listeners), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        for listener, _ in listeners:
            listener.close()


def _run(loop: asyncio.AbstractEventLoop, host: Host, listeners: list[tuple[socket.socket, int]]) -> None:
    asyncio.set_event_loop(loop)
    serving = [loop.create_task(_serve(listener, host, port)) for listener, port in listeners]
    loop.run_forever()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.wait(serving))
    loop.close()


async def _serve(listener: socket.socket, host: Host, port: int) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with host.netns():
            inside = socket.socket()
        inside.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(inside, ("127.0.0.1", port))
            far_reader, far_writer = await asyncio.open_connection(sock=inside)
        except OSError:
            inside.close()
            writer.close()
            return
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    server = await asyncio.start_server(pass_on, sock=listener)
    await server.serve_forever()
