"""Calls that read: people, groups, events, the process itself (openwx-api 2.3)."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from wxcontroller.client.calls import NOT_FOUND, Answer, Call, Handler, Parts, Rendered, array, long_array
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.openwx import objects

BAD_ATTRIBUTE = 102
# As in the original: the API works until then (openwx-api 2.5).
_STOP_SECONDS = 3
# Sent along by scripts, the controller and browsers; never attributes of a person.
_PASSED_OVER = frozenset({"client", "member", "_check_remote", "datatype", "callback", "token", "_"})


@dataclass(slots=True)
class Reading:
    """The calls; all of them answer in every state."""

    parts: Parts
    # The last response of get_friend_info, and the version of the roster: it is reused for programs that ask every
    # minute.
    _friends: tuple[int, Rendered] | None = None

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
        state = roster.changes
        if self._friends is None or self._friends[0] != state:
            self._friends = state, await long_array(roster.friend_objects())
        return self._friends[1]

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
        return await long_array(roster.group_objects(members=members))


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
