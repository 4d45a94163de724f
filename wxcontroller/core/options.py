"""Options of an account: one table, from which checks, environment file, client and documentation are derived.

An option is named as the original's start parameter; its variable is what the environment file holds
(openwx-api 1.5). Only options of this table can come from a request.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from wxcontroller.core.egress import parse_proxy
from wxcontroller.core.envfile import printable
from wxcontroller.core.errors import BadOption, reason_of
from wxcontroller.core.journal import LEVELS
from wxcontroller.core.messages import N_, Text
from wxcontroller.core.states import TakeoverPolicy

# Maximum characters of an option in a request: the usual limit of servers for URLs.
OPTION_LENGTH = 2048
# Labels in a placement: a host has at most this many.
_LABELS = 32
# Values of ``driver`` whose logins are not bound to an IP address: any host may take them over.
ANY_ADDRESS = frozenset({"ilink"})


class Origin(Enum):
    """The origins of an option's value."""

    REQUEST = "request"  # any caller who may start the account
    SETTINGS = "settings"  # the admin: [client] in the settings, the template, an override file
    IGNORED = "ignored"  # the original's, without meaning here: accepted from old scripts, named in the answer


@dataclass(frozen=True, slots=True)
class Option:
    """One option. ``check`` returns the canonical text of a value or raises ValueError with the reason."""

    name: str
    default: str
    check: Callable[[str], str]
    meaning: str
    origin: Origin = Origin.REQUEST

    @property
    def variable(self) -> str:
        original = self.name in _ORIGINAL or self.origin is Origin.IGNORED
        return f"{'MOJO_WEIXIN' if original else 'WXCLIENT'}_{self.name.upper()}"

    @property
    def unit(self) -> str:
        """The unit of its value: seconds, days or bytes; "" for a count and for other values."""
        return str(getattr(self.check, "unit", ""))

    @property
    def words(self) -> tuple[str, ...]:
        """All values that it can have, where they are few: 0 and 1 of a flag; () for others."""
        if self.check is flag:
            return ("0", "1")
        return self.check.allowed if isinstance(self.check, Choice) else ()


# Variables of the original; nothing is ever added here.
_ORIGINAL = frozenset(
    (
        "post_api poll_api poll_interval plugin_openwx_poll_interval post_event plugin_openwx_post_event "
        "post_media_data plugin_openwx_post_media_data post_event_list post_message_filter domain lang "
        "http_agent keep_cookie send_interval qrcode_count_max stop_with_mobile synccheck_interval "
        "synccheck_delay fix_media_loop emoji_to_text is_init_group_member is_update_group_member "
        "is_update_all_friend download_media media_size_max media_chunk_size check_event_list_max_size "
        "ua_retry_times ua_connect_timeout ua_request_timeout ua_inactivity_timeout log_level http_debug"
    ).split()
)
# Two names for one option (openwx-api 5.1 no. 15); stored under the one that the original's client reads.
SAME = {name: f"plugin_openwx_{name}" for name in ("poll_interval", "post_event", "post_media_data")}


def flag(value: str) -> str:
    """Accept 0/1 and the usual words; empty is 0, as in the original."""
    word = value.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return "1"
    if word in ("", "0", "false", "no", "off"):
        return "0"
    raise ValueError(Text("must be 0 or 1"))


@dataclass(frozen=True, slots=True)
class Whole:
    """A check for integers from ``low`` to ``high``; for a count, ``unit`` is ""."""

    low: int
    high: int
    unit: str = ""

    def __call__(self, value: str) -> str:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not self.low <= int(value) <= self.high:
            raise ValueError(Text("must be an integer from {low} to {high}", low=self.low, high=self.high))
        return str(int(value))


@dataclass(frozen=True, slots=True)
class Seconds:
    """A check for durations from ``low`` to ``high``."""

    low: float
    high: float
    unit: ClassVar[str] = "seconds"

    def __call__(self, value: str) -> str:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value) or not self.low <= float(value) <= self.high:
            raise ValueError(
                Text("must be a number of seconds from {low} to {high}", low=f"{self.low:g}", high=f"{self.high:g}")
            )
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """A check for one of a few words."""

    allowed: tuple[str, ...]

    def __call__(self, value: str) -> str:
        if value not in self.allowed:
            raise ValueError(Text("must be one of {allowed}", allowed=", ".join(self.allowed)))
        return value


def integer(low: int, high: int, unit: str = "") -> Whole:
    return Whole(low, high, unit)


def seconds(low: float, high: float) -> Seconds:
    return Seconds(low, high)


def choice(*allowed: str) -> Choice:
    return Choice(allowed)


def url(value: str) -> str:
    """Accept an absolute http or https URL, or nothing."""
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        (parts.hostname or "").encode("idna")  # not a possible host name
    except ValueError:
        valid = False
    if not valid or any(c.isspace() for c in value):
        raise ValueError(Text("must be an absolute http:// or https:// URL"))
    return value


def proxy(value: str) -> str:
    """Accept a proxy's URL (core.egress), or nothing."""
    if value:
        parse_proxy(value)
    return value


def host(value: str) -> str:
    """Accept the name of a host of the fleet, or nothing."""
    if not re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9-]{0,31})?", value):
        raise ValueError(Text("must be the name of a host in [fleet]"))
    return value


def labels(value: str) -> str:
    """Accept names or labels of a host, separated by spaces."""
    found = value.split()
    if len(found) > _LABELS or not all(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", each) for each in found):
        raise ValueError(Text("must be names or labels of hosts, separated by spaces"))
    return " ".join(found)


def line(longest: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        if len(value) > longest:
            raise ValueError(Text("must have at most {longest} characters", longest=longest))
        return value

    return check


# WeChat's base hosts (weixin-web-protocol 1.2).
domain = Choice(("wx.qq.com", "wx2.qq.com", "wx8.qq.com", "web.wechat.com", "web2.wechat.com"))


def separated_by_commas(shape: str, refusal: Text) -> Callable[[str], str]:
    """Make a check for words of a ``shape`` separated by commas, or nothing."""

    def check(value: str) -> str:
        found = [word.strip() for word in value.split(",") if word.strip()]
        if not all(re.fullmatch(shape, word) for word in found):
            raise ValueError(refusal)
        return ",".join(dict.fromkeys(found))

    return check


words = separated_by_commas(r"[a-z_]{1,64}", Text("must be names separated by commas"))
statuses = separated_by_commas(r"[45][0-9]{2}", Text("must be HTTP statuses from 400 to 599 separated by commas"))


def conditions(value: str) -> str:
    """Accept ``name=value&name=value``, percent-encoded, or nothing."""
    try:
        parse_qsl(value, keep_blank_values=True, strict_parsing=bool(value), errors="strict", max_num_fields=50)
    except ValueError:
        raise ValueError(Text("must be name=value pairs joined by &, percent-encoded")) from None
    return value


def targets(value: str) -> str:
    """Accept webhook targets (core.targets) separated by spaces, or nothing."""
    from wxcontroller.core.targets import Targets  # wxctl has no use for it, and must be quick

    return str(Targets.parse(value.split()))


def directories(value: str) -> str:
    """Accept absolute directories separated by colons, or nothing."""
    if any(part and not part.startswith("/") for part in value.split(":")):
        raise ValueError(Text("must be absolute directories separated by colons"))
    return line(2000)(value)


def _any(value: str) -> str:
    return value


def _ignored(*names: str) -> list[Option]:
    reason = "accepted from old scripts, has no effect"
    return [Option(name, "", _any, reason, Origin.IGNORED) for name in names]


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in [
        Option("post_api", "", url, "URL to which reports are posted; client=NAME is added to its query"),
        Option("poll_api", "", url, "heartbeat URL, requested periodically; client=NAME is added to its query"),
        Option("poll_interval", "5", seconds(0.1, 86400), "pause between two heartbeats"),
        Option("plugin_openwx_poll_interval", "5", seconds(0.1, 86400), "the same, by the original's name"),
        Option("post_event", "1", flag, "report events, not only messages"),
        Option("plugin_openwx_post_event", "1", flag, "the same, by the original's name"),
        Option("post_media_data", "1", flag, "put media into reports as base64"),
        Option("plugin_openwx_post_media_data", "1", flag, "the same, by the original's name"),
        Option("post_event_list", "", words, "events to report, separated by commas; empty: the original's list"),
        Option("post_message_filter", "", conditions, "name=value&… that message reports must match"),
        Option("webhook_retry_first", "5", seconds(0.1, 3600), "pause after a failed report; doubled each time"),
        Option("webhook_retry_longest", "300", seconds(0.1, 86400), "longest pause between two attempts of a report"),
        Option(
            "webhook_give_up_days",
            "3",
            integer(0, 36500, "days"),
            "days of trying after which a report becomes a dead letter; 0: never",
        ),
        Option(
            "webhook_final",
            "400,410,413,415,422",
            statuses,
            "HTTP statuses with which a webhook refuses a report for good",
        ),
        Option("webhook_timeout", "35", seconds(0.1, 600), "longest wait for a webhook's response"),
        Option(
            "webhook_strict_order",
            "0",
            flag,
            "hold back later reports while the webhook answers one with an error",
        ),
        Option("event_keep_days", "7", integer(0, 36500, "days"), "days for which events are kept; 0: forever"),
        Option("event_keep_bytes", "268435456", integer(1048576, 1 << 39, "bytes"), "bytes of events to keep"),
        Option(
            "dead_keep_days",
            "30",
            integer(0, 36500, "days"),
            "days of running for which dead letters are kept; 0: forever",
        ),
        Option(
            "driver",
            "web",
            choice("web", "ilink", "filehelper"),
            "route to WeChat; ilink is the official bot API, filehelper (experimental) sends to oneself",
        ),
        Option(
            "desktop",
            "auto",
            choice("auto", "on", "off"),
            "log in as WeChat's desktop client; auto: only after a refusal and your consent",
        ),
        Option("domain", "wx.qq.com", domain, "initial WeChat host; the login may move the account"),
        Option("proxy", "", proxy, "proxy for all traffic with WeChat; empty: none"),
        Option("lang", "zh_CN", choice("zh_CN", "zh_TW", "en_US"), "language of texts from WeChat"),
        Option("http_agent", "", line(300), "User-Agent of the session; empty: a desktop browser's"),
        Option("keep_cookie", "1", flag, "keep the session so that a restart needs no scan"),
        Option("send_interval", "3", seconds(0, 3600), "smallest pause between two sends of the account"),
        Option("send_jitter", "0", seconds(0, 3600), "random time added to send_interval, up to this value"),
        Option("send_burst_max", "0", integer(0, 100000), "most sends per minute, others wait; 0: any number"),
        Option("send_daily_max", "0", integer(0, 1000000), "most sends per day, others are refused; 0: any number"),
        Option(
            "send_keep_seconds",
            "3600",
            integer(0, 2592000, "seconds"),
            "how long queued sends survive a stop; 0: not at all",
        ),
        Option(
            "idempotency_keep_seconds",
            "86400",
            integer(60, 2592000, "seconds"),
            "how long an Idempotency-Key is stored",
        ),
        Option(
            "budget_per_inbound",
            "10",
            integer(0, 1000),
            "sends after each message of a person, on routes with a reply window; 0: any number",
        ),
        Option("budget_24h", "0", integer(0, 100000), "sends in 24 hours on such routes; 0: any number, or learned"),
        Option(
            "tokenless_retry",
            "0",
            flag,
            "iLink: retry once without its token when WeChat reports the window closed",
        ),
        Option(
            "window_reminder",
            "0",
            flag,
            "ask the person to write with the last message of a reply window; it spends that message",
        ),
        Option(
            "hold_seconds",
            "86400",
            integer(0, 604800, "seconds"),
            "how long sends wait for a reply window; 0: not at all",
        ),
        Option("stop_drain", "15", seconds(0, 300), "longest time to send queued messages at a stop"),
        Option("send_queue_max", "10000", integer(1, 100000), "most sends that wait; more are refused"),
        Option("consult_max", "3600", seconds(1, 86400), "longest wait of consult for a reply"),
        Option("qrcode_count_max", "10", integer(1, 1000), "QR codes shown in a row before giving up"),
        Option(
            "stop_with_mobile", "0", flag, "stop when the phone ends the web session, instead of logging in again"
        ),
        Option(
            "synccheck_interval",
            "1",
            seconds(0, 60),
            "pause between two checks for new messages; a hundredth of it while messages arrive",
        ),
        Option("synccheck_delay", "1", seconds(0, 60), "pause after a failed check, growing"),
        Option(
            "fix_media_loop",
            "1",
            choice("0", "1", "2"),
            "guard against WeChat's busy loop after media: 0 none, 1 waits, 2 also nudges WeChat",
        ),
        Option("emoji_to_text", "1", flag, "old emoji as [name], not as Unicode characters"),
        Option("is_init_group_member", "0", flag, "fetch details of all group members at login (slow)"),
        Option("is_update_group_member", "1", flag, "fetch details of members when a group is loaded later"),
        Option("is_update_all_friend", "1", flag, "follow the paging of the contact list"),
        Option("download_media", "1", flag, "fetch received media"),
        Option("media_fetch_max", "104857600", integer(1, 1 << 34, "bytes"), "largest received media in bytes"),
        Option("media_fetch_seconds", "120", seconds(1, 3600), "longest time for fetching received media"),
        Option("media_fetch_parallel", "4", integer(1, 64), "received media fetched at a time"),
        Option(
            "media_keep_days", "7", integer(0, 36500, "days"), "days after which received media are deleted; 0: never"
        ),
        Option(
            "media_keep_bytes",
            "2147483648",
            integer(0, 1 << 39, "bytes"),
            "bytes of received media to keep; 0: any amount",
        ),
        Option("media_size_max", "20971520", integer(1, 1 << 30, "bytes"), "largest upload in bytes"),
        Option("media_chunk_size", "524288", integer(1024, 1 << 24, "bytes"), "upload chunk in bytes"),
        Option("check_event_list_max_size", "20", integer(1, 100000), "events kept for check_event"),
        Option("ua_retry_times", "5", integer(0, 100), "retries of a failed request to WeChat"),
        Option("ua_connect_timeout", "10", seconds(0.1, 600), "connect timeout towards WeChat"),
        Option("ua_request_timeout", "35", seconds(1, 600), "request timeout towards WeChat"),
        Option("ua_inactivity_timeout", "35", seconds(1, 600), "longest silence of a connection to WeChat"),
        Option("placement", "", labels, "names and labels that the host of a new account has, in a fleet with etcd"),
        Option("standby", "", host, "host of the fleet that keeps a copy of the account, for wxctl adopt"),
        Option(
            "takeover",
            TakeoverPolicy.HOLD.value,
            choice(*TakeoverPolicy),
            "which host of a fleet with etcd takes the account over when its own is lost: hold (none), same-egress "
            "or any (only driver=ilink)",
        ),
        Option("log_level", "info", choice(*LEVELS), "level of detail in the journal"),
        Option("http_debug", "0", flag, "log requests to WeChat, without secrets"),
        Option("server", "", url, "server to use instead of WeChat's, such as the sandbox", Origin.SETTINGS),
        Option("ca_file", "", line(300), "CA certificates to trust in addition to the system's", Origin.SETTINGS),
        Option("media_paths", "", directories, "directories from which media_path may send files", Origin.SETTINGS),
        Option("media_private_urls", "0", flag, "media may be fetched from private addresses", Origin.SETTINGS),
        Option(
            "public_url",
            "http://127.0.0.1:2000",
            url,
            "the controller's address in reports",
            Origin.SETTINGS,
        ),
        Option(
            "webhook_targets", "", targets, "allowed addresses of reports and heartbeats; empty: any", Origin.SETTINGS
        ),
        Option("api_connections_max", "512", integer(8, 4000), "connections to the account's port", Origin.SETTINGS),
        Option(
            "api_long_polls_max",
            "256",
            integer(1, 4000),
            "concurrent calls of check_event and consult",
            Origin.SETTINGS,
        ),
        Option(
            "api_body_max", "67108864", integer(1024, 1 << 30, "bytes"), "largest body of a request", Origin.SETTINGS
        ),
        Option(
            "api_bodies_max",
            "536870912",
            integer(1024, 1 << 32, "bytes"),
            "bytes of bodies at a time",
            Origin.SETTINGS,
        ),
        Option("jsonp", "0", flag, "answer datatype=jsonp: any web page may read the answers", Origin.SETTINGS),
        *_ignored("tmpdir", "media_dir", "cookie_path", "qrcode_path", "pid_path", "state_path"),
        *_ignored("log_path", "log_encoding", "log_head", "log_console", "log_unicode", "disable_color"),
        *_ignored("is_fetch_notice", "notice_api", "sync_interval", "json_codec_mode", "http_max_message_size"),
        *_ignored("ua_debug", "ua_debug_req_body", "ua_debug_res_body", "account"),
    ]
}


@dataclass(frozen=True, slots=True)
class Checked:
    """Options of a request: ``options`` in canonical text by option name, ``ignored`` names without effect."""

    options: Mapping[str, str]
    ignored: tuple[str, ...]


def check_options(
    pairs: Iterable[tuple[str, str]],
    by: Origin = Origin.REQUEST,
    longest: int = OPTION_LENGTH,
) -> Checked:
    """Check options given by ``by`` (REQUEST or SETTINGS), none longer than ``longest`` characters.

    The last value of a repeated name wins (openwx-api 5.2 no. 18), also of two names for one option. Raises
    BadOption for an unknown name, a name that requests may not set, or a value of the wrong type.
    """
    checked: dict[str, str] = {}
    ignored: list[str] = []
    for name, value in pairs:
        option = OPTIONS.get(name)
        if option is None:
            shown = name[:64].encode("utf-8", "replace").decode()
            raise BadOption(N_("unknown option: {option}"), N_("wxclient(8) lists the options"), option=shown)
        # Values that an environment file cannot contain are refused here, before anything changes.
        one_line(name, value, longest)
        if option.origin is Origin.IGNORED:
            ignored.append(name)
            continue
        if option.origin is Origin.SETTINGS and by is Origin.REQUEST:
            raise BadOption(
                N_("option {option} cannot be set by a request"),
                N_("set it under [client] in the settings"),
                option=name,
            )
        try:
            checked[SAME.get(name, name)] = option.check(value)
        except ValueError as problem:
            raise BadOption(
                N_("option {option} {problem}"),
                N_("its meaning: {meaning}"),
                option=name,
                problem=reason_of(problem),
                meaning=Text(option.meaning),
            ) from None
    return Checked(checked, tuple(dict.fromkeys(ignored)))


def one_line(name: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise BadOption(
            N_("option {option} has {count} characters, at most {longest} are allowed"),
            N_("shorten it"),
            option=name,
            count=len(value),
            longest=longest,
        )
    if not all(printable(c) for c in value):
        raise BadOption(
            N_("option {option} contains a line break or another control character"),
            N_("remove it"),
            option=name,
        )
