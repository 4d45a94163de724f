"""The controller's own heartbeat: request poll_api periodically (openwx-api 1.9)."""

import asyncio
import logging
from collections.abc import Callable

import aiohttp

from wxcontroller.core.config.settings import Settings
from wxcontroller.core.net.unreachable import unreached
from wxcontroller.core.registry.account import redacted

log = logging.getLogger(__name__)
_IDLE = 5.0
# The limit of a forwarded request (ua_request_timeout): poll_api is a server of the user.
POLL_ANSWER_SECONDS = 120.0


async def heartbeat(settings: Callable[[], Settings]) -> None:
    """Run until cancelled. Settings are read at every beat, so that a reload applies."""
    failing = False
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        while True:
            now = settings()
            if not now.poll_api:
                await asyncio.sleep(_IDLE)
                continue
            try:
                # Any answer will do; redirects are not followed, because that server could redirect us anywhere.
                async with (
                    asyncio.timeout(POLL_ANSWER_SECONDS),
                    session.get(now.poll_api, allow_redirects=False, timeout=_timeout(now)) as answer,
                ):
                    await answer.release()
                if failing:
                    log.info("the heartbeat to %s works again", redacted(now.poll_api))
                failing = False
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:  # the last: no host's name
                if not failing:  # logged once, not every five seconds
                    log.warning("the heartbeat to %s fails: %s", redacted(now.poll_api), unreached(problem))
                failing = True
            await asyncio.sleep(now.poll_interval)


def _timeout(settings: Settings) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(sock_connect=settings.ua_connect_timeout)
