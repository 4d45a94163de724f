"""The heartbeat: poll_api is polled regularly and may command the account by a redirect (openwx-api 3.6)."""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.deliveries.outbound import TargetConnector
from wxcontroller.core.net.unreachable import unreached
from wxcontroller.core.net.urls import url_of
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.core.registry.account import redacted

log = logging.getLogger(__name__)
# The original's user agent waits that long for an answer of poll_api.
HEARTBEAT_ANSWER_SECONDS = 35.0
# A command is a call to the account's own API, which is answered within 100 s.
HEARTBEAT_COMMAND_SECONDS = 120.0
# A heartbeat that exceeds both limits by this much hangs.
_OVERTIME = 45.0
# The first heartbeat follows the login immediately, however long the interval is.
_LOOK_SECONDS = 1.0
_CALL = re.compile(r"/openwx/[a-z_]+")
_OWN_HOSTS = frozenset({"127.0.0.1", "localhost"})


def command_of(location: str, port: int) -> URL | None:
    """Return a redirect's target if it is a call of the account's own API, else None."""
    try:
        url = url_of(location)
        ours = url.scheme == "http" and url.host in _OWN_HOSTS and url.port == port
    except ValueError:
        return None
    # Unchanged, so that encoded characters cannot change their meaning.
    call = _CALL.fullmatch(url.raw_path) is not None
    # poll_api controls this account, but must not make it call another port or program.
    if not ours or not call or url.user is not None or url.password is not None:
        return None
    return url.with_host("127.0.0.1")


@dataclass(slots=True)
class Heartbeat:
    """Polls poll_api while ``running`` returns true.

    The account's own API is called at its socket, because another program may have the port, which poll_api
    names. ``own`` are the headers that authenticate this process there, sent nowhere else. ``tls`` None: the system's
    authorities are trusted.
    """

    config: ClientConfig
    agent: str
    own: Mapping[str, str] = field(repr=False)
    running: Callable[[], bool]
    deadlines: Deadlines
    tls: ssl.SSLContext | None
    _complaint: str = ""  # each failure is logged once, until a heartbeat succeeds

    async def run(self) -> None:
        """Poll until cancelled."""
        if not self.config.poll_api:
            return
        headers, interval = {"User-Agent": self.agent}, self.config.seconds("plugin_openwx_poll_interval")
        jar = aiohttp.DummyCookieJar()
        timeout = aiohttp.ClientTimeout(connect=10)
        longest = HEARTBEAT_ANSWER_SECONDS + HEARTBEAT_COMMAND_SECONDS + _OVERTIME
        async with (
            aiohttp.ClientSession(
                connector=TargetConnector(self.config.targets, self.tls),
                timeout=timeout,
                headers=headers,
                cookie_jar=jar,
            ) as web,
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self.config.api_socket)),
                timeout=timeout,
                headers=headers,
                cookie_jar=jar,
            ) as own,
        ):
            while True:
                if self.running():
                    with self.deadlines.within(longest, "the heartbeat"):
                        await self._beat(web, own)
                    await asyncio.sleep(interval)
                else:
                    await asyncio.sleep(min(interval, _LOOK_SECONDS))

    async def _beat(self, web: aiohttp.ClientSession, own: aiohttp.ClientSession) -> None:
        """Poll once with ``web``; run the returned command with ``own``, as this account's API is not a webhook."""
        try:
            # Not followed by the library: a redirect is the command.
            async with (
                asyncio.timeout(HEARTBEAT_ANSWER_SECONDS),
                web.get(self.config.poll_api, allow_redirects=False) as answer,
            ):
                location = answer.headers.get("Location", "") if 300 <= answer.status < 400 else ""
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            self._complain(f"the heartbeat of {redacted(self.config.poll_api)} fails: {unreached(problem)}")
            return
        command = command_of(location, self.config.port) if location else None
        if location and command is None:
            self._complain("poll_api redirects to something that is not this account's API; it is not followed")
            return
        self._complaint = ""
        if command is None:
            return
        log.info("poll_api requests %s", command.path)
        try:
            async with (
                asyncio.timeout(HEARTBEAT_COMMAND_SECONDS),
                own.get(command, headers=self.own, allow_redirects=False) as answer,
            ):
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            log.warning("a command of poll_api had no answer: %s", unreached(problem))

    def _complain(self, words: str) -> None:
        if words != self._complaint:
            log.warning("%s", words)
        self._complaint = words
