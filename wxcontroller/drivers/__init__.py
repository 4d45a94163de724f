"""Routes to WeChat behind one protocol (see ``base``).

Each route is a package that knows its own wire format, codes, ids and options, and nothing of the others. A process
runs one account on one route and imports that one only: memory is multiplied by hundreds of accounts.
"""

from importlib import import_module
from typing import cast

from wxcontroller.drivers.base import DriverFactory

# Values of the option ``driver``, and the module whose ``make_driver`` is the route's DriverFactory.
ROUTES = {"web": "wxcontroller.drivers.web.driver"}


def factory_of(route: str) -> DriverFactory:
    """Return what makes drivers of a route. Raises KeyError for one that is not known."""
    return cast(DriverFactory, import_module(ROUTES[route]).make_driver)
