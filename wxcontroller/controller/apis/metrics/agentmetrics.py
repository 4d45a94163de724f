"""The agents of accounts (controller/apis/ilink) as Prometheus sees them.

Labels are names that an administrator gave: only consumers for which the controller has made a token are shown,
whatever the account's program reports.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from wxcontroller.controller.accounts.view import View
from wxcontroller.controller.callers.agenttokens import ConsumerTokens
from wxcontroller.core.records.accountrecords import ConsumerRecord
from wxcontroller.core.records.decoding import given

_LABELS = ("account", "consumer")
_GAUGES = (
    ("online", "online", "1 if the agent has reported that it is running."),
    (
        "last_poll_timestamp_seconds",
        "last_poll",
        "Time of the agent's last request for messages, in seconds since 1970; 0: never.",
    ),
    ("messages_behind", "behind", "Messages that the agent has not fetched."),
    ("sends_held", "held", "Messages of the agent held until the person writes."),
)
_COUNTERS = (
    ("sent", "sent", "Messages that the agent has sent."),
    ("skipped", "skipped", "Messages skipped because they were too old when the agent came back."),
)


@dataclass(frozen=True, slots=True, eq=False)
class ConsumerFigures(Collector):
    """The consumers of accounts at one moment."""

    views: Sequence[View]
    tokens: ConsumerTokens

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        rows = list(self._rows())
        for metric, key, words in _GAUGES:
            gauge = GaugeMetricFamily(f"wxclient_consumer_{metric}", words, labels=_LABELS)
            for labels, row in rows:
                gauge.add_metric(labels, getattr(row, key) or 0)
            yield gauge
        for metric, key, words in _COUNTERS:
            counter = CounterMetricFamily(f"wxclient_consumer_{metric}", words, labels=_LABELS)
            for labels, row in rows:
                counter.add_metric(labels, getattr(row, key) or 0)
            yield counter

    def _rows(self) -> Iterator[tuple[tuple[str, str], ConsumerRecord]]:
        for view in self.views:
            consumers = given(view.published.status.consumers, []) if view.published else []
            reported = {consumer.name: consumer for consumer in consumers}
            tokens = self.tokens.of_account(view.instance) if reported else {}
            for name in sorted(tokens.keys() & reported.keys()):
                yield (view.account.name.name, name), reported[name]
