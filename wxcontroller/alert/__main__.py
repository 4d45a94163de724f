"""wxcontroller-alert CHANNEL: what wxcontroller-alert@CHANNEL.service runs."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from wxcontroller import __version__
from wxcontroller.alert.deliver import Deliver, deliver_all
from wxcontroller.core.alerts import Alert
from wxcontroller.core.alertspool import Spool
from wxcontroller.core.config.alertsettings import AlertSettings, Channel
from wxcontroller.core.config.limits import DEFAULTS, Limits
from wxcontroller.core.config.settings import Settings, load_settings, read_settings
from wxcontroller.core.errors import WxError
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.journal import setup_logging

log = logging.getLogger(__name__)
# EX_TEMPFAIL: systemd starts us again.
AGAIN = 75


def deliverer(channel: Channel, settings: AlertSettings, limits: Limits = DEFAULTS) -> Deliver:
    """Return how to deliver. Only the chosen way is imported."""
    match channel:
        case Channel.WEBHOOK if settings.webhook:
            from wxcontroller.alert.webhook import post

            return lambda alert: post(settings.webhook, alert, limits.alert_webhook_seconds)
        case Channel.MAIL if settings.mail:
            from wxcontroller.alert.mail import send

            return lambda alert: send(settings.mail, alert, limits.alert_program_seconds)
        case Channel.COMMAND if settings.command:
            from wxcontroller.alert.command import tell

            return lambda alert: tell(settings.command, alert, limits.alert_program_seconds)
    return drop_unconfigured


async def drop_unconfigured(alert: Alert) -> None:
    """Drop an alert whose channel was removed from the settings after it was made."""
    log.warning("this channel is no longer configured, alert dropped: %s", alert.english.subject)


def settings_for(paths: Paths) -> Settings:
    """Return the settings, from the credentials that systemd hands over where it does. Raises BadSettings."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return load_settings(paths).settings
    place = Path(directory)
    return read_settings([place / "settings", *sorted(place.glob("dropins_*.toml"))]).settings


def main() -> int:
    """Deliver waiting alerts; return 75 if some must be retried."""
    parser = argparse.ArgumentParser(
        prog="wxcontroller-alert",
        description="Deliver alerts. Started by systemd: wxcontroller-alert@CHANNEL.path; see wxcontroller.toml(5).",
    )
    parser.add_argument("--version", action="version", version=f"wxcontroller-alert {__version__}")
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    parser.add_argument("channel", choices=[str(channel) for channel in Channel])
    arguments = parser.parse_args()
    setup_logging("wxcontroller-alert")
    paths, channel = Paths(arguments.root), Channel(arguments.channel)
    try:
        settings = settings_for(paths)
        deliver = deliverer(channel, settings.alerts, settings.limits)
        done = asyncio.run(deliver_all(Spool(paths, channel), deliver))
    except WxError as problem:
        log.error("%s", problem)
        return problem.exit_code
    return 0 if done else AGAIN


if __name__ == "__main__":
    sys.exit(main())
