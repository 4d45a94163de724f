"""Shares of one account's long polls: check_event, consult and streams that are passed on to it.

The account's own port cannot tell the controller's callers apart: only the controller knows the
tokens. Without shares here, one token could take all of an account's long polls, and no other caller, the hub
included, would get its events.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.openwx.http.admission import Busy, Resource

# One token at its limit leaves slots for three others, or the hub and two.
_PART = 4
_LIMIT = OPTIONS["api_long_polls_max"]


class AccountShares:
    """The share that each token has taken of each account."""

    def __init__(self) -> None:
        self._taken: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def held(self, account: Account, caller: Caller) -> Iterator[None]:
        """Count a long poll for the time of a block. Raises Busy beyond a token's share."""
        if not caller.token:
            yield
            return
        holder = account.name.instance, caller.token
        if self._taken[holder] >= max(1, int(account.options.get(_LIMIT.name, _LIMIT.default)) // _PART):
            words = N_("{count} long polls are waiting at account {account}, the share of this token")
            raise Busy(Text(words, count=self._taken[holder], account=account.name.name), Resource.LONG_POLLS)
        self._taken[holder] += 1
        try:
            yield
        finally:
            self._taken[holder] -= 1
            if not self._taken[holder]:
                del self._taken[holder]
