"""Media on the way out: uploaded once, sent as often as wanted."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from wxcontroller.drivers.base import Driver, Upload, Uploaded
from wxcontroller.openwx.media import MediaFacts, media_id


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Parcel:
    """Media to send: a local ``file`` that WeChat is still to get, or content it holds already (``uploaded``).

    ``discard`` frees the local file; it is called when nobody needs the parcel any more.
    """

    facts: MediaFacts
    file: Upload | None = None
    uploaded: Uploaded | None = None
    discard: Callable[[], None] = _nothing
    _users: int = 0

    async def upload(self, driver: Driver) -> Uploaded:
        """Return the content at WeChat, given to it now unless it has it. Raises as Driver.upload."""
        if self.uploaded is None:
            if self.file is None:
                raise ValueError("a parcel without content")
            self.uploaded = await driver.upload(self.file)
        found = self.uploaded
        self.facts = replace(self.facts, kind=found.kind, id=media_id(found.key, found.kind))
        return found

    def hold(self) -> None:
        """One more who needs the parcel."""
        self._users += 1

    def release(self) -> None:
        """One less; the last one frees the local file."""
        self._users -= 1
        if self._users <= 0:
            discard, self.discard = self.discard, _nothing
            discard()
