"""Delivery of alerts by webhook: the alert as JSON, in one POST."""

import asyncio
import json

import aiohttp

from wxcontroller import __version__
from wxcontroller.alert.deliver import NotDelivered
from wxcontroller.core.alerts import Alert
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.net.unreachable import unreached

# Statuses of a receiver that is overloaded or unavailable for a moment.
_PASSING = frozenset({408, 425, 429})


async def post(url: str, alert: Alert, seconds: float = DEFAULTS.alert_webhook_seconds) -> None:
    """Post an alert. Raises NotDelivered."""
    headers = {"User-Agent": f"wxcontroller/{__version__}", "X-Wx-Alert": alert.id}
    timeout = aiohttp.ClientTimeout(connect=10)
    body = json.dumps(alert.to_json(), ensure_ascii=False).encode("utf-8", "backslashreplace")
    headers["Content-Type"] = "application/json"
    try:
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as web,
            # Not followed: the settings name the only receiver that may get alerts.
            web.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, OSError, ValueError) as problem:  # a TimeoutError is the second
        raise NotDelivered(str(unreached(problem))) from None
    if not 200 <= status < 300:
        raise NotDelivered(f"the webhook returned {status}", final=300 <= status < 500 and status not in _PASSING)
