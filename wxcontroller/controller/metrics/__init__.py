"""/metrics: Prometheus metrics of the controller and of all accounts.

Start in ``serve``. ``accounts`` and ``consumers`` convert what the accounts publish to metric families. ``requests``
counts the controller's own responses.
"""

from aiohttp import web

from wxcontroller.controller.metrics.serve import metrics


def add_routes(app: web.Application) -> None:
    """Route /metrics."""
    app.router.add_get("/metrics", metrics)
