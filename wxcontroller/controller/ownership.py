"""The accounts' interface to the owners of a fleet with etcd; ``controller/hostowners.py`` implements it.

An account runs on this host only while this host owns it. It is claimed before its unit is started for the first
time under a lease, and stays this host's when it is stopped. It is given up only when it is moved or removed.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wxcontroller.core.account import Account
from wxcontroller.core.messages import Text
from wxcontroller.core.names import AccountName


class Ownership(Protocol):
    """The accounts that this host owns. ``account`` is the account's record here, None if there is none. ``trouble``
    is why accounts cannot be claimed here, or soon can no longer be, NOTHING if they can. ``held`` are the accounts
    of lost hosts that no host takes over, with the reasons, by name; ``taken_over`` those that this host has taken
    over lately, with their hosts of before. ``members`` are those of etcd, with the reasons why they cannot be used.
    ``ending`` are the certificates for etcd that expire soon: when, by setting or URL of a member.
    """

    @property
    def trouble(self) -> Text: ...

    @property
    def members(self) -> Mapping[str, Text]: ...

    @property
    def ending(self) -> Mapping[str, int]: ...

    @property
    def held(self) -> Mapping[str, Text]: ...

    @property
    def taken_over(self) -> Mapping[str, str]: ...

    def claiming(self, name: AccountName, account: Account | None) -> AbstractAsyncContextManager[int]:
        """Claim an account, unless this host owns it, and yield its epoch; after the block its process may run.

        A block that fails leaves an account that is not here without an owner. Raises WxError when this host must not
        run it, or does not know.
        """
        ...

    def refuse_copy(self, name: AccountName, account: Account) -> None:
        """Raise WxError for an account that another host had last: what is here is an older copy."""
        ...

    def withdraw(self, instance: str) -> None:
        """Have no process of an account run that is started from now on. Raises OSError."""
        ...

    async def tell(self, name: AccountName, account: Account) -> None:
        """Tell the other hosts what is wanted of an account, if this host owns it. Raises WxError."""
        ...

    def is_here(self, instance: str) -> bool:
        """Return whether an account is on this host as far as the other hosts know, also if its files are lost."""
        ...

    async def release(self, name: AccountName, account: Account | None) -> None:
        """Release an account whose unit is dead, if this host owns it. Raises WxError."""
        ...

    async def forget(self, instance: str) -> None:
        """Forget an account that is removed, so that any host may use its name. Raises WxError."""
        ...
