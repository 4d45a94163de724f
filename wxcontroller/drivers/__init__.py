"""Routes to WeChat behind one protocol (see ``base``).

Each route is a package that knows its own wire format, codes, ids and options, and nothing of the others, but
for ``filehelper``, which is the web route's protocol on another page. A process
runs one account on one route and imports that one only: memory is multiplied by hundreds of accounts.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from wxcontroller.drivers.base import DriverFactory


@dataclass(frozen=True, slots=True)
class Route:
    """A route: the module whose ``make_driver`` is its DriverFactory, a host that it needs, the ending of its files.

    Each route has its own session file and position, so that an account that comes back to a route needs no new
    login. The web route's have no ending: 2.0.0 reads them, too.
    """

    module: str
    host: str
    ending: str = ""

    def session_file(self, cookies: Path) -> Path:
        """Return where the route's session is kept; ``cookies`` is the account's cookie file."""
        return cookies.with_name(f"session{self.ending}.json") if self.ending else cookies


# By the values of the option ``driver``.
ROUTES = {
    "filehelper": Route("wxcontroller.drivers.filehelper.driver", "szfilehelper.weixin.qq.com", "-filehelper"),
    "ilink": Route("wxcontroller.drivers.ilink.driver", "ilinkai.weixin.qq.com", "-ilink"),
    "web": Route("wxcontroller.drivers.web.driver", "wx.qq.com"),
}


def factory_of(route: str) -> DriverFactory:
    """Return what makes drivers of a route. Raises KeyError for one that is not known."""
    return cast(DriverFactory, import_module(ROUTES[route].module).make_driver)
