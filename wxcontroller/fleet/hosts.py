"""All other hosts: their lives, which of them has an account, and what is kept of them over restarts.

A host that is down when this controller starts is known by what it had before: an account of its name must not be
made here meanwhile, and a call for it has to fail with the reason. So names are kept on disk.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from wxcontroller.core.errors import file_failed
from wxcontroller.core.files import replace_file
from wxcontroller.core.fleetsettings import FleetSettings
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, kept_json, obj
from wxcontroller.fleet.connection import credentials_of
from wxcontroller.fleet.host import AgentToken, OtherHost, row_of

log = logging.getLogger(__name__)
# Between two looks at what is to be kept on disk.
_KEEP_PAUSE = 2.0
# What is kept of a row.
_KEPT = ("name", "instance", "driver", "desired", "epoch", "leaving")


class Hosts:
    """The other hosts of the settings, by name. ``run`` keeps them up to date."""

    def __init__(self, settings: FleetSettings, state: Path) -> None:
        """Raises BadSettings for credentials that cannot be used."""
        self.settings = settings
        self._state = state
        ordered = sorted(settings.hosts, key=lambda each: each.name)
        self._credentials = {each.name: credentials_of(each) for each in ordered}
        self.by_name = {each.name: OtherHost(each, self._credentials[each.name], settings.name) for each in ordered}
        self._kept: Mapping[str, list[JsonObject]] = {}
        self._kept_changes = self._members = -1
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

    def having(self, instance: str) -> tuple[OtherHost, ...]:
        """Return the hosts that have an account, or had it when they were last reached."""
        return self._index().get(instance, ())

    def all(self) -> Mapping[str, tuple[OtherHost, ...]]:
        """Return the hosts of every account by its instance."""
        return self._index()

    def agent(self, token_id: str) -> tuple[OtherHost, AgentToken] | None:
        """Return the host that has issued an agent's token, by the token's id, and what it tells of the token."""
        for host in self:
            if token := host.agents.get(token_id):
                return host, token
        return None

    async def run(self) -> None:
        """Keep all hosts up to date, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for host in self:
                _ = group.create_task(host.run(), name=f"host {host.name}")
            while True:
                await asyncio.sleep(_KEEP_PAUSE)
                await self.keep()

    async def keep(self) -> None:
        """Write down which accounts the hosts have, if that has changed. Raises nothing."""
        if self.changes == self._kept_changes:
            return
        self._kept_changes = self.changes
        # Of a host that was not reached since the start the rows are those of the file.
        found = {
            host.name: [{key: row.content.get(key) for key in _KEPT} for row in host.rows.values()] for host in self
        }
        if found == self._kept:
            return
        hosts: dict[str, JsonValue] = {name: list(rows) for name, rows in found.items()}
        try:
            await asyncio.to_thread(replace_file, self._state, json.dumps({"hosts": hosts}).encode(), 0o600)
        except OSError as problem:
            log.warning("the accounts of other hosts cannot be kept: %s", file_failed(problem))
        self._kept = found

    def _load(self) -> None:
        try:
            content = kept_json(self._state.read_bytes())
        except FileNotFoundError:
            return
        except OSError as problem:
            log.warning("the accounts of other hosts are not known until they are reached: %s", file_failed(problem))
            return
        for host in self:
            rows = map(row_of, items(field(obj(content.get("hosts")), host.name)))
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
