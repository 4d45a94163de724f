"""Which parts of an account take an event of the driver: its session, its send queue, its reports.

They decide whether queued sends are valid in a login, and whether the account may log in again after losing its
session.

The ids of recipients are valid in one login only. A login that is lost soon after the account has moved to this host
was most likely ended by its former host, which still runs it. Logging in again would end the session there, that host
would log in again, and so on.
"""

import time
from dataclasses import dataclass, field

from wxcontroller.client.incoming.arrivals import Incoming
from wxcontroller.client.login.session import Session
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.core.condition.verdict import Cause
from wxcontroller.core.model import Direction
from wxcontroller.core.states import LoginState
from wxcontroller.drivers import base

# WeChat ends the older of two sessions at its next sync on the web, and within half a minute over iLink.
CLAIM_SECONDS = 180.0


class RunningElsewhere(Exception):
    """The session was ended soon after the account moved here: its former host may still run it."""


@dataclass(frozen=True, slots=True)
class Logins:
    """Passes the driver's events on to the session, the send queue and the reports of messages."""

    session: Session
    sends: SendQueue
    incoming: Incoming
    lasting_ids: bool  # as in Capabilities: queued sends may wait for the next login
    log: EventLog
    began: float = field(default_factory=time.monotonic)

    async def handle(self, event: base.DriverEvent) -> None:
        """Take one event of the driver. Raises RunningElsewhere, for which the driver ends."""
        elsewhere = isinstance(event, base.SessionLost) and await self._is_elsewhere(event)
        if not elsewhere:
            # First the state, then the queue: "running" decides below whether sends may go out.
            await self.session.handle(event)
        match event:
            case base.SessionLost() | base.QrReady() | base.PushOffered():
                if self.lasting_ids:
                    self.sends.logged_out()
                else:
                    self.sends.over(Cause.SESSION_OVER)
            case base.MessageArrived():
                if event.message.direction is Direction.RECEIVED:
                    self.sends.heard(event.message.chat)
                await self.incoming.take(event)
            case base.ServiceState():
                self.sends.note_service(event)
            case base.Accepted() if event.way is not base.LoginWay.STORED:
                self.sends.logged_in_again()
            case _ if self.session.state is LoginState.RUNNING:
                self.sends.login(self.session.roster.login)
        if elsewhere:
            raise RunningElsewhere

    async def _is_elsewhere(self, lost: base.SessionLost) -> bool:
        recent = time.monotonic() - self.began < CLAIM_SECONDS
        taken = lost.reason in (base.LossReason.KICKED, base.LossReason.REPLACED)
        return taken and recent and await self.log.is_first_of_epoch()
