"""What request handlers share, handed to them through the application."""

import asyncio
import time
from dataclasses import dataclass, field

from aiohttp import ClientSession, web

from wxcontroller.controller.accounts import Accounts
from wxcontroller.core.settings import Settings
from wxcontroller.openwx.load import Load


@dataclass(slots=True)
class Context:
    """The running controller.

    ``draining`` is set once it is to end: long polls then answer at once. ``settings_read`` is when the settings in
    use were read; ``settings_error`` says why newer ones are not in use, "" when there are none.
    """

    accounts: Accounts
    upstream: ClientSession
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    started: float = field(default_factory=time.time)
    notices: tuple[str, ...] = ()
    settings_read: float = field(default_factory=time.time)
    settings_error: str = ""
    readers: int = 0  # of events
    load: Load = field(default_factory=Load)

    @property
    def settings(self) -> Settings:
        return self.accounts.settings


CONTEXT = web.AppKey("context", Context)


def context(request: web.Request) -> Context:
    """Return what the handlers of a request share."""
    return request.app[CONTEXT]
