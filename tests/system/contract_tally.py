"""What the contract's tests have asked, counted."""

import contextlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_MOST_SHOWN = 20


class Asked(NamedTuple):
    """What is counted together: an endpoint in one form, one way, in one state."""

    path: str
    form: str
    way: str
    state: str


@dataclass
class Tally:
    """How many requests were made, and how many of them in checks that failed."""

    made: Counter[Asked] = field(default_factory=Counter)
    failed: Counter[Asked] = field(default_factory=Counter)

    @contextlib.contextmanager
    def check(self) -> Iterator[None]:
        before = self.made.copy()
        try:
            yield
        except BaseException:
            self.failed.update(self.made - before)
            raise

    def lines(self, states: Collection[str], expected: Collection[Asked]) -> list[str]:
        """The tables: requests by endpoint and state, by way and form; combinations by way, and what is missing."""
        return [*self._by_endpoint(states), "", *self._by_way(), "", *self._combinations(expected)]

    def _by_endpoint(self, states: Collection[str]) -> Iterator[str]:
        yield f"{'endpoint':<32}" + "".join(f"{state:>11}" for state in states) + f"{'all':>8}{'failing':>9}"
        for path in sorted({one.path for one in self.made}):
            row = [_sum(self.made, path=path, state=state) for state in states]
            failing = _sum(self.failed, path=path)
            yield f"{path:<32}" + "".join(f"{n or '-':>11}" for n in row) + f"{sum(row):>8}{failing:>9}"
        total = [_sum(self.made, state=state) for state in states]
        yield f"{'all':<32}" + "".join(f"{n:>11}" for n in total) + f"{sum(total):>8}{_sum(self.failed):>9}"

    def _by_way(self) -> Iterator[str]:
        forms = sorted({one.form for one in self.made})
        yield f"{'way':<12}" + "".join(f"{form:>16}" for form in forms)
        for way in sorted({one.way for one in self.made}):
            counts = (_sum(self.made, form=form, way=way) for form in forms)
            yield f"{way:<12}" + "".join(f"{count:>16}" for count in counts)

    def _combinations(self, expected: Collection[Asked]) -> Iterator[str]:
        """An account's call in one form, one way, in one state: each is asked at least once."""
        yield f"{'endpoint x form x way x state':<32}{'possible':>11}{'asked':>11}{'failing':>11}"
        for way in (*sorted({one.way for one in expected}), ""):
            there = [one for one in expected if way in ("", one.way)]
            asked, failing = (sum(one in counter for one in there) for counter in (self.made, self.failed))
            yield f"{way or 'all':<32}{len(there):>11}{asked:>11}{failing:>11}"
        missing = [one for one in expected if one not in self.made]
        yield from (f"not asked: {' '.join(one)}" for one in missing[:_MOST_SHOWN])


def _sum(counter: Counter[Asked], path: str = "", form: str = "", way: str = "", state: str = "") -> int:
    wanted = Asked(path, form, way, state)
    return sum(
        count for key, count in counter.items() if all(not w or w == k for w, k in zip(wanted, key, strict=True))
    )
