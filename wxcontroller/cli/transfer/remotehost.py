"""The controller of another host, as the settings of this one name it in [fleet]."""

from dataclasses import replace
from pathlib import Path

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.connection.requests import HostAccess
from wxcontroller.cli.transfer.copy.preconditions import PATHS
from wxcontroller.core.access.rights import CALLER_HEADER, Scope
from wxcontroller.core.config.fleetsettings import HostSettings
from wxcontroller.core.config.settings import load_settings
from wxcontroller.core.errors import BadSettings, WxError
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.hop import HopCaller

# Credentials that systemd has passed to the controller; root can read them while the controller runs.
_CONTROLLERS = Path("/run/credentials/wxcontroller.service")


class ControllerDown(WxError, exit_code=3):
    """The controller of this host is not running: nothing is known about another host."""


def host_named(name: str) -> Api:
    """Return the API of a host of the fleet, for root here. Raises BadUsage, BadSettings and ControllerDown."""
    fleet = load_settings(PATHS).settings.fleet
    hosts = {host.name: host for host in fleet.hosts if host.url} if fleet else {}
    if fleet is None or name not in hosts:
        raise BadUsage(
            N_("there is no host {host} in the settings"),
            N_("known hosts: {hosts}; add it as [fleet.hosts.{host}], see wxcontroller.toml(5)"),
            host=name,
            hosts=", ".join(hosts) or Text(N_("none")),
        )
    try:
        credentials = credentials_of(for_root(hosts[name]))
    except BadSettings as problem:
        file = Path(str(problem.text.values.get("file")))
        if _CONTROLLERS not in file.parents or _CONTROLLERS.is_dir():
            raise
        raise ControllerDown(
            N_("the controller of this host is not running, and the credentials for host {host} are missing"),
            N_("see: systemctl status wxcontroller; then run this again"),
            host=name,
        ) from None
    headers = {CALLER_HEADER: str(HopCaller(fleet.name, Scope.ADMIN, None, "wxctl move"))}
    if credentials.secret:
        headers["Authorization"] = f"Bearer {credentials.secret}"
    return Api(hosts[name].url, host_access=HostAccess(credentials.tls, headers))


def for_root(host: HostSettings) -> HostSettings:
    """Return the settings with the controller's credentials as the files that they are."""

    def file(name: str) -> str:
        return str(_CONTROLLERS / name) if name else ""

    return replace(
        host,
        token=file(host.token),
        ca_file=file(host.ca_file),
        certificate=file(host.certificate),
        key=file(host.key),
    )
