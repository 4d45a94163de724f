"""The configuration of a client: its environment, checked."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wxcontroller.core.access.systemdcredentials import PLACE, read_credential, require_copies
from wxcontroller.core.config.limits import DEFAULTS, Limits, limits_in
from wxcontroller.core.config.options import OPTIONS, SAME, Origin
from wxcontroller.core.config.reporttargets import Targets
from wxcontroller.core.errors import BadSettings, reason_of
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.paths import API_SOCKET, Paths
from wxcontroller.core.registry.account import (
    ADOPTED,
    LEAVING,
    LOGGED_OUT,
    NAME,
    POLL_API,
    PORT,
    POST_API,
    epoch_in,
    with_client,
)
from wxcontroller.core.registry.leaving import leaving_from
from wxcontroller.core.registry.webhooksecrets import CREDENTIAL, VARIABLE, secrets_in, secrets_in_variable
from wxcontroller.core.text.templates import N_

_REMEDY = "correct /etc/wxcontroller/clients/INSTANCE.env, or start the account again through the controller"
_LIMITS_REMEDY = "correct /etc/wxcontroller/clients/INSTANCE.env, or [limits] in the settings; wxcontroller.toml(5)"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """A client's configuration. ``set_options`` are the explicitly set options, ``options`` all of them, as text."""

    name: AccountName
    port: int
    post_api: str
    poll_api: str
    set_options: Mapping[str, str]
    options: Mapping[str, str]
    state_path: Path
    qrcode_path: Path
    pid_path: Path
    cookie_path: Path
    tmpdir: Path
    media_dir: Path
    credentials: Path  # copies of the account's secrets
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    limits: Limits = DEFAULTS
    by_credential: tuple[str, ...] = ()  # options that a credential sets; it overrides all other values
    epoch: int = 1  # raised with each move to another host (core.account.Account)
    logged_out: str = ""  # the id of a logout while no process ran
    adopted: int = 0  # the epoch into which it was brought from a bundle, after its host was lost

    @property
    def targets(self) -> Targets:
        """The permitted targets of reports and heartbeats."""
        return Targets.parse(self.options["webhook_targets"].split())

    @property
    def api_socket(self) -> Path:
        """The socket of the account's API, in its runtime directory."""
        return self.state_path.with_name(API_SOCKET)

    def flag(self, option: str) -> bool:
        return self.options[option] == "1"

    def seconds(self, option: str) -> float:
        return float(self.options[option])

    def number(self, option: str) -> int:
        return int(self.options[option])


def read_config(instance: str, environ: Mapping[str, str], paths: Paths) -> ClientConfig:
    """Read the environment of ``wxclient@INSTANCE.service`` (openwx-api 1.5).

    Raises BadSettings naming the account, the variable and the remedy, also for an account that is being moved to
    another host, and FileFailed for one whose secrets cannot be read.
    """
    remedy = _REMEDY.replace("INSTANCE", instance)
    name = parse_name(environ.get(NAME, instance))

    def bad(problem: ValueError, remedy: str = remedy) -> BadSettings:
        return BadSettings(N_("account {account}: {problem}"), remedy, account=str(name), problem=reason_of(problem))

    # systemd built user, directories and unit of the instance:
    # another name would show one account's data as another's.
    if name.instance != instance:
        raise BadSettings(
            N_("account {instance}: {name} says {account}, which has the id {instance2}"),
            remedy,
            instance=instance,
            name=NAME,
            account=f"{name.name!r}",
            instance2=name.instance,
        )
    port = environ.get(PORT, "")
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise BadSettings(
            N_("account {account}: {port} is {port2}, not a port"),
            remedy,
            account=str(name),
            port=PORT,
            port2=f"{port!r}",
        )
    try:
        epoch, adopted = epoch_in(environ), epoch_in(environ, ADOPTED, 0)
        leaving = leaving_from(environ.get(LEAVING, ""))
    except ValueError as problem:
        raise bad(problem) from None
    if leaving is not None:  # also when started with systemctl alone
        refused = leaving.refused(name.name)
        raise BadSettings(refused.text, refused.remedy_text)
    options: dict[str, str] = {}
    for option in OPTIONS.values():
        value = environ.get(option.key)
        if option.origin is Origin.IGNORED or value is None:
            continue
        try:
            options[option.name] = option.kind.check(value)
        except ValueError as problem:
            raise BadSettings(
                N_("account {account}: {variable} {problem}"),
                remedy,
                account=str(name),
                variable=option.key,
                problem=reason_of(problem),
            ) from None
    try:
        limits = DEFAULTS.with_numbers(limits_in(environ))
    except ValueError as problem:
        raise bad(problem, _LIMITS_REMEDY.replace("INSTANCE", instance)) from None
    require_copies(instance, str(name), paths.credentials)
    proxy = read_credential("proxy", environ, paths.credentials)
    if proxy is not None:  # the admin's: no request changes the way out of such an account
        try:
            options["proxy"] = OPTIONS["proxy"].kind.check(proxy)
        except ValueError as problem:
            raise BadSettings(
                N_("account {account}: the credential proxy {problem}"),
                N_("correct {place}/{instance}.proxy or {place}/proxy"),
                account=str(name),
                problem=reason_of(problem),
                place=PLACE,
                instance=instance,
            ) from None
    # Under both names. The plain one takes precedence: requests and settings are stored under the plugin's name, so
    # the plain one comes from the administrator.
    both = {
        name: options.get(plain, options.get(plugin, ""))
        for plain, plugin in SAME.items()
        for name in (plain, plugin)
    }
    defaults = {option.name: option.default for option in OPTIONS.values() if option.origin is not Origin.IGNORED}

    def path(variable: str, default: Path) -> Path:
        return Path(environ.get(variable) or default)

    return ClientConfig(
        name=name,
        port=int(port),
        post_api=report_url(options, "post_api", environ.get(POST_API, ""), name),
        poll_api=report_url(options, "poll_api", environ.get(POLL_API, ""), name),
        set_options=options,
        options={**defaults, **options, **{name: value for name, value in both.items() if value}},
        state_path=path("MOJO_WEIXIN_STATE_PATH", paths.state_file(instance)),
        qrcode_path=path("MOJO_WEIXIN_QRCODE_PATH", paths.qrcode_file(instance)),
        pid_path=path("MOJO_WEIXIN_PID_PATH", paths.pid_file(instance)),
        cookie_path=path("MOJO_WEIXIN_COOKIE_PATH", paths.cookie_file(instance)),
        tmpdir=path("MOJO_WEIXIN_TMPDIR", paths.runtime(instance)),
        media_dir=path("MOJO_WEIXIN_MEDIA_DIR", paths.media(instance)),
        credentials=paths.credentials,
        webhook_secrets=_secrets(environ, paths.credentials),
        limits=limits,
        by_credential=() if proxy is None else ("proxy",),
        epoch=epoch,
        adopted=adopted,
        logged_out=environ.get(LOGGED_OUT, ""),
    )


def _secrets(environ: Mapping[str, str], copies: Path) -> tuple[str, ...]:
    """Return the secrets that sign reports, the new one first while two are in use; none: they are not signed.

    From the unit's credential ``webhook-secret``, else from WXCLIENT_WEBHOOK_SECRET.
    """
    found = secrets_in(read_credential(CREDENTIAL, environ, copies) or "")
    return tuple(found or secrets_in_variable(environ.get(VARIABLE) or ""))


def report_url(options: Mapping[str, str], option: str, merged: str, name: AccountName) -> str:
    """The administrator's variable overrides the controller's; both contain client=NAME."""
    return with_client(options[option], name.name) if option in options else merged
