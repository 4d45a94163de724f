"""One connection of a caller, as the controller serves it."""

import asyncio

from aiohttp import web

from wxcontroller.controller.errors import Handler
from wxcontroller.openwx.admission import Admission
from wxcontroller.openwx.connection import PatientConnection, refusal

SERVER = "wxcontroller"


@web.middleware
async def no_upgrades(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a body after ``Upgrade:``: HTTP's parser takes all that follows for the other protocol."""
    headers = request.headers
    asks = "Upgrade" in headers and any("upgrade" in each.lower() for each in headers.getall("Connection", ()))
    if asks and ("Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0"):
        response = refusal("a request with a body can't ask for Upgrade; send it without that header")
        response.force_close()
        if isinstance(request.protocol, Connection):
            request.protocol.drop_rest()
        return response
    return await handler(request)


class Connection(PatientConnection):
    """Where requests are parsed. Used as the protocol of each accepted socket."""

    __slots__ = ()

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop, admission: Admission) -> None:
        super().__init__(server, loop, SERVER, admission)

    def drop_rest(self) -> None:
        """Forget what followed a request with ``Upgrade:``; aiohttp would take it for the next request."""
        self._message_tail = b""
