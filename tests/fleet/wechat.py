"""WeChat for the whole fleet, and the accounts' webhook: the sandbox in a namespace of its own, with a journal.

The journal is what the judge reads. Each request to WeChat is a line when all of it has arrived (``begin``), with the
address it came from, the account and the call, and another when it has been answered or its connection is lost
(``end``). The time counts at which a request *arrives*: the kernel of a host that was cut off sends what a dead
process has left in its buffers, and exactly that must not reach WeChat after another host has taken over.

A message of iLink is a line (``taken``) when the next poll brings the cursor of the answer that it was in: then its
host has it. Before, it is the service's to lose: it never gives a message again that was in an answer, even in one
that was lost on the way (docs/protocols/ilink-bot-protocol.md 6).

Run as a program: ``python3 -m tests.fleet.wechat ADDRESS PORT JOURNAL``. It prints a line when it serves.
"""

import asyncio
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from aiohttp import web

from wxcontroller.sandbox.app import make_app
from wxcontroller.sandbox.requestlog import CallLedger
from wxcontroller.sandbox.sandbox import Options, Sandbox

# The harness marks each message that it has an account send, so that the journal can tell which it is.
SEND = re.compile(rb"send-\d+")
_REQUEST: ContextVar[web.Request] = ContextVar("request")


class Journal(CallLedger):
    """Writes down each request; the sandbox counts it here once it knows the account."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers = itertools.count(1)
        self._answers: dict[str, list[str]] = {}  # messages of iLink by the cursor that came with them

    def write(self, **entry: Any) -> None:
        """Append a line, at once."""
        os.write(self._file, json.dumps({"at": time.monotonic(), **entry}).encode() + b"\n")

    def count(self, uin: int | None, endpoint: str) -> None:
        """Write down that a request has arrived whole; ``watch`` has read its body before."""
        super().count(uin, endpoint)
        request = _REQUEST.get()
        request["number"], request["uin"] = next(self._numbers), uin
        body = request._read_bytes or b""
        sends = SEND.findall(body)
        self.write(
            begin=request["number"], host=request.remote, uin=uin, call=endpoint, text=b" ".join(sends).decode()
        )

    def polled(self, request: web.Request, response: web.StreamResponse) -> None:
        """Write down which messages a poll of iLink has acknowledged, and note those of its answer."""
        asked = json.loads(request._read_bytes or b"{}")
        if taken := self._answers.pop(asked.get("get_updates_buf", ""), None):
            self.write(taken=taken, uin=request["uin"])
        if isinstance(response, web.Response) and response.status == 200 and isinstance(response.body, bytes):
            answer = json.loads(response.body)
            if messages := answer.get("msgs"):
                self._answers[answer["get_updates_buf"]] = [str(message["message_id"]) for message in messages]


async def serve(address: str, port: int, file: Path) -> None:
    """Serve until the end of the process."""
    sandbox = Sandbox(Options(poll_hold=5, sync_hold=5, updates_hold=5, resend=False, batch_rate=0))
    journal = sandbox.ledger = Journal(file)

    @web.middleware
    async def watch(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        _REQUEST.set(request)
        await request.read()
        try:
            response = await handler(request)
            if request.path.endswith("/getupdates") and "number" in request:
                journal.polled(request, response)
            return response
        finally:
            if "number" in request:
                journal.write(end=request["number"])

    async def hook(request: web.Request) -> web.Response:
        """Take a report, and note it before it is acknowledged."""
        journal.write(
            report=await request.json(),
            client=request.query.get("client", ""),
            host=request.remote,
            delivery=request.headers.get("X-Wx-Delivery", ""),
        )
        return web.Response()

    app = make_app(sandbox)
    app.middlewares.insert(0, watch)
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(
        app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1, keepalive_timeout=75
    )
    await runner.setup()
    for each in (address, "127.0.0.1"):  # for the hosts, and for the harness, which scripts the sandbox
        await web.TCPSite(runner, each, port, backlog=1024).start()
    print("serving", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
