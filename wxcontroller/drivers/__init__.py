"""Routes to WeChat behind one protocol: ``base``, where to start.

Each route is a package that knows its own wire format, codes, ids and options. Routes do not depend on each other,
except ``filehelper``, which uses the web route's protocol on another page. A process runs one account on one route
and imports only that route, because its memory is multiplied by hundreds of accounts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from wxcontroller.core.config.options import OPTIONS
from wxcontroller.drivers.base import DriverFactory

# How WeChat is reached, and how often a code is shown.
_COMMON = frozenset("server ca_file proxy http_agent http_debug qrcode_count_max".split())
_PAGE = _COMMON | frozenset(
    "keep_cookie lang emoji_to_text fix_media_loop stop_with_mobile media_chunk_size synccheck_interval "
    "synccheck_delay ua_retry_times ua_connect_timeout ua_request_timeout ua_inactivity_timeout".split()
)

# Also used outside of the drivers: whether a session is stored, and how reports describe an upload.
_EVERYWHERE = frozenset({"keep_cookie", "media_chunk_size"})


@dataclass(frozen=True, slots=True)
class Route:
    """A route: the module whose ``make_driver`` is its DriverFactory, a host that it needs, the ending of its files.

    ``options`` are the account options that its driver gets. ``core.config.options`` defines their values, because
    the controller checks them and imports no driver.

    Each route has its own session file and position, so that an account that comes back to a route needs no new
    login. The web route's have no ending.
    """

    module: str
    host: str
    options: frozenset[str]
    ending: str = ""

    def session_file(self, cookies: Path) -> Path:
        """Return the path of the route's session; ``cookies`` is the account's cookie file."""
        return cookies.with_name(f"session{self.ending}.json") if self.ending else cookies


# By the values of the option ``driver``.
ROUTES = {
    "filehelper": Route(
        "wxcontroller.drivers.filehelper.driver", "szfilehelper.weixin.qq.com", _PAGE, ending="-filehelper"
    ),
    "ilink": Route(
        "wxcontroller.drivers.ilink.driver", "ilinkai.weixin.qq.com", _COMMON | {"tokenless_retry"}, ending="-ilink"
    ),
    "web": Route(
        "wxcontroller.drivers.web.driver",
        "wx.qq.com",
        _PAGE | {"desktop", "domain", "is_init_group_member", "is_update_group_member", "is_update_all_friend"},
    ),
}


def without_effect(route: str, options: Mapping[str, str]) -> list[str]:
    """Return the set options that only other routes have."""
    others = {name for other in ROUTES.values() for name in other.options - ROUTES[route].options - _EVERYWHERE}
    return sorted(name for name in others if options[name] != OPTIONS[name].default)


def factory_of(route: str) -> DriverFactory:
    """Return the driver factory of a route. Raises KeyError for an unknown one."""
    return cast(DriverFactory, import_module(ROUTES[route].module).make_driver)
