"""/v1/fleet: the other hosts whose accounts are shown here, and this host's answers to them."""

from aiohttp import web

from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.callers.refusals import NotServed
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import About, Scope
from wxcontroller.core.errors import file_failed
from wxcontroller.core.states import TakeoverPolicy
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract.describing import SWITCH, TEXT, WHOLE, listing, maybe, record, texts, word

_STATES = ("connecting", "up", "unreachable", "refused")
_HOST = record(
    {
        **{"name": TEXT, "url": TEXT, "state": word(*_STATES), "version": maybe(TEXT)},
        **texts("reason"),
        "since": (WHOLE, "when it came into this state"),
        "accounts": (WHOLE, "how many it has, or had when it was last reached"),
    }
)
_DUPLICATE = record({"account": TEXT, "hosts": listing(TEXT)})
_STANDBY = record(
    {
        **dict.fromkeys(("account", "from", "to"), TEXT),
        "epoch": WHOLE,
        "at": (maybe(WHOLE), "when the bundle was made, by the clock of its host; null: none yet"),
        "bytes": WHOLE,
        "stale": (SWITCH, "the account has been newer than its bundle for half an hour"),
        **texts("reason"),
    }
)
_LEASED = record(
    {
        **{"name": TEXT, "version": maybe(TEXT), "labels": listing(TEXT)},
        "egress": (maybe(TEXT), "hosts with the same one reach WeChat from the same address"),
        "capacity": (maybe(WHOLE), "how many accounts it takes"),
        "owned": (WHOLE, "how many accounts it owns"),
    }
)
_OWNED = record(
    {
        **{"account": TEXT, "host": (TEXT, "the host that owns it, or had it last")},
        **{"owned": SWITCH, "epoch": WHOLE, "desired": TEXT},
        **texts("reason"),
        "policy": (word(*TakeoverPolicy), "its option takeover"),
        "taker": (maybe(TEXT), "the host that takes it over when its host is lost; null: it is held"),
        "bundle_at": (maybe(WHOLE), "when its standby bundle was made; null: not known on this host"),
        **texts("outlook"),
        "held": (SWITCH, "its host is lost, and no host takes it over"),
        "taken_from": (maybe(TEXT), "the lost host from which it was taken over; null: not lately"),
        "taken_at": maybe(WHOLE),
    }
)
_ETCD = record(
    {
        **texts("reason"),
        "members": (
            listing(
                record(
                    {
                        "url": TEXT,
                        "leader": SWITCH,
                        "behind": (maybe(WHOLE), "entries of the log that it has not applied yet; null: no response"),
                        **texts(reason="why it cannot be used"),
                    }
                )
            ),
            "those of etcd in the settings",
        ),
        "quorum": (WHOLE, "how many of them have to be usable"),
        "certificates": (
            listing(
                record(
                    {
                        "of": (TEXT, "the setting, or the URL of a member"),
                        "ends": (WHOLE, "when it expires, as Unix time"),
                        "ending": (SWITCH, "it expires in less than 30 days"),
                    }
                )
            ),
            "those for etcd, as far as this host sees them",
        ),
        "permit_seconds": (maybe(WHOLE), "how long accounts run here without another renewal"),
        **{"hosts": listing(_LEASED), "accounts": listing(_OWNED)},
        "takeovers": (record({"done": WHOLE, "failed": WHOLE}), "by this host since its controller began"),
    }
)
_AGENT = record(dict.fromkeys(("id", "sha256", "instance"), TEXT))
CALLS = Calls()


@CALLS.route(
    "GET fleet",
    Scope.READ,
    "the other hosts, accounts that exist on more than one host, standby bundles, and owners in etcd",
    record(
        {
            "name": maybe(TEXT),
            "hosts": listing(_HOST),
            "duplicates": listing(_DUPLICATE),
            "standbys": listing(_STANDBY),
            "etcd": (maybe(_ETCD), "owners of accounts; null in a fleet without etcd"),
        }
    ),
    about=About.MACHINE,
)
async def fleet(request: web.Request) -> web.Response:
    """GET /v1/fleet: ``name`` is null without a fleet."""
    hosts = context(request).fleet
    if hosts is None:
        return json_response({"name": None, "hosts": [], "duplicates": [], "standbys": [], "etcd": None})
    try:
        await hosts.standbys.look()
    except OSError as problem:
        raise file_failed(problem) from None
    return json_response(hosts.overview())


@CALLS.route(
    "GET fleet/self",
    Scope.FLEET,
    "data about this host for other hosts; for tokens of scope fleet",
    record({"name": TEXT, "version": TEXT, "agents": listing(_AGENT)}),
    (409,),
)
async def own_words(request: web.Request) -> web.Response:
    """GET /v1/fleet/self: for other hosts, which forward calls only to one that answers this."""
    hosts = context(request).fleet
    if hosts is None:
        raise NotServed(N_("this host is not part of a fleet"), N_("add the table [fleet] to its settings"))
    return json_response(hosts.own_words(caller(request)))
