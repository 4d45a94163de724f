"""An account as stored in its environment file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, unquote_plus, urlsplit, urlunsplit

from wxcontroller.core.config.limits import LIMITS, variable_of
from wxcontroller.core.config.options import OPTIONS, Origin
from wxcontroller.core.errors import BadEnvironmentFile, WxError, reason_of
from wxcontroller.core.jsontypes import obj, read_json, text
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.net import egress
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.leaving import Leaving, leaving_from
from wxcontroller.core.states import Desired
from wxcontroller.core.text.templates import N_, Text, in_file

NAME = "MOJO_WEIXIN_ACCOUNT"
PORT = "MOJO_WEIXIN_PLUGIN_OPENWX_PORT"
POST_API = "MOJO_WEIXIN_PLUGIN_OPENWX_POST_API"
POLL_API = "MOJO_WEIXIN_PLUGIN_OPENWX_POLL_API"
INSTANCE = "WXCLIENT_INSTANCE"
DESIRED = "WXCLIENT_DESIRED"
PARAMETERS = "WXCLIENT_PARAMETERS"
EPOCH = "WXCLIENT_EPOCH"
LEAVING = "WXCLIENT_LEAVING"
ARRIVED = "WXCLIENT_ARRIVED"
ADOPTED = "WXCLIENT_ADOPTED"
LOGGED_OUT = "WXCLIENT_LOGGED_OUT"
# No account is moved this often: a larger number comes from a damaged file.
LARGEST_EPOCH = (1 << 31) - 1
# Options that the original's client reads with client=NAME merged in.
_MERGED = {"post_api": POST_API, "poll_api": POLL_API}
# Fields that the registry must be able to read back with any template.
REQUIRED = (NAME, PORT, INSTANCE, DESIRED)


@dataclass(frozen=True, slots=True)
class Account:
    """One registered account.

    ``options`` are canonical texts by option name (core/config/options.py), ``parameters`` the start request's pairs
    as they were sent, echoed by the HTTP contract (openwx-api 1.3). ``limits`` are those that are not the default's,
    as text by name (core/config/limits.py); from a file also removed ones, so that writing it again changes it.
    ``epoch`` counts the hosts of the account and is raised with each move: it distinguishes the data that two hosts
    have of one account. Accounts that never moved, and those of earlier versions, are in the first and have no
    variable. ``leaving`` marks one that is being moved away; ``arrived`` is the id of the move that brought it, ""
    for none. ``adopted`` is the epoch of its last adoption, 0 for none: it stays when the account moves on, because
    what it held then is not settled before its first start. ``logged_out`` is the id of a logout without a process:
    the next one, which alone can read the login, forgets it. "" for none.
    """

    name: AccountName
    port: int
    desired: Desired = Desired.STARTED
    options: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 1
    leaving: Leaving | None = None
    arrived: str = ""
    adopted: int = 0
    logged_out: str = ""

    @property
    def driver(self) -> str:
        return self.options.get("driver", OPTIONS["driver"].default)


def with_client(address: str, name: str) -> str:
    """Return the URL with ``client=NAME`` as its last query pair, replacing one already there.

    The other pairs keep their order (openwx-api 1.5). An empty address stays empty.
    """
    if not address:
        return ""
    parts = urlsplit(without_client(address))
    pairs = [*parts.query.split("&"), f"client={quote_plus(name)}"] if parts.query else [f"client={quote_plus(name)}"]
    return urlunsplit(parts._replace(query="&".join(pairs)))


def without_client(address: str) -> str:
    """Return the URL without its ``client`` pair: the inverse of ``with_client``."""
    parts = urlsplit(address)
    pairs = [pair for pair in parts.query.split("&") if pair and pair.split("=", 1)[0] != "client"]
    return urlunsplit(parts._replace(query="&".join(pairs)))


def variables_of(account: Account, paths: Paths) -> dict[str, str]:
    """Return the environment of an account: the original's names, then ours (openwx-api 1.5, plan 3)."""
    instance, options = account.name.instance, dict(account.options)
    # Known in the original only under the plugin's name (openwx-api 5.1 no. 15): both are accepted.
    if "poll_interval" in options:
        options.setdefault("plugin_openwx_poll_interval", options["poll_interval"])
    variables = {
        NAME: account.name.name,
        PORT: str(account.port),
        POST_API: with_client(options.get("post_api", ""), account.name.name),
        POLL_API: with_client(options.get("poll_api", ""), account.name.name),
        "MOJO_WEIXIN_STATE_PATH": str(paths.state_file(instance)),
        "MOJO_WEIXIN_QRCODE_PATH": str(paths.qrcode_file(instance)),
        "MOJO_WEIXIN_PID_PATH": str(paths.pid_file(instance)),
        "MOJO_WEIXIN_COOKIE_PATH": str(paths.cookie_file(instance)),
        "MOJO_WEIXIN_TMPDIR": str(paths.runtime(instance)),
        "MOJO_WEIXIN_MEDIA_DIR": str(paths.media(instance)),
    }
    for name, value in options.items():
        # Their merged form is above. The plain variable is reserved for the administrator's file, where it takes
        # precedence.
        if name not in _MERGED:
            variables[OPTIONS[name].key] = value
    variables.update({variable_of(name): value for name, value in account.limits.items()})
    variables[INSTANCE] = instance
    variables[DESIRED] = account.desired.value
    if account.epoch > 1:
        variables[EPOCH] = str(account.epoch)
    if account.leaving is not None:
        variables[LEAVING] = str(account.leaving)
    if account.arrived:
        variables[ARRIVED] = account.arrived
    if account.adopted:
        variables[ADOPTED] = str(account.adopted)
    if account.logged_out:
        variables[LOGGED_OUT] = account.logged_out
    if account.parameters:
        variables[PARAMETERS] = json.dumps(dict(account.parameters), ensure_ascii=False, sort_keys=True)
    return variables


def account_from(variables: Mapping[str, str], origin: str) -> Account:
    """Read an account back from its environment. Raises BadEnvironmentFile naming ``origin`` and the variable."""
    for key in REQUIRED:
        if not variables.get(key):
            raise BadEnvironmentFile(
                in_file(origin, Text("{key} is missing", key=key)),
                N_("start the account again to rewrite the file"),
            )
    try:
        name = parse_name(variables[NAME])
        port = _positive(variables, PORT, 65535)
        epoch, adopted = epoch_in(variables), epoch_in(variables, ADOPTED, 0)
        leaving = leaving_from(variables.get(LEAVING, ""))
        desired = Desired(variables[DESIRED])
    except (WxError, ValueError) as problem:
        raise BadEnvironmentFile(
            in_file(origin, reason_of(problem)), N_("start the account again to rewrite the file")
        ) from None
    if variables[INSTANCE] != name.instance:
        raise BadEnvironmentFile(
            in_file(
                origin,
                Text(
                    "the name {account} has the id {instance}, not {found}",
                    account=name.name,
                    instance=name.instance,
                    found=variables[INSTANCE],
                ),
            ),
            N_("remove the file, or restore the name"),
        )
    options = {
        option.name: variables[option.key]
        for option in OPTIONS.values()
        if option.origin is not Origin.IGNORED and option.key in variables
    }
    for name_of, merged in _MERGED.items():
        if name_of not in options and variables.get(merged):
            try:
                options[name_of] = without_client(variables[merged])
            except ValueError:
                raise BadEnvironmentFile(
                    in_file(origin, Text("{key} is not a URL", key=merged)),
                    N_("correct it, or delete it and start over"),
                ) from None
    limits = {name: variables[key] for name in LIMITS if (key := variable_of(name)) in variables}
    parameters, arrived = _parameters(variables.get(PARAMETERS, "")), variables.get(ARRIVED, "")
    logged_out = variables.get(LOGGED_OUT, "")
    return Account(name, port, desired, options, parameters, limits, epoch, leaving, arrived, adopted, logged_out)


def epoch_in(variables: Mapping[str, str], key: str = EPOCH, missing: int = 1) -> int:
    """Return an epoch in an account's environment. Raises ValueError for an invalid one."""
    return _positive(variables, key, LARGEST_EPOCH) if variables.get(key) else missing


def _positive(variables: Mapping[str, str], key: str, largest: int) -> int:
    value = variables[key]
    if not (value.isascii() and value.isdecimal() and len(value) <= 10 and 1 <= int(value) <= largest):
        words = Text(
            "{key} is {value}; it must be an integer from 1 to {largest}",
            key=key,
            value=f"{value[:64]!r}",
            largest=largest,
        )
        raise ValueError(words)
    return int(value)


def _parameters(stored: str) -> dict[str, str]:
    if not stored:
        return {}
    try:
        return {key: text(value) for key, value in obj(read_json(stored)).items()}
    except ValueError:
        return {}  # only an echo: never a reason to refuse the account


def redacted(address: str) -> str:
    """Return a URL fit for logs and pages: no credentials, query values replaced by ``…``; else ``…``."""
    if not address:
        return ""
    try:
        parts = urlsplit(address)
        _ = parts.port  # a password with a slash looks like a bad port followed by a path
    except ValueError:
        return "…"
    if not parts.netloc:
        return "…"
    host = parts.netloc.rpartition("@")[2]
    # A value without a name may be a secret itself, and so may the part of a path before an @.
    pairs = (pair.partition("=") for pair in parts.query.split("&") if pair)
    query = "&".join(f"{_key(key)}=…" if equals else "…" for key, equals, _ in pairs)
    path = "/…" if "@" in parts.path else parts.path
    return urlunsplit((parts.scheme, host, path, query, ""))


def presentable(option: str, value: str) -> str:
    """Return an option's value without secrets: no passwords, no queries of URLs."""
    if option == "proxy":
        return egress.shown(value)
    if value.startswith(("http://", "https://")) and (urlsplit(value).query or "@" in value):
        return redacted(value)
    return value


def _key(encoded: str) -> str:
    return quote_plus(unquote_plus(encoded), errors="replace")
