"""The controller's interface to other hosts, if there are any; ``controller/hosts.py`` implements it."""

import asyncio
from collections.abc import AsyncIterable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from aiohttp import web

from wxcontroller.controller.account_port.hub import Subscription
from wxcontroller.controller.authentication import Caller
from wxcontroller.controller.ownership import Ownership
from wxcontroller.core.access import Endpoint
from wxcontroller.core.account import Account
from wxcontroller.core.budget import Budget
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.messages import Text
from wxcontroller.core.names import AccountName
from wxcontroller.core.relay import Body


class Destination(Protocol):
    """The target of a forwarded request: an account's port, or another host that has the account."""

    async def open(
        self, target: str, caller: Caller, method: str, headers: Mapping[str, str], body: Body
    ) -> aiohttp.ClientResponse:
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


@dataclass(frozen=True, slots=True)
class Shown:
    """The headers by which a host shows itself and its caller."""

    caller: str
    authorization: str | None
    x_auth_token: str | None


class FleetRow(Protocol):
    """An account of another host. ``body`` is its row with its activity, another object when it changes."""

    @property
    def instance(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def body(self) -> bytes: ...


class ForwardedCalls(Protocol):
    """Calls for accounts of other hosts, and calls that other hosts forward."""

    def hop(self, shown: Shown, address: object, transport: asyncio.BaseTransport | None) -> tuple[Caller, str]:
        """Return the original caller of a forwarded request, and the origin that its agent uses. Raises Refused."""
        ...

    def agent(self, presented: str | None) -> Caller | None:
        """Return the agent of another host whose token this is, None for any other token."""
        ...

    def destination(self, request: web.Request, name_or_id: str) -> Destination | None:
        """Return the host of an account that is not on this one, None when no host has it.

        Raises WrongHost, HostFailure.
        """
        ...

    async def elsewhere(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse | None:
        """Return another host's response to an authorized request; None to handle it here.

        Raises WrongHost, HostFailure.
        """
        ...


class Standbys(Protocol):
    """The standby bundles of this host's accounts."""

    async def pass_bundle(
        self, request: web.Request, to: str, name: AccountName, body: AsyncIterable[bytes]
    ) -> tuple[int, JsonObject]:
        """Pass a sealed account on to its standby host; return that host's answer. Raises WrongHost, HostFailure."""
        ...

    async def arrival_at(self, request: web.Request, to: str, name: AccountName) -> tuple[int, JsonObject]:
        """Ask another host about an account to be moved there; return its answer. Raises WrongHost, HostFailure."""
        ...

    async def look(self) -> None:
        """Refresh the list of standby bundles. Raises OSError."""
        ...

    def late(self) -> Mapping[str, Text]:
        """Return this host's accounts whose standby bundles are too old, with the reasons."""
        ...


class Fleet(Protocol):
    """The other hosts. ``name`` is this one's."""

    @property
    def name(self) -> str: ...

    @property
    def calls(self) -> ForwardedCalls: ...

    @property
    def standbys(self) -> Standbys: ...

    async def run(self) -> None:
        """Keep the hosts up to date, until cancelled."""
        ...

    async def met(self) -> None:
        """Wait until each host has sent its accounts or is known not to answer, a few seconds at most."""
        ...

    @property
    def ownership(self) -> Ownership | None:
        """The accounts that this host owns, None in a fleet without etcd."""
        ...

    async def may_start(self) -> None:
        """Wait until accounts can be started: as ``met``, and until they can be claimed, for however long."""
        ...

    def kept_down_by(self, account: Account) -> str:
        """Return the hosts that prevent the start of an account at boot, "" for none.

        They have it in a later epoch, as after a restored backup, or it runs there.
        """
        ...

    def rows(self) -> "Mapping[str, FleetRow]":
        """Return the accounts that other hosts have and this one has not, by instance. Raises OSError."""
        ...

    def listing(self, body: bytes, who: Caller) -> bytes:
        """Return the answer of GET /v1/accounts with the caller's accounts of other hosts added. Raises OSError."""
        ...

    async def check_client(self, request: web.Request) -> tuple[list[bytes], list[str]]:
        """Return what check_client tells of the caller's accounts of other hosts (``answers.states``)."""
        ...

    def feeding(
        self, request: web.Request, subscription: Subscription, accounts: Collection[str]
    ) -> AbstractAsyncContextManager[None]:
        """Give a subscription the events of other hosts during a block, of these accounts or, with none, of all."""
        ...

    def keep_name_unique(self, name: AccountName) -> int:
        """Return the first epoch of a new account: after those that copies of a removed one may have. Raises
        AccountExists for an account that another host has, NotClaimable while that is not known.
        """
        ...

    def rivals(self, name: AccountName) -> Mapping[str, int]:
        """Return the other hosts that may have an account, and the last known epoch of each."""
        ...

    def copies(self, name: AccountName) -> Mapping[str, int]:
        """Return the other hosts that have standby bundles of an account, as far as is known, and their epochs."""
        ...

    def down_since(self, host: str) -> int:
        """Return since when a host does not respond, 0 if it does, or for one that is not in the settings."""
        ...

    def adoption(self, name: AccountName, epoch: int, copy: Account | None = None) -> int:
        """Return the epoch in which to claim an account whose copy here would get ``epoch``: after all known ones.
        ``copy`` is an account that is registered here, None for a bundle or an export. Raises AccountExists if
        another host responds and has it, or owns it; NotClaimable while that is not known, or its host has a lease.
        """
        ...

    def unreachable(self) -> Mapping[str, Text]:
        """Return why hosts do not answer, by their names."""
        ...

    def own_words(self, who: Caller) -> JsonObject:
        """Return this host's answer to another host's greeting."""
        ...

    def overview(self) -> JsonObject:
        """Return the hosts, the accounts that more than one host has, and the standby bundles."""
        ...
