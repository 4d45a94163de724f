"""Messages that WeChat has sent to accounts, compared with the reports that their webhook accepted."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass
class Ledger:
    """``sent`` has ids of messages by account, in order; each of ``reports`` has account, message and delivery."""

    sent: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    reports: list[tuple[str, str, str]] = field(default_factory=list)

    def faults(self, excused: Mapping[str, Collection[str]] | None = None) -> list[str]:
        """Return what is wrong. A message may be reported again, but as the same delivery.

        ``excused``: messages of each account that need not be reported.
        """
        deliveries: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for account, message, delivery in self.reports:
            deliveries[account][message].add(delivery)
        found: list[str] = []
        for account in sorted({*self.sent, *deliveries}):
            sent, reported = dict.fromkeys(self.sent.get(account, ())), deliveries[account]
            for what, messages in (
                ("lost", sent.keys() - reported.keys() - {*(excused or {}).get(account, ())}),
                ("never sent", reported.keys() - sent.keys()),
                ("under another id", {one for one, ids in reported.items() if len(ids) > 1}),
            ):
                found += [f"{what}: {account}/{message}" for message in sorted(messages)]
            if [one for one in reported if one in sent] != [one for one in sent if one in reported]:
                found.append(f"out of order: {account}")
        return found
