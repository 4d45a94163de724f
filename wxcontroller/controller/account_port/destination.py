"""Where the controller passes requests on to."""

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import aiohttp

from wxcontroller.controller.account_port.ports import PortAnswer
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.core.budget import Budget
from wxcontroller.core.errors import WxError
from wxcontroller.core.net.relay import Body
from wxcontroller.core.text.templates import Text

# An answer whose head has arrived. Reading it raises aiohttp's errors and OSError.
RelayedAnswer: TypeAlias = PortAnswer | aiohttp.ClientResponse


class Destination(Protocol):
    """The target of a forwarded request: an account's port, or another host that has the account."""

    async def open(
        self, target: str, caller: Caller, method: str, headers: Mapping[str, str], body: Body
    ) -> RelayedAnswer:
        """Send a request; return the response once its head has arrived. Raises WxError."""
        ...

    @property
    def account(self) -> str:
        """The name of the account that the request is about."""
        ...

    @property
    def budget(self) -> Budget:
        """The time and memory that reading the host's response may use."""
        ...

    def failure_of(self, problem: Exception) -> WxError:
        """Return the failure that an error while reading the response is."""
        ...

    def unusable(self, why: Text) -> WxError:
        """Return the failure that a response which must not be passed on is."""
        ...
