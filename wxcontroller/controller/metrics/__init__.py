"""/metrics: figures for Prometheus, of the controller and of all accounts.

``serve`` asks the accounts' programs when it is asked, and ``accounts`` makes families of their answers: nothing
about accounts is collected in between. ``requests`` counts what the controller itself answers.
"""

from aiohttp import web

from wxcontroller.controller.metrics.serve import metrics


def add_routes(app: web.Application) -> None:
    """Route /metrics."""
    app.router.add_get("/metrics", metrics)
