"""Standby bundles between hosts: their ages, and sending one to its host."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, Mapping
from dataclasses import replace
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import web

from wxcontroller.controller.context import Context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.hosts.hostcalls import hop_caller
from wxcontroller.core.errors import WrongHost
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj
from wxcontroller.core.names import AccountName, name_or_none
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.fleet.host import OtherHost, parsed
from wxcontroller.fleet.hosts import Hosts
from wxcontroller.fleet.standby import StandbyState, standby_states

# Between two looks at the standby bundles.
_LOOK_SECONDS = 30.0
# Time for the answer after the last byte of a bundle, which waits for the disk.
_BUNDLE_SECONDS = 600.0
# Time for the whole transfer: the limit of root's program that sends it.
_BUNDLE_LONGEST_SECONDS = 6 * 3600.0
_BUNDLE_ANSWER_BYTES = 64 << 10
# The time for a standby host to answer whether it would accept a bundle.
_ARRIVAL_SECONDS = 10.0


class HostStandbys:
    """The standby bundles of this host's accounts, and those that it keeps."""

    def __init__(self, shared: Context, hosts: Hosts) -> None:
        self._shared = shared
        self._hosts = hosts
        self._states: list[StandbyState] = []
        self._made: dict[tuple[str, str, str], int] = {}

    async def run(self) -> None:
        """Look at the bundles until cancelled."""
        while True:
            with contextlib.suppress(OSError):  # a request for the fleet reports it
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Refresh the list of standby bundles. Raises OSError."""
        wanted = {
            instance: (account.name.name, to)
            for instance, account in self._shared.accounts.registry.all().items()
            if (to := account.options.get("standby", "")) and account.leaving is None
        }
        paths = self._shared.accounts.paths
        states = await asyncio.to_thread(standby_states, paths, self._hosts.name, wanted)
        self._states = [self._judged(state, paths) for state in states]
        self._made = {
            (name.instance, state.owner, state.to): state.at
            for state in states
            if (name := name_or_none(state.account)) is not None
        }

    def _judged(self, bundle: StandbyState, paths: Paths) -> StandbyState:
        """Add the reason to a bundle on this host that is useless: its host is up and no longer has the account."""
        owner, name = self._hosts.by_name.get(bundle.owner), name_or_none(bundle.account)
        if bundle.to != self._hosts.name or owner is None or name is None:
            return bundle
        if not (owner.is_up and owner.rows_known) or name.instance in owner.rows:
            return bundle
        why = Text(
            N_("host {host} no longer has this account; if it was removed, delete {file} here"),
            host=owner.name,
            file=paths.standby_bundle(name.instance),
        )
        return replace(bundle, reason=why)

    def made(self, instance: str, owner: str, to: str) -> int:
        """Return when an account's bundle from a host on another one was made (``fleet.outlook.BundleAge``)."""
        found = self._made.get((instance, owner, to))
        return (0 if self._hosts.name in (owner, to) else -1) if found is None else found

    def copies(self, account: str) -> dict[str, int]:
        """Return the hosts that have bundles of an account of this host, and the epochs of these."""
        own = (each for each in self._states if (each.account, each.owner) == (account, self._hosts.name))
        return {each.to: each.epoch for each in own if each.at}

    def late(self) -> Mapping[str, Text]:
        """Return this host's accounts whose standby bundles are too old, with the reasons."""
        return {state.account: state.reason for state in self._states if state.is_stale}

    def as_json(self) -> list[JsonValue]:
        """Return the bundles as /v1/fleet shows them."""
        return [state.as_json() for state in self._states]

    async def pass_bundle(
        self, request: web.Request, to: str, name: AccountName, body: AsyncIterable[bytes]
    ) -> tuple[int, JsonObject]:
        """Pass a sealed account on to its standby host; return that host's answer. Raises WrongHost, HostFailure."""
        host = self._standby_host(request, to)
        target = f"/v1/standbys/{quote(name.name, safe='')}?{urlencode({'to': to})}"
        timeout = aiohttp.ClientTimeout(_BUNDLE_LONGEST_SECONDS, sock_read=_BUNDLE_SECONDS)
        hop = hop_caller(self._hosts.name, caller(request), request)
        headers = {"Content-Type": "application/octet-stream"}
        try:
            async with await host.open(target, hop, timeout, "PUT", headers, body) as response:
                async with asyncio.timeout(_BUNDLE_SECONDS):
                    content = await bounded_answer(response.content)
        except (aiohttp.ClientError, OSError) as problem:
            raise host.failure_of(problem) from None
        try:
            return response.status, obj(await parsed(content))
        except ValueError:
            return response.status, {}

    async def arrival_at(self, request: web.Request, to: str, name: AccountName) -> tuple[int, JsonObject]:
        """Ask another host about an account to be moved there; return its answer. Raises WrongHost, HostFailure."""
        host = self._standby_host(request, to)
        path = f"/v1/arrivals/{quote(name.name, safe='')}"
        return await host.ask(path, hop_caller(self._hosts.name, caller(request), request), _ARRIVAL_SECONDS)

    def _standby_host(self, request: web.Request, to: str) -> OtherHost:
        """Return the host that an account's standby bundles go to. Raises WrongHost, also for a forwarded request."""
        if caller(request).hop:
            raise WrongHost(
                N_("this is host {host}, not {to}"),
                N_("correct the name in [fleet.hosts]"),
                host=self._hosts.name,
                to=to,
            )
        host = self._hosts.by_name.get(to)
        if host is None:
            raise WrongHost(
                N_("there is no host {host} in the settings"),
                N_("correct the option standby, or add it as [fleet.hosts.{host}]"),
                host=to,
            )
        return host


async def bounded_answer(content: aiohttp.StreamReader) -> bytes:
    """Return the beginning of a host's answer about a bundle; the rest of one that is too long is not waited for."""
    found = bytearray()
    async for piece in content.iter_any():
        found += piece
        if len(found) >= _BUNDLE_ANSWER_BYTES:
            break
    return bytes(found[:_BUNDLE_ANSWER_BYTES])
