"""Tests whether WeChat is reachable: one request over the connection that an account uses, or would use with another
proxy.
"""

import time
from dataclasses import dataclass

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.text.templates import NOTHING, Text, text_fields
from wxcontroller.drivers.connection.timing import LineTiming
from wxcontroller.drivers.connection.transport import LineRequest, Transport

_CALL = "test"
_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Reach:
    """The result. ``status`` is the host's answer, 0 and an ``error`` without one."""

    host: str
    seconds: float
    status: int = 0
    error: Text = NOTHING
    remedy: Text = NOTHING

    def as_json(self) -> JsonObject:
        return {
            "reached": self.status > 0,
            "host": self.host,
            "status": self.status or None,
            "milliseconds": round(self.seconds * 1000),
            **text_fields(error=self.error, remedy=self.remedy),
        }


async def reach(host: str, server: str, ca_file: str, proxy: str) -> Reach:
    """Ask a host of WeChat for its first page; any answer shows that it is reached.

    ``server``, ``ca_file`` and ``proxy`` are the options of these names. Raises BadOption for an invalid one.
    """
    transport = Transport(None, LineTiming(), server=server, ca_file=ca_file, proxy=proxy)
    began = time.monotonic()
    try:
        async with transport:
            answer = await transport.send(LineRequest(_CALL, host, "/", timeout=_SECONDS))
    except WeChatError as problem:
        what = getattr(problem, "what", None) or problem.text
        return Reach(host, time.monotonic() - began, error=what, remedy=problem.remedy_text)
    return Reach(host, time.monotonic() - began, answer.status)
