"""The original's state file (openwx-api 4.4), with additional fields."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.states import LoginState
from wxcontroller.core.text.templates import NOTHING, Text, text_fields

# Read by scripts to see whether the HTTP API exists. Ours is not a plugin, but the answer is the same: yes.
_PLUGINS: JsonValue = [{"name": "Mojo::Weixin::Plugin::Openwx", "priority": 98, "auto_call": None, "call_on_load": 1}]
# Shown like in the original: as text if set, else as numbers.
_SHOWN = (
    "http_debug",
    "download_media",
    "keep_cookie",
    "fix_media_loop",
    "synccheck_interval",
    "emoji_to_text",
    "stop_with_mobile",
    "ua_retry_times",
    "qrcode_count_max",
)


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """Constant facts of a running client. ``set_options`` are explicitly set options, ``defaults`` the others."""

    account: str
    version: str
    pid: int
    start_time: int
    driver: str
    set_options: Mapping[str, str]
    defaults: Mapping[str, str]
    paths: Mapping[str, str]  # tmpdir, media_dir, cookie_path, qrcode_path, pid_path, state_path
    epoch: int = 1


QUESTION_KINDS = ("consent", "code")


@dataclass(frozen=True, slots=True)
class Question:
    """An account's question to a person: yes to a ``kind`` consent, or a code of ``digits`` (0: unknown)."""

    id: str
    kind: str
    prompt: Text
    digits: int = 0

    def as_json(self) -> JsonObject:
        return {
            "id": self.id,
            "kind": self.kind,
            **text_fields(prompt=self.prompt),
            "digits": self.digits or None,
        }


@dataclass(frozen=True, slots=True)
class SendLimits:
    """Limits of sends that WeChat's answers showed.

    ``restricted`` are people to whom WeChat shows no sends, ``limit_24h`` is a limit of a day that acts until
    ``limit_24h_until``; ``media_refused`` since when uploads are refused. Times are seconds since 1970, 0 for none.
    """

    restricted: int = 0
    limit_24h: int = 0
    limit_24h_until: int = 0
    media_refused: int = 0


_NO_LIMITS: JsonObject = dict.fromkeys(limit.name for limit in fields(SendLimits))


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of the session. Times in seconds since 1970, ``qrcode_number`` counts the codes of this process.

    ``last_sync`` is the time of WeChat's last answer, and ``sync_uptime`` the same in seconds since the boot,
    by a clock that cannot be set; both 0 before one. ``limits`` are None on routes that show none; ``ended`` is
    why the driver stopped, a drivers.base.EndReason. ``logins`` counts those of this process. It stops after
    ``qrcode_limit`` codes, this is number ``qrcode_try``, and the next one is due at ``qrcode_until``, 0 for unknown.
    ``login_marks`` are the login's (drivers.base.Profile), None if unchanged or unsupported. ``port_error`` is why
    the account's port cannot be used.
    """

    state: LoginState
    previous: LoginState | None
    since: int
    status: Text
    reason: Text = NOTHING
    qrcode_link: str | None = None
    qrcode_number: int = 0
    user_id: str = ""
    user_name: str = ""
    last_sync: int = 0
    sync_uptime: float = 0.0
    asks: Question | None = None
    limits: SendLimits | None = None
    ended: str = ""
    login_marks: tuple[str, ...] | None = None
    qrcode_try: int = 0
    qrcode_limit: int = 0
    qrcode_until: int = 0
    logins: int = 0
    port_error: Text = NOTHING


# Not the original's, and no part of the contract's STATE.
FOR_CONTROLLER = frozenset(
    {
        *("restricted", "limit_24h", "limit_24h_until", "media_refused", "ended", "login_marks", "logins", "epoch"),
        *("qrcode_try", "qrcode_limit", "qrcode_until"),
        # Programs without it have no socket in their runtime directory.
        *("port_error", "port_error_text"),
    }
)


def render(facts: ClientFacts, moment: Moment) -> JsonObject:
    """Return the content of the state file."""
    content: JsonObject = {
        "account": facts.account,
        "version": facts.version,
        "start_time": facts.start_time,
        "log_encoding": "",
        "log_path": "",
        "log_level": facts.set_options.get("log_level", facts.defaults.get("log_level", "info")),
        "log_console": 1,
        "disable_color": 0,
        "state": moment.state.word,
        "previous_state": moment.previous.word if moment.previous else None,
        "pid": facts.pid,
        "os": "linux",
        "plugin": _PLUGINS,
        "driver": facts.driver,
        "epoch": facts.epoch,
        "login_state": moment.state.value,
        "previous_login_state": moment.previous.value if moment.previous else None,
        "state_since": moment.since,
        **text_fields(status=moment.status, reason=moment.reason),
        "input": moment.asks.as_json() if moment.asks else None,
        **(asdict(moment.limits) if moment.limits else _NO_LIMITS),
        "ended": moment.ended or None,
        "login_marks": None if moment.login_marks is None else [*moment.login_marks],
        **text_fields(port_error=moment.port_error),
        "qrcode_link": moment.qrcode_link,
        "qrcode_number": moment.qrcode_number,
        "qrcode_try": moment.qrcode_try,
        "qrcode_limit": moment.qrcode_limit,
        "qrcode_until": moment.qrcode_until,
        "logins": moment.logins,
        "last_sync_time": moment.last_sync or None,
        "last_sync_uptime": moment.sync_uptime or None,
        "user": {"id": moment.user_id, "name": moment.user_name} if moment.user_id else None,
    }
    for name in _SHOWN:
        content[name] = (
            facts.set_options[name] if name in facts.set_options else number(facts.defaults.get(name, "0"))
        )
    content.update(facts.paths)
    return content


def number(text: str) -> JsonValue:
    return int(text) if text.isdecimal() else text
