"""The pace of asking. Time is given by hand: what is tested is arithmetic over minutes."""

from itertools import pairwise

import pytest

from wxcontroller.drivers.web.session.poll_rate_limiter import PollRateLimiter


class Clock:
    """A monotonic clock that goes on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def limiter(self, spacing: float, burst: int) -> PollRateLimiter:
        return PollRateLimiter(spacing, burst, lambda: self.now)

    def run(self, limiter: PollRateLimiter, seconds: float, brought: bool, takes: float = 0.0) -> list[float]:
        """Check again and again; an answer takes ``takes`` seconds. Returns when the checks began."""
        began, end = list[float](), self.now + seconds
        while True:
            self.now += limiter.due(brought)
            if self.now >= end:
                return began
            began.append(self.now)
            self.now += takes


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_requests_after_a_burst_are_spaced(clock: Clock) -> None:
    limiter = clock.limiter(spacing=10.0, burst=3)
    began = clock.run(limiter, 35.0, brought=False)
    assert [round(at - 1000.0) for at in began] == [0, 0, 0, 10, 20, 30]


def test_idle_server_is_polled_once_per_interval(clock: Clock) -> None:
    limiter = clock.limiter(spacing=1.0, burst=20)
    began = clock.run(limiter, 3600.0, brought=False)
    assert len(began) == pytest.approx(3600 + 20, abs=2)
    assert all(later - one >= 0.999 for one, later in pairwise(began[20:]))


def test_a_stream_is_followed_closely_but_not_madly(clock: Clock) -> None:
    limiter = clock.limiter(spacing=1.0, burst=20)
    began = [at - 1000.0 for at in clock.run(limiter, 60.0, brought=True, takes=0.001)]
    late = [at for at in began if at >= 5.0]
    assert len(late) / 55.0 <= 102  # a hundred, and the one that is free every second
    gaps = [later - one for one, later in pairwise(late)]
    assert max(gaps) <= 0.0101
