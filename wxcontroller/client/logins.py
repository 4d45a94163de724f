"""Which sends a login lets go out: whom they are for is known by ids that are those of one login only."""

from dataclasses import dataclass

from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.session import Session
from wxcontroller.core.states import LoginState
from wxcontroller.drivers import base

_OVER = "the session is over, and ids change with the next one"


@dataclass(frozen=True, slots=True)
class Logins:
    """Passes the driver's events on to the session, and tells the queue of sends what they mean for it."""

    session: Session
    sends: SendQueue
    lasting_ids: bool  # as in Capabilities: what is queued may wait for the next login

    async def handle(self, event: base.DriverEvent) -> None:
        """Take one event of the driver."""
        await self.session.handle(event)
        match event:
            case base.SessionLost() | base.QrReady() | base.PushOffered():
                if self.lasting_ids:
                    self.sends.logged_out()
                else:
                    self.sends.over(_OVER)
            case base.ServiceState():
                self.sends.note_service(event)
            case base.Accepted() if event.way is not base.LoginWay.STORED:
                self.sends.logged_in_again()
            case _ if self.session.state is LoginState.RUNNING:
                self.sends.login(self.session.roster.login)
