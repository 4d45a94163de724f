"""The event streams of other hosts, as a part of the stream that a reader of this host's /v1/events has."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from wxcontroller.controller.account_port.eventhub import (
    STREAM_SILENCE_SECONDS,
    AccountEvent,
    Subscription,
    announced,
    event_of,
)
from wxcontroller.controller.apis.v1.form.cursor import BadCursor, Cursor, parse
from wxcontroller.controller.context import Context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.hosts.hostcalls import hop_caller
from wxcontroller.controller.tasks import first_of
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import HostFailure
from wxcontroller.core.names import AccountName, name_or_none
from wxcontroller.core.net.eventlines import SentEvent, events_in
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.fleet.host import OtherHost
from wxcontroller.fleet.hosts import Hosts

log = logging.getLogger(__name__)
# Between two looks whether an account has moved to a host.
_LOOK_SECONDS = 1.0
# A caller who is bound to more accounts is named with those that the host has: more have no room in a header.
_NAMED_ACCOUNTS = 200


@dataclass(frozen=True, slots=True)
class HostStream:
    """Gives a reader's subscription the events of one host, of these ``accounts`` or, with none, of all."""

    shared: Context
    hosts: Hosts
    host: OtherHost
    request: web.Request
    subscription: Subscription
    accounts: Collection[str]
    _pauses: Backoff = field(init=False, default_factory=lambda: Backoff(0.5, 15.0))

    async def run(self) -> None:
        """Feed the subscription until cancelled, and resume where it was whenever the host is up again."""
        while True:
            if self.accounts and not any(map(self._may_have, self.accounts)):
                await asyncio.sleep(_LOOK_SECONDS)  # one may be moved there
                continue
            try:
                await self._read()
            except (aiohttp.ClientError, HostFailure, BadCursor, OSError, ValueError) as problem:
                log.debug("events of host %s: %s: %s", self.host.name, type(problem).__name__, problem)
            await asyncio.sleep(self._pauses.next())

    async def _read(self) -> None:
        """Read one stream to its end."""
        # Accounts whose events were omitted because, as far as known, another host has them. If they have moved, the
        # stream is reopened after their last event.
        unheard: set[str] = set()
        host, subscription, accounts = self.host, self.subscription, self.accounts

        def speaks_for(name: str) -> AccountName | None:
            found = name_or_none(name)
            # A new one may not be among the host's rows yet.
            if found is None or (found.instance not in unheard and self._may_have(found.instance)):
                return found
            unheard.add(found.instance)
            return None

        async def others_there() -> None:
            while not any(map(self._may_have, unheard)):
                if many and host.members != members:
                    return
                await asyncio.sleep(_LOOK_SECONDS)

        who, members = caller(self.request), host.members
        many = who.instances is not None and len(who.instances) > _NAMED_ACCOUNTS
        hop = hop_caller(self.hosts.name, who, self.request, accounts or (host.rows if many else None))
        places = {each: place for each, place in subscription.queued.items() if self._may_have(each)}
        stamp = subscription.stamps.get(host.name, subscription.since)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(Cursor(stamp, places))}
        # All of them: any may be moved there.
        query = urlencode({"account": ",".join(sorted(accounts)), "types": ",".join(sorted(subscription.types))})
        timeout = aiohttp.ClientTimeout(total=None, sock_read=STREAM_SILENCE_SECONDS)
        async with await host.open(f"/v1/events?{query}", hop, timeout, headers=headers) as response:
            if response.status != 200 or media_type(response.headers.get("Content-Type", "")) != "text/event-stream":
                raise ValueError(f"it answered {response.status}")
            await first_of(self._receive(response, speaks_for, unheard), others_there())

    async def _receive(
        self,
        response: aiohttp.ClientResponse,
        speaks_for: Callable[[str], AccountName | None],
        unheard: Collection[str],
    ) -> None:
        """Put the events of a response into the subscription, except those of accounts that are ``unheard``."""
        subscription, host = self.subscription, self.host
        limit = self.shared.settings.limits.stream_event_bytes
        async for sent in events_in(response.content, limit, host.budget):
            self._pauses.reset()
            if sent.type != "heartbeat":
                with host.budget.working():
                    event = (
                        self._announced(sent, speaks_for)
                        if sent.omitted
                        else await event_of(speaks_for, sent.type, sent.data, host.name)
                    )
                if event is not None and subscription.wants(event.instance):
                    await subscription.put(event)
            if sent.id:
                with host.budget.working():
                    cursor = parse(sent.id)
                    subscription.stamps[host.name] = cursor.stamp
                    for instance, place in cursor.places.items():
                        if instance not in unheard and self._may_have(instance):
                            subscription.begin_at(instance, place)

    def _announced(self, sent: SentEvent, speaks_for: Callable[[str], AccountName | None]) -> AccountEvent | None:
        """Return an event that is too long, without its report. Its account has the first place in the cursor."""
        places = parse(sent.id).places if sent.id else {}
        instance = next(iter(places), "")
        name = speaks_for(instance)
        if name is None or name.instance != instance:
            log.warning("an event of host %s is left out: it has %d bytes", self.host.name, sent.omitted)
            return None
        return announced(name, places[instance], sent, self.host.name)

    def _may_have(self, instance: str) -> bool:
        """Return whether an account may be on this stream's host: on no other one, or being moved there."""
        own = self.shared.accounts.registry.get(instance)
        return self.hosts.having(instance) in ((), (self.host,)) and (own is None or own.leaving is not None)
