"""Connections to webhooks, only to addresses that the settings allow."""

import ssl
import weakref

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from wxcontroller.core.config.reporttargets import SETTING, Targets
from wxcontroller.core.errors import WxError
from wxcontroller.core.net.resolver import Resolver
from wxcontroller.core.registry.account import redacted
from wxcontroller.core.text.templates import N_


class NotATarget(WxError, aiohttp.ClientError):
    """An address that webhook_targets does not cover. ``message`` names it without secrets."""


class TargetConnector(aiohttp.TCPConnector):
    """Connects for requests to allowed addresses; every hop of a redirect is a separate request.

    ``tls`` None: the system's certificates. Names are looked up in its own threads (``core.net.resolver``).
    """

    def __init__(self, targets: Targets, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(ssl=tls or True, resolver=Resolver())
        self._targets = targets
        # The library does not tell whether a connection came from its pool.
        self._seen: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()
        self.is_reused = False  # whether the connection of the last request had carried one before

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """See BaseConnector.connect. Raises NotATarget."""
        # At each request, as a redirect may lead elsewhere.
        if not self._targets.allow(req.url):
            raise NotATarget(
                N_("{url} is not among {setting}"),
                N_("change the address, or {setting} in the settings, and restart the account"),
                url=redacted(str(req.url)),
                setting=SETTING,
            )
        self.is_reused = False
        connection = await super().connect(req, traces, timeout)
        assert connection.protocol is not None
        self.is_reused = connection.protocol in self._seen
        self._seen.add(connection.protocol)
        return connection
