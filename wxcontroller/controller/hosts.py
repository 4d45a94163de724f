"""Other hosts of the fleet: calls forwarded to them and by them, and answers about all hosts together.

This joins the controller with ``wxcontroller/fleet``. It is imported only while the settings have the table [fleet].

An account on this host is served here, as without a fleet. A request for another one goes to the host that has it,
with its caller's scope and accounts in a header (fleet/hop.py), and is served there or fails: no host forwards what
was forwarded to it. An account that two other hosts have is served by neither.
"""

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Mapping
from dataclasses import replace
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import web

from wxcontroller import __version__
from wxcontroller.controller.access import caller, hold_to_accounts
from wxcontroller.controller.account_port.backends import SENT_BACK
from wxcontroller.controller.account_port.client import unusable_because
from wxcontroller.controller.account_port.hub import STREAM_SILENCE_SECONDS, Subscription, event_of
from wxcontroller.controller.account_port.proxy import form_of, pass_to, sent_target
from wxcontroller.controller.admission import recognized, shown_by_head
from wxcontroller.controller.answers import with_others
from wxcontroller.controller.body import has_body, take
from wxcontroller.controller.context import Context
from wxcontroller.controller.errors import Refused, is_ilink
from wxcontroller.controller.fleetport import Fleet
from wxcontroller.controller.gate import Caller
from wxcontroller.controller.hostrows import HostRows, ShownRow
from wxcontroller.controller.ilink.calls import BODY_BYTES as AGENT_BODY_BYTES
from wxcontroller.controller.ilink.media import MEDIA_SENT_BACK, instance_in
from wxcontroller.controller.ilink.origin import HOP_ORIGIN, base_url
from wxcontroller.controller.openwx import CONTROL_FORM_BYTES, request_parameters
from wxcontroller.controller.peers import address_of
from wxcontroller.controller.tasks import first_of
from wxcontroller.controller.v1.cursor import BadCursor, Cursor, parse
from wxcontroller.core.access import CALLER_HEADER, About, Endpoint, Scope
from wxcontroller.core.account import Account
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import AccountExists, BadName, HostFailure, StaleEpoch, WrongHost, WxError
from wxcontroller.core.eventlines import events_in
from wxcontroller.core.fleetsettings import FleetSettings
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.core.messages import N_, Text
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.pace import Pace
from wxcontroller.core.paths import Paths
from wxcontroller.core.relay import Body
from wxcontroller.core.tokens import digest, token_id
from wxcontroller.fleet.connection import CONNECT_SECONDS
from wxcontroller.fleet.hop import BadCaller, HopCaller, read_caller
from wxcontroller.fleet.host import GREETING_SECONDS, HOST_ROWS_BYTES, HostState, OtherHost, parsed
from wxcontroller.fleet.hosts import Hosts
from wxcontroller.fleet.standby import StandbyState, standby_states
from wxcontroller.openwx import credentials
from wxcontroller.openwx.replies import to_bytes

log = logging.getLogger(__name__)
# Between two looks for names that two hosts have.
_LOOK_SECONDS = 1.0
# Between two looks at the standby bundles.
_STANDBY_SECONDS = 30.0
# What check_client waits for other hosts. 300 accounts take a tenth of it.
_STATES_SECONDS = 1.0
# What is waited for the accounts of hosts that have not told any yet, once: for a greeting, and for an answer.
_MEETING_SECONDS = CONNECT_SECONDS + GREETING_SECONDS + 1.0
# For the answer after the last byte of a bundle: it waits for the disk.
_BUNDLE_SECONDS = 600.0
# For all of it: as long as root's program runs that sends it.
_BUNDLE_LONGEST_SECONDS = 6 * 3600.0
_BUNDLE_ANSWER_BYTES = 64 << 10
# For a standby host to say whether it would take a bundle.
_ARRIVAL_SECONDS = 10.0
# A caller who is bound to more accounts is named with those that the host has: more have no room in a header.
_NAMED_ACCOUNTS = 200

# Calls of the old API that the controller answers itself, for one account that ``client`` names.
_OWN_CALLS = frozenset({"/openwx/start_client", "/openwx/stop_client", "/openwx/get_qrcode", "/openwx/check_client"})
# Two programs of one name would use one WeChat session: an account that another host has, too, is not started.
_STARTS = frozenset({"/openwx/start_client", "/v1/accounts/{name}/start", "/v1/accounts/{name}/restart"})
# Of a call that needs no token: nobody's.
_NO_ACCOUNTS: frozenset[str] = frozenset()


class _HostOf:
    """The host of an account as a destination."""

    def __init__(self, fleet: "OtherHosts", request: web.Request, host: OtherHost, instance: str) -> None:
        self._fleet = fleet
        self._request = request
        self._host = host
        self._instance = instance

    async def open(
        self, target: str, caller: Caller, method: str, headers: Mapping[str, str], body: Body
    ) -> aiohttp.ClientResponse:
        settings = self._fleet.shared.settings
        timeout = aiohttp.ClientTimeout(settings.ua_request_timeout, sock_read=settings.ua_inactivity_timeout)
        sent = dict(headers)
        if caller.scope is Scope.ILINK and (agent := shown_by_head(self._request)):
            sent["X-Auth-Token"] = agent  # to the host that has issued it
        hop = self._fleet.as_hop(caller, self._request, {self._instance})
        response = await self._host.open(target, hop, timeout, method, sent, body)
        if unusable := unusable_because(response.status, response.headers.get("Content-Encoding", "")):
            response.close()
            raise HostFailure(self._host.name, unusable)
        return response

    def failure_of(self, problem: Exception) -> WxError:
        return self._host.failure_of(problem)


def other_hosts(shared: Context, paths: Paths, settings: FleetSettings) -> Fleet:
    """Return the other hosts of the settings, those there are if nothing about them is new. Raises BadSettings."""
    hosts, current = Hosts(settings, paths.fleet_state), shared.fleet
    if isinstance(current, OtherHosts) and current.hosts.is_same(hosts):
        return current
    return OtherHosts(shared, hosts)


class OtherHosts:
    """The other hosts of the fleet (``controller.fleetport.Fleet``)."""

    def __init__(self, shared: Context, hosts: Hosts) -> None:
        self.shared = shared
        self.hosts = hosts
        self._rows = HostRows(hosts)
        self._met = False
        self._standbys: list[StandbyState] = []

    @property
    def name(self) -> str:
        return self.hosts.settings.name

    async def run(self) -> None:
        """Keep the hosts up to date, and what this host's accounts have to know of them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            _ = group.create_task(self.hosts.run())
            _ = group.create_task(self._watch_standbys())
            while True:
                self._look()
                await asyncio.sleep(_LOOK_SECONDS)

    async def _watch_standbys(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # whoever asks for the fleet hears of it
                await self.look_at_standbys()
            await asyncio.sleep(_STANDBY_SECONDS)

    async def met(self) -> None:
        """See ``controller.fleetport.Fleet``."""
        if not self._met:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MEETING_SECONDS):
                    for host in self.hosts:
                        await host.met.wait()
            self._met = True

    def kept_down_by(self, account: Account) -> str:
        """See ``controller.fleetport.Fleet``."""
        having = [(host, row) for host in self.hosts if (row := host.rows.get(account.name.instance)) is not None]
        # One that is leaving its host is stopped there. An older copy counts only while it runs: what is known of a
        # host that is down may be old, and a host that was lost still wants what was adopted from it.
        return ", ".join(
            host.name
            for host, row in having
            if row.epoch > account.epoch
            or (row.epoch == account.epoch and row.is_wanted and not row.is_leaving)
            or (host.is_up and row.is_running)
        )

    def _also_on(self, account: Account, stopped_too: bool = True) -> str:
        """Return the other hosts that have an account and are not giving it away.

        On a host that is down, an older copy does not count: the account was adopted from there. Once that host is
        back, ``stopped_too`` says whether the copy counts even while it does not run.
        """
        instance = account.name.instance
        return ", ".join(
            host.name
            for host in self.hosts  # not only those with the newest of their epochs
            if (row := host.rows.get(instance)) is not None
            and not row.is_leaving
            and (row.epoch >= account.epoch or (host.is_up and (stopped_too or row.is_running)))
        )

    def _look(self) -> None:
        accounts = self.shared.accounts
        accounts.host = self.name
        try:
            own = accounts.registry.all()
        except OSError:  # whoever lists the accounts says so
            return
        found = {
            instance: names
            for instance in self.hosts.all()
            if instance in own and own[instance].leaving is None and (names := self._also_on(own[instance]))
        }
        for instance in found.keys() - accounts.duplicates.keys():
            log.warning("account %s also exists on other hosts: %s", own[instance].name, found[instance])
        accounts.duplicates = found

    # -- all hosts together

    def rows(self) -> Mapping[str, ShownRow]:
        """Return the rows of accounts that other hosts have, by instance. Raises OSError."""
        return self._rows.current(self.shared.accounts.registry.all().keys())

    def want_activity(self, wanted: bool) -> None:
        """Have the rows come with the accounts' activity, for as long as somebody watches them."""
        for host in self.hosts:
            host.want(wanted)

    def unreachable(self) -> Mapping[str, Text]:
        """See ``controller.fleetport.Fleet``."""
        starting = (HostState.UP, HostState.CONNECTING)
        return {host.name: host.why for host in self.hosts if host.state not in starting}

    def own_words(self) -> JsonObject:
        """Return what this host tells another one that greets it."""
        tokens = self.shared.gate.consumers.tokens.by_id.values()
        agents: list[JsonValue] = [
            {"id": token.id, "sha256": token.sha256, "instance": instance}
            for token in tokens
            for instance in token.instances or ()
            if not token.expired(time.time())
        ]
        return {"name": self.name, "version": __version__, "agents": agents}

    def overview(self) -> JsonObject:
        """See ``controller.fleetport.Fleet``."""
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
            "standbys": [each.as_json() for each in self._standbys],
        }

    async def look_at_standbys(self) -> None:
        """See ``controller.fleetport.Fleet``."""
        wanted = {
            instance: (account.name.name, to)
            for instance, account in self.shared.accounts.registry.all().items()
            if (to := account.options.get("standby", "")) and account.leaving is None
        }
        paths = self.shared.accounts.paths
        self._standbys = [
            self._judged(each, paths) for each in await asyncio.to_thread(standby_states, paths, self.name, wanted)
        ]

    def _judged(self, bundle: StandbyState, paths: Paths) -> StandbyState:
        """Add why a bundle on this host is of no use: its host is there, and has no such account any more."""
        owner, instance = self.hosts.by_name.get(bundle.owner), _instance(bundle.account)
        if (
            bundle.to != self.name
            or owner is None
            or not (owner.is_up and owner.rows_known)
            or instance in owner.rows
        ):
            return bundle
        why = Text(
            N_("host {host} no longer has this account; if it was removed, delete {file} here"),
            host=owner.name,
            file=paths.standby_bundle(instance),
        )
        return replace(bundle, reason=why)

    def late_standbys(self) -> Mapping[str, Text]:
        """See ``controller.fleetport.Fleet``."""
        return {each.account: each.reason for each in self._standbys if each.is_stale}

    def listing(self, body: bytes, who: Caller) -> bytes:
        """Return the answer of GET /v1/accounts with the caller's accounts of other hosts added. Raises OSError."""
        own = body.removeprefix(b'{"accounts":[').removesuffix(b"]}")
        rows = [row.listed for row in self.rows().values() if who.may_see(row.instance)]
        return b'{"accounts":[%b]}' % b",".join([*([own] if own else []), *rows])

    @contextlib.asynccontextmanager
    async def feeding(
        self, request: web.Request, subscription: Subscription, accounts: Collection[str]
    ) -> AsyncIterator[None]:
        """See ``controller.fleetport.Fleet``."""
        tasks = [asyncio.create_task(self._feed(host, request, subscription, accounts)) for host in self.hosts]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(
        self, host: OtherHost, request: web.Request, subscription: Subscription, accounts: Collection[str]
    ) -> None:
        """Give a subscription the events of a host, going on where it was whenever the host is there again."""
        pauses = Backoff(0.5, 15.0)
        while True:
            if accounts and not any(self._may_have(host, each) for each in accounts):
                await asyncio.sleep(_LOOK_SECONDS)  # one may be moved there
                continue
            try:
                await self._feed_once(host, request, subscription, accounts, pauses)
            except (aiohttp.ClientError, HostFailure, BadCursor, OSError, ValueError) as problem:
                log.debug("events of host %s: %s: %s", host.name, type(problem).__name__, problem)
            await asyncio.sleep(pauses.next())

    async def _feed_once(
        self,
        host: OtherHost,
        request: web.Request,
        subscription: Subscription,
        accounts: Collection[str],
        pauses: Backoff,
    ) -> None:
        # Accounts whose events were left out because another host has them, as far as is known here. When they turn
        # out to have moved, the stream is opened again, after their last event.
        unheard: set[str] = set()

        def speaks_for(name: str) -> AccountName | None:
            found = _parsed(name)
            # A new one may not be among the host's rows yet.
            if found is None or (found.instance not in unheard and self._may_have(host, found.instance)):
                return found
            unheard.add(found.instance)
            return None

        async def others_there() -> None:
            while not any(self._may_have(host, each) for each in unheard):
                if many and host.members != members:
                    return
                await asyncio.sleep(_LOOK_SECONDS)

        who, members = caller(request), host.members
        many = who.instances is not None and len(who.instances) > _NAMED_ACCOUNTS
        hop = self.as_hop(who, request, accounts or (host.rows if many else None))
        places = {each: place for each, place in subscription.queued.items() if self._may_have(host, each)}
        stamp = subscription.stamps.get(host.name, subscription.since)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(Cursor(stamp, places))}
        # All of them: any may be moved there.
        query = urlencode({"account": ",".join(sorted(accounts)), "types": ",".join(sorted(subscription.types))})
        timeout = aiohttp.ClientTimeout(total=None, sock_read=STREAM_SILENCE_SECONDS)
        async with await host.open(f"/v1/events?{query}", hop, timeout, headers=headers) as response:
            if response.status != 200 or response.content_type != "text/event-stream":
                raise ValueError(f"it answered {response.status}")
            hearing = self._hear(host, response, subscription, speaks_for, unheard, pauses)
            await first_of(hearing, others_there())

    async def _hear(
        self,
        host: OtherHost,
        response: aiohttp.ClientResponse,
        subscription: Subscription,
        speaks_for: Callable[[str], AccountName | None],
        unheard: Collection[str],
        pauses: Backoff,
    ) -> None:
        """Give a subscription the events of a host's stream until it ends, but of accounts that are ``unheard``."""
        pace = Pace()
        async for sent in events_in(response.content, self.shared.settings.limits.stream_event_bytes):
            pauses.reset()
            if sent.type != "heartbeat":
                began = time.perf_counter()
                event = await event_of(speaks_for, sent.type, sent.data, host.name)
                await pace.after(time.perf_counter() - began)
                if event is not None and subscription.wants(event.instance):
                    await subscription.put(event)
            if sent.id:
                cursor = parse(sent.id)
                subscription.stamps[host.name] = cursor.stamp
                for instance, place in cursor.places.items():
                    if instance not in unheard and self._may_have(host, instance):
                        subscription.begin_at(instance, place)

    def _may_have(self, host: OtherHost, instance: str) -> bool:
        """Say whether an account is on no other host than this, or on its way from here."""
        own = self.shared.accounts.registry.get(instance)
        return self.hosts.having(instance) in ((), (host,)) and (own is None or own.leaving is not None)

    def keep_name_unique(self, name: AccountName) -> None:
        """See ``controller.fleetport.Fleet``."""
        if having := self.hosts.having(name.instance):
            raise AccountExists(
                N_("account {account} exists on host {hosts}"),
                N_("choose another name, or remove the account there"),
                account=name.name,
                hosts=", ".join(host.name for host in having),
            )

    def refuse_living(self, name: AccountName, epoch: int) -> None:
        """See ``controller.fleetport.Fleet``."""
        lost = (HostState.UNREACHABLE, HostState.CONNECTING)
        having = [host for host in self.hosts if name.instance in host.rows]
        if living := ", ".join(host.name for host in having if host.state not in lost):
            raise AccountExists(
                N_("host {hosts} responds and has account {account}"),
                N_("move it from there: wxctl move"),
                account=name.name,
                hosts=living,
            )
        newest = max(having, key=lambda host: host.rows[name.instance].epoch, default=None)
        if newest is not None and (known := newest.rows[name.instance].epoch) >= epoch:
            raise StaleEpoch(
                N_("host {host} has had account {account} with epoch {known}, which is later than the bundle"),
                N_("adopt it from a bundle of that host; if there is none, remove the host from [fleet.hosts]"),
                account=name.name,
                host=newest.name,
                known=known,
            )

    async def check_client(self, body: bytes, request: web.Request) -> bytes:
        """Return the answer of ``check_client`` about all accounts with those of other hosts added.

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
                row = rows.get(_instance(text(state.get("account"))))
                if row is not None and row.host == host.name and who.may_see(row.instance):
                    states.append(to_bytes(state))
        lost = [row.name for row in rows.values() if row.wanted and row.host not in answered]
        return with_others(body, states, [name for name in lost if who.may_see(_instance(name))])

    async def _states(self, host: OtherHost, who: Caller, request: web.Request) -> list[JsonObject] | None:
        """Return the STATEs of a host's accounts, None when it gives no answer."""
        if not host.is_up:
            return None
        try:
            hop = self.as_hop(who, request, host.rows)
            status, content = await host.ask("/openwx/check_client", hop, _STATES_SECONDS, HOST_ROWS_BYTES)
        except (HostFailure, BadCaller):
            return None
        return [obj(each) for each in items(content.get("client"))] if status == 200 else None

    async def pass_bundle(
        self, request: web.Request, to: str, name: AccountName, body: AsyncIterable[bytes]
    ) -> tuple[int, JsonObject]:
        """See ``controller.fleetport.Fleet``."""
        host = self._standby_host(request, to)
        target = f"/v1/standbys/{quote(name.name, safe='')}?{urlencode({'to': to})}"
        timeout = aiohttp.ClientTimeout(_BUNDLE_LONGEST_SECONDS, sock_read=_BUNDLE_SECONDS)
        hop = self.as_hop(caller(request), request)
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
        """See ``controller.fleetport.Fleet``."""
        host = self._standby_host(request, to)
        path = f"/v1/arrivals/{quote(name.name, safe='')}"
        return await host.ask(path, self.as_hop(caller(request), request), _ARRIVAL_SECONDS)

    def _standby_host(self, request: web.Request, to: str) -> OtherHost:
        """Return the host that an account's standby bundles go to. Raises WrongHost, also for a forwarded request."""
        if caller(request).hop:
            raise WrongHost(
                N_("this is host {host}, not {to}"), N_("correct the name in [fleet.hosts]"), host=self.name, to=to
            )
        host = self.hosts.by_name.get(to)
        if host is None:
            raise WrongHost(
                N_("there is no host {host} in the settings"),
                N_("correct the option standby, or add it as [fleet.hosts.{host}]"),
                host=to,
            )
        return host

    # -- calls that other hosts forward

    def hop(self, request: web.Request) -> Caller:
        """Return the caller for whom another host forwards a request. Raises Refused."""
        hop = self._hop_credential(request)
        try:
            found = read_caller(request.headers[CALLER_HEADER])
        except BadCaller:
            raise Refused(
                "not-a-hop",
                N_("the header {header} does not name a caller"),
                N_("upgrade the controller of the calling host"),
                status=400,
                header=CALLER_HEADER,
            ) from None
        if found.scope is Scope.ILINK:  # the agent's own token says who it is
            agent = self.shared.gate.recognize(request.headers.get("X-Auth-Token"), None)
            if agent is None or agent.scope is not Scope.ILINK:
                raise self.shared.gate.revoked()
            request[HOP_ORIGIN] = found.origin
            return replace(agent, hop=found.host)
        words = f"{found.words} through host {found.host}"
        accounts = _NO_ACCOUNTS if found.scope is None else found.accounts
        return Caller(words, found.scope or Scope.READ, accounts, hop.token, hop=found.host)

    def _hop_credential(self, request: web.Request) -> Caller:
        """Return who forwards a request: the holder of a token of scope fleet, or a host by its certificate."""
        gate, shown = self.shared.gate, credentials.from_headers(request.headers.get("Authorization"), None)
        if shown is None and (name := self._certified(request)):
            return Caller(f"host {name}", Scope.FLEET, hop=name)
        try:
            found = gate.recognize(shown, address_of(request)) or gate.caller(shown, address_of(request))
        except Refused as problem:
            raise not_a_hop(problem) from None
        if found.scope is not Scope.FLEET:
            raise not_a_hop(
                gate.denied(
                    found,
                    N_("forwarding calls needs a token of scope fleet"),
                    N_("create one on this host: wxctl token create NAME --scope fleet"),
                )
            )
        return found

    def _certified(self, request: web.Request) -> str:
        """Return the name of the host whose certificate the connection has shown, "" for none."""
        if not self.hosts.settings.client_ca or request.transport is None:
            return ""
        shown = request.transport.get_extra_info("peercert") or {}
        names = {value.lower() for kind, value in shown.get("subjectAltName", ()) if kind == "DNS"}
        return next((host.name for host in self.hosts if host.name.lower() in names), "")

    def as_hop(self, who: Caller, request: web.Request, accounts: Collection[str] | None = None) -> HopCaller:
        """Return for whom a request is forwarded, of ``accounts`` those that the caller is bound to; None: all."""
        agent = is_ilink(request)
        known = who.token or who.instances is None or who.scope is not Scope.READ
        scope, bound = who.scope if known else None, who.instances
        if bound is not None and accounts is not None:
            bound = bound.intersection(accounts)
        return HopCaller(self.name, scope, bound, who.words, base_url(request) if agent else "")

    # -- calls for accounts of other hosts

    def agent(self, presented: str | None) -> Caller | None:
        """Return the agent of another host whose token this is, None for any other token."""
        found = self.hosts.agent(token_id(presented)) if presented else None
        if found is None or presented is None:
            return None
        host, token = found
        if not hmac.compare_digest(digest(presented), token.sha256):
            return None
        return Caller(
            f"agent token {token.id} of host {host.name}", Scope.ILINK, frozenset({token.instance}), token.id
        )

    def destination(self, request: web.Request, given: str) -> _HostOf | None:
        """See ``controller.fleetport.Fleet``."""
        try:
            instance = self.shared.accounts.registry.resolve(given)
        except BadName:
            return None
        who = recognized(request) or caller(request)
        if who.hop:
            raise WrongHost(
                N_("host {host} does not have account {account}, and does not forward calls of other hosts"),
                N_("try again in a moment; wxctl fleet shows which host has the account"),
                host=self.name,
                account=given,
            )
        having = self.hosts.having(instance)
        if len(having) > 1:
            raise on_several(given, ", ".join(host.name for host in having))
        return _HostOf(self, request, having[0], instance) if having else None

    async def elsewhere(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse | None:
        """See ``controller.fleetport.Fleet``."""
        given = await self._account_of(request, endpoint)
        if given is None:
            return None
        starts = endpoint.path in _STARTS
        if starts:
            await self.met()
        account = self.shared.accounts.registry.find(given)
        if account is not None:
            # One that is leaving is refused with what to do about that.
            if starts and account.leaving is None and (also_on := self._also_on(account, False)):
                raise on_several(account.name.name, f"{self.name}, {also_on}")
            return None
        destination = self.destination(request, given)
        if destination is None:
            return None
        target = credentials.without_token(sent_target(request.raw_path))
        sent_back, limit = SENT_BACK, self.shared.settings.max_body
        if is_ilink(request):
            sent_back = MEDIA_SENT_BACK
            if endpoint.scope is not None:
                limit = AGENT_BODY_BYTES
        if not has_body(request):
            return await pass_to(request, destination, target, sent_back=sent_back)
        async with form_of(request, limit, endpoint.about is About.CLIENT) as spool:
            return await pass_to(request, destination, target, spool, sent_back)

    async def _account_of(self, request: web.Request, endpoint: Endpoint) -> str | None:
        """Return the one account that a request is about, None for none and for those that ``proxy`` looks for."""
        if endpoint.about is About.NAME:
            return request.match_info["name"]
        if endpoint.path in _OWN_CALLS:
            if has_body(request):
                await take(request, CONTROL_FORM_BYTES)
            given = (await request_parameters(request)).get("client")
            if given is not None:
                hold_to_accounts(request, given)
            return given
        if not is_ilink(request) or not self.shared.settings.ilink_serve:
            return None
        if endpoint.about is About.BEARER:
            return next(iter(caller(request).instances or ()), None)
        return instance_in(request) or request.match_info.get("account")


def on_several(account: str, hosts: str) -> WrongHost:
    return WrongHost(
        N_("account {account} exists on more than one host: {hosts}"),
        N_("stop and remove it on all hosts but one"),
        account=account,
        hosts=hosts,
    )


def not_a_hop(problem: Refused) -> Refused:
    """Return the refusal of a call that claims to be forwarded, so that the calling host knows what was refused."""
    status = 403 if problem.status == 401 else problem.status
    return Refused("not-a-hop", problem.text, problem.remedy_text, status=status, retry_after=problem.retry_after)


def _instance(name: str) -> str:
    """Return the instance of an account's name, "" for what is no name."""
    found = _parsed(name)
    return "" if found is None else found.instance


async def bounded_answer(content: aiohttp.StreamReader) -> bytes:
    """Return the beginning of a host's answer about a bundle; the rest of one that is too long is not waited for."""
    found = bytearray()
    async for piece in content.iter_any():
        found += piece
        if len(found) >= _BUNDLE_ANSWER_BYTES:
            break
    return bytes(found[:_BUNDLE_ANSWER_BYTES])


def _parsed(name: str) -> AccountName | None:
    try:
        return parse_name(name)
    except BadName:
        return None
