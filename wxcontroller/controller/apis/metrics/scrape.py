"""GET /metrics: the controller's own metrics and those of all accounts."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, Info, Metric, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from wxcontroller import __version__
from wxcontroller.controller.apis.metrics.accountmetrics import AccountFigures
from wxcontroller.controller.apis.metrics.agentmetrics import ConsumerFigures
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.edge.requestmetrics import RequestFigures
from wxcontroller.core.errors import UnitFailed
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, objects, text

if TYPE_CHECKING:
    from wxcontroller.controller.hosts.otherhosts import OtherHosts


class _Counted(Collector):
    """Publishes a count that is kept elsewhere, by the values of its labels."""

    def __init__(self, name: str, words: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], int]) -> None:
        self._name, self._words, self._labels, self._counts = name, words, labels, counts

    def collect(self) -> Iterator[Metric]:
        total = CounterMetricFamily(self._name, self._words, labels=self._labels)
        for values, number in sorted(self._counts.items()):
            total.add_metric(values, number)
        yield total


class _Hosts(Collector):
    """Publishes the states of the fleet's other hosts."""

    def __init__(self, fleet: "OtherHosts") -> None:
        self._overview = fleet.overview()

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "wxcontroller_fleet_host_up", "1 if another host of the fleet responds.", labels=("host",)
        )
        accounts = GaugeMetricFamily(
            "wxcontroller_fleet_host_accounts",
            "Accounts of another host, as last known.",
            labels=("host",),
        )
        for host in objects(self._overview["hosts"]):
            up.add_metric((text(host["name"]),), float(host["state"] == "up"))
            accounts.add_metric((text(host["name"]),), integer(host["accounts"]))
        yield up
        yield accounts
        standbys = GaugeMetricFamily(
            "wxcontroller_standby_bundle_timestamp_seconds",
            "Time when the standby bundle of an account was created, by the clock of its host; 0: never.",
            labels=("account", "host", "standby"),
        )
        stale = 0
        for each in objects(self._overview["standbys"]):
            standbys.add_metric((text(each["account"]), text(each["from"]), text(each["to"])), integer(each["at"]))
            stale += each["stale"] is True
        yield standbys
        yield GaugeMetricFamily(
            "wxcontroller_standby_bundles_stale", "Accounts whose standby bundle is too old.", value=stale
        )
        if etcd := obj(self._overview["etcd"]):
            yield from _owners(etcd)
        duplicates = len(items(self._overview["duplicates"]))
        yield GaugeMetricFamily(
            "wxcontroller_fleet_duplicates", "Account names that exist on more than one host.", value=duplicates
        )


def _owners(etcd: JsonObject) -> Iterator[Metric]:
    """Return the metrics of account owners."""
    yield GaugeMetricFamily(
        "wxcontroller_fleet_etcd_up", "1 if this host can claim accounts in etcd.", value=float(not etcd["reason"])
    )
    yield GaugeMetricFamily(
        "wxcontroller_fleet_permit_seconds",
        "Seconds for which accounts may run without another renewal of the lease.",
        value=integer(etcd["permit_seconds"]),
    )
    members = objects(etcd["members"])
    yield GaugeMetricFamily(
        "wxcontroller_fleet_etcd_members_down",
        "Members of etcd that do not respond, or cannot be used.",
        value=sum(bool(member["reason"]) for member in members),
    )
    ends = GaugeMetricFamily(
        "wxcontroller_fleet_etcd_certificate_ends",
        "Expiry of a certificate for etcd, as Unix time. of: the setting, or the URL of a member.",
        labels=("of",),
    )
    for certificate in objects(etcd["certificates"]):
        ends.add_metric((text(certificate["of"]),), integer(certificate["ends"]))
    yield ends
    owned = GaugeMetricFamily("wxcontroller_fleet_owned", "Accounts that a host owns.", labels=("host",))
    for host in objects(etcd["hosts"]):
        owned.add_metric((text(host["name"]),), integer(host["owned"]))
    yield owned
    unowned = sum(bool(obj(account)["reason"]) for account in items(etcd["accounts"]))
    yield GaugeMetricFamily(
        "wxcontroller_fleet_unowned", "Accounts that should run but have no owner.", value=unowned
    )
    held = sum(obj(account)["held"] is True for account in items(etcd["accounts"]))
    yield GaugeMetricFamily("wxcontroller_fleet_held", "Accounts of lost hosts that no host takes over.", value=held)
    takeovers = CounterMetricFamily(
        "wxcontroller_fleet_takeovers", "Accounts that this host took over from lost hosts.", labels=("result",)
    )
    for result, count in obj(etcd["takeovers"]).items():
        takeovers.add_metric((result,), integer(count))
    yield takeovers


class Figures:
    """The controller's own metrics, and their registry."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # creation times would double the lines
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("wxcontroller_build", "Version of the controller.", registry=self.registry).info(
            {"version": __version__}
        )
        self.requests = RequestFigures(self.registry)
        self.notifications: Counter[tuple[str, ...]] = Counter()  # by dialect and state
        self.registry.register(
            _Counted(
                "wxcontroller_notifications",
                "Notifications by dialect and state of the send; repeated: counted together with an identical one.",
                ("dialect", "state"),
                self.notifications,
            )
        )
        self._readers = Gauge("wxcontroller_event_readers", "Readers of /v1/events.", registry=self.registry)
        self._settings = Gauge(
            "wxcontroller_settings_refused",
            "1 if the settings on disk are invalid and the previous ones are in use.",
            registry=self.registry,
        )
        self._systemd = Gauge(
            "wxcontroller_systemd_answers",
            "1 if systemd reports the states of the accounts' units.",
            registry=self.registry,
        )

    def look(self, shared: Context, systemd: bool) -> None:
        """Update the gauges whose values come from elsewhere."""
        self._readers.set(shared.readers)
        self._settings.set(bool(shared.settings_error))
        self._systemd.set(systemd)


FIGURES = web.AppKey("figures", Figures)


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: in Prometheus' text format, or OpenMetrics if ``Accept`` requests it. While systemd does not
    respond, only with the controller's figures.
    """
    shared, figures, who = context(request), request.app[FIGURES], caller(request)
    registry = CollectorRegistry()
    registry.register(figures.registry)
    registry.register(
        _Counted(
            "wxcontroller_connections_dropped",
            "Connections dropped when too many were open. waiting: idle or unfinished; unread: with unread answers; "
            "refused: new.",
            ("reason",),
            {(why,): number for why, number in shared.admission.dropped.total.items()},
        )
    )
    if shared.fleet is not None and who.instances is None:
        registry.register(_Hosts(shared.fleet))
    try:
        views = [view for view in await shared.accounts.views() if who.may_see(view.instance)]
    except UnitFailed:
        figures.look(shared, False)
    else:
        figures.look(shared, True)
        registry.register(AccountFigures(views))
        registry.register(ConsumerFigures(views, shared.gate.consumers))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    # Of hundreds of accounts these are a megabyte: requests must not wait for it.
    body = await asyncio.to_thread(encode, registry)
    return web.Response(body=body, headers={"Content-Type": content_type})
