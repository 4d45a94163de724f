"""The accounts' metric families, from their own answers at /v1/status.

Labels are an account's name and values of closed sets. Data from WeChat never becomes a label.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from wxcontroller.controller.account_port.status import Answer
from wxcontroller.controller.view import View
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer
from wxcontroller.core.model import MessageKind
from wxcontroller.core.states import Desired, LoginState

_Statuses: TypeAlias = Sequence[tuple[str, JsonObject]]  # with the account's name
DIRECTIONS = ("received", "sent", "sent_elsewhere")
# The path of each figure in an account's status, and its meaning.
_GAUGES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("start_time_seconds", ("start_time",), "Start time of the account's process, in seconds since 1970."),
    ("memory_bytes", ("memory",), "Private memory of the account's process."),
    (
        "last_sync_timestamp_seconds",
        ("last_sync_time",),
        "Time of WeChat's last response, in seconds since 1970; 0: none yet.",
    ),
    ("sends_waiting", ("queue", "waiting"), "Messages waiting to be sent."),
    (
        "sends_oldest_timestamp_seconds",
        ("queue", "oldest_since"),
        "Time when the oldest waiting message was queued, in seconds since 1970; 0: none.",
    ),
    ("sends_held", ("sending", "held"), "Messages held until the person writes."),
    ("deliveries_waiting", ("reports", "waiting"), "Reports waiting for the webhook."),
    (
        "deliveries_oldest_timestamp_seconds",
        ("reports", "oldest_since"),
        "Time when the oldest waiting report was queued, in seconds since 1970; 0: none.",
    ),
    ("deliveries_retrying", ("reports", "retrying"), "Of these, reports in the retry lane."),
    ("deliveries_dead", ("reports", "dead"), "Dead letters."),
    ("event_log_bytes", ("reports", "bytes"), "Size of the account's event log."),
    ("media_bytes", ("media", "bytes"), "Size of the account's media files."),
    ("contacts", ("roster", "contacts"), "Known contacts."),
    ("groups", ("roster", "groups"), "Known groups."),
)
_RESULTS = (("delivered", "delivered"), ("failed", "failed"), ("dead", "refused"), ("dropped", "dropped"))


@dataclass(frozen=True, slots=True, eq=False)
class AccountFigures(Collector):
    """All accounts at one moment: ``views`` of all, and by instance the status of those that run."""

    views: Sequence[View]
    answers: Mapping[str, Answer]

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families. Every value of every label is present, including zeros."""
        yield from self._states()
        statuses = {instance: answer.content for instance, answer in self.answers.items() if answer.content}
        up = GaugeMetricFamily("wxclient_up", "1 if the account's process responds.", labels=("account",))
        for view in self.views:
            up.add_metric((_name(view),), view.instance in statuses)
        yield up
        yield from self._figures(
            [(_name(view), statuses[each]) for view in self.views if (each := view.instance) in statuses]
        )

    def _states(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "wxcontroller_accounts", "Accounts by the state of their login.", labels=("state",)
        )
        state = GaugeMetricFamily(
            "wxclient_login_state", "1 for the current login state.", labels=("account", "state")
        )
        words = [*(each.value for each in LoginState), "unknown"]
        of = {view.instance: view.login.value if view.login else "unknown" for view in self.views}
        for word in words:
            states.add_metric((word,), sum(each == word for each in of.values()))
        for view in self.views:
            for word in words:
                state.add_metric((_name(view), word), of[view.instance] == word)
        yield states
        yield state
        wanted = GaugeMetricFamily("wxclient_wanted", "1 if the account should run.", labels=("account",))
        for view in self.views:
            wanted.add_metric((_name(view),), view.account.desired is Desired.STARTED)
        yield wanted
        severity = GaugeMetricFamily(
            "wxclient_severity",
            "Severity of the account's condition: 0 ok, 1 notice, 2 warning, 3 error.",
            labels=("account",),
        )
        for view in self.views:
            severity.add_metric((_name(view),), view.assessment().severity.rank)
        yield severity

    @staticmethod
    def _figures(answering: _Statuses) -> Iterator[Metric]:
        for metric, path, words in _GAUGES:
            gauge = GaugeMetricFamily(f"wxclient_{metric}", words, labels=("account",))
            for name, status in answering:
                gauge.add_metric((name,), figure(status, path))
            yield gauge
        # On routes with a reply window only. Never by person: ids must not become labels.
        windows = [(name, status) for name, status in answering if field(status, "sending")]
        left = GaugeMetricFamily(
            "wxclient_window_sends_left",
            "Messages left in the most used reply window; only on routes with reply windows.",
            labels=("account",),
        )
        for name, status in windows:
            left.add_metric((name,), figure(status, ("sending", "left")))
        yield left
        messages = CounterMetricFamily(
            "wxclient_messages",
            "Messages since the start of the process: received, sent, or sent elsewhere, such as on the phone.",
            labels=("account", "direction", "kind"),
        )
        for name, status in answering:
            for direction in DIRECTIONS:
                for kind in MessageKind:
                    count = figure(status, ("messages", direction, kind.value))
                    messages.add_metric((name, direction, kind.value), count)
        yield messages
        yield _counter("wxclient_sends_failed", "Messages that were not sent, or whose result is unknown.", answering)
        deliveries = CounterMetricFamily(
            "wxclient_deliveries",
            "Results since the start of the process: reports delivered, attempts failed, reports that became dead "
            "letters, and reports lost.",
            labels=("account", "result"),
        )
        for name, status in answering:
            for result, key in _RESULTS:
                deliveries.add_metric((name, result), figure(status, ("reports", key)))
        yield deliveries


def _counter(metric: str, words: str, answering: _Statuses) -> Metric:
    counter = CounterMetricFamily(metric, words, labels=("account",))
    for name, status in answering:
        counter.add_metric((name,), figure(status, ("messages", "not_sent")))
    return counter


def figure(status: JsonObject, path: tuple[str, ...]) -> int:
    """Return a number of an account's status; 0 for null or a value that another version lacks."""
    value: JsonValue = status
    for key in path:
        value = field(value, key)
    return integer(value)


def _name(view: View) -> str:
    return view.account.name.name
