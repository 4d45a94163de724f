"""/metrics: Prometheus metrics of the controller and of all accounts.

Start in ``scrape``. ``accountmetrics`` and ``agentmetrics`` convert what the accounts publish to metric families.
``controller.edge.requestmetrics`` counts the controller's own responses.
"""

from aiohttp import web

from wxcontroller.controller.apis.metrics.scrape import metrics


def add_routes(app: web.Application) -> None:
    """Route /metrics."""
    app.router.add_get("/metrics", metrics)
