"""Log lines: without tokens, without systemd's module, and counted when anyone can cause them."""

import asyncio
import logging
import sys
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE
from wxcontroller.core import summaries
from wxcontroller.core.journal import setup_logging
from wxcontroller.core.summaries import Summaries, cause


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_without_systemds_module_lines_go_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    monkeypatch.setitem(sys.modules, "systemd.journal", None)
    setup_logging("wxcontroller")
    logging.getLogger("test").warning("a line")
    assert capsys.readouterr().err == "wxcontroller: WARNING: a line\n"


def test_tokens_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    secret = "0123456789abcdef" * 4
    setup_logging("test")
    log = logging.getLogger("some.dependency")
    log.warning("GET /openwx/x?token=%s failed", f"wxc_12345678_{secret}")
    try:
        raise ValueError(f"bad URL http://h/?token=wxc_12345678_{secret}")
    except ValueError:
        log.exception("it failed")
    said = capsys.readouterr().err
    assert ("token=wxc_12345678_… failed" in said, "ValueError: bad URL" in said, secret in said) == (
        True,
        True,
        False,
    )


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


async def test_cause_is_shortened_to_its_first_line(lines: Lines) -> None:
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
