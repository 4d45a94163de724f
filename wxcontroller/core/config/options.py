"""Options of an account: one table, from which checks, environment file, client and documentation are derived.

An option is named as the original's start parameter; its variable is what the environment file holds
(openwx-api 1.5). Only options of this table can come from a request.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

from wxcontroller.core.config.envfile import printable
from wxcontroller.core.config.tables import SWITCH, URL, Choice, TableRow, Word, Words, integer, seconds
from wxcontroller.core.errors import BadOption, reason_of
from wxcontroller.core.net.egress import parse_proxy
from wxcontroller.core.process.journal import LEVELS
from wxcontroller.core.states import TakeoverPolicy
from wxcontroller.core.text.templates import N_, Text

# Maximum characters of an option in a request: the usual limit of servers for URLs.
OPTION_LENGTH = 2048
# Names of hosts of a fleet, and the words by which accounts are placed on them. A host has at most this many words.
HOST_NAME, LABEL, LABELS = "[A-Za-z0-9][A-Za-z0-9-]{0,31}", "[A-Za-z0-9._-]{1,64}", 32
# Values of ``driver`` whose logins are not bound to an IP address: any host may take them over.
ANY_ADDRESS = frozenset({"ilink"})


class Origin(Enum):
    """The origins of an option's value."""

    REQUEST = "request"  # any caller who may start the account
    SETTINGS = "settings"  # the admin: [client] in the settings, the template, an override file
    IGNORED = "ignored"  # the original's, without meaning here: accepted from old scripts, named in the answer


# Two names for one option (openwx-api 5.1 no. 15); stored under the one that the original's client reads.
SAME = {name: f"plugin_openwx_{name}" for name in ("poll_interval", "post_event", "post_media_data")}


def _proxy(value: str) -> str:
    if value:
        parse_proxy(value)
    return value


def _conditions(value: str) -> str:
    parse_qsl(value, keep_blank_values=True, strict_parsing=bool(value), errors="strict", max_num_fields=50)
    return value


def _targets(value: str) -> str:
    from wxcontroller.core.config.reporttargets import Targets  # wxctl has no use for it, and must be quick

    return str(Targets.parse(value.split()))


def _line(longest: int) -> Word:
    def check(value: str) -> str:
        if len(value) > longest:
            raise ValueError(Text("must have at most {longest} characters", longest=longest))
        return value

    return Word(made=check)


def _option(default: str, kind: Any, meaning: str, origin: Origin = Origin.REQUEST) -> TableRow:
    return TableRow("", kind, default, meaning, "WXCLIENT", origin)


def _original(default: str, kind: Any, meaning: str, origin: Origin = Origin.REQUEST) -> TableRow:
    """Return a row whose variable is the original's. No others are ever added."""
    return TableRow("", kind, default, meaning, "MOJO_WEIXIN", origin)


_SAME = "the same, by the original's name"
_EVENTS = Words(N_("must be names separated by commas"), Word(pattern="[a-z_]{1,64}"))
_STATUSES = Words(N_("must be HTTP statuses from 400 to 599 separated by commas"), Word(pattern="[45][0-9]{2}"))
_CONDITIONS = Word(N_("must be name=value pairs joined by &, percent-encoded"), made=_conditions)
_PROXY, _TARGETS = Word(made=_proxy), Word(made=_targets)
_HOST = Word(N_("must be the name of a host in [fleet]"), f"({HOST_NAME})?")
_LABELS = Words(N_("must be names or labels of hosts, separated by spaces"), Word(pattern=LABEL), 0, LABELS, " ")
_DIRECTORIES = Word(
    N_("must be absolute directories separated by colons"), "(?:(?:/[^:]*)?:)*(?:/[^:]*)?", _line(2000)
)
# WeChat's base hosts (weixin-web-protocol 1.2).
_DOMAIN = Choice(("wx.qq.com", "wx2.qq.com", "wx8.qq.com", "web.wechat.com", "web2.wechat.com"))


class AccountOptions:
    """The table. Values are texts, as in an account's environment."""

    post_api = _original("", URL, "URL to which reports are posted; client=NAME is added to its query")
    poll_api = _original("", URL, "heartbeat URL, requested periodically; client=NAME is added to its query")
    poll_interval = _original("5", seconds(0.1, 86400), "pause between two heartbeats")
    plugin_openwx_poll_interval = replace(poll_interval, meaning=_SAME)
    post_event = _original("1", SWITCH, "report events, not only messages")
    plugin_openwx_post_event = replace(post_event, meaning=_SAME)
    post_media_data = _original("1", SWITCH, "put media into reports as base64")
    plugin_openwx_post_media_data = replace(post_media_data, meaning=_SAME)
    post_event_list = _original("", _EVENTS, "events to report, separated by commas; empty: the original's list")
    post_message_filter = _original("", _CONDITIONS, "name=value&… that message reports must match")
    webhook_retry_first = _option("5", seconds(0.1, 3600), "pause after a failed report; doubled each time")
    webhook_retry_longest = _option("300", seconds(0.1, 86400), "longest pause between two attempts of a report")
    webhook_give_up_days = _option(
        "3", integer(0, 36500, "days"), "days of trying after which a report becomes a dead letter; 0: never"
    )
    webhook_final = _option(
        "400,410,413,415,422", _STATUSES, "HTTP statuses with which a webhook refuses a report for good"
    )
    webhook_timeout = _option("35", seconds(0.1, 600), "longest wait for a webhook's response")
    webhook_strict_order = _option("0", SWITCH, "hold back later reports while the webhook answers one with an error")
    event_keep_days = _option("7", integer(0, 36500, "days"), "days for which events are kept; 0: forever")
    event_keep_bytes = _option("268435456", integer(1048576, 1 << 39, "bytes"), "bytes of events to keep")
    dead_keep_days = _option(
        "30", integer(0, 36500, "days"), "days of running for which dead letters are kept; 0: forever"
    )
    driver = _option(
        "web",
        Choice(("web", "ilink", "filehelper")),
        "route to WeChat; ilink is the official bot API, filehelper (experimental) sends to oneself",
    )
    desktop = _option(
        "auto",
        Choice(("auto", "on", "off")),
        "log in as WeChat's desktop client; auto: only after a refusal and your consent",
    )
    domain = _original("wx.qq.com", _DOMAIN, "initial WeChat host; the login may move the account")
    proxy = _option("", _PROXY, "proxy for all traffic with WeChat; empty: none")
    lang = _original("zh_CN", Choice(("zh_CN", "zh_TW", "en_US")), "language of texts from WeChat")
    http_agent = _original("", _line(300), "User-Agent of the session; empty: a desktop browser's")
    keep_cookie = _original("1", SWITCH, "keep the session so that a restart needs no scan")
    send_interval = _original("3", seconds(0, 3600), "smallest pause between two sends of the account")
    send_jitter = _option("0", seconds(0, 3600), "random time added to send_interval, up to this value")
    send_burst_max = _option("0", integer(0, 100000), "most sends per minute, others wait; 0: any number")
    send_daily_max = _option("0", integer(0, 1000000), "most sends per day, others are refused; 0: any number")
    send_keep_seconds = _option(
        "3600", integer(0, 2592000, "seconds"), "how long queued sends survive a stop; 0: not at all"
    )
    idempotency_keep_seconds = _option(
        "86400", integer(60, 2592000, "seconds"), "how long an Idempotency-Key is stored"
    )
    budget_per_inbound = _option(
        "10", integer(0, 1000), "sends after each message of a person, on routes with a reply window; 0: any number"
    )
    budget_24h = _option("0", integer(0, 100000), "sends in 24 hours on such routes; 0: any number, or learned")
    tokenless_retry = _option(
        "0", SWITCH, "iLink: retry once without its token when WeChat reports the window closed"
    )
    window_reminder = _option(
        "0", SWITCH, "ask the person to write with the last message of a reply window; it spends that message"
    )
    hold_seconds = _option(
        "86400", integer(0, 604800, "seconds"), "how long sends wait for a reply window; 0: not at all"
    )
    stop_drain = _option("15", seconds(0, 300), "longest time to send queued messages at a stop")
    send_queue_max = _option("10000", integer(1, 100000), "most sends that wait; more are refused")
    consult_max = _option("3600", seconds(1, 86400), "longest wait of consult for a reply")
    qrcode_count_max = _original("10", integer(1, 1000), "QR codes shown in a row before giving up")
    stop_with_mobile = _original("0", SWITCH, "stop when the phone ends the web session, instead of logging in again")
    synccheck_interval = _original(
        "1", seconds(0, 60), "pause between two checks for new messages; a hundredth of it while messages arrive"
    )
    synccheck_delay = _original("1", seconds(0, 60), "pause after a failed check, growing")
    fix_media_loop = _original(
        "1",
        Choice(("0", "1", "2")),
        "guard against WeChat's busy loop after media: 0 none, 1 waits, 2 also nudges WeChat",
    )
    emoji_to_text = _original("1", SWITCH, "old emoji as [name], not as Unicode characters")
    is_init_group_member = _original("0", SWITCH, "fetch details of all group members at login (slow)")
    is_update_group_member = _original("1", SWITCH, "fetch details of members when a group is loaded later")
    is_update_all_friend = _original("1", SWITCH, "follow the paging of the contact list")
    download_media = _original("1", SWITCH, "fetch received media")
    media_fetch_max = _option("104857600", integer(1, 1 << 34, "bytes"), "largest received media in bytes")
    media_fetch_seconds = _option("120", seconds(1, 3600), "longest time for fetching received media")
    media_fetch_parallel = _option("4", integer(1, 64), "received media fetched at a time")
    media_keep_days = _option("7", integer(0, 36500, "days"), "days after which received media are deleted; 0: never")
    media_keep_bytes = _option(
        "2147483648", integer(0, 1 << 39, "bytes"), "bytes of received media to keep; 0: any amount"
    )
    media_size_max = _original("20971520", integer(1, 1 << 30, "bytes"), "largest upload in bytes")
    media_chunk_size = _original("524288", integer(1024, 1 << 24, "bytes"), "upload chunk in bytes")
    check_event_list_max_size = _original("20", integer(1, 100000), "events kept for check_event")
    ua_retry_times = _original("5", integer(0, 100), "retries of a failed request to WeChat")
    ua_connect_timeout = _original("10", seconds(0.1, 600), "connect timeout towards WeChat")
    ua_request_timeout = _original("35", seconds(1, 600), "request timeout towards WeChat")
    ua_inactivity_timeout = _original("35", seconds(1, 600), "longest silence of a connection to WeChat")
    placement = _option("", _LABELS, "names and labels that the host of a new account has, in a fleet with etcd")
    standby = _option("", _HOST, "host of the fleet that keeps a copy of the account, for wxctl claim")
    takeover = _option(
        TakeoverPolicy.HOLD.value,
        Choice(tuple(TakeoverPolicy)),
        "which host of a fleet with etcd takes the account over when its own is lost: hold (none), same-egress "
        "or any (only driver=ilink)",
    )
    log_level = _original("info", Choice(tuple(LEVELS)), "level of detail in the journal")
    http_debug = _original("0", SWITCH, "log requests to WeChat, without secrets")
    server = _option("", URL, "server to use instead of WeChat's, such as the sandbox", Origin.SETTINGS)
    ca_file = _option("", _line(300), "CA certificates to trust in addition to the system's", Origin.SETTINGS)
    media_paths = _option("", _DIRECTORIES, "directories from which media_path may send files", Origin.SETTINGS)
    media_private_urls = _option("0", SWITCH, "media may be fetched from private addresses", Origin.SETTINGS)
    public_url = _option("http://127.0.0.1:2000", URL, "the controller's address in reports", Origin.SETTINGS)
    webhook_targets = _option(
        "", _TARGETS, "allowed addresses of reports and heartbeats; empty: any", Origin.SETTINGS
    )
    api_connections_max = _option("512", integer(8, 4000), "connections to the account's port", Origin.SETTINGS)
    api_long_polls_max = _option(
        "256", integer(1, 4000), "concurrent calls of check_event and consult", Origin.SETTINGS
    )
    api_body_max = _option("67108864", integer(1024, 1 << 30, "bytes"), "largest body of a request", Origin.SETTINGS)
    api_bodies_max = _option(
        "536870912", integer(1024, 1 << 32, "bytes"), "bytes of bodies at a time", Origin.SETTINGS
    )
    jsonp = _option("0", SWITCH, "answer datatype=jsonp: any web page may read the answers", Origin.SETTINGS)


_IGNORED = (
    "tmpdir media_dir cookie_path qrcode_path pid_path state_path log_path log_encoding log_head "
    "log_console log_unicode disable_color is_fetch_notice notice_api sync_interval json_codec_mode "
    "http_max_message_size ua_debug ua_debug_req_body ua_debug_res_body account"
).split()


def _named(name: str, option: TableRow) -> TableRow:
    return replace(option, name=name, key=f"{option.key}_{name.upper()}")


OPTIONS: Mapping[str, TableRow] = {
    name: _named(name, option)
    for name, option in {
        **vars(AccountOptions),
        **dict.fromkeys(_IGNORED, _original("", Word(), "accepted from old scripts, has no effect", Origin.IGNORED)),
    }.items()
    if isinstance(option, TableRow)
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
            checked[SAME.get(name, name)] = option.kind.check(value)
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
