"""The single peer, and a login without modes."""

import asyncio
from collections.abc import Iterable

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Contact
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.base import Profile, RosterLoaded
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.web.decode import contacts
from wxcontroller.drivers.web.decode.answers import Init
from wxcontroller.drivers.web.session.consent import SWITCH, Consent
from wxcontroller.drivers.web.session.roster import FILE_HELPER


class OneMode(Consent):
    """Allows only the page's single login mode. A refusal by WeChat is final, and is not stored."""

    def __init__(self, account: str) -> None:
        super().__init__(account, False, None)

    @property
    def no_mode_left(self) -> Text:
        """See Consent."""
        return Text("WeChat does not open its File Transfer page to this account; {switch}", switch=Text(SWITCH))

    def push_mode(self, stored: bool | None) -> bool | None:
        """Return None: whether the page knows a login by consent is unknown (15.2)."""
        return None


class OnePeer:
    """The account and ``filehelper``, the only contacts; neither needs requests."""

    def __init__(self, pulse: Pulse, uin: int, emoji_names: bool) -> None:
        self._pulse = pulse
        self._uin = uin
        self._emoji_names = emoji_names
        self._me = Contact("", "")

    def begin(self, init: Init) -> None:
        """Take the account's own data from webwxinit; other people in it are ignored."""
        self._me = contacts.contact_of(init.user, self._emoji_names)

    def profile(self) -> Profile:
        """Return oneself. The login's owner lasts, and the peer with it: sends may wait for the next login."""
        return Profile(self._me, owner=str(self._uin))

    async def load(self) -> None:
        """Tell the roster."""
        await self._pulse.emit(RosterLoaded((FILE_HELPER,), ()))

    async def work(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()

    async def apply(self, changed: Iterable[JsonObject], gone: Iterable[str], profile: JsonObject) -> bool:
        """Do nothing."""
        return False

    async def identify(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Do nothing."""

    def want(self, names: Iterable[str]) -> None:
        """Do nothing."""

    async def introduce(self, names: Iterable[tuple[str, str]]) -> None:
        """Do nothing."""

    def meet(self, stranger: str, message_id: str) -> None:
        """Do nothing."""

    def avatar(self, name: str) -> str:
        """Return "": the page shows no pictures of people."""
        return ""

    group_key = met_in = avatar
