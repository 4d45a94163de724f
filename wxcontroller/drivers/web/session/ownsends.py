"""One's own messages in a sync: sent on the phone, or echoes of sends of this program (weixin-web-protocol 7.2).

Only the id distinguishes them, and this program does not know the id of a send that is under way, or whose response
was lost. Such a send is repeated with the same client id, and its response then has the id. Until then, messages to
the same chat wait. If no repetition is answered in time, the content decides: an echo that counted as received
would make a bot answer itself in an endless loop.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from wxcontroller.core.errors import WeChatError

# After its last attempt. The queue pauses between attempts for 15 s at most.
REPEATED_WITHIN = 25.0
# As long as WeChat knows a client id (9.5).
_REMEMBERED = 300.0


@dataclass(slots=True)
class _OpenSend:
    to: str
    content: str = field(repr=False)
    ended: float = math.inf  # when its last attempt ended, by the loop's time


@dataclass(slots=True)
class OwnSends:
    """Sends whose ids are not known, by client id."""

    _open: dict[str, _OpenSend] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.contextmanager
    def sending(self, client_id: str, to: str, content: str) -> Iterator[None]:
        """Send a message in the block; its id is known at the end unless the response was lost."""
        before = self._open.get(client_id)
        send = self._open[client_id] = _OpenSend(to, content)
        try:
            yield
        except WeChatError as problem:
            # A failed attempt says nothing about those before.
            if problem.unsure or before is not None:
                send.ended = time.monotonic()
            raise
        except BaseException:  # cancelled
            send.ended = time.monotonic()
            raise
        finally:
            if math.isinf(send.ended):
                self._open.pop(client_id, None)
            self._changed.set()
            self._changed = asyncio.Event()

    def awaits_id(self, chat: str) -> bool:
        """Whether the id of a send to this chat will probably be known soon."""
        now = time.monotonic()
        self._open = {key: send for key, send in self._open.items() if now - send.ended < _REMEMBERED}
        return any(send.to == chat and now - send.ended < REPEATED_WITHIN for send in self._open.values())

    async def changed(self) -> None:
        """Wait until a send has ended, or some time has passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._changed.wait()

    def took_echo(self, chat: str, content: str) -> bool:
        """Return whether a message is the echo of a send whose response was lost for good; each has one."""
        for key, send in self._open.items():
            if send.to == chat and send.content == content:
                del self._open[key]
                return True
        return False
