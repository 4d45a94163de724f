"""Log lines: without tokens, and summarized if anyone can cause them."""

import logging
from collections.abc import Iterator

import pytest

from tests.patience import until
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


def test_tokens_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    secret = "0123456789abcdef" * 4
    setup_logging("test")
    log = logging.getLogger("some.dependency")
    log.warning("GET /openwx/x?token=%s failed", f"wxc_12345678_{secret}")
    try:
        raise ValueError(f"bad URL http://h/?token=wxc_12345678_{secret}")
    except ValueError:
        log.exception("it failed")
    lines = capsys.readouterr().err
    assert "token=wxc_12345678_… failed" in lines
    assert "ValueError: bad URL" in lines
    assert secret not in lines


async def test_lines_of_one_cause_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    handler.addFilter(Summaries(handler.emit))
    monkeypatch.setattr(summaries, "SUMMARY_SECONDS", 1.0)
    log = logging.getLogger("wxcontroller.openwx.x")
    log.addHandler(handler)
    for number in range(50):
        log.error("refused %d", number, extra=cause("refused"))
        log.error("without a cause")
    assert [line for line in lines if line != "without a cause"] == ["refused 0"]
    assert len(lines) == 51
    await until(lambda: lines[-1] == "refused 49 (49 more of these in 1 s)")
    log.removeHandler(handler)
