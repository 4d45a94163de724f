"""Media on the way out: uploaded once, sent as often as wanted."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, replace

from wxcontroller.core.errors import WeChatError
from wxcontroller.drivers.base import Driver, Sent, Upload, Uploaded
from wxcontroller.openwx.media import MediaFacts, media_id

# Answers that may be about the reference, and not about the target, the session or the rate (protocol 10.1).
_NO_REFERENCE = frozenset({-1, -2, 1, 1200})


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Parcel:
    """Media to send: a local ``file`` that WeChat is still to get, or content it holds already (``uploaded``).

    Both: content that was received, ``file`` for the case that WeChat does not take it by reference. ``discard``
    frees the local file; it is called when nobody needs the parcel any more. ``shown``: reports have the content.
    """

    facts: MediaFacts
    file: Upload | None = None
    uploaded: Uploaded | None = None
    discard: Callable[[], None] = _nothing
    shown: bool = False
    _users: int = 0

    async def load(self) -> None:
        """Read the content for the report; not before it is its turn, or all that wait would be in memory."""
        if self.shown and self.file is not None and not self.facts.data:
            self.facts = replace(self.facts, data=await asyncio.to_thread(_encoded, self.file))

    async def upload(self, driver: Driver) -> Uploaded:
        """Return the content at WeChat, given to it now unless it has it. Raises as Driver.upload."""
        if self.uploaded is None:
            if self.file is None:
                raise ValueError("a parcel without content")
            self.uploaded = await driver.upload(self.file)
        found = self.uploaded
        self.facts = replace(self.facts, kind=found.kind, id=media_id(found.key, found.kind))
        return found

    async def send(self, driver: Driver, target: str, client_id: str) -> Sent:
        """Send the content, given to WeChat first if need be. Raises as Driver.upload and Driver.send_media."""
        content = await self.upload(driver)
        try:
            return await driver.send_media(target, content, client_id)
        except WeChatError as problem:
            if not content.reference or self.file is None or problem.ret not in _NO_REFERENCE:
                raise
        self.uploaded = None
        return await driver.send_media(target, await self.upload(driver), client_id)

    def hold(self) -> None:
        """One more who needs the parcel."""
        self._users += 1

    def release(self) -> None:
        """One less; the last one frees the local file."""
        self._users -= 1
        if self._users <= 0:
            discard, self.discard = self.discard, _nothing
            discard()


def _encoded(file: Upload) -> str:
    """Return the content in base64, in lines of 76; "" when it can't be read any more."""
    try:
        return base64.encodebytes(file.path.read_bytes()).decode("ascii")
    except OSError:
        return ""
