"""Requests that the controller has answered: how many, how, and how long it took."""

import time
from bisect import bisect_left
from collections.abc import Iterator
from enum import StrEnum
from itertools import accumulate

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from wxcontroller.controller.edge.failureanswers import Handler
from wxcontroller.core.access.rights import call_path, is_notification
from wxcontroller.openwx.http.connection import conclusion_of

# From a look in memory to a long poll.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class RequestPart(StrEnum):
    """A part of the API. Long polls and streams are separate: their duration does not indicate health."""

    OPENWX = "openwx"
    WAITING = "waiting"  # check_event, consult, /v1/events, polls of agents: answered when something happens
    V1 = "v1"
    ILINK = "ilink"
    NOTIFY = "notify"  # notifications, with ntfy's paths at the root
    MCP = "mcp"
    METRICS = "metrics"
    OTHER = "other"  # the page, and paths that are not there

    @classmethod
    def of(cls, path: str, method: str = "GET") -> "RequestPart":
        if call_path(path.removesuffix("/")) in _WAITING or path.endswith(_AGENTS_POLLS):
            return cls.WAITING
        if path.startswith("/openwx"):
            return cls.OPENWX
        if path.startswith("/v1"):
            return cls.V1
        if path.startswith(("/ilink/", "/for/")):
            return cls.ILINK
        if is_notification(method, path):
            return cls.NOTIFY
        if path == "/mcp":
            return cls.MCP
        return cls.METRICS if path == "/metrics" else cls.OTHER


_AGENTS_POLLS = ("/ilink/bot/getupdates", "/ilink/bot/get_qrcode_status")
_WAITING = frozenset({"/openwx/check_event", "/openwx/consult", "/v1/events"})
_CODES = ("1xx", "2xx", "3xx", "4xx", "5xx", "gone")


class _Counts:
    """The requests of one part: by class of status, by time, and the time of all."""

    __slots__ = ("codes", "seconds", "within")

    def __init__(self) -> None:
        self.codes = [0] * len(_CODES)
        self.within = [0] * (len(_SECONDS) + 1)
        self.seconds = 0.0


class RequestFigures(Collector):
    """Counts requests. One per controller; ``registry`` publishes its figures.

    The library's own counters take more time than passing a request on may.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts = {part: _Counts() for part in RequestPart}
        registry.register(self)

    def note(self, part: RequestPart, status: int, seconds: float) -> None:
        """Note an answer; ``status`` 0 when there was none."""
        counts = self._counts[part]
        counts.codes[status // 100 - 1 if 100 <= status < 600 else -1] += 1
        counts.within[bisect_left(_SECONDS, seconds)] += 1
        counts.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the present figures."""
        total = CounterMetricFamily(
            "wxcontroller_requests",
            "Requests by part of the API and class of HTTP status; gone: the caller disconnected before.",
            labels=("part", "code"),
        )
        seconds = HistogramMetricFamily(
            "wxcontroller_request_seconds",
            "Time from the head of a request to the end of its response.",
            labels=("part",),
        )
        bounds = (*map(str, _SECONDS), "+Inf")
        for part, counts in self._counts.items():
            for code, number in zip(_CODES, counts.codes, strict=True):
                total.add_metric((part.value, code), number)
            buckets = [
                (bound, float(number)) for bound, number in zip(bounds, accumulate(counts.within), strict=True)
            ]
            seconds.add_metric((part.value,), buckets, counts.seconds)
        yield total
        yield seconds

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a request. The outermost middleware, so that it also counts refused requests."""
        done = conclusion_of(request)
        began, status = done.began if done else time.monotonic(), 0
        try:
            response = await handler(request)
            status = response.status
            return response
        except web.HTTPException as problem:
            status = problem.status
            raise
        finally:
            self.note(RequestPart.of(request.path, request.method), status, time.monotonic() - began)
