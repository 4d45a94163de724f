"""Settings of the parts of a client, from its configuration."""

import os
import ssl
import time
from collections.abc import Callable

from wxcontroller import __version__
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.deliveries.lanes import Policy
from wxcontroller.client.deliveries.receivers import Receiver
from wxcontroller.client.sends.rules.pacer import Pacer
from wxcontroller.client.sends.rules.policy import RoutePolicy
from wxcontroller.drivers.base import Capabilities, ReplyWindow
from wxcontroller.openwx.contract.statefile import ClientFacts, SendLimits


def facts_of(config: ClientConfig) -> ClientFacts:
    """Return this process' entry for the state file."""
    return ClientFacts(
        account=config.name.name,
        version=__version__,
        pid=os.getpid(),
        start_time=int(time.time()),
        driver=config.options["driver"],
        set_options=config.set_options,
        defaults=config.options,
        paths={
            "tmpdir": str(config.tmpdir),
            "media_dir": str(config.media_dir),
            "cookie_path": str(config.cookie_path),
            "qrcode_path": str(config.qrcode_path),
            "pid_path": str(config.pid_path),
            "state_path": str(config.state_path),
        },
        epoch=config.epoch,
    )


def route_policy_of(
    config: ClientConfig, capabilities: Capabilities, notice: Callable[[SendLimits], None]
) -> RoutePolicy:
    """Return the rules of a route for sends. ``notice``: see WindowedRoute."""
    keep, window = config.seconds("send_keep_seconds"), capabilities.window
    if window is None:
        return RoutePolicy(config.limits.send_tries, keep)
    # Where there are windows: these modules are large.
    from wxcontroller.client.sends.rules.window import Windows
    from wxcontroller.client.sends.rules.windowed import WindowedRoute

    limits = config.number("budget_per_inbound"), config.number("budget_24h")
    return WindowedRoute(
        keep_seconds=keep,
        window=window,
        table=Windows(window, *limits, config.flag("window_reminder")),
        seconds=config.seconds("hold_seconds"),
        notice=notice,
    )


def pacer_of(config: ClientConfig, window: ReplyWindow | None = None) -> Pacer:
    """Return how fast this account may send; a route with a reply window has its own minimum pause."""
    return Pacer(
        interval=max(config.seconds("send_interval"), window.pace if window else 0.0),
        jitter=config.seconds("send_jitter"),
        burst=config.number("send_burst_max"),
        daily=config.number("send_daily_max"),
    )


def receiver_of(config: ClientConfig, agent: str, tls: ssl.SSLContext | None) -> Receiver:
    """Return the receiver of this account's reports; ``tls`` as in Receiver."""
    with_data = config.flag("plugin_openwx_post_media_data")
    limit = config.limits.report_media_bytes
    return Receiver(config.post_api, agent, config.webhook_secrets, with_data, config.targets, limit, tls)


def policy_of(config: ClientConfig, quick_retries: tuple[float, ...]) -> Policy:
    """Return the retry policy of deliveries."""
    return Policy(
        first=config.seconds("webhook_retry_first"),
        longest=config.seconds("webhook_retry_longest"),
        final=frozenset(int(status) for status in config.options["webhook_final"].split(",") if status),
        timeout=config.seconds("webhook_timeout"),
        strict=config.flag("webhook_strict_order"),
        quick_retries=quick_retries,
    )
