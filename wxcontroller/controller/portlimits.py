"""Limits of the controller's port, by the settings in use."""

from collections.abc import Callable

from wxcontroller.core.config.settings import Settings
from wxcontroller.openwx.http.admission import PortLimits


class CurrentLimits:
    """The limits of the current settings, made once per reload, because every connection needs them."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._made_of = settings()
        self._limits = limits_of(self._made_of)

    def __call__(self) -> PortLimits:
        settings = self._settings()
        if settings is not self._made_of:
            self._limits, self._made_of = limits_of(settings), settings
        return self._limits


def limits_of(settings: Settings) -> PortLimits:
    return PortLimits(
        idle=settings.idle_timeout,
        head=settings.header_timeout,
        unread=settings.send_timeout,
        head_bytes=settings.max_head,
        headers=settings.max_headers,
        connections=settings.max_connections,
        per_peer=settings.max_connections_per_peer,
        requests=settings.max_requests,
        long_polls=settings.max_long_polls,
        bodies=settings.max_bodies,
        readers=settings.max_readers,
        watchers=settings.limits.watchers,
        proxies=settings.trusted_proxies,
        line_bytes=settings.limits.request_line_bytes,
    )
