"""The judge: which host polled and sent for each account, and the outcome of each message.

An account's *tenures* are the hosts that its records named, in the order of their epochs. Two rules find two hosts
that act for one account:

- **Late.** Requests have to reach WeChat in the order of the tenures. One from a host of an earlier tenure, after a
  later host has begun, is late: from a process that should have ended, or from the buffers of a kernel after a cut.
- **At once.** While a host polls, no request of another host may arrive. WeChat cannot see that the other end of an
  open poll is dead while packets are lost, so that polls of a *blind* host (cut off, or frozen) do not count; if it
  lives on, it is late once its packets arrive again.

Messages: each that WeChat had for an account reaches the webhook, in all its copies with one id that no other report
has; on the iLink route, each that a host has acknowledged (tests/fleet/wechat.py). Each accepted send arrives once or
ends with a report, and one that is reported as not sent has not arrived.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The code of a send that was not sent; reports have words for states on the iLink route only (openwx-api 0).
_NOT_SENT = -5
# Seconds. On a busy machine, WeChat may see the end of a process after the begin of another that waited for it.
_BUSY = 0.3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not happen. ``kind`` is counted; ``what`` tells people."""

    kind: str
    account: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.account}: {self.what}"


@dataclass(slots=True)
class Request:
    """A request for an account that has arrived at WeChat; ``end`` is None while it is open."""

    account: str
    host: str
    call: str
    text: str
    begin: float
    end: float | None = None


@dataclass(slots=True)
class Records:
    """The epochs of one account in the records of the hosts, in the order in which they were seen."""

    seen: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note(self, epoch: int, host: str) -> None:
        if host not in self.seen[epoch]:
            self.seen[epoch].append(host)

    @property
    def tenures(self) -> list[str]:
        return [host for epoch in sorted(self.seen) for host in self.seen[epoch]]


@dataclass(slots=True)
class Judge:
    """Reads the journal as it grows. ``accounts`` are the names by uin, ``hosts`` by address.

    ``blind`` are the times (begin, end) in which a host was cut off or frozen.
    """

    accounts: Mapping[int, str]
    hosts: Mapping[str, str]
    records: Mapping[str, Records]
    blind: Mapping[str, Sequence[tuple[float, float]]]
    requests: dict[int, Request] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    sent: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # accounts' messages at WeChat
    accepted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # sends that a host accepted
    judged: set[Finding] = field(default_factory=set)

    def read(self, lines: Iterable[bytes]) -> None:
        """Take new lines of the journal."""
        for line in lines:
            entry = json.loads(line)
            if "report" in entry:
                self.reports.append(entry)
            elif "taken" in entry:
                if account := self.accounts.get(entry["uin"]):
                    self.sent[account].update(entry["taken"])
            elif "end" in entry:
                if entry["end"] in self.requests:
                    self.requests[entry["end"]].end = entry["at"]
            elif (account := self.accounts.get(entry["uin"])) and (host := self.hosts.get(entry["host"])):
                self.requests[entry["begin"]] = Request(account, host, entry["call"], entry["text"], entry["at"])

    def findings(self, delivered: Mapping[str, Sequence[str]]) -> list[Finding]:
        """Judge all that is known by now; return what was not found before.

        ``delivered`` are, by account, the texts of the sends that WeChat has taken.
        """
        found: list[Finding] = []
        for account in self.records:
            mine = [request for request in self.requests.values() if request.account == account]
            found += late(account, mine, self.records[account].tenures)
            found += at_once(account, mine, self._was_blind)
            found += self._messages(account)
            found += self._sends(account, delivered.get(account, ()))
        new = [each for each in found if each not in self.judged]
        self.judged.update(new)
        return new

    def arrived(self, account: str) -> dict[str, set[str]]:
        """Return the ids with which each message of WeChat's has reached the webhook."""
        got: dict[str, set[str]] = defaultdict(set)
        for report in self.reports:
            if report["client"] == account and report["report"].get("post_type") == "receive_message":
                got[str(report["report"]["id"])].add(report["delivery"])
        return got

    def ended(self, account: str) -> dict[str, dict[str, Any]]:
        """Return the reports of sends by their text."""
        return {
            str(report["report"]["content"]): report["report"]
            for report in self.reports
            if report["client"] == account and report["report"].get("post_type") == "send_message"
        }

    def missing(self, account: str) -> set[str]:
        """Return what has not ended: messages that have not arrived, and sends without a report."""
        return (self.sent[account] - self.arrived(account).keys()) | (
            self.accepted[account] - self.ended(account).keys()
        )

    def _messages(self, account: str) -> Iterable[Finding]:
        got = self.arrived(account)
        for message in sorted(self.sent[account] - got.keys()):
            yield Finding("lost", account, f"message {message} has not reached the webhook")
        for delivery, bodies in self._bodies(account).items():
            if len(bodies) > 1:
                yield Finding("same id", account, f"{delivery} is the id of {' and of '.join(sorted(bodies))}")
        for message, ids in got.items():
            if len(ids) > 1:
                yield Finding("renamed", account, f"message {message} came with the ids {', '.join(sorted(ids))}")

    def _bodies(self, account: str) -> dict[str, set[str]]:
        """Return the reports by the id with which they came. Receivers drop all but one of the same id."""
        found: dict[str, set[str]] = defaultdict(set)
        for each in self.reports:
            if each["client"] == account:
                report = {key: each["report"].get(key) for key in ("post_type", "id", "event", "params", "content")}
                found[each["delivery"]].add(json.dumps(report, ensure_ascii=False))
        return found

    def _sends(self, account: str, delivered: Sequence[str]) -> Iterable[Finding]:
        ended = self.ended(account)
        for text in sorted(set(delivered)):
            if delivered.count(text) > 1:
                yield Finding("sent twice", account, f"{text} is {delivered.count(text)} times at WeChat")
            if ended.get(text, {}).get("code") == _NOT_SENT:
                yield Finding("wrong end", account, f"{text} is at WeChat and was reported as not sent")
        for text in sorted(self.accepted[account] - ended.keys()):
            yield Finding("no end", account, f"{text} was accepted and has no report")

    def _was_blind(self, host: str, begin: float, end: float) -> bool:
        return any(first <= end and begin <= last for first, last in self.blind.get(host, ()))


def late(account: str, requests: Sequence[Request], tenures: Sequence[str]) -> Iterable[Finding]:
    """Find requests that arrive from a host of an earlier tenure after a later one has begun."""
    tenure = 0
    for request in requests:
        later = next((n for n in range(tenure, len(tenures)) if tenures[n] == request.host), None)
        if later is None:
            now = tenures[tenure] if tenures else "no host"
            what = f"{request.call} {request.text}".strip()
            yield Finding("late", account, f"{what} from {request.host} at {request.begin:.3f}, when {now} has it")
        else:
            tenure = later


def at_once(
    account: str, requests: Sequence[Request], was_blind: Callable[[str, float, float], bool]
) -> Iterable[Finding]:
    """Find requests that arrive while a request of another host is open."""
    last: dict[str, Request] = {}  # the one of each host that ends last
    for request in requests:
        for host, other in last.items():
            end = other.end if other.end is not None else float("inf")
            if host == request.host or end < request.begin + _BUSY or was_blind(host, other.begin, request.begin):
                continue
            what = f"{request.call} from {request.host} at {request.begin:.3f}, during {other.call} from {host}"
            yield Finding("at once", account, what)
        before = last.get(request.host)
        if before is None or (before.end or float("inf")) <= (request.end or float("inf")):
            last[request.host] = request
