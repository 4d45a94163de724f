"""All directory and file names."""

import re
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.core.names import unit_of

# Size limit of files that an account writes for others, which do not trust it; far above their usual size.
STATE_FILE_BYTES = 256 << 10
# The same for files of the controller that root reads.
CONTROLLERS_FILE_BYTES = 16 << 20
# Next to the state file.
STATUS_FILE = "status.json"
API_SOCKET = "api.sock"


@dataclass(frozen=True, slots=True)
class Paths:
    """The product's places. ``root`` moves all of them, for tests and for looking at a copied system."""

    root: Path = Path("/")

    @property
    def settings_file(self) -> Path:
        return self.root / "etc/wxcontroller/wxcontroller.toml"

    @property
    def settings_dropins(self) -> Path:
        return self.root / "etc/wxcontroller/wxcontroller.toml.d"

    @property
    def template(self) -> Path:
        return self.root / "etc/wxcontroller/client.env.j2"

    @property
    def overrides(self) -> Path:
        """Directory of the administrator's environment files, read after the materialised ones."""
        return self.root / "etc/wxcontroller/clients"

    @property
    def tokens_file(self) -> Path:
        """The API's tokens, hashed. Written by root."""
        return self.root / "etc/wxcontroller/tokens"

    @property
    def ilink_tokens(self) -> Path:
        """The tokens of iLink consumers, hashed. Written by the controller."""
        return self.root / "var/lib/wxcontroller/ilink-tokens"

    @property
    def port_tokens(self) -> Path:
        """The accounts' view of the tokens; readable by all of them."""
        return self.root / "var/lib/wxclient-access/tokens"

    @property
    def logins(self) -> Path:
        """The WeChat users that the accounts have logged in as; readable for all of them."""
        return self.root / "var/lib/wxclient-access/logins"

    @property
    def accounts(self) -> Path:
        """Directory of the materialised environment files: the registry."""
        return self.root / "var/lib/wxcontroller/clients"

    def gone_file(self, instance: str) -> Path:
        """The record of an account that has moved to another host. Written by the controller."""
        return self.root / "var/lib/wxcontroller/gone" / f"{checked(instance)}.json"

    @property
    def client_state(self) -> Path:
        """Parent of the accounts' private state directories, as a client sees them."""
        return self.root / "var/lib/wxclient"

    @property
    def client_runtime(self) -> Path:
        """Parent of the accounts' public state directories."""
        return self.root / "run/wxclient"

    @property
    def credentials(self) -> Path:
        """Directory of the copies of an account's secrets, which only its own process sees."""
        return self.client_runtime / ".credentials"

    @property
    def controller_runtime(self) -> Path:
        return self.root / "run/wxcontroller"

    @property
    def journal_socket(self) -> Path:
        """The socket for reading accounts' journals (wxclient-journal.socket)."""
        return self.root / "run/wxclient-journal.sock"

    @property
    def receive_socket(self) -> Path:
        """The socket of root's program that imports accounts from other hosts (wxcontroller-receive.socket)."""
        return self.root / "run/wxcontroller-receive.sock"

    def export_socket(self, instance: str) -> Path:
        """The socket at which root reads an account's files from its unit (wxclient-export@.service)."""
        return self.root / "run/wxclient-export" / checked(instance)

    @property
    def notify_targets(self) -> Path:
        """The notification targets, with their tokens hashed. Written by the controller."""
        return self.root / "var/lib/wxcontroller/notify-targets.json"

    @property
    def notify_repeats(self) -> Path:
        """Repeated notifications that are still to be sent, with their counts."""
        return self.root / "var/lib/wxcontroller/notify-repeats.json"

    @property
    def alerts_state(self) -> Path:
        """Sent alerts and current problems: a restart must not send an alert twice."""
        return self.root / "var/lib/wxcontroller/alerts.json"

    @property
    def fleet_state(self) -> Path:
        """The last known accounts of other hosts: a restart must not forget those of a host that is down."""
        return self.root / "var/lib/wxcontroller/fleet.json"

    @property
    def etcd_state(self) -> Path:
        """The last moment of etcd that the controller has seen; survives boots, during which etcd may be restored."""
        return self.root / "var/lib/wxcontroller/etcd.json"

    @property
    def standby(self) -> Path:
        """Root's directory of standby bundles of other hosts' accounts, with notes on bundles sent to other hosts."""
        return self.root / "var/lib/wxcontroller-standby"

    @property
    def standby_kept(self) -> Path:
        """The list of the bundles on this host, written by root for the controller."""
        return self.standby / "kept.json"

    @property
    def standby_sent(self) -> Path:
        """The same of those that it has sent."""
        return self.standby / "sent.json"

    def standby_bundle(self, instance: str) -> Path:
        """The newest bundle of an account of another host, sealed."""
        return self.standby / f"{checked(instance)}.wxaccount"

    @property
    def fleet_runtime(self) -> Path:
        """Directory of the keeper's files ``lease``, ``permit`` and ``etcd``, in a fleet with etcd."""
        return self.root / "run/wxcontroller-fleet"

    @property
    def owners(self) -> Path:
        """Directory of the files that tell accounts their owners, in a fleet with etcd."""
        return self.root / "run/wxclient-owners"

    def owner_file(self, instance: str) -> Path:
        return self.owners / checked(instance)

    def alerts_spool(self, channel: str) -> Path:
        """Directory of the alerts that a channel still has to deliver."""
        return self.root / "var/spool/wxcontroller" / word(channel)

    def alerts_runtime(self, channel: str) -> Path:
        """The same in memory, for when the disk fails; and the result of the last delivery."""
        return self.root / "run/wxcontroller-alerts" / word(channel)

    @property
    def local_token(self) -> Path:
        """A token for root on this machine, made by the controller at each start."""
        return self.controller_runtime / "local-token"

    @property
    def root_socket(self) -> Path:
        """The controller's socket for root on this machine."""
        return self.controller_runtime / "root.sock"

    def boot_link(self, instance: str) -> Path:
        """The link that ``systemctl enable`` makes: the account starts at boot, with or without the controller."""
        return self.root / "etc/systemd/system/wxclient.target.wants" / unit_of(instance)

    def account_file(self, instance: str) -> Path:
        return self.accounts / f"{checked(instance)}.env"

    def override_file(self, instance: str) -> Path:
        return self.overrides / f"{checked(instance)}.env"

    def runtime(self, instance: str) -> Path:
        return self.client_runtime / checked(instance)

    def state(self, instance: str) -> Path:
        return self.client_state / checked(instance)

    def private_state(self, instance: str) -> Path:
        """The same directory where systemd keeps it for a user that is made for the unit (DynamicUser=)."""
        return self.root / "var/lib/private/wxclient" / checked(instance)

    def state_file(self, instance: str) -> Path:
        """The original's state file; readable by the controller."""
        return self.runtime(instance) / f"mojo_weixin_state_{instance}.json"

    def status_file(self, instance: str) -> Path:
        """The status that the account publishes; readable by the controller."""
        return self.runtime(instance) / STATUS_FILE

    def qrcode_file(self, instance: str) -> Path:
        return self.runtime(instance) / f"mojo_weixin_qrcode_{instance}.jpg"

    def pid_file(self, instance: str) -> Path:
        return self.runtime(instance) / f"mojo_weixin_pid_{instance}.pid"

    def port_secret(self, instance: str) -> Path:
        """The secret that the controller shows at the account's port; readable by the controller."""
        return self.runtime(instance) / "port-secret"

    def api_socket(self, instance: str) -> Path:
        """The socket of the account's API, for the controller."""
        return self.runtime(instance) / API_SOCKET

    def cookie_file(self, instance: str) -> Path:
        """The session: cookies and keys, private to the account."""
        return self.state(instance) / f"mojo_weixin_cookie_{instance}.dat"

    def media(self, instance: str) -> Path:
        return self.state(instance) / "media"


def word(name: str) -> str:
    if not re.fullmatch(r"[a-z]{1,32}", name):
        raise ValueError(f"{name!r} is no name of a directory")
    return name


def checked(instance: str) -> str:
    unit_of(instance)  # raises BadName: no other string may become part of a path
    return instance
