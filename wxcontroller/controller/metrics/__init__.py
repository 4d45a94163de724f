"""/metrics: Prometheus metrics of the controller and of all accounts.

``serve`` queries the accounts' processes at each scrape; start there. ``accounts`` and ``consumers`` convert their
answers to metric families; nothing about accounts is collected in between. ``requests`` counts the controller's own
responses.
"""

from aiohttp import web

from wxcontroller.controller.metrics.serve import metrics


def add_routes(app: web.Application) -> None:
    """Route /metrics."""
    app.router.add_get("/metrics", metrics)
