"""Other hosts of the fleet: answers about all hosts together, and which accounts they keep from this host.

This joins the controller with ``wxcontroller/fleet``. It is imported only while the settings have the table [fleet].
Calls for accounts of other hosts are in ``hostcalls``, their events in ``hoststreams``, standby bundles in
``hoststandbys``. An account on this host is served here, as without a fleet.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from wxcontroller import __version__
from wxcontroller.controller.account_port.eventhub import Subscription
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.controller.context import Context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.hosts.hostcalls import HostCalls, hop_caller
from wxcontroller.controller.hosts.hostrows import HostRows, ShownRow
from wxcontroller.controller.hosts.hoststandbys import HostStandbys
from wxcontroller.controller.hosts.hoststreams import HostStream
from wxcontroller.core.config.fleetsettings import FleetSettings
from wxcontroller.core.errors import AccountExists, HostFailure
from wxcontroller.core.jsontypes import JsonObject, JsonValue, objects, text
from wxcontroller.core.names import AccountName, name_or_none
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.fleet.credentials import PeerCredentials, credentials_of
from wxcontroller.fleet.hop import BadCaller
from wxcontroller.fleet.host import HOST_ROWS_BYTES, HostState, OtherHost
from wxcontroller.fleet.hosts import Hosts
from wxcontroller.openwx.contract.replies import to_bytes

if TYPE_CHECKING:
    from wxcontroller.controller.hosts.hostowners import HostOwners

log = logging.getLogger(__name__)
# Between two searches for names that two hosts have.
_LOOK_SECONDS = 1.0
# How long check_client waits for other hosts. 300 accounts take a tenth of it.
_STATES_SECONDS = 1.0


def other_hosts(shared: Context, paths: Paths, settings: FleetSettings) -> "OtherHosts":
    """Return the other hosts of the settings, those there are if nothing about them is new. Raises BadSettings."""
    hosts, current = Hosts(settings, paths.fleet_state), shared.fleet
    credentials = credentials_of(settings.etcd) if settings.etcd is not None else None
    if current is not None and current.hosts.is_same(hosts):
        etcd = current.etcd
        if (etcd and etcd.files) == (credentials and credentials.files):
            return current
    return OtherHosts(shared, hosts, credentials)


class OtherHosts:
    """The other hosts of the fleet. ``ownership`` is None in a fleet without etcd."""

    def __init__(self, shared: Context, hosts: Hosts, etcd: PeerCredentials | None = None) -> None:
        self.shared = shared
        self.etcd = etcd
        self.hosts = hosts
        self.standbys = HostStandbys(shared, hosts)
        self.ownership: HostOwners | None = None
        self._rows = HostRows(hosts)
        if etcd is not None and hosts.settings.etcd is not None:
            from wxcontroller.controller.hosts import hostowners  # a fleet without etcd loads none of it

            self.ownership = owns = hostowners.HostOwners(shared, hosts, self.standbys, hosts.settings.etcd, etcd)
            self._rows = HostRows(hosts, owns.outlooks.held, lambda: owns.records.changes)
        self.calls = HostCalls(shared, hosts, self.ownership.records if self.ownership is not None else None)

    @property
    def name(self) -> str:
        return self.hosts.name

    async def run(self) -> None:
        """Keep the hosts and the list of their accounts up to date until cancelled."""
        async with asyncio.TaskGroup() as group:
            _ = group.create_task(self.hosts.run())
            _ = group.create_task(self.standbys.run())
            if self.ownership is not None:
                _ = group.create_task(self.ownership.run(), name="ownership")
            while True:
                self._look()
                await asyncio.sleep(_LOOK_SECONDS)

    async def met(self) -> None:
        """Wait until each host has sent its accounts or is known not to answer, a few seconds at most."""
        await self.hosts.met()

    async def may_start(self) -> None:
        """Wait until accounts can be started: as ``met``, and until they can be claimed, for however long."""
        await self.met()
        if self.ownership is not None:
            await self.ownership.may_claim()

    def kept_down_by(self, account: Account) -> str:
        """Return the hosts that prevent the start of an account at boot, "" for none.

        They have it in a later epoch, as after a restored backup, or it runs there.
        """
        # With etcd, its claim decides. A lost copy that is being settled elsewhere runs, and must not keep it down.
        return self.hosts.keeping_down(account) if self.ownership is None else ""

    def _look(self) -> None:
        accounts = self.shared.accounts
        accounts.host = self.name
        try:
            own = accounts.registry.all()
        except OSError:  # a request for the accounts reports it
            return
        found = {
            instance: names
            for instance in self.hosts.all()
            if instance in own and own[instance].leaving is None and (names := self.hosts.also_having(own[instance]))
        }
        for instance in found.keys() - accounts.duplicates.keys():
            log.warning("account %s also exists on other hosts: %s", own[instance].name, found[instance])
        accounts.duplicates = found

    def rows(self) -> Mapping[str, ShownRow]:
        """Return the rows of accounts that other hosts have, by instance. Raises OSError."""
        return self._rows.current(self.shared.accounts.registry.all().keys())

    def unreachable(self) -> Mapping[str, Text]:
        """Return why hosts do not answer, by their names."""
        starting = (HostState.UP, HostState.CONNECTING)
        return {host.name: host.why for host in self.hosts if host.state not in starting}

    def own_words(self, who: Caller) -> JsonObject:
        """Return this host's answer to another host's greeting."""
        tokens = self.shared.gate.consumers.tokens.by_id.values()
        agents: list[JsonValue] = [
            {"id": token.id, "sha256": token.sha256, "instance": instance}
            for token in tokens
            for instance in token.instances or ()
            if who.may_see(instance) and not token.expired(time.time())
        ]
        return {"name": self.name, "version": __version__, "agents": agents}

    def overview(self) -> JsonObject:
        """Return the hosts, the accounts that more than one host has, and the standby bundles."""
        own = self.shared.accounts.duplicates
        listed: dict[str, list[str]] = {}
        for instance, having in self.hosts.all().items():
            names = [*([self.name] if instance in own else []), *(host.name for host in having)]
            if len(names) > 1:
                listed[having[0].rows[instance].name.name] = names
        duplicates: list[JsonValue] = [{"account": name, "hosts": [*names]} for name, names in sorted(listed.items())]
        return {
            "name": self.name,
            "hosts": [host.as_json() for host in self.hosts],
            "duplicates": duplicates,
            "standbys": self.standbys.as_json(),
            "etcd": self.ownership.as_json() if self.ownership is not None else None,
        }

    def listing(self, body: bytes, who: Caller) -> bytes:
        """Return the answer of GET /v1/accounts with the caller's accounts of other hosts added. Raises OSError."""
        own = body.removeprefix(b'{"accounts":[').removesuffix(b"]}")
        rows = [row.listed for row in self.rows().values() if who.may_see(row.instance)]
        return b'{"accounts":[%b]}' % b",".join([*([own] if own else []), *rows])

    @contextlib.asynccontextmanager
    async def feeding(
        self, request: web.Request, subscription: Subscription, accounts: Collection[str]
    ) -> AsyncIterator[None]:
        """Give a subscription the events of other hosts during a block, of these accounts or, with none, of all."""
        streams = [HostStream(self.shared, self.hosts, host, request, subscription, accounts) for host in self.hosts]
        tasks = [asyncio.create_task(stream.run()) for stream in streams]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def keep_name_unique(self, name: AccountName) -> int:
        """Return the first epoch of a new account: after those that copies of a removed one may have. Raises
        AccountExists for an account that another host has, NotClaimable while that is not known.
        """
        first = 1
        if self.ownership is not None:
            self.ownership.records.require_known(name)
            if (refusal := self.ownership.records.refusal(name, 0)) is not None:
                raise refusal
            first = self.ownership.records.first_epoch(name.instance)
        if having := self.hosts.having(name.instance):
            raise AccountExists(
                N_("account {account} exists on host {hosts}"),
                N_("choose another name, or remove the account there"),
                account=name.name,
                hosts=", ".join(host.name for host in having),
            )
        return first

    def rivals(self, name: AccountName) -> Mapping[str, int]:
        """Return the other hosts that may have an account, and the last known epoch of each."""
        found = {host.name: row.epoch for host in self.hosts if (row := host.rows.get(name.instance)) is not None}
        record = self.ownership.records.accounts.get(name.instance) if self.ownership is not None else None
        if record is not None and record.host == self.name:  # others have had it before
            found = {host: epoch for host, epoch in found.items() if epoch > record.epoch}
        elif record is not None:
            found[record.host] = max(record.epoch, found.get(record.host, 0))
        return found

    def copies(self, name: AccountName) -> Mapping[str, int]:
        """Return the other hosts that have standby bundles of an account, as far as is known, and their epochs."""
        record = self.ownership.records.accounts.get(name.instance) if self.ownership is not None else None
        return {host: epoch for host, epoch in record.copies.items() if host != self.name} if record else {}

    def down_since(self, host: str) -> int:
        """Return since when a host does not respond, 0 if it does, or for one that is not in the settings."""
        found = self.hosts.by_name.get(host)
        return found.since if found is not None and not found.is_up else 0

    def _lacks(self, host: OtherHost | None, name: AccountName) -> bool:
        """Return whether a host responds and does not have an account."""
        return host is not None and host.is_up and host.rows_known and name.instance not in host.rows

    def adoption(self, name: AccountName, epoch: int, copy: Account | None = None) -> int:
        """Return the epoch in which to claim an account whose copy here would get ``epoch``: after all known ones.
        ``copy`` is an account that is registered here, None for a bundle or an export. Raises AccountExists if
        another host responds and has it, or owns it; NotClaimable while that is not known, or its host has a lease.
        """
        lost = (HostState.UNREACHABLE, HostState.CONNECTING)
        having = [host for host in self.hosts if name.instance in host.rows]
        record = self.ownership.records.owner(name.instance) if self.ownership is not None else None
        if copy is not None and record is not None and record.host == self.name:
            raise AccountExists(
                N_("account {account} runs on this host"),
                N_("see: {command}"),
                account=name.name,
                command=command("status", name.name),
            )
        if copy is not None and copy.leaving is not None:
            target = self.hosts.by_name.get(copy.leaving.to)
            if target is not None and target.state not in lost and not self._lacks(target, name):
                raise copy.leaving.refused(name.name)
        if copy is not None:  # one that was lost before, and has an older copy, does not count
            having = [
                host for host in having if (row := host.rows[name.instance]).is_running or row.epoch >= copy.epoch
            ]
        if self.ownership is not None and self.ownership.records.takes_over(name.instance):
            return max(
                epoch, self.ownership.records.adoption(name)
            )  # its lease has ended, whether it responds or not
        if living := ", ".join(host.name for host in having if host.state not in lost):
            raise AccountExists(
                N_("host {hosts} responds and has account {account}"),
                N_("use it there, or move it: {command}"),
                account=name.name,
                hosts=living,
                command=command("move", name.name, self.name),
            )
        latest = max(self.rivals(name).values(), default=0)
        if self.ownership is None:
            return max(epoch, latest + 1)
        # With etcd, no host must run it, and each start has raised its epoch.
        records = self.ownership.records
        last, is_open = records.accounts.get(name.instance), records.open_takeover(name.instance) is not None
        is_lost = last is not None and not is_open and self._lacks(self.hosts.by_name.get(last.host), name)
        return max(epoch, latest + 1, records.adoption(name, last.host if last is not None and is_lost else ""))

    async def check_client(self, request: web.Request) -> tuple[list[bytes], list[str]]:
        """Return the STATEs of the caller's accounts of other hosts, and the names of unreadable ones.

        Accounts that should run on a host that does not answer in time are unreadable.
        """
        who, rows, hosts = caller(request), self.rows(), list(self.hosts)
        answers = await asyncio.gather(*(self._states(host, who, request) for host in hosts))
        states: list[bytes] = []
        answered: set[str] = set()
        for host, found in zip(hosts, answers, strict=True):
            if found is None:
                continue
            answered.add(host.name)
            for state in found:
                name = name_or_none(text(state.get("account")))
                row = rows.get(name.instance) if name is not None else None
                # A host speaks only for the accounts that it is known to have. It leaves out those of other callers.
                if row is not None and row.host == host.name:
                    states.append(to_bytes(state))
        lost = [row for row in rows.values() if row.wanted and row.host not in answered]
        return states, [row.name for row in lost if who.may_see(row.instance)]

    async def _states(self, host: OtherHost, who: Caller, request: web.Request) -> list[JsonObject] | None:
        """Return the STATEs of a host's accounts, None when it gives no answer."""
        if not host.is_up:
            return None
        try:
            hop = hop_caller(self.name, who, request, host.rows)
            status, content = await host.ask("/openwx/check_client", hop, _STATES_SECONDS, HOST_ROWS_BYTES)
        except (HostFailure, BadCaller):
            return None
        return objects(content.get("client")) if status == 200 else None
