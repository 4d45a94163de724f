"""Objects that request handlers share, passed through the application."""

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from wxcontroller.controller.account_port.eventhub import Hub
from wxcontroller.controller.account_port.longpolls import AccountShares
from wxcontroller.controller.account_port.ports import AccountPorts
from wxcontroller.controller.accounts.accountlists import KeptAnswers
from wxcontroller.controller.accounts.actions import Accounts
from wxcontroller.controller.accounts.loginlinks import LoginLinks
from wxcontroller.controller.alerts.alertwatch import AlertWatch
from wxcontroller.controller.callers.authentication import Gate
from wxcontroller.controller.portlimits import CurrentLimits
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.registry.notifytargets import NotifyTargetFile
from wxcontroller.core.text.templates import NOTHING, Text
from wxcontroller.openwx.http.admission import Admission, Resource

if TYPE_CHECKING:
    from wxcontroller.controller.hosts.otherhosts import OtherHosts


@dataclass(slots=True)
class Context:
    """The running controller.

    ``draining`` is set at shutdown: long polls are then answered immediately. ``settings_read`` is when the settings
    in use were read; ``settings_error`` says why newer ones are not in use, or "". ``tls`` serves the addresses that
    other machines reach. ``warnings`` concern access. ``fleet`` holds the other hosts, if any.
    """

    accounts: Accounts
    ports: AccountPorts
    gate: Gate
    tls: ssl.SSLContext | None = None
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    started: float = field(default_factory=time.time)
    notices: tuple[Text, ...] = ()
    settings_read: float = field(default_factory=time.time)
    settings_error: Text = NOTHING
    warnings: tuple[Text, ...] = ()
    alerts: AlertWatch | None = None
    fleet: "OtherHosts | None" = None
    hub: Hub = field(init=False)
    targets: NotifyTargetFile = field(init=False)
    admission: Admission = field(init=False)
    answers: KeptAnswers = field(init=False)
    shares: AccountShares = field(default_factory=AccountShares)
    login_links: LoginLinks = field(default_factory=LoginLinks)

    def __post_init__(self) -> None:
        self.hub = Hub(self.accounts.registry, self.ports, lambda: self.settings.limits.stream_event_bytes)
        self.targets = NotifyTargetFile(self.accounts.paths.notify_targets)
        self.admission = Admission(CurrentLimits(lambda: self.settings))
        self.answers = KeptAnswers(self.accounts.paths)

    @property
    def settings(self) -> Settings:
        return self.accounts.settings

    async def until_draining(self) -> None:
        """Wait until the controller ends."""
        await self.draining.wait()

    @property
    def readers(self) -> int:
        """The number of readers of events and journals."""
        return self.admission.taken(Resource.READERS)


CONTEXT = web.AppKey("context", Context)


def context(request: web.Request) -> Context:
    """Return the shared state of a request's handlers."""
    return request.app[CONTEXT]
