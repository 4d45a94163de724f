"""The accounts' metric families, from the status that each account publishes: no process is asked.

Labels are an account's name and values of closed sets. Data from WeChat never becomes a label. An account has
fifteen series, and one for each kind of message that it has received or sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from wxcontroller.controller.accounts.view import View
from wxcontroller.core.jsontypes import integer
from wxcontroller.core.model import MessageKind
from wxcontroller.core.records.accountrecords import MessageCounts, Queue, Reports
from wxcontroller.core.records.decoding import given
from wxcontroller.core.states import Desired, LoginState

_KINDS = frozenset(kind.value for kind in MessageKind)


@dataclass(frozen=True, slots=True, eq=False)
class AccountFigures(Collector):
    """All accounts at one moment."""

    views: Sequence[View]

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        yield self._states()
        yield from self._present()
        yield from self._published()

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
        up = gauge("up", "1 if the account's process runs and reports.")
        running = GaugeMetricFamily("wxclient_login_state", "1 while it is logged in.", labels=("account", "state"))
        wanted = gauge("wanted", "1 if the account should run.")
        severity = gauge("severity", "Severity of the account's condition: 0 ok, 1 notice, 2 warning, 3 error.")
        sync = gauge(
            "last_sync_timestamp_seconds", "Time of WeChat's last response, in seconds since 1970; 0: none yet."
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

    def _published(self) -> Iterator[Metric]:
        """Yield what accounts publish; 0 for null or a value that another version lacks."""
        start = gauge("start_time_seconds", "Start time of the account's process, in seconds since 1970.")
        sends = gauge("sends_waiting", "Messages waiting to be sent.")
        oldest_send = gauge(
            "sends_oldest_timestamp_seconds",
            "Time when the oldest waiting message was queued, in seconds since 1970; 0: none.",
        )
        waiting = gauge("deliveries_waiting", "Reports waiting for the webhook.")
        oldest = gauge(
            "deliveries_oldest_timestamp_seconds",
            "Time when the oldest waiting report was queued, in seconds since 1970; 0: none.",
        )
        dead = gauge("deliveries_dead", "Dead letters.")
        messages = CounterMetricFamily(
            "wxclient_messages",
            "Messages since the start of the process: received, sent, or sent elsewhere, such as on the phone.",
            labels=("account", "direction", "kind"),
        )
        deliveries = CounterMetricFamily(
            "wxclient_deliveries",
            "Results since the start of the process: reports delivered, attempts failed, reports that became dead "
            "letters, and reports lost.",
            labels=("account", "result"),
        )
        for view in self.views:
            if view.published is None:
                continue
            name, status = view.account.name.name, view.published.status
            queue, reports = given(status.queue, Queue()), given(status.reports, Reports())
            counts = given(status.messages, MessageCounts())
            start.add_metric((name,), given(status.start_time, 0))
            sends.add_metric((name,), given(queue.waiting, 0))
            oldest_send.add_metric((name,), given(queue.oldest_since, 0))
            waiting.add_metric((name,), given(reports.waiting, 0))
            oldest.add_metric((name,), given(reports.oldest_since, 0))
            dead.add_metric((name,), given(reports.dead, 0))
            for direction, by_kind in (
                ("received", counts.received),
                ("sent", counts.sent),
                ("sent_elsewhere", counts.sent_elsewhere),
            ):
                for kind, count in given(by_kind, {}).items():
                    if kind in _KINDS:
                        messages.add_metric((name, direction, kind), count)
            for result, number in (
                ("delivered", reports.delivered),
                ("failed", reports.failed),
                ("dead", reports.refused),
                ("dropped", reports.dropped),
            ):
                deliveries.add_metric((name, result), given(number, 0))
        yield from (start, sends, oldest_send, waiting, oldest, dead, messages, deliveries)


def gauge(metric: str, words: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"wxclient_{metric}", words, labels=("account",))
