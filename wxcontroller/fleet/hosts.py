"""All other hosts: their states, their accounts, and the data about them that survive restarts.

For a host that is down when this controller starts, its last known accounts count: an account of the same name must
not be created here, and calls for one have to fail with the reason. So names are stored on disk.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from wxcontroller.core.config.fleetsettings import FleetSettings
from wxcontroller.core.errors import file_failed
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, kept_json, obj
from wxcontroller.core.registry.account import Account
from wxcontroller.fleet.connection import CONNECT_SECONDS
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.host import GREETING_SECONDS, AgentToken, HostRow, OtherHost, row_of

log = logging.getLogger(__name__)
# Interval of writes to disk.
_KEEP_PAUSE = 2.0
# Waits for hosts that have not sent their accounts yet: for a greeting, and for an answer.
_MEETING_SECONDS = CONNECT_SECONDS + GREETING_SECONDS + 1.0
# The stored fields of a row.
_KEPT = ("name", "instance", "driver", "desired", "epoch", "leaving")


class Hosts:
    """The other hosts of the settings, by name. ``run`` keeps them up to date."""

    def __init__(self, settings: FleetSettings, state: Path) -> None:
        """Raises BadSettings for credentials that cannot be used."""
        self.settings = settings
        self._state = state
        ordered = sorted((each for each in settings.hosts if each.url), key=lambda each: each.name)
        self._credentials = {each.name: credentials_of(each) for each in ordered}
        self.by_name = {each.name: OtherHost(each, self._credentials[each.name], settings.name) for each in ordered}
        self._kept: Mapping[str, list[JsonObject]] = {}
        self._kept_changes = self._members = -1
        self._met = False
        self._having: dict[str, tuple[OtherHost, ...]] = {}
        self._load()

    def __iter__(self) -> Iterator[OtherHost]:
        return iter(self.by_name.values())

    def is_same(self, other: "Hosts") -> bool:
        """Return whether other hosts were read from the same settings and files."""
        mine, theirs = self._credentials, other._credentials
        return self.settings == other.settings and all(mine[name].files == theirs[name].files for name in mine)

    @property
    def changes(self) -> int:
        """A number that grows with every change of any host or row."""
        return sum(host.changes for host in self)

    @property
    def name(self) -> str:
        """This host's name."""
        return self.settings.name

    async def met(self) -> None:
        """Wait until each host has reported its accounts or is known not to respond, a few seconds at most, once."""
        if not self._met:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MEETING_SECONDS):
                    for host in self:
                        await host.met.wait()
            self._met = True

    def having(self, instance: str) -> tuple[OtherHost, ...]:
        """Return the hosts that have an account, or had it when they were last reached."""
        return self._index().get(instance, ())

    def all(self) -> Mapping[str, tuple[OtherHost, ...]]:
        """Return the hosts of every account by its instance."""
        return self._index()

    def agent(self, token_id: str) -> tuple[OtherHost, AgentToken] | None:
        """Return the host that has issued an agent's token, by the token's id, and its data about the token."""
        for host in self:
            if token := host.agents.get(token_id):
                return host, token
        return None

    def keeping_down(self, account: Account) -> str:
        """Return the hosts that prevent the start of an account at boot, "" for none."""
        # An account that is leaving its host is stopped there. An older copy counts only while it runs: data about a
        # host that is down may be outdated, and a lost host still desires accounts that were adopted from it.
        return ", ".join(
            host.name
            for host, row in self._copies(account)
            if row.epoch > account.epoch
            or (row.epoch == account.epoch and row.is_wanted and not row.is_leaving)
            or (host.is_up and row.is_running)
        )

    def later(self, account: Account) -> str:
        """Return the hosts that have an account of this host in a later epoch, "" for none."""
        return ", ".join(host.name for host, row in self._copies(account) if row.epoch > account.epoch)

    def also_having(self, account: Account, stopped_too: bool = True) -> str:
        """Return the hosts that have an account of this host, too, and are not giving it away; "" for none.

        On a host that is down, an older copy does not count: the account was adopted from there. Once that host is
        back, ``stopped_too`` says whether the copy counts even while it does not run.
        """
        return ", ".join(
            host.name
            for host, row in self._copies(account)
            if not row.is_leaving and (row.epoch >= account.epoch or (host.is_up and (stopped_too or row.is_running)))
        )

    def _copies(self, account: Account) -> Iterator[tuple[OtherHost, HostRow]]:
        """Yield the hosts that have an account, not only those with the newest of their epochs, and its rows."""
        for host in self:
            if (row := host.rows.get(account.name.instance)) is not None:
                yield host, row

    async def run(self) -> None:
        """Keep all hosts up to date, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for host in self:
                _ = group.create_task(host.run(), name=f"host {host.name}")
            while True:
                await asyncio.sleep(_KEEP_PAUSE)
                await self.keep()

    async def keep(self) -> None:
        """Store which accounts the hosts have, if that has changed. Raises nothing."""
        if self.changes == self._kept_changes:
            return
        self._kept_changes = self.changes
        # For a host that was not reached since the start, the rows are those of the file.
        found = {
            host.name: [{key: row.content[key] for key in _KEPT if key in row.content} for row in host.rows.values()]
            for host in self
        }
        if found == self._kept:
            return
        hosts: dict[str, JsonValue] = {name: list(rows) for name, rows in found.items()}
        try:
            await asyncio.to_thread(replace_file, self._state, json.dumps({"hosts": hosts}).encode(), 0o600)
        except OSError as problem:
            log.warning("cannot store the accounts of other hosts: %s", file_failed(problem))
        self._kept = found

    def _load(self) -> None:
        try:
            content = kept_json(self._state.read_bytes())
        except FileNotFoundError:
            return
        except OSError as problem:
            log.warning("the accounts of other hosts are unknown until the hosts respond: %s", file_failed(problem))
            return
        for host in self:
            kept = items(field(obj(content.get("hosts")), host.name))
            rows = [row_of(json.dumps(each).encode()) for each in kept]
            host.rows = {row.name.instance: row for row in rows if row is not None}

    def _index(self) -> dict[str, tuple[OtherHost, ...]]:
        if self._members != (members := sum(host.members for host in self)):
            found: dict[str, tuple[OtherHost, ...]] = {}
            for host in self:
                for instance in host.rows:
                    found[instance] = (*found.get(instance, ()), host)
            for instance, having in found.items():
                if len(having) > 1:  # one that is being moved is on the host that it is not leaving
                    staying = tuple(h for h in having if not h.rows[instance].is_leaving) or having
                    # After an adoption, the copy on the host that was lost has an older epoch. One that runs counts
                    # all the same: a host that was taken over may claim any epoch.
                    newest = max(h.rows[instance].epoch for h in staying)
                    found[instance] = tuple(
                        h
                        for h in staying
                        if (row := h.rows[instance]).epoch == newest or (h.is_up and row.is_running)
                    )
            self._having, self._members = found, members
        return self._having
