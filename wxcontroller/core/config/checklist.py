"""The checks of ``wxctl doctor``, in the order in which it makes them.

``cli/doctor`` has the code of each. The dashboard, whose controller may read neither other users' files nor systemd's
settings, names those of the machine and the command that makes them.
"""

from enum import Enum

from wxcontroller.core.text.templates import N_


class DoctorCheck(Enum):
    """A check: its ``title``, its subject, and whether it needs root on the controller's machine."""

    CONFIGURATION = N_("configuration"), N_("settings, template, accounts' files, tokens and credentials"), True
    SERVICES = N_("services"), N_("whether the controller, its socket, D-Bus and polkit are running"), True
    POLKIT = N_("polkit"), N_("whether the controller is allowed to start and stop accounts"), False
    SANDBOX = N_("sandbox"), N_("drop-ins that weaken the sandbox of units"), True
    BOOT = N_("boot"), N_("whether the accounts that should run were started after the boot"), True
    ENABLED = N_("enabled units"), N_("accounts that start at the next boot although they are stopped"), True
    TOKENS = N_("tokens"), N_("whether callers need a token"), True
    CREDENTIALS = N_("credentials"), N_("credentials that the settings or the unit name but that do not exist"), True
    DISK = N_("disk"), N_("free space where accounts, controller and journal write"), True
    PORTS = N_("ports"), N_("ports of the controller and the accounts that another program uses"), True
    CONTROLLER = N_("controller"), N_("whether the controller responds"), False
    WECHAT = N_("WeChat"), N_("the connection to WeChat through each proxy, and this machine's clock"), True
    ACCOUNTS = N_("account"), N_("all problems of accounts"), False
    PROGRAMS = N_("program"), N_("whether the processes of running accounts respond"), False
    ALERTS = N_("alerts"), N_("whether alerts are delivered on each channel"), False
    FLEET = N_("fleet"), N_("whether the other hosts respond, and whether an account exists twice"), False

    def __init__(self, title: str, meaning: str, needs_root: bool) -> None:
        self.title = title
        self.meaning = meaning
        self.needs_root = needs_root
