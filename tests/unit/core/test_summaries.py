"""Lines that anyone can cause: the first is written, the others are counted."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE
from wxcontroller.core import summaries
from wxcontroller.core.summaries import Summaries, cause


class Lines(logging.Handler):
    """Remembers lines, and says when there is another one."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.more = asyncio.Event()
        self.setFormatter(logging.Formatter("%(message)s"))
        self.addFilter(Summaries(self.emit))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += self.format(record).splitlines()
        self.more.set()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    monkeypatch.setattr(summaries, "SUMMARY_SECONDS", 1.0)
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


async def test_a_cause_has_its_first_line_and_a_summary(lines: Lines) -> None:
    log = logging.getLogger("wxcontroller.openwx.x")
    for number in range(50):
        log.error("refused %d", number, extra=cause("refused"))
        log.error("another", extra=cause("other"))
        log.error("without a cause")
    assert lines.lines.count("without a cause") == 50
    assert [line for line in lines.lines if line != "without a cause"] == ["refused 0", "another"]
    while len(lines.lines) < 54:
        lines.more.clear()
        await asyncio.wait_for(lines.more.wait(), PATIENCE)
    assert sorted(lines.lines[-2:]) == ["another (49 more of these in 1 s)", "refused 49 (49 more of these in 1 s)"]
