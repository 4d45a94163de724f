"""Log lines: without tokens, and summarized if anyone can cause them."""

import logging
import re
from collections.abc import Iterator

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Middleware

from tests.patience import until
from wxcontroller.client.openwxapi import errors
from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.sends.model.sendstates import QueuedSends, SendStep
from wxcontroller.controller.apis.v1.form.v1failures import FAILURE_FORM
from wxcontroller.controller.edge.failureanswers import FORMS, Forms, json_errors
from wxcontroller.core.condition.verdict import Cause, SendState, Verdict
from wxcontroller.core.process import summaries
from wxcontroller.core.process.journal import setup_logging
from wxcontroller.core.process.summaries import Summaries, cause


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


def test_a_mistake_is_shown_once_and_then_counted(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("test")
    log = logging.getLogger("wxcontroller.x")
    for number in range(50):
        for kind in (KeyError, OSError):
            try:
                raise kind(number)
            except (KeyError, OSError):
                log.exception("request %d failed", number)
        try:
            raise KeyError(number)
        except KeyError:
            log.exception("request %d failed elsewhere", number)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "failed" in line] == [
        *["test: ERROR: request 0 failed"] * 2,
        "test: ERROR: request 0 failed elsewhere",
    ]
    assert sum(line.startswith("Traceback") for line in lines) == 3


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


async def mistaken(_: web.Request) -> web.StreamResponse:
    raise ValueError("a mistake")


@pytest.mark.parametrize(("middleware", "path"), [(json_errors, "/v1/x"), (errors, "/openwx/x")])
async def test_flood_of_requests_that_find_a_mistake_is_summarized(
    middleware: Middleware,
    path: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(summaries, "SUMMARY_SECONDS", 1.0)
    setup_logging("test")
    app = web.Application(middlewares=[middleware])
    app[FORMS] = Forms(FAILURE_FORM)
    app.router.add_get("/{rest:[^?]+}", mistaken)
    texts = set()
    async with TestServer(app) as server, ClientSession() as session:
        for _ in range(50):
            async with session.get(server.make_url(f"{path}%0Aforged")) as answer:
                assert answer.status == 500
                texts.add(await answer.text())
        written: list[str] = []

        def is_counted() -> bool:
            written.extend(capsys.readouterr().err.splitlines())
            return "more of these" in written[-1]

        await until(is_counted)
    assert sum(line.startswith("Traceback") for line in written) == 1
    assert [line[:12] for line in written if not line.startswith(" ")] == [
        "test: ERROR:",
        "Traceback (m",
        "ValueError: ",
        "test: ERROR:",
    ]
    # The caller's number leads to the traceback.
    [text] = texts
    assert all(number in written[0] for number in re.findall("--grep ([0-9a-f]+)", text))


async def test_many_refusals_of_one_cause_become_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("test")
    sends = QueuedSends()
    for number in range(50):
        for why in (Cause.MEDIA_FAILED, Cause.QUEUE_FULL):
            send = Send("@ann", False, "the words", client_id=f"{number} {why}", step=SendStep.QUEUED)
            sends.add(send)
            sends.move(send, SendStep.ENDED, Verdict(SendState.REFUSED, why))
    lines = [line for line in capsys.readouterr().err.splitlines() if "send refused" in line]
    assert [line.partition("id=")[2].split(",")[0] for line in lines] == ["0 media-failed", "0 queue-full"]
