"""GET /v1/accounts as a stream: all rows first, then those that change, as server-sent events.

There is no cursor: a reader that reconnects gets all rows again.
"""

import asyncio
import logging

from aiohttp import web

from wxcontroller.controller.apis.v1.account.rows import ACCOUNT_ROWS, AccountRows
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.edge.streams import server_sent
from wxcontroller.openwx.contract.replies import to_bytes
from wxcontroller.openwx.http.eventstream import HEARTBEAT, event

log = logging.getLogger(__name__)
_RETRY = 1000  # milliseconds


async def watch(request: web.Request) -> web.StreamResponse:
    """Send events until the stream ends (see controller/edge/streams.py).

    ``accounts`` holds the caller's rows that are new or different and the names that are ``gone``, the first one all
    of them; ``trouble`` says why rows may be old.
    """
    account_rows, who = request.app[ACCOUNT_ROWS], caller(request)
    async with account_rows.watched() as work:
        return await server_sent(request, _AccountsReader(account_rows, work, who), _RETRY, packed=True)


class _AccountsReader:
    """A watching reader, and the rows it has received."""

    def __init__(self, account_rows: AccountRows, work: "asyncio.Task[None]", who: Caller) -> None:
        self._account_rows = account_rows
        self._work = work
        self._caller = who
        self._version = 0
        self._names: dict[str, str] = {}  # by instance
        self._trouble: object = None
        self._first = True

    def heartbeat(self) -> bytes:
        return HEARTBEAT

    async def next(self) -> bytes | None:
        """Wait for and return the events that bring the reader up to date."""
        while not self._work.done():
            news = self._account_rows.news()
            if self._account_rows.has_looked.is_set() and (events := self._events()):
                return events
            waiting = asyncio.create_task(news.wait())
            try:
                await asyncio.wait({waiting, self._work}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
        log.error("watching the accounts failed; readers are disconnected", exc_info=self._work.exception())
        return None

    def _events(self) -> bytes:
        account_rows = self._account_rows
        listed = [(row.view.instance, row.view.account.name.name, row.body, row.version) for row in account_rows.rows]
        if not self._caller.hop:
            listed += [
                (each.row.instance, each.row.name, each.row.body, each.version) for each in account_rows.elsewhere
            ]
        own = {instance: version for instance, _, _, version in listed if self._caller.may_see(instance)}
        fresh = [row for row in listed if own.get(row[0], 0) > self._version]
        gone = [self._names.pop(instance) for instance in list(self._names) if instance not in own]
        self._names.update((instance, name) for instance, name, _, _ in fresh)
        self._version = account_rows.version
        events = b""
        if fresh or gone or self._first:
            rows = b",".join(body for _, _, body, _ in fresh)
            is_first = b',"all":true' if self._first else b""
            events = event("accounts", b'{"accounts":[%b],"gone":%b%b}' % (rows, to_bytes(list(gone)), is_first))
            self._first = False
        if account_rows.trouble != self._trouble:
            self._trouble = account_rows.trouble
            events += event("trouble", to_bytes({"error": account_rows.trouble}))
        return events
