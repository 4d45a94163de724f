"""Who sent what, and who got it: what WeChat has sent to the accounts against what their webhook was told."""

import threading
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Arrival:
    """One report that the webhook took."""

    account: str
    message: str  # WeChat's id of it
    delivery: str  # the event's id


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run came to. Everything but ``sent``, ``delivered`` and ``repeated`` has to be nothing."""

    sent: int
    delivered: int  # messages that arrived, each counted once
    repeated: int  # reports of a message that came again with the id they had
    missing: tuple[str, ...]
    renamed: tuple[str, ...]  # messages that came again under another id
    invented: tuple[str, ...]  # reports of messages that nobody sent
    disordered: tuple[str, ...]  # accounts whose messages came in another order

    @property
    def good(self) -> bool:
        return not (self.missing or self.renamed or self.invented or self.disordered)

    def __str__(self) -> str:
        words = f"sent {self.sent}, delivered {self.delivered}, repeated {self.repeated}, lost {len(self.missing)}"
        faults = {
            "under another id": self.renamed,
            "never sent": self.invented,
            "out of order": self.disordered,
            "lost": self.missing,
        }
        return words + "".join(f"\n  {what}: {', '.join(which[:10])}" for what, which in faults.items() if which)


@dataclass
class Ledger:
    """Both sides' books; written from several threads."""

    sent: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    got: list[Arrival] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def send(self, account: str, message: str) -> None:
        with self._news:
            self.sent[account].append(message)

    def arrive(self, arrival: Arrival) -> None:
        with self._news:
            self.got.append(arrival)
            self._news.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until everything that was sent has arrived; False when it has not after ``seconds``."""

        def complete() -> bool:
            have = {(one.account, one.message) for one in self.got}
            return all((account, message) in have for account, sent in self.sent.items() for message in sent)

        with self._news:
            return self._news.wait_for(complete, seconds)

    def verdict(self) -> Verdict:
        """Compare the books as they are now."""
        with self._news:
            sent = {account: list(messages) for account, messages in self.sent.items()}
            got = list(self.got)
        first: dict[tuple[str, str], str] = {}
        order: dict[str, list[str]] = defaultdict(list)
        repeated, renamed = 0, []
        for one in got:
            known = first.setdefault((one.account, one.message), one.delivery)
            if known != one.delivery:
                renamed.append(f"{one.account}/{one.message}")
            elif len(order[one.account]) and one.message in order[one.account]:
                repeated += 1
                continue
            order[one.account].append(one.message)
        everything = {(account, message) for account, messages in sent.items() for message in messages}
        missing = [f"{account}/{message}" for account, message in sorted(everything - first.keys())]
        invented = [f"{account}/{message}" for account, message in sorted(first.keys() - everything)]
        disordered = [
            account
            for account, messages in sent.items()
            if [one for one in order[account] if (account, one) in everything]
            != [one for one in messages if (account, one) in first]
        ]
        arrived = len(everything & first.keys())
        faults = (tuple(missing), tuple(renamed), tuple(invented), tuple(disordered))
        return Verdict(len(everything), arrived, repeated, *faults)
