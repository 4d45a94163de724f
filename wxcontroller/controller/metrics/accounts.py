"""The accounts' metric families, from the status that each account publishes: no process is asked.

Labels are an account's name and values of closed sets. Data from WeChat never becomes a label. An account has
fifteen series, and one for each kind of message that it has received or sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from wxcontroller.controller.view import View
from wxcontroller.core.jsontypes import integer
from wxcontroller.core.model import MessageKind
from wxcontroller.core.records.accounts import PublishedStatus
from wxcontroller.core.states import Desired, LoginState

_KINDS = frozenset(kind.value for kind in MessageKind)
DIRECTIONS = ("received", "sent", "sent_elsewhere")
# The path of each figure in an account's status, and its meaning.
_GAUGES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("start_time_seconds", ("start_time",), "Start time of the account's process, in seconds since 1970."),
    ("sends_waiting", ("queue", "waiting"), "Messages waiting to be sent."),
    (
        "sends_oldest_timestamp_seconds",
        ("queue", "oldest_since"),
        "Time when the oldest waiting message was queued, in seconds since 1970; 0: none.",
    ),
    ("deliveries_waiting", ("reports", "waiting"), "Reports waiting for the webhook."),
    (
        "deliveries_oldest_timestamp_seconds",
        ("reports", "oldest_since"),
        "Time when the oldest waiting report was queued, in seconds since 1970; 0: none.",
    ),
    ("deliveries_dead", ("reports", "dead"), "Dead letters."),
)
_RESULTS = (("delivered", "delivered"), ("failed", "failed"), ("dead", "refused"), ("dropped", "dropped"))


@dataclass(frozen=True, slots=True, eq=False)
class AccountFigures(Collector):
    """All accounts at one moment."""

    views: Sequence[View]

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        yield self._states()
        yield from self._present()
        named = [(view.account.name.name, view.published.status) for view in self.views if view.published]
        for metric, path, words in _GAUGES:
            gauge = GaugeMetricFamily(f"wxclient_{metric}", words, labels=("account",))
            for name, status in named:
                gauge.add_metric((name,), figure(status, path))
            yield gauge
        messages = CounterMetricFamily(
            "wxclient_messages",
            "Messages since the start of the process: received, sent, or sent elsewhere, such as on the phone.",
            labels=("account", "direction", "kind"),
        )
        for name, status in named:
            for direction in DIRECTIONS:
                counts: Mapping[str, int] = getattr(status.messages, direction, None) or {}
                for kind, count in counts.items():
                    if kind in _KINDS:
                        messages.add_metric((name, direction, kind), count)
        yield messages
        deliveries = CounterMetricFamily(
            "wxclient_deliveries",
            "Results since the start of the process: reports delivered, attempts failed, reports that became dead "
            "letters, and reports lost.",
            labels=("account", "result"),
        )
        for name, status in named:
            for result, key in _RESULTS:
                deliveries.add_metric((name, result), figure(status, ("reports", key)))
        yield deliveries

    def _states(self) -> Metric:
        states = GaugeMetricFamily(
            "wxcontroller_accounts", "Accounts by the state of their login.", labels=("state",)
        )
        for word in (*LoginState, None):
            number = sum(view.login is word for view in self.views)
            states.add_metric((word.value if word else "unknown",), number)
        return states

    def _present(self) -> Iterator[Metric]:
        """Yield what the controller knows of every account."""
        up = GaugeMetricFamily("wxclient_up", "1 if the account's process runs and reports.", labels=("account",))
        running = GaugeMetricFamily("wxclient_login_state", "1 while it is logged in.", labels=("account", "state"))
        wanted = GaugeMetricFamily("wxclient_wanted", "1 if the account should run.", labels=("account",))
        severity = GaugeMetricFamily(
            "wxclient_severity",
            "Severity of the account's condition: 0 ok, 1 notice, 2 warning, 3 error.",
            labels=("account",),
        )
        sync = GaugeMetricFamily(
            "wxclient_last_sync_timestamp_seconds",
            "Time of WeChat's last response, in seconds since 1970; 0: none yet.",
            labels=("account",),
        )
        for view in self.views:
            name = view.account.name.name
            up.add_metric((name,), view.live is not None)
            running.add_metric((name, LoginState.RUNNING.value), view.login is LoginState.RUNNING)
            wanted.add_metric((name,), view.account.desired is Desired.STARTED)
            severity.add_metric((name,), view.assessment().severity.rank)
            if view.live is not None:
                sync.add_metric((name,), integer(view.live.fields.get("last_sync_time")))
        yield from (up, running, wanted, severity, sync)


def figure(status: PublishedStatus, path: tuple[str, ...]) -> float:
    """Return a number of an account's status; 0 for null or a value that another version lacks."""
    value: Any = status
    for key in path:
        value = getattr(value, key, 0) or 0
    return float(value)
