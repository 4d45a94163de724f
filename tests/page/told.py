"""What wxctl itself says to people, read from its code as tests/page/said.py does; help and usage are elsewhere.

With it go the modules of core that only wxctl passes on: they look through files that are root's.
"""

import ast
import errno
import os
import re
from collections.abc import Iterator

from tests.page.said import ROOT, SENTENCE, sentences, texts
from wxcontroller.cli.account import Condition
from wxcontroller.core.states import Desired, LoginState, UnitState

_SPEAKERS = (
    "cli/**/*.py",
    "alert/*.py",
    "controller/alerts/disk.py",
    "controller/alerts/findings.py",
    "controller/alerts/watch.py",
    "controller/stream/cursor.py",
    "controller/stream/feed.py",
    "controller/tls.py",
    "controller/v1/alerts.py",
    "controller/v1/options.py",
    "controller/watchtokens.py",
    "core/addresses.py",
    "core/alertsettings.py",
    "core/check.py",
    "core/credentials.py",
    "core/errors.py",
    "core/files.py",
    "core/limits.py",
    "core/porttokens.py",
    "core/settings.py",
    "core/tokens.py",
)
_SILENT = {"cli/completion.py", "cli/exits.py", "alert/__main__.py"}
# Calls whose words are help, or nothing that is shown.
_HELP = {"command", "group", "option", "argument", "version_option", "ArgumentParser", "add_argument", "compile"}
# Two words in the code that nobody is shown, and what is too little to know it again: _MORE has all of it.
_UNSPOKEN = re.compile(
    "|".join(
        (
            r"^%|^text/|^Content-|^multipart/|^Bearer |^bold |^must be one of$|Iterator|^(limits|\{1\}) key \{1\}$",
            r"^(wxctl alert test|config check)$",
            r"^(a look|deliveries list|wxcontroller on|seconds \{1\}$|client option)|^event of \{1\}$",
            r"^systemctl (daemon-reload|(edit|enable|start|unmask) \{1\})$|has lost \{2\} \{3\}",
            r"systemd has \{1\} \{2\}|^, the last|^wxcontroller-alert|^journalctl -b -u \{1\}$",
            r"^\{1\} (is \{2\}|of \{2\}|\{2\} of \{3\} \{4\}|has no \{2\} \{3\})$|^\{1\}: \{2\} to \{3\}$",
        )
    )
)
# Labels, states, and what is put together in the code.
_MORE = (
    *(" is ", ", ", ": ", "; "),
    *(f" ({sub})" for sub in ("dead", "running", "exited", "failed", "auto-restart", "start", "start-pre")),
    *(
        "NAME",
        "STATE",
        "SINCE",
        "PORT",
        "USER",
        "STATUS",
        "ID",
        "WHEN",
        "TYPE",
        "LANE",
        "TRIES",
        "NEXT",
        "LAST ERROR",
    ),
    *("ACCOUNT", "PENDING", "DEAD", "LOST", "RETRYING", "OLDEST", "TO", "OPTION", "VALUE", "FROM"),
    *("SCOPE", "ACCOUNTS", "CREATED", "EXPIRES", "never", "all", "request", "settings", "default", "credential"),
    *("status", "reason", "login", "since", "user", "unit", "wanted", "pid", "port", "route", "reports", "proxy"),
    *("queue", "undelivered", "knows", "media", "heard", "controller:", "settings:", "accounts:"),
    *("id", "time", "type", "state", "lane", "retry", "attempts", "last_error", "last_status"),
    *("pending", "held", "dead", "delivered", "purged", "dropped", "kept", "expired", "nowhere"),
    *(os.strerror(each) for each in (errno.EEXIST, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EISDIR, errno.ENOTDIR)),
    *(os.strerror(each) for each in (errno.ENETUNREACH, errno.ETIMEDOUT, errno.EPIPE, errno.ENAMETOOLONG)),
    *("Name or service not known", "Temporary failure in name resolution"),
    *("add --yes", "removed", "logged out", "{1}: not TOML: {2}"),
    *("ok", "warn", "fail", "account", "program", "alerts", "configuration", "controller", "services", "sandbox"),
    *("boot", "credentials", "disk", "ports", "WeChat", "clock", "scaning", "stop", "Passphrase"),
    *("none", "empty", "{1} s", "{1} min", "{1} h", "{1} d", "{1} ago", "in {1} s"),
    *(f"{{1}} is {word.value}" for kind in (Condition, UnitState) for word in kind),
    *("friend {1}", "group {1}", "{1}  friend {2}", "{1}  group {2}", "friend", "group"),
    *("{1}: the message to {2}", "{1}: the file {2} to {3}"),
    *("{1} has no group {2}", "{1} has no friend or group {2}"),
    *(
        f"{{1}} {what} of {{2}} {done}"
        for what in ("report", "reports")
        for done in ("will be sent again", "given up")
    ),
    *(
        f"{{1}} has lost {{2}} {what}{when}: too many waited for its webhook"
        for what in ("report", "reports")
        for when in ("", ", the last {3} ago")
    ),
    *(
        f"the controller does not answer; systemd has {done} {{1}} ({{2}})"
        for done in ("started", "stopped", "restarted")
    ),
)


def told() -> list[str]:
    """Return all of them, in a fixed order."""
    found = {*_MORE, *(word.value for kind in (Condition, Desired, LoginState, UnitState) for word in kind)}
    for path in sorted(path for name in _SPEAKERS for path in ROOT.glob(name)):
        if str(path.relative_to(ROOT)) not in _SILENT:
            for text in texts(ast.parse(path.read_text(encoding="utf-8")), _is_no_speech):
                found.update(line for line in _lines(text) if SENTENCE.search(line) and not _UNSPOKEN.search(line))
    return sorted(found - set(sentences()))


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield _numbered(line.strip().removeprefix("wxctl: "))


def _numbered(line: str) -> str:
    """Return a line of several with its own values numbered from 1."""
    for number, given in enumerate(dict.fromkeys(re.findall(r"\{\d\}", line)), 1):
        line = line.replace(given, f"{{{number}}}")
    return line


def _is_no_speech(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=str(called))):
            return called in _HELP
        case ast.AnnAssign(value=ast.Call()):
            return True  # a setting or limit: what it means is in the manual
        case ast.Assign(targets=[ast.Name(id="_EXAMPLES")]):
            return True
        case _:
            return False


if __name__ == "__main__":
    print("\n".join(told()))
