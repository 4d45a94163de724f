"""Calls that read: people, groups, events, the process itself (openwx-api 2.3).

Programs ask for the lists of people and groups every minute, and seldom has anything changed. So a list is kept as
bytes while it is asked for; one that is too long for that is sent while it is rendered, and is never in memory as a
whole.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from wxcontroller.client.calls.call import NOT_FOUND, Answer, Call, Handler, Parts, Rendered, array
from wxcontroller.client.incoming.roster import Roster
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.openwx.contract import objects
from wxcontroller.openwx.contract.replies import to_bytes

BAD_ATTRIBUTE = 102
# As in the original: the API works until then (openwx-api 2.5).
_STOP_SECONDS = 3
# Sent along by scripts, the controller and browsers; never attributes of a person.
_PASSED_OVER = frozenset({"client", "member", "_check_remote", "datatype", "callback", "token", "_"})
# Of all kept lists. 150 groups of 500 have as much.
KEPT_BYTES = 16 << 20
# Programs that ask every minute are sometimes a little late.
KEPT_SECONDS = 65.0
# Rendering holds the loop up for no longer than this: 200 groups of 500 take half a second.
_PORTION_SECONDS = 0.01


@dataclass(slots=True)
class Reading:
    """The calls; all of them answer in every state."""

    parts: Parts
    _lists: "LongLists" = field(init=False)

    def __post_init__(self) -> None:
        self._lists = LongLists(self.parts.roster)

    def calls(self) -> dict[str, Handler]:
        return {
            "get_user_info": self.get_user_info,
            "get_friend_info": self.get_friend_info,
            "get_group_info": partial(self._groups, True),
            "get_group_basic_info": partial(self._groups, False),
            "search_friend": self.search_friend,
            "search_group": self.search_group,
            "check_event": self.check_event,
            "get_client_info": self.get_client_info,
            "stop_client": self.stop_client,
        }

    async def get_user_info(self, _: Call) -> Answer:
        me = self.parts.roster.me
        return {**objects.user(me), **self.parts.roster.extra} if me else self.parts.not_running()

    async def get_friend_info(self, _: Call) -> Answer:
        roster = self.parts.roster
        if not roster.contacts:
            return self.parts.not_running()
        return await self._lists.render("friends", roster.friend_objects)

    async def search_friend(self, call: Call) -> Answer:
        wanted = _wanted(call)
        if refusal := unknown_attribute(wanted, objects.FRIEND_ATTRIBUTES):
            return refusal
        if not self.parts.roster.contacts:
            return self.parts.not_running()
        contacts = self.parts.roster.find_contacts(wanted)
        return array([objects.friend(each) for each in contacts]) if contacts else NOT_FOUND

    async def search_group(self, call: Call) -> Answer:
        wanted = _wanted(call)
        if refusal := unknown_attribute(wanted, objects.GROUP_ATTRIBUTES):
            return refusal
        roster = self.parts.roster
        if not roster.contacts:
            return self.parts.not_running()
        groups = roster.find_groups(wanted)
        return array([objects.group(each, roster.own) for each in groups]) if groups else NOT_FOUND

    async def check_event(self, _: Call) -> Answer:
        return array(await self.parts.events.take(self.parts.config.limits.check_event_seconds))

    async def get_client_info(self, _: Call) -> Answer:
        facts, options = self.parts.facts, self.parts.config.options
        return {
            "code": 0,
            "status": "success",
            "account": facts.account,
            "pid": facts.pid,
            "os": "linux",
            "version": facts.version,
            "starttime": facts.start_time,
            "runtime": int(time.time()) - facts.start_time,
            "http_debug": options["http_debug"],
            "log_level": options["log_level"],
            "log_encoding": "",
            "log_path": "",
            "state": self.parts.session.state.word,
            "queued": len(self.parts.sends),
            "events_dropped": self.parts.events.dropped,
            "reports_waiting": self.parts.log.counts.waiting,
            "reports_delivered": self.parts.delivery.delivered,
            "reports_refused": self.parts.delivery.refused,
            "reports_dropped": self.parts.log.counts.dropped,
            "reports_dead": self.parts.log.counts.dead,
        }

    async def stop_client(self, _: Call) -> Answer:
        facts = self.parts.facts
        asyncio.get_running_loop().call_later(_STOP_SECONDS, self.parts.request_stop)
        return {
            "code": 0,
            "account": facts.account,
            "pid": facts.pid,
            "starttime": facts.start_time,
            "runtime": int(time.time()) - facts.start_time,
            "status": f"success, client({facts.pid}) will stop in {_STOP_SECONDS} seconds",
        }

    async def _groups(self, members: bool, _: Call) -> Answer:
        roster = self.parts.roster
        if not roster.contacts:
            return self.parts.not_running()
        return await self._lists.render(f"groups {members}", partial(roster.group_objects, members))


def _wanted(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.parameters.items() if name not in _PASSED_OVER}


def unknown_attribute(wanted: Mapping[str, str], attributes: frozenset[str]) -> JsonObject | None:
    for name in wanted:
        if name not in attributes:
            return {
                "code": BAD_ATTRIBUTE,
                "status": f"{name[:64]} is no attribute, use one of {', '.join(sorted(attributes))}",
            }
    return None


@dataclass(frozen=True, slots=True)
class _KeptList:
    version: object
    body: bytearray
    expiry: asyncio.TimerHandle


class LongLists:
    """The lists of one account by name, each valid until anything changes in ``roster``."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._kept: dict[str, _KeptList] = {}

    async def render(self, name: str, entries: Callable[[], Iterable[JsonObject]]) -> Rendered:
        """Return the list ``name``, which consists of ``entries``."""
        version = self._roster.changes, self._roster.own
        kept = self._forget(name)
        if kept is not None and kept.version == version:
            self._keep(name, kept.version, kept.body)
            return Rendered(kept.body)
        # Not joined at the end: tens of megabytes would be there twice.
        body, portions = bytearray(), _portions(entries())
        async for portion in portions:
            body += portion
            if len(body) > KEPT_BYTES:
                return Rendered(body, portions)
        self._keep(name, version, body)
        return Rendered(body)

    def _keep(self, name: str, version: object, body: bytearray) -> None:
        self._forget(name)  # of another call at the same time
        if len(body) + sum(len(other.body) for other in self._kept.values()) <= KEPT_BYTES:
            expiry = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._forget, name)
            self._kept[name] = _KeptList(version, body, expiry)

    def _forget(self, name: str) -> _KeptList | None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            kept.expiry.cancel()
        return kept


async def _portions(entries: Iterable[JsonObject]) -> AsyncIterator[bytes]:
    """Yield the JSON array of these entries, and let the event loop do other work in between."""
    portion, began = bytearray(b"["), time.monotonic()
    separator = b""
    for entry in entries:
        portion += separator + to_bytes(entry)
        separator = b","
        if time.monotonic() - began > _PORTION_SECONDS:
            yield bytes(portion)
            portion.clear()
            await asyncio.sleep(0)
            began = time.monotonic()
    yield bytes(portion) + b"]"
