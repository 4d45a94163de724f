"""Write docs/reference, and lists in other pages, from the code's own tables: ``make docs``.

tests/reference_zh.py does so in Chinese. tests/unit/cli/test_reference.py fails if pages are out of date.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from wxcontroller.controller.alerts.findings import KINDS as ALERTS
from wxcontroller.controller.errors import FAILURES
from wxcontroller.controller.v1.described import CODES
from wxcontroller.core import access
from wxcontroller.core.alertsettings import AlertSettings
from wxcontroller.core.condition.model import Code, Condition
from wxcontroller.core.journal import LEVELS, MESSAGE_IDS, Event
from wxcontroller.core.limits import LIMITS, REMOVED, Limit, shown
from wxcontroller.core.options import OPTIONS, Origin
from wxcontroller.core.settings import OBSOLETE, Listen, Settings
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.core.targets import Targets
from wxcontroller.openwx import eventtypes
from wxcontroller.openwx.eventtypes import DEFAULT_EVENTS, FOR_CHECK_EVENT

ROOT = Path(__file__).resolve().parents[1]
_WRAPPER = textwrap.TextWrapper(118, break_long_words=False, break_on_hyphens=False)
PLACE = ROOT / "docs/reference"
# Codes that the page of errors describes in its last paragraph.
UNEXPECTED = frozenset({"failed", "internal"})
MADE = "<!-- Generated from the code by `make docs`: change it there. -->"
# `params` of events, and when they are reported.
EVENTS: Mapping[str, tuple[str, str]] = {
    "login": (
        "[1], [0], [-1, text]",
        "logged in by the phone (1) or with the stored session (0); refused (-1)",
    ),
    "stop": ("[]", "the account's process stops"),
    "state_change": ("[old, new]", "the state has changed"),
    "input_qrcode": ("[file, base64 of the JPEG]", "a QR code is ready to scan"),
    "new_friend": ("[FRIEND]", "a new contact"),
    "lose_friend": ("[FRIEND]", "a contact was removed"),
    "new_group": ("[GROUP]", "a new group"),
    "lose_group": ("[GROUP]", "a group was left or dissolved"),
    "new_group_member": ("[MEMBER, GROUP]", "a new member of a group"),
    "lose_group_member": ("[MEMBER, GROUP]", "a member left a group"),
    "friend_request": ("[id, displayname, text, ticket]", "a friend request; for accept_friend_request"),
    "friend_property_change": ("[FRIEND, property, old, new]", "a property of a contact has changed"),
    "group_property_change": ("[GROUP, property, old, new]", "a property of a group has changed"),
    "group_member_property_change": ("[MEMBER, property, old, new]", "a property of a member has changed"),
    "user_property_change": ("[USER, property, old, new]", "a property of the account has changed"),
    "update_user": ("[USER]", "the account's data were loaded after a login"),
    "update_friend": ("[FRIEND, …]", "the contacts were loaded after a login"),
    "update_group": ("[GROUP, …]", "the groups were loaded after a login"),
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    head = list(head)
    return "\n".join([line(head), line("---" for _ in head), *(line(row) for row in rows)])


def document(*parts: str) -> str:
    """Return the parts of a page, with wrapped paragraphs."""
    kept = ("#", "|")
    return "\n\n".join(part if part.startswith(kept) else _WRAPPER.fill(part) for part in parts)


def code(text: object) -> str:
    return f"`{text}`" if str(text) else ""


def keys(of: type[Settings] | type[AlertSettings]) -> Mapping[str, str]:
    """Return the descriptions of all keys that are no tables."""
    tables = ("alerts", "client", "fleet", "limits")
    return {entry.name: entry.metadata["doc"] for entry in fields(of) if entry.name not in tables}


def settings() -> str:
    def rows(of: type[Settings] | type[AlertSettings]) -> list[tuple[str, ...]]:
        return [(code(name), code(toml(getattr(of(), name))), said) for name, said in keys(of).items()]

    return document(
        "# Settings",
        "Keys of `/etc/wxcontroller/wxcontroller.toml` and of the files in `wxcontroller.toml.d`, which override it. "
        "[wxcontroller.toml(5)](../man/wxcontroller.toml.5.scd) explains them in detail. Durations are in seconds.",
        table(["key", "default", "meaning"], rows(Settings)),
        "The table `[client]` sets defaults of the accounts' [options](options.md), and `[limits]` the "
        "[limits](limits.md) on external input. `[fleet]` names the [other hosts](../howto/several-hosts.md).",
        "## The table [alerts]",
        table(["key", "default", "meaning"], rows(AlertSettings)),
        "## Options without effect",
        "Options of the original controller that are accepted, with a warning, and have no effect:",
        table(["key", "reason"], [(code(name), why) for name, why in OBSOLETE.items()]),
    )


def audiences() -> Iterable[tuple[str, str, list[Limit]]]:
    """Yield the limits by where they apply: a title, when a change takes effect, and the limits."""
    for whom, title, since in (
        ((True, True), "Both ports", "The controller applies them after a reload, accounts from their next start."),
        ((True, False), "The controller", "The controller applies them after a reload."),
        ((False, True), "Accounts", "Accounts apply them from their next start."),
    ):
        yield title, since, [one for one in LIMITS.values() if (one.for_controller, one.for_accounts) == whom]


def limits() -> str:
    parts = []
    for title, since, listed in audiences():
        rows = [
            (code(one.name), code(shown(one.default)), f"{shown(one.low)} to {shown(one.high)}", one.meaning)
            for one in listed
        ]
        parts += [f"## {title}", since, table(["key", "default", "range", "limit"], rows)]
    return document(
        "# Limits",
        "Keys of the table `[limits]` of the [settings](settings.md). [Limits](../limits.md) explains how to set "
        "them for a single account, and lists all other limits.",
        *parts,
        "## Removed keys",
        "Limits of 2.0.0 that can no longer be set. A file that sets one is still accepted, with a warning; the "
        "limit has the value given here.",
        table(["key", "limit"], [(code(name), shown(value)) for name, value in REMOVED.items()]),
    )


def conffile() -> str:
    """Return the limits in the shipped settings file."""
    lines: list[str] = []
    for title, _, listed in audiences():
        lines += ["", f"# {title}"]
        lines += [f"#{one.name} = {shown(one.default)}  # {one.meaning}" for one in listed]
    return "\n".join(lines)


def manual() -> str:
    """Return the limits in the man page of the settings."""
    parts = [_TABLE]
    for (title, since, _), entries in zip(audiences(), of_limits(), strict=True):
        parts += [f"## {title}", since, *(f"{one.head}\n\t{one.words}" for one in entries)]
    return "\n\n".join(parts)


_TABLE = """limits on the size, number and time of external input. An unknown key, or a number out of its range, is
	refused. Keys of 2.0.0 that are not listed here have no effect; *wxctl config check* warns about each and names
	the limit in force. The controller writes the limits of accounts into the accounts' files. To set one for a single
	account, put a variable into _/etc/wxcontroller/clients/INSTANCE.env_: *WXCLIENT_LIMIT_* and the key in capitals,
	as in *WXCLIENT_LIMIT_SEND_TRIES*=3. *wxctl show* lists those of an account that are not the default. All limits
	are listed in _/usr/share/doc/wxcontroller/limits.md_."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key or option in a list: its name, the line with its default, and a description if the page has none."""

    name: str
    head: str
    words: str


def of_options(empty: str) -> list[Entry]:
    """Return the entries of wxclient(8); ``empty`` is the word for an empty default."""
    known = [one for one in OPTIONS.values() if one.origin is not Origin.IGNORED]
    return [Entry(one.name, f"*{one.name}* ({one.default or empty})", sentence(one.meaning)) for one in known]


def of_settings(form: str) -> list[list[Entry]]:
    """Return the entries of a page of the settings, table by table, with heads of this form."""
    return [
        [
            Entry(name, form.format(name=name, default=toml(getattr(of(), name))), sentence(said))
            for name, said in keys(of).items()
        ]
        for of in (Settings, AlertSettings)
    ]


def of_limits() -> list[list[Entry]]:
    """Return the entries of the limits, audience by audience."""
    return [
        [
            Entry(one.name, f"*{one.name}* = {shown(one.default)}", f"{sentence(one.meaning)} {bounds(one)}")
            for one in listed
        ]
        for _, _, listed in audiences()
    ]


def sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def bounds(limit: Limit) -> str:
    return f"From {shown(limit.low)} to {shown(limit.high)}."


def with_entries(page: str, entries: Iterable[Entry]) -> str:
    """Return a page with all these entries: existing descriptions stay, new entries follow the one before them."""
    before = ""
    for one in entries:
        mark = one.head[: one.head.index(one.name)]
        line = re.search(rf"^{re.escape(mark)}{one.name}\*? [(=].*$", page, re.MULTILINE)
        if line:
            page = page[: line.start()] + one.head + page[line.end() :]
        else:
            assert before, f"{one.name} is the first of its list: write its entry by hand"
            # A man page's entry is a line and a paragraph, that of the settings file a comment and a line.
            new = f"{one.head}\n\t{one.words}\n" if one.head.startswith("*") else f"# {one.words}\n{one.head}\n"
            last = re.search(rf"^{re.escape(before)}\n(?:\t.*\n)*", page, re.MULTILINE)
            assert last
            page = f"{page[: last.end()]}\n{new}{page[last.end() :]}"
        before = one.head
    return page


def between(page: str, first: str, last: str, made: str) -> str:
    """Return a page with the text between two texts replaced."""
    head, begin, rest = page.partition(first)
    _, end, tail = rest.partition(last)
    assert begin, f"no {first!r}"
    assert end, f"no {last!r}"
    return head + begin + made + end + tail


def names(chosen: Iterable[str], joint: str = ", ") -> str:
    return _WRAPPER.fill(joint.join(f"*{name}*" for name in chosen))


def wxclient(page: str, empty: str, own: tuple[str, str], settings_only: tuple[str, str], joint: str = ", ") -> str:
    """Return wxclient(8) with its generated parts; ``own`` and ``settings_only`` are the texts around its lists."""
    page = with_entries(page, of_options(empty))
    known = [one for one in OPTIONS.values() if one.origin is not Origin.IGNORED]
    page = between(page, *own, names([one.name for one in known if one.variable.startswith("WXCLIENT_")], joint))
    return between(page, *settings_only, names([one.name for one in known if one.origin is Origin.SETTINGS], joint))


def settings_page(page: str) -> str:
    """Return wxcontroller.toml(5) with its generated parts except the limits."""
    for entries in of_settings("*{name}* = {default}"):
        page = with_entries(page, entries)
    return page


def settings_file(page: str) -> str:
    for entries in of_settings("#{name} = {default}"):
        page = with_entries(page, entries)
    return between(page, "\n\n#[limits]\n", "\n\n## Defaults of account options", conffile())


ENDPOINTS = (access.CONTROLLER, access.ACCOUNT, access.OWN_PORT)


def row(endpoint: access.Endpoint) -> tuple[str, ...]:
    bound = endpoint.about.value.partition("; ")[2]
    words = endpoint.meaning + (f" ({bound})" if bound else "")
    return ", ".join(endpoint.methods), code(endpoint.path), str(endpoint.scope or "none"), words


def with_tables(page: str, head: Iterable[str], tables: Iterable[Iterable[Iterable[str]]]) -> str:
    """Return a page with the rows of all tables that have this head replaced."""
    beginning = table(head, ())
    parts = re.split(rf"{re.escape(beginning)}\n(?:\|.*\n)*", page)
    made = [f"{table(head, rows)}\n" for rows in tables]
    assert len(parts) == len(made) + 1, "another number of tables"
    return "".join(f"{part}{more}" for part, more in zip(parts, [*made, ""], strict=True))


# Pages with generated parts.
WITHIN: Mapping[str, Callable[[str], str]] = {
    "etc/wxcontroller.toml": settings_file,
    "docs/man/wxcontroller.toml.5.scd": lambda page: between(
        settings_page(page), "*[limits]*\n\tA table: ", "\n\n# DEFAULTS FOR ACCOUNTS", manual()
    ),
    "docs/access.md": lambda page: with_tables(
        page, ["method", "path", "scope", "purpose"], [map(row, listed) for listed in ENDPOINTS]
    ),
    "docs/man/wxclient.8.scd": lambda page: wxclient(
        page,
        "empty",
        ("capitals; for these it is *WXCLIENT\\_* and the name in capitals:\n\n", "\n\nThe default is"),
        ("No request can set these:\n\n", "\n\nThis prevents"),
    ),
}


def filled(name: str) -> str:
    """Return a page with its generated parts."""
    return WITHIN[name]((ROOT / name).read_text(encoding="utf-8"))


def toml(value: object) -> str:
    """Return a default in TOML."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case Targets():
            return "[]"
        case tuple():
            return "[" + ", ".join(toml(each) for each in value) + "]"
        case Listen():
            return f'{{ host = "{value.host}", port = {value.port} }}'
        case _:
            return f'"{value}"'


def options() -> str:
    def rows(origin: Origin) -> list[tuple[str, ...]]:
        chosen = [option for option in OPTIONS.values() if option.origin is origin]
        return [(code(one.name), code(one.default), one.meaning, code(one.variable)) for one in chosen]

    head = ["option", "default", "meaning", "variable"]
    ignored = [code(one.name) for one in OPTIONS.values() if one.origin is Origin.IGNORED]
    return document(
        "# Options of accounts",
        "Given at a start (`wxctl start alice --option send_interval=5`, parameters of `/openwx/start_client`), "
        "under `[client]` in the [settings](settings.md), or as variables in "
        "`/etc/wxcontroller/clients/INSTANCE.env`. [wxclient(8)](../man/wxclient.8.scd) explains them in detail.",
        "## For requests and settings",
        table(head, rows(Origin.REQUEST)),
        "## For settings only",
        "No request can set these.",
        table(head, rows(Origin.SETTINGS)),
        "## Options without effect",
        "Options of the original that are accepted from old scripts: " + ", ".join(ignored) + ".",
    )


def states() -> str:
    words = comments(LoginState)
    login = [(code(state), code(state.word), words[state.name]) for state in LoginState]
    return document(
        "# States",
        "An account has a desired state, the state of its unit, and the state of its login.",
        "## Login",
        "`login_state` under `/v1` and in wxctl; `state` under `/openwx`, in reports and in the state file, with "
        "the original's words.",
        table(["login_state", "state", "meaning"], login),
        "## Unit",
        "systemd's ActiveState; `absent`: the unit is not loaded.",
        table(
            ["unit_state", "has a process"],
            [(code(state), "yes" if state.has_process else "no") for state in UnitState],
        ),
        "## Condition",
        "One assessment of unit, process, login and deliveries: `condition` under `/v1`, and what wxctl and the "
        "dashboard show.",
        table(["condition", "meaning"], conditions(comments(Condition))),
        "## Issues",
        "`issues` under `/v1` lists the problems of an account, the worst first; `advice` is the first of them, and "
        "`severity` its severity. From `warning` on, the account needs attention. Issues of an account whose desired "
        "state is stopped are at most a `notice`. The last column is the kind of [alert](../howto/alerts.md).",
        table(["code", "severity", "when", "alert"], issues(comments(Code))),
        "## Desired state",
        "Set by the last start or stop; it survives reboots: " + ", ".join(code(each) for each in Desired) + ".",
    )


def conditions(meanings: Mapping[str, str]) -> list[tuple[str, ...]]:
    return [(code(each), meanings[each.name]) for each in Condition]


def issues(meanings: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return a row for each code; its description begins with the severity."""
    rows: list[tuple[str, ...]] = []
    for each in Code:
        severity, _, when = meanings[each.name].partition(": ")
        rows.append((code(each), severity, when, code(ALERTS[each][1]) if each in ALERTS else ""))
    return rows


def comments(of: type) -> Mapping[str, str]:
    """Return the comments of an enum's members."""
    return dict(re.findall(r'^ +([A-Z_]+) = "[\w-]+"  # (.*)$', inspect.getsource(of), re.MULTILINE))


def events() -> str:
    assert set(EVENTS) == eventtypes.EVENTS, "this list and that of the code are different"
    rows = [
        (code(name), code(params), when, yes(name in DEFAULT_EVENTS), yes(name in FOR_CHECK_EVENT))
        for name, (params, when) in EVENTS.items()
    ]
    return document(
        "# Events",
        'Reports with `"post_type": "event"`: `event` is the name, `params` a list. Events without a "yes" under "by '
        'default" are reported if the option `post_event_list` names them. The last column marks events that '
        "`check_event` returns. `receive_message` and `send_message` are described in [message "
        "types](../messages.md), the delivery in [events and delivery](../deliveries.md).",
        table(["event", "params", "when", "by default", "check_event"], rows),
    )


def yes(is_so: bool) -> str:
    return "yes" if is_so else ""


def journal() -> str:
    parts = [
        f"## {event}\n\n{told}. `MESSAGE_ID={MESSAGE_IDS[event]}`\n\n{words}"
        for event, told, words in explained("wxcontroller.catalog")
    ]
    return document(
        "# Journal",
        "Important lines have the field `WX_EVENT`, with one of the values below: `journalctl WX_EVENT=parked`; `-x` "
        "adds the explanation. `WX_ACCOUNT` is the account, `WX_STATE` its state. Levels of `log_level`, from the "
        "most to the least detailed: " + ", ".join(LEVELS) + ".",
        *parts,
    )


def explained(catalog: str) -> Iterable[tuple[Event, str, str]]:
    """Yield events with subject and explanation in a catalog."""
    text = (ROOT / "systemd" / catalog).read_text(encoding="utf-8")
    for event in Event:
        entry = text.partition(f"-- {MESSAGE_IDS[event]}\n")[2].partition("\n-- ")[0]
        head, _, words = entry.partition("\n\n")
        subject = re.search(r"^Subject: (.*)$", head, re.MULTILINE)
        assert subject, f"{event} is not in the catalog"
        yield event, subject[1].replace("@WX_ACCOUNT@", "NAME").replace("@WX_STATE@", "STATE"), words.strip()


def first_line(of: type) -> str:
    return (
        inspect.cleandoc(of.__doc__ or "")
        .partition("\n\n")[0]
        .replace("\n", " ")
        .replace(" ``", " `")
        .replace("``", "`")
    )


def errors() -> str:
    known = {failure.code: (failure.status, first_line(failure)) for failure in reversed(FAILURES)}
    rows = [(str(status), code(word), said) for word, (status, said) in known.items()]
    others = sorted(set(CODES) - set(known) - UNEXPECTED)
    return document(
        "# Errors of /v1",
        'A failure is `{"error": {"code": …, "message": …, "remedy": …}}`: a code for programs, and the failure and '
        "its remedy for people. Errors of `/openwx` are in [compatibility](../compatibility.md) and "
        "[sends](../sends.md).",
        "`message_text` and `remedy_text` contain the same as data, for display in another language: `template`, the "
        "English text with the names of values in braces, and `values`. `error.values` has the values of both. Every "
        "text for people in the API has such a `…_text`; accounts that still run 2.0.0 have none.",
        table(["status", "code", "meaning"], sorted(rows)),
        "Other codes are described with their calls: " + ", ".join(code(word) for word in others) + ".",
        "Other expected failures have status 500 and code `failed`. Unexpected ones have code `internal`, with a "
        "number that is also in the journal.",
    )


PAGES: Mapping[str, Callable[[], str]] = {
    made.__name__: made for made in (settings, limits, options, states, events, journal, errors)
}


def page(name: str) -> str:
    """Return a page's whole text."""
    return framed(PAGES[name](), f"[中文](../zh/reference/{name}.md)")


def framed(text: str, link: str) -> str:
    """Return a page with its mark and the link to the other language."""
    head, _, rest = text.partition("\n\n")
    return f"{MADE}\n\n{head}\n\n{link}\n\n{rest}\n"


def write(place: Path, within: Iterable[str], filled: Callable[[str], str], page: Callable[[str], str]) -> None:
    """Write the generated parts, whose texts pages use, and then the pages."""
    for name in within:
        (ROOT / name).write_text(filled(name), encoding="utf-8")
        print(name)
    place.mkdir(exist_ok=True)
    for name in PAGES:
        path = place / f"{name}.md"
        path.write_text(page(name), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    write(PLACE, WITHIN, filled, page)
