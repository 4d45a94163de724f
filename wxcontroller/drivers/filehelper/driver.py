"""The filehelper route's driver: the web route's, with one peer."""

from dataclasses import replace

from wxcontroller.core.errors import Unsupported
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Message, MessageKind
from wxcontroller.core.text.templates import N_
from wxcontroller.drivers.base import Capabilities, Driver, DriverContext, Fetched, Sent, Sink, Upload, Uploaded
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.filehelper.decode import PEER, message_of
from wxcontroller.drivers.filehelper.session import OneMode, OnePeer
from wxcontroller.drivers.filehelper.wire import AGENT, HOME, FileCalls
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.drivers.web.media.uploads import LARGE, kind_of
from wxcontroller.drivers.web.session.login import Entered
from wxcontroller.drivers.web.wire.calls import WebSession
from wxcontroller.drivers.web.wire.outgoing import OutgoingMessage
from wxcontroller.drivers.web.wire.timing import DEFAULT, WebTiming


class FileHelperDriver(WebDriver):
    """One account on WeChat's File Transfer page."""

    capabilities = Capabilities(
        sends=frozenset({MessageKind.TEXT, MessageKind.IMAGE, MessageKind.FILE}),
        contacts=False,
        groups=False,
        recall=False,
        avatars=False,
        lasting_ids=True,
        # As on the web page (9.5). If this page does not know a repeated client id, a note to oneself arrives twice,
        # which is better than a lost one.
        repeat_seconds=300.0,
        oneself=PEER,
    )
    calls_of = FileCalls
    route = "filehelper"

    def __init__(self, context: DriverContext, timing: WebTiming = DEFAULT) -> None:
        """Raises BadOption for a ``ca_file`` that cannot be used."""
        agent = context.options.get("http_agent") or AGENT
        super().__init__(replace(context, options={**context.options, "http_agent": agent}), timing)

    def _home(self, context: DriverContext) -> str:
        return HOME

    def _consent_of(self, context: DriverContext) -> OneMode:
        return OneMode(context.account)

    def _roster(self, session: WebSession, pulse: Pulse) -> OnePeer:
        return OnePeer(pulse, session.uin, self._emoji_names)

    def _read(self, raw: JsonObject, me: str, emoji_names: bool) -> Message | None:
        return message_of(raw, me, emoji_names)

    async def _notify(self, entered: Entered, pulse: Pulse) -> None:
        """Do nothing: the page does not notify the phone (15.2)."""

    async def _send(self, outgoing: OutgoingMessage, to: str, client_id: str) -> Sent:
        if to != PEER:
            raise Unsupported(N_("the filehelper route sends to oneself only"), N_("send to {peer}"), peer=PEER)
        return await super()._send(outgoing, to, client_id)

    async def upload(self, file: Upload) -> Uploaded:
        """See Driver.upload. Everything except pictures is sent as a file."""
        if file.size > LARGE:
            raise Unsupported(
                N_("{file} is larger than {limit} bytes"),
                N_("the filehelper route does not accept larger files"),
                file=file.name or "the file",
                limit=LARGE,
            )
        kind, _ = kind_of(file)
        return await super().upload(file if kind is MessageKind.IMAGE else replace(file, kind=MessageKind.FILE))

    async def avatar(self, person: str, group: str, sink: Sink, limit: int) -> Fetched:
        """See Driver.avatar."""
        raise Unsupported(
            N_("the filehelper route does not support pictures of people"), N_("use an account on a route that does")
        )


def make_driver(context: DriverContext) -> Driver:
    """Return the filehelper route for an account. Raises BadOption for options that cannot work."""
    return FileHelperDriver(context)
