"""The single-account HTTP API (openwx-api 2), on the account's own loopback port."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from wxcontroller.client.checkevent import EventRing
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.delivery import Delivery
from wxcontroller.client.outgoing import Outgoing
from wxcontroller.client.requests import MOST_BODY, errors_as_answers, json_answer, no_foreign_pages, parameters_of
from wxcontroller.client.roster import Roster
from wxcontroller.client.session import Session
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.states import LoginState
from wxcontroller.openwx import objects, replies
from wxcontroller.openwx.statefile import ClientFacts

log = logging.getLogger(__name__)
Parameters = Mapping[str, str]
Handler = Callable[[Parameters], Awaitable[JsonValue]]

CHECK_EVENT_SECONDS = 30.0
# Shorter than the controller's request timeout (120 s), so that the caller hears it from us.
SEND_WAIT_SECONDS = 100.0
NOT_RUNNING = -3
STILL_QUEUED = -7
BAD_ATTRIBUTE = 102
# Sent along by scripts, the controller and browsers; never attributes of a person.
_PASSED_OVER = frozenset({"client", "member", "_check_remote", "datatype", "callback", "token", "_"})


@dataclass(slots=True)
class Api:
    """The endpoints. ``request_stop`` ends the process in an orderly way."""

    config: ClientConfig
    facts: ClientFacts
    session: Session
    roster: Roster
    outgoing: Outgoing
    events: EventRing
    delivery: Delivery
    request_stop: Callable[[], None]

    def application(self) -> web.Application:
        """Build the web application. Every path answers in every state, with an error where it can't serve."""
        app = web.Application(client_max_size=MOST_BODY, middlewares=[errors_as_answers, no_foreign_pages])
        endpoints: dict[str, Handler] = {
            "get_user_info": self.get_user_info,
            "get_friend_info": self.get_friend_info,
            "get_group_info": self.get_group_info,
            "get_group_basic_info": self.get_group_basic_info,
            "search_friend": self.search_friend,
            "search_group": self.search_group,
            "send_friend_message": self.send_friend_message,
            "send_group_message": self.send_group_message,
            "check_event": self.check_event,
            "get_client_info": self.get_client_info,
            "stop_client": self.stop_client,
        }
        for name, handler in endpoints.items():
            app.router.add_get(f"/openwx/{name}", _endpoint(handler))
            app.router.add_post(f"/openwx/{name}", _endpoint(handler))
        return app

    async def get_user_info(self, _: Parameters) -> JsonValue:
        return objects.user(self.roster.me) if self.roster.me else self._not_running()

    async def get_friend_info(self, _: Parameters) -> JsonValue:
        return _array(self.roster.friend_objects()) if self.roster.contacts else self._not_running()

    async def get_group_info(self, _: Parameters) -> JsonValue:
        return _array(self.roster.group_objects(members=True)) if self.roster.contacts else self._not_running()

    async def get_group_basic_info(self, _: Parameters) -> JsonValue:
        return _array(self.roster.group_objects(members=False)) if self.roster.contacts else self._not_running()

    async def search_friend(self, parameters: Parameters) -> JsonValue:
        wanted = _wanted(parameters)
        if refusal := _unknown_attribute(wanted, objects.FRIEND_ATTRIBUTES):
            return refusal
        if not self.roster.contacts:
            return self._not_running()
        found = self.roster.find_contacts(wanted)
        return _array([objects.friend(each) for each in found]) if found else replies.OBJECT_NOT_FOUND

    async def search_group(self, parameters: Parameters) -> JsonValue:
        wanted = _wanted(parameters)
        if refusal := _unknown_attribute(wanted, objects.GROUP_ATTRIBUTES):
            return refusal
        if not self.roster.contacts:
            return self._not_running()
        own = self.roster.me.id if self.roster.me else ""
        found = self.roster.find_groups(wanted)
        return _array([objects.group(each, own) for each in found]) if found else replies.OBJECT_NOT_FOUND

    async def send_friend_message(self, parameters: Parameters) -> JsonValue:
        if refusal := self._unsendable(parameters):
            return refusal
        content = parameters["content"]
        if parameters.get("id") == "@all":
            for contact in list(self.roster.contacts):
                _ = self.outgoing.put(contact, False, content)  # the reports tell how each ended
            return {"id": 0, "code": 0, "status": "request already executed"}
        keys = {key: parameters[key] for key in ("id", "account", "displayname", "markname") if key in parameters}
        found = self.roster.find_contacts(keys)
        return (
            await self._send(found[0].id, False, parameters)
            if found
            else replies.reply(replies.NOT_FOUND, "object not found", id=None)
        )

    async def send_group_message(self, parameters: Parameters) -> JsonValue:
        if refusal := self._unsendable(parameters):
            return refusal
        keys = {key: parameters[key] for key in ("id", "displayname") if key in parameters}
        found = self.roster.find_groups(keys)
        return (
            await self._send(found[0].id, True, parameters)
            if found
            else replies.reply(replies.NOT_FOUND, "object not found", id=None)
        )

    async def check_event(self, _: Parameters) -> JsonValue:
        return _array(await self.events.take(CHECK_EVENT_SECONDS))

    async def get_client_info(self, _: Parameters) -> JsonValue:
        return {
            "code": 0,
            "status": "success",
            "account": self.facts.account,
            "pid": self.facts.pid,
            "os": "linux",
            "version": self.facts.version,
            "starttime": self.facts.start_time,
            "runtime": int(time.time()) - self.facts.start_time,
            "http_debug": self.config.options["http_debug"],
            "log_level": self.config.options["log_level"],
            "log_encoding": "",
            "log_path": "",
            "state": self.session.state.word,
            "queued": len(self.outgoing),
            "events_dropped": self.events.dropped,
            "reports_waiting": self.delivery.waiting,
            "reports_delivered": self.delivery.delivered,
            "reports_refused": self.delivery.refused,
            "reports_dropped": self.delivery.dropped,
        }

    async def stop_client(self, _: Parameters) -> JsonValue:
        asyncio.get_running_loop().call_later(3, self.request_stop)
        return {
            "code": 0,
            "account": self.facts.account,
            "pid": self.facts.pid,
            "starttime": self.facts.start_time,
            "runtime": int(time.time()) - self.facts.start_time,
            "status": f"success, client({self.facts.pid}) will stop in 3 seconds",
        }

    async def _send(self, target: str, is_group: bool, parameters: Parameters) -> JsonValue:
        waiting = self.outgoing.put(target, is_group, parameters["content"])
        if parameters.get("async", "") not in ("", "0"):
            return {"code": 0, "status": "request already in execution"}
        try:
            async with asyncio.timeout(SEND_WAIT_SECONDS):
                # Shielded: the message goes out even when the caller hangs up.
                result = await asyncio.shield(waiting)
        except TimeoutError:
            return {
                "id": None,
                "code": STILL_QUEUED,
                "status": f"still queued behind {len(self.outgoing) - 1} sends, the send_message report will tell",
            }
        return {"id": result.handle, "code": result.code, "status": result.info}

    def _unsendable(self, parameters: Parameters) -> JsonObject | None:
        if any(name.startswith("media_") and value for name, value in parameters.items()):
            return {"id": None, "code": -1, "status": "this version sends text only, media_* can't be sent"}
        if not parameters.get("content"):
            return {"id": None, "code": -1, "status": "content is empty, nothing to send"}
        if self.outgoing.full:
            return {"id": None, "code": -1, "status": f"{len(self.outgoing)} sends wait already, try again later"}
        if self.session.state not in (LoginState.RUNNING, LoginState.OFFLINE) or not self.roster.contacts:
            return {"id": None, **self._not_running()}
        return None

    def _not_running(self) -> JsonObject:
        return {
            "code": NOT_RUNNING,
            "status": f"client not running: {self.session.status}",
            "state": self.session.state.word,
        }


def _endpoint(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        result = await handler(await parameters_of(request))
        return json_answer(result)

    return answer


def _array(values: list[JsonObject]) -> JsonValue:
    return list(values)


def _wanted(parameters: Parameters) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name not in _PASSED_OVER}


def _unknown_attribute(wanted: Mapping[str, str], known: frozenset[str]) -> JsonObject | None:
    for name in wanted:
        if name not in known:
            return {
                "code": BAD_ATTRIBUTE,
                "status": f"{name[:64]} is no attribute, use one of {', '.join(sorted(known))}",
            }
    return None
