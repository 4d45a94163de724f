"""HTTP servers for tests, on real sockets: one handler for all methods and paths, or the same bytes for all."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(
    handler: Handler, *hosts: str, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve on a port, the same on each of the ``hosts`` (by default 127.0.0.1); yield the port."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    try:
        for host in hosts or ("127.0.0.1",):
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
            port = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def answering(answer: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answer every request with the same bytes and close the connection, or do not answer; yield the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()  # without waiting for callers, which may wait much longer


async def cancelled_at_the_limit(call: Callable[[int], Coroutine[object, object, object]], seconds: float) -> bool:
    """Make a call with this time limit to a server that does not answer, and cancel it in the moment in which the
    limit ends; return whether it was cancelled.
    """
    reached = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        task = asyncio.ensure_future(call(server.sockets[0].getsockname()[1]))
        await reached.wait()
        asyncio.get_running_loop().call_soon(task.cancel)
        time.sleep(seconds)  # noqa: ASYNC251 - so that both are due when the loop looks again
        await asyncio.wait({task})
    return task.cancelled()
