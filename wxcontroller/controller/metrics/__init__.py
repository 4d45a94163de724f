"""/metrics: figures for Prometheus, of the controller and of all accounts."""

from aiohttp import web

from wxcontroller.controller.metrics.serve import metrics


def add_routes(app: web.Application) -> None:
    """Route /metrics."""
    app.router.add_get("/metrics", metrics)
