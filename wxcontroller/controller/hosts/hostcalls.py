"""Calls for accounts of other hosts, in both directions.

A request for an account of another host goes there with its caller's scope and accounts in a header (fleet/hop.py),
and is served there or fails: no host forwards a forwarded request. An account that two other hosts have is
served by neither.

A credential proves a host, and the header says what that host wants: its callers may do here what the settings allow
that host, at most.
"""

import asyncio
import hmac
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from wxcontroller.controller.account_port.backends import SENT_BACK
from wxcontroller.controller.account_port.portfailures import unusable_because
from wxcontroller.controller.apis.ilink.agentcalls import BODY_BYTES as AGENT_BODY_BYTES
from wxcontroller.controller.apis.ilink.agentmedia import MEDIA_SENT_BACK, instance_in
from wxcontroller.controller.apis.v1.account.accountcalls import CONTROL_BODY_BYTES
from wxcontroller.controller.callers.authentication import Caller, Shown
from wxcontroller.controller.callers.refusals import Refused
from wxcontroller.controller.context import Context
from wxcontroller.controller.edge.authorization import caller, hold_to_accounts, sent_target
from wxcontroller.controller.edge.baseurl import base_url
from wxcontroller.controller.edge.ilinkpaths import is_ilink
from wxcontroller.controller.edge.portadmission import recognized, shown_by_head
from wxcontroller.controller.edge.requestbody import has_body, take
from wxcontroller.controller.forwarding.proxy import form_of, pass_to
from wxcontroller.controller.openwxcalls import CONTROL_FORM_BYTES, request_parameters
from wxcontroller.core.access.rights import CALLER_HEADER, LADDER, About, Endpoint, Scope
from wxcontroller.core.access.tokenfile import digest, token_id
from wxcontroller.core.config.fleetsettings import HostSettings
from wxcontroller.core.errors import BadName, HostFailure, WrongHost, WxError
from wxcontroller.core.jsontypes import JsonObject, obj, read_json, text
from wxcontroller.core.names import AccountName, name_or_none
from wxcontroller.core.net.addresses import is_within
from wxcontroller.core.net.relay import Body
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.fleet.hop import BadCaller, HopCaller, read_caller
from wxcontroller.fleet.host import OtherHost
from wxcontroller.fleet.hosts import Hosts
from wxcontroller.openwx.http import credentials

if TYPE_CHECKING:
    from wxcontroller.fleet.owners import Owners

# Calls of the old API that the controller answers itself, for one account that ``client`` names.
_OWN_CALLS = frozenset({"/openwx/start_client", "/openwx/stop_client", "/openwx/get_qrcode", "/openwx/check_client"})
# Two accounts with the same name would use one WeChat session: an account that another host also has is not started.
_STARTS = frozenset({"/openwx/start_client", "/v1/accounts/{name}/start", "/v1/accounts/{name}/restart"})
# With these, a name that is new to the fleet may begin.
_BEGINNINGS = frozenset({"/openwx/start_client", "/v1/accounts/{name}/start", "/v1/accounts"})
# The caller of a call that needs no token: it may access no account.
_NO_ACCOUNTS: frozenset[str] = frozenset()


class HostDestination:
    """The host of an account as a destination (``account_port.destination``)."""

    def __init__(self, shared: Context, own: str, request: web.Request, host: OtherHost, name: AccountName) -> None:
        self._shared = shared
        self._own = own
        self._request = request
        self._host = host
        self._instance = name.instance
        self.account = name.name
        self.budget = host.budget

    async def open(
        self, target: str, caller: Caller, method: str, headers: Mapping[str, str], body: Body
    ) -> aiohttp.ClientResponse:
        settings = self._shared.settings
        timeout = aiohttp.ClientTimeout(settings.ua_request_timeout, sock_read=settings.ua_inactivity_timeout)
        sent = dict(headers)
        if caller.scope is Scope.ILINK and (agent := shown_by_head(self._request)):
            sent["X-Auth-Token"] = agent  # to the host that has issued it
        hop = hop_caller(self._own, caller, self._request, {self._instance})
        try:
            response = await self._host.open(target, hop, timeout, method, sent, body)
        except HostFailure as problem:
            if self._host.is_up:
                raise
            raise HostFailure(self._host.name, problem.reason, account=self.account) from None
        if unusable := unusable_because(response.status, response.headers.get("Content-Encoding", "")):
            response.close()
            raise HostFailure(self._host.name, unusable)
        return response

    def failure_of(self, problem: Exception) -> WxError:
        return self._host.failure_of(problem)

    def unusable(self, why: Text) -> WxError:
        return HostFailure(self._host.name, Text(N_("account {account}: {why}"), account=self.account, why=why))


class HostCalls:
    """Forwards calls to the hosts that have the accounts, and admits calls that other hosts forward."""

    def __init__(self, shared: Context, hosts: Hosts, owners: "Owners | None" = None) -> None:
        self._shared = shared
        self._hosts = hosts
        self._owners = owners

    # -- calls that other hosts forward

    def hop(self, shown: Shown, address: object, transport: asyncio.BaseTransport | None) -> tuple[Caller, str]:
        """Return the original caller of a forwarded request, and the origin that its agent uses. Raises Refused."""
        host, token = self._calling_host(shown, address, transport)
        try:
            caller = read_caller(shown.caller)
        except BadCaller:
            raise Refused(
                "not-a-hop",
                N_("the header {header} does not name a caller"),
                N_("upgrade the controller of the calling host"),
                status=400,
                header=CALLER_HEADER,
            ) from None
        if caller.host != host.name:
            raise Refused(
                "not-a-hop",
                N_("the call is from host {host2}, and its credential is that of host {host}"),
                N_("correct the name in [fleet] on the calling host, or create a token for it on this host"),
                host=host.name,
                host2=caller.host,
            )
        if caller.scope is Scope.ILINK:  # the agent's own token identifies it
            agent = self._shared.gate.recognize(shown.x_auth_token, None)
            if agent is None or agent.scope is not Scope.ILINK:
                raise self._shared.gate.revoked()
            return replace(agent, hop=host.name), caller.origin
        # The host answers for all of its callers, whose names it may have made up.
        words = f"host {host.name} (for {caller.words})"
        allowed = host.instances
        accounts = caller.accounts
        if allowed is not None:
            accounts = allowed if accounts is None else allowed & accounts
        if caller.scope is Scope.FLEET:
            return Caller(words, Scope.FLEET, allowed, token, hop=host.name), ""
        if caller.scope is None:
            return Caller(words, Scope.READ, _NO_ACCOUNTS, token, hop=host.name), ""
        scope = min(caller.scope, host.scope, key=LADDER.index)
        return Caller(words, scope, accounts, token, hop=host.name), ""

    def _calling_host(
        self, request: Shown, address: object, transport: asyncio.BaseTransport | None
    ) -> tuple[HostSettings, str]:
        """Return the host whose credential a request shows, and the id of its token, "" for a certificate.

        A token of scope fleet is for the host that it is named after. Raises Refused.
        """
        gate = self._shared.gate
        shown, token = credentials.from_headers(request.authorization, None), ""
        name = self._certified(transport) if shown is None else ""
        if not name:
            try:
                found = gate.recognize(shown, address) or gate.caller(shown, address)
            except Refused as problem:
                raise not_a_hop(problem) from None
            if found.scope is not Scope.FLEET:
                raise not_a_hop(
                    gate.denied(
                        found,
                        N_("forwarding calls needs a token of scope fleet"),
                        N_("create one on this host: wxctl token create HOST --scope fleet"),
                    )
                )
            token = found.token
            name = gate.tokens.by_id[token].name
        host = next((host for host in self._hosts.settings.hosts if host.name == name), None)
        if host is None:
            raise Refused(
                "not-a-hop",
                N_("the token {token} has the name of no host in the settings of this host"),
                N_("name it after the calling host, and add the table [fleet.hosts.NAME] for that host"),
                token=name,
            )
        if host.sources and not is_within(address, host.sources):
            raise Refused(
                "not-a-hop",
                N_("calls of host {host} are not accepted from this address"),
                N_("correct from in [fleet.hosts.{host}]"),
                host=host.name,
            )
        return host, token

    def _certified(self, transport: asyncio.BaseTransport | None) -> str:
        """Return the name of the host whose certificate the connection has shown, "" for none."""
        if not self._hosts.settings.client_ca or transport is None:
            return ""
        shown = transport.get_extra_info("peercert") or {}
        names = {value.lower() for kind, value in shown.get("subjectAltName", ()) if kind == "DNS"}
        return next((host.name for host in self._hosts.settings.hosts if host.name.lower() in names), "")

    # -- calls for accounts of other hosts

    def agent(self, presented: str | None) -> Caller | None:
        """Return the agent of another host whose token this is, None for any other token."""
        found = self._hosts.agent(token_id(presented)) if presented else None
        if found is None or presented is None:
            return None
        host, token = found
        if not hmac.compare_digest(digest(presented), token.sha256):
            return None
        return Caller(
            f"agent token {token.id} of host {host.name}", Scope.ILINK, frozenset({token.instance}), token.id
        )

    def destination(self, request: web.Request, name_or_id: str) -> HostDestination | None:
        """Return the host of an account that is not on this one, None when no host has it.

        Raises WrongHost, HostFailure.
        """
        try:
            instance = self._shared.accounts.registry.resolve(name_or_id)
        except BadName:
            return None
        who = recognized(request) or caller(request)
        if who.hop:
            raise WrongHost(
                N_("host {host} does not have account {account}, and does not forward calls of other hosts"),
                N_("try again in a moment; wxctl fleet shows which host has the account"),
                host=self._hosts.name,
                account=name_or_id,
            )
        having = self._hosts.having(instance)
        if len(having) > 1:
            raise on_several(name_or_id, ", ".join(host.name for host in having))
        if not having:
            return None
        return HostDestination(self._shared, self._hosts.name, request, having[0], having[0].rows[instance].name)

    async def elsewhere(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse | None:
        """Return another host's response to an authorized request; None to handle it here.

        Raises WrongHost, HostFailure.
        """
        name_or_id = await self._account_of(request, endpoint)
        if name_or_id is None:
            return None
        starts = endpoint.path in _STARTS
        if starts:
            await self._hosts.met()
        account = self._shared.accounts.registry.find(name_or_id)
        if account is not None:
            # An account that is leaving is refused with a remedy. With etcd, its claim decides.
            is_asked = starts and account.leaving is None and self._owners is None
            if is_asked and (others := self._hosts.also_having(account, stopped_too=False)):
                raise on_several(account.name.name, f"{self._hosts.name}, {others}")
            return None
        if self._owners is not None and endpoint.path in _BEGINNINGS and (recognized(request) or caller(request)).hop:
            return None  # another host has placed it here
        destination = self.destination(request, name_or_id) or await self._placed(request, endpoint, name_or_id)
        if destination is None:
            return None
        target = credentials.without_token(sent_target(request))
        sent_back, limit = SENT_BACK, self._shared.settings.max_body
        if is_ilink(request):
            sent_back = MEDIA_SENT_BACK
            if endpoint.scope is not None:
                limit = AGENT_BODY_BYTES
        if not has_body(request):
            return await pass_to(request, destination, target, sent_back=sent_back)
        spool = await form_of(request, limit, endpoint.about is About.CLIENT)
        try:
            return await pass_to(request, destination, target, spool, sent_back)
        finally:
            if spool is not None:
                spool.close()

    async def _placed(self, request: web.Request, endpoint: Endpoint, name_or_id: str) -> HostDestination | None:
        """Return the host that takes an account of a new name, None for this one. Raises NoHost."""
        owners = self._owners
        name = name_or_none(name_or_id)
        if owners is None or owners.reason or endpoint.path not in _BEGINNINGS or name is None:
            return None
        from wxcontroller.fleet.placement import host_for  # a fleet without etcd loads none of it

        instance = self._shared.accounts.registry.resolve(name_or_id)
        if instance in owners.accounts:  # the start names the host that has it
            return None
        if endpoint.path in _OWN_CALLS:
            asked = (await request_parameters(request)).get("placement")
        else:
            body = await _json_body(request)
            options = obj(body.get("options")) or body  # the old form of a start has them at the top
            asked = text(options["placement"]) if "placement" in options else None
        placement = self._shared.settings.client.get("placement", "") if asked is None else asked
        reachable = {self._hosts.name, *(host.name for host in self._hosts if host.is_up)}
        chosen = self._hosts.by_name.get(host_for(name_or_id, placement, owners, reachable))
        return HostDestination(self._shared, self._hosts.name, request, chosen, name) if chosen else None

    async def _account_of(self, request: web.Request, endpoint: Endpoint) -> str | None:
        """Return the one account that a request is about, None for none and for those that ``proxy`` looks for."""
        if endpoint.about is About.NAME:
            return request.match_info["name"]
        if endpoint.path == "/v1/accounts" and request.method == "POST" and self._owners is not None:
            body = await _json_body(request)
            # A call from another host is for this one.
            return None if body.keys() & {"epoch", "arrived", "adopted"} else text(body.get("name")) or None
        if endpoint.path in _OWN_CALLS:
            if has_body(request):
                await take(request, CONTROL_FORM_BYTES)
            name_or_id = (await request_parameters(request)).get("client")
            if name_or_id is not None:
                hold_to_accounts(request, name_or_id)
            return name_or_id
        if not is_ilink(request) or not self._shared.settings.ilink_serve:
            return None
        if endpoint.about is About.BEARER:
            return next(iter(caller(request).instances or ()), None)
        return instance_in(request) or request.match_info.get("account")


async def _json_body(request: web.Request) -> JsonObject:
    """Return a body's JSON object and keep the body for other readers; an empty one for any other body."""
    try:
        return obj(read_json(await take(request, CONTROL_BODY_BYTES))) if has_body(request) else {}
    except ValueError:
        return {}


def hop_caller(own: str, who: Caller, request: web.Request, accounts: Collection[str] | None = None) -> HopCaller:
    """Return the caller for whom the host ``own`` forwards a request. Only those of the caller's accounts that are
    among ``accounts`` are named; None: all.
    """
    agent = is_ilink(request)
    is_known = who.token or who.instances is None or who.scope is not Scope.READ
    scope, bound = who.scope if is_known else None, who.instances
    if bound is not None and accounts is not None:
        bound = bound.intersection(accounts)
    return HopCaller(own, scope, bound, who.words, base_url(request) if agent else "")


def on_several(account: str, hosts: str) -> WrongHost:
    return WrongHost(
        N_("account {account} exists on more than one host: {hosts}"),
        N_("stop and remove it on all hosts but one"),
        account=account,
        hosts=hosts,
    )


def not_a_hop(problem: Refused) -> Refused:
    """Return the refusal of a call that claims to be forwarded, so that the calling host can report the reason."""
    status = 403 if problem.status == 401 else problem.status
    return Refused("not-a-hop", problem.text, problem.remedy_text, status=status, retry_after=problem.retry_after)
