"""Requests that the controller has answered: how many, how, and how long it took."""

import time
from enum import StrEnum

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from wxcontroller.controller.errors import Handler
from wxcontroller.core.access import call_path

# From a look in memory to a long poll.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Part(StrEnum):
    """A part of the API. Long polls and streams are apart: how long they take says nothing about health."""

    OPENWX = "openwx"
    WAITING = "waiting"  # check_event, consult, /v1/events: answered when something happens
    V1 = "v1"
    METRICS = "metrics"
    OTHER = "other"  # the page, and paths that are not there

    @classmethod
    def of(cls, path: str) -> "Part":
        if call_path(path.removesuffix("/")) in _WAITING:
            return cls.WAITING
        if path.startswith("/openwx"):
            return cls.OPENWX
        if path.startswith("/v1"):
            return cls.V1
        return cls.METRICS if path == "/metrics" else cls.OTHER


_WAITING = frozenset({"/openwx/check_event", "/openwx/consult", "/v1/events"})
_CODES = ("1xx", "2xx", "3xx", "4xx", "5xx", "gone")


class Requests:
    """Counts requests. One a controller; ``registry`` is where its figures are told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        total = Counter(
            "wxcontroller_requests",
            "Requests answered, by part of the API and class of HTTP status; gone: the caller hung up before.",
            ("part", "code"),
            registry=registry,
        )
        seconds = Histogram(
            "wxcontroller_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("part",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._total = {(part, code): total.labels(part.value, code) for part in Part for code in _CODES}
        self._seconds = {part: seconds.labels(part.value) for part in Part}

    def note(self, path: str, status: int, seconds: float) -> None:
        """Note an answer; ``status`` 0 when there was none."""
        part = Part.of(path)
        self._total[part, _CODES[status // 100 - 1] if 100 <= status < 600 else "gone"].inc()
        self._seconds[part].observe(seconds)

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a request. The outermost middleware, so that it sees what the others refuse."""
        began, status = time.perf_counter(), 0
        try:
            response = await handler(request)
            status = response.status
            return response
        except web.HTTPException as problem:
            status = problem.status
            raise
        finally:
            self.note(request.path, status, time.perf_counter() - began)
