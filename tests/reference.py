"""Bring generated parts of the documentation up to date with the code's own tables: ``make docs``.

A page is its own template: rows of tables and entries of lists are generated, the text around them stays. Pages in
Chinese also keep the words in a row or an entry; new ones are in English until they are translated.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.floors import picture
from wxcontroller.controller.alerts.findings import KINDS as ALERTS
from wxcontroller.controller.apis.v1.index import ENDPOINTS
from wxcontroller.controller.apis.v1.v1described import CODES, ROUTES
from wxcontroller.controller.edge.failureanswers import FAILURES
from wxcontroller.core.access import rights
from wxcontroller.core.condition.facts import Code, Condition
from wxcontroller.core.condition.verdict import RULES, Cause, SendState, Verdict
from wxcontroller.core.config.alertsettings import AlertSettings
from wxcontroller.core.config.fleetsettings import EtcdSettings, FleetSettings, HostSettings
from wxcontroller.core.config.limits import LIMITS, Of
from wxcontroller.core.config.options import OPTIONS, Origin
from wxcontroller.core.config.reporttargets import Targets
from wxcontroller.core.config.settings import OBSOLETE, Listen, Settings
from wxcontroller.core.config.tables import Table, TableRow, rows, shown
from wxcontroller.core.process.journal import MESSAGE_IDS, Event
from wxcontroller.core.states import LoginState, UnitState
from wxcontroller.openwx.contract.eventtypes import DEFAULT_EVENTS, EVENTS, FOR_CHECK_EVENT

ROOT = Path(__file__).resolve().parents[1]
_WRAPPER = textwrap.TextWrapper(118, break_long_words=False, break_on_hyphens=False)
# Head and rows.
_TABLE = re.compile(r"^(\| .+ \|\n\|(?: --- \|)+\n)((?:\|.*\n)*)", re.MULTILINE)
# A paragraph that lists names in code (Markdown) or bold (man pages).
_LIST = re.compile(
    r"^([^\n`*]*)((?P<mark>[`*])[\w-]+(?P=mark)(?:(, |,\n|、)(?P=mark)[\w-]+(?P=mark))+)(.*)$", re.MULTILINE
)
# Codes that the page of errors describes in its last paragraph.
_UNEXPECTED = frozenset({"failed", "internal"})
_CHINESE = {"yes": "是", "no": "否", "none": "无"}


class Words(str):
    """A cell of words, which a translation replaces. An empty one is written on the page only."""

    __slots__ = ()


Row = tuple[str, ...]


def with_tables(page: str, translated: bool, *tables: Sequence[Row]) -> str:
    """Return a page with each table's rows in the next table of as many columns."""
    remaining = list(tables)

    def replaced(found: re.Match[str]) -> str:
        head, old = found.groups()
        if not remaining or head.partition("\n")[0].count("|") != len(remaining[0][0]) + 1:
            return found[0]
        known = {_key(cells): cells for cells in (line[2:-2].split(" | ") for line in old.splitlines())}
        rows = [_cells(row, known.get(_key(row)), translated) for row in remaining.pop(0)]
        return head + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)

    page = _TABLE.sub(replaced, page)
    assert not remaining, "the page has fewer tables"
    return page


def _key(cells: Sequence[str]) -> Row:
    """Return what identifies a row: its cells up to the first in code."""
    return tuple(cells[: 1 + next(number for number, cell in enumerate(cells) if cell.startswith("`"))])


def _cells(row: Row, old: Sequence[str] | None, translated: bool) -> Iterable[str]:
    for number, cell in enumerate(row):
        if isinstance(cell, Words) and old and (translated or not cell):
            yield old[number]
        elif translated and not isinstance(cell, Words):
            yield _CHINESE.get(cell, re.sub(r"^(\S+) to (\S+)$", r"\1 到 \2", cell))
        else:
            yield cell.replace("|", "\\|").replace("\n", " ")


def with_list(page: str, names: Sequence[str]) -> str:
    """Return a page with these names in the list that is most like them."""

    def replaced(found: re.Match[str]) -> str:
        before, old, mark, joint, after = found.groups()
        there = {*re.findall(r"[\w-]+", old)}
        if len(there.intersection(names)) * 2 < len(there.union(names)):
            return found[0]
        joint = joint.replace("\n", " ")
        return _WRAPPER.fill(before + joint.join(f"{mark}{name}{mark}" for name in names) + after)

    return _LIST.sub(replaced, page)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key or option in a list: its name, the line with its default, and a description if the page has none."""

    name: str
    head: str
    words: str = ""


def with_entries(page: str, entries: Iterable[Entry], reworded: bool = False) -> str:
    """Return a page with all these entries; descriptions on the page stay unless they are ``reworded``."""
    before = ""
    for entry in entries:
        mark = re.escape(entry.head[: entry.head.index(entry.name)])
        if line := re.search(rf"^{mark}{entry.name}\*? [(=].*$", page, re.MULTILINE):
            page = page[: line.start()] + entry.head + page[line.end() :]
            if reworded:
                page = re.sub(
                    rf"^{re.escape(entry.head)}\n\t.*$", f"{entry.head}\n\t{entry.words}", page, flags=re.MULTILINE
                )
        else:
            assert before, f"{entry.name} is the first of its list: write its entry by hand"
            # A man page's entry is a line and a paragraph, that of the settings file a comment and a line.
            new = (
                f"\n{entry.head}\n\t{entry.words}\n"
                if entry.head.startswith("*")
                else f"\n# {entry.words}\n{entry.head}\n"
            )
            last = re.search(rf"^{re.escape(before)}\n(?:\t.*\n)*", page, re.MULTILINE)
            assert last
            page = f"{page[: last.end()]}{new if entry.words else entry.head}{page[last.end() :]}"
        before = entry.head
    return page


def code(text: object) -> str:
    return f"`{text}`" if str(text) else ""


def sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


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


def keys(*of: type) -> list[list[tuple[str, str, str]]]:
    """Return name, default and description of the settings in these tables, without tables in them."""
    return [
        [
            (name, toml(each.default), each.meaning)
            for name, each in rows(table).items()
            if each.meaning and name != "client" and not isinstance(each.kind, Table)
        ]
        for table in of
    ]


def audiences() -> list[list[TableRow]]:
    """Return the limits of both ports, of the controller's, and of an account's."""
    return [[one for one in LIMITS.values() if one.origin == of] for of in (Of.BOTH, Of.CONTROLLER, Of.ACCOUNTS)]


def comments(of: type) -> Mapping[str, str]:
    """Return the comments of an enum's members."""
    return dict(re.findall(r'^ +([A-Z0-9_]+) = "[\w-]+"  # (.*)$', inspect.getsource(of), re.MULTILINE))


def settings(page: str, translated: bool) -> str:
    of = keys(Settings, AlertSettings, FleetSettings, HostSettings, EtcdSettings)
    tables = [[(code(name), code(default), Words(words)) for name, default, words in table] for table in of]
    return with_tables(page, translated, *tables, [(code(name), Words(why)) for name, why in OBSOLETE.items()])


def settings_man(page: str, translated: bool) -> str:
    for table in keys(Settings, AlertSettings):
        page = with_entries(
            page, [Entry(name, f"*{name}* = {value}", sentence(words)) for name, value, words in table]
        )
    for limits in audiences():
        entries = [
            Entry(
                limit.name,
                f"*{limit.name}* = {shown(limit.default)}",
                f"{sentence(limit.meaning)} From {shown(limit.kind.low)} to {shown(limit.kind.high)}.",
            )
            for limit in limits
        ]
        page = with_entries(page, entries, reworded=not translated)
    return page


def settings_file(page: str, _: bool) -> str:
    for table in keys(Settings, AlertSettings):
        page = with_entries(
            page, [Entry(name, f"#{name} = {value}", sentence(words)) for name, value, words in table]
        )
    for limits in audiences():
        page = with_entries(
            page,
            [Entry(limit.name, f"#{limit.name} = {shown(limit.default)}  # {limit.meaning}") for limit in limits],
        )
    return page


def limits(page: str, translated: bool) -> str:
    tables = [
        [
            (
                code(one.name),
                code(shown(one.default)),
                f"{shown(one.kind.low)} to {shown(one.kind.high)}",
                Words(one.meaning),
            )
            for one in listed
        ]
        for listed in audiences()
    ]
    return with_tables(page, translated, *tables)


def options(page: str, translated: bool) -> str:
    tables = [
        [
            (code(one.name), code(one.default), Words(one.meaning), code(one.key))
            for one in OPTIONS.values()
            if one.origin is origin
        ]
        for origin in (Origin.REQUEST, Origin.SETTINGS)
    ]
    page = with_tables(page, translated, *tables)
    return with_list(page, [one.name for one in OPTIONS.values() if one.origin is Origin.IGNORED])


def options_man(page: str, translated: bool) -> str:
    known = [one for one in OPTIONS.values() if one.origin is not Origin.IGNORED]
    empty = "空" if translated else "empty"
    page = with_entries(
        page, [Entry(one.name, f"*{one.name}* ({one.default or empty})", sentence(one.meaning)) for one in known]
    )
    page = with_list(page, [one.name for one in known if one.key.startswith("WXCLIENT_")])
    return with_list(page, [one.name for one in known if one.origin is Origin.SETTINGS])


def states(page: str, translated: bool) -> str:
    login, condition, issue = map(comments, (LoginState, Condition, Code))
    issues: list[Row] = []
    for each in Code:
        severity, _, when = issue[each.name].partition(": ")
        issues.append((code(each), Words(severity), Words(when), code(ALERTS[each][1]) if each in ALERTS else ""))
    return with_tables(
        page,
        translated,
        [(code(each), code(each.word), Words(login[each.name])) for each in LoginState],
        [(code(each), "yes" if each.has_process else "no") for each in UnitState],
        [(code(each), Words(condition[each.name])) for each in Condition],
        issues,
    )


def events(page: str, translated: bool) -> str:
    listed = re.findall(r"^\| `(\w+)`", page, re.MULTILINE)

    def yes(is_so: bool) -> str:
        return "yes" if is_so else ""

    rows = [
        (code(name), Words(), Words(), yes(name in DEFAULT_EVENTS), yes(name in FOR_CHECK_EVENT))
        for name in (*filter(EVENTS.__contains__, listed), *sorted(EVENTS.difference(listed)))
    ]
    return with_tables(page, translated, rows)


def journal(page: str, translated: bool) -> str:
    catalog = "wxcontroller.zh_CN.catalog" if translated else "wxcontroller.catalog"
    text = (ROOT / "systemd" / catalog).read_text(encoding="utf-8")
    sections = []
    for event in Event:
        entry = text.partition(f"-- {MESSAGE_IDS[event]}\n")[2].partition("\n-- ")[0]
        head, _, words = entry.partition("\n\n")
        [subject] = re.findall(r"^Subject: (.*)$", head, re.MULTILINE)
        subject = subject.replace("@WX_ACCOUNT@", "NAME").replace("@WX_STATE@", "STATE") + (
            "。" if translated else ". "
        )
        sections.append(f"\n## {event}\n\n{subject}`MESSAGE_ID={MESSAGE_IDS[event]}`\n\n{words.strip()}\n")
    return page.partition("\n## ")[0] + "".join(sections)


def errors(page: str, translated: bool) -> str:
    known = {failure.code: failure for failure in reversed(FAILURES)}
    rows = [(str(failure.status), code(word), Words(_first_line(failure))) for word, failure in known.items()]
    return with_list(with_tables(page, translated, sorted(rows)), sorted({*CODES}.difference(known, _UNEXPECTED)))


def _first_line(of: type) -> str:
    line = inspect.cleandoc(of.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    return line.replace(" ``", " `").replace("``", "`")


def endpoints(page: str, translated: bool) -> str:
    meanings = {(route.method, route.path): route.meaning for route in ROUTES}

    def row(one: rights.Endpoint, prefix: str = "/v1/") -> Row:
        bound = one.about.value.partition("; ")[2]
        words = (one.meaning or meanings[one.methods[0], one.path.replace("/v1/", prefix)]) + (
            f" ({bound})" if bound else ""
        )
        return ", ".join(one.methods), code(one.path), str(one.scope or "none"), Words(words)

    own_port = [row(each, "/v1/accounts/{name}/") for each in rights.OWN_PORT]
    return with_tables(page, translated, [*map(row, ENDPOINTS)], [*map(row, rights.ACCOUNT)], own_port)


def causes(page: str, translated: bool) -> str:
    meanings, rows = comments(Cause), []
    for cause, rule in RULES.items():
        by_wechat = cause in (Cause.BAD_RECIPIENT, Cause.REFUSED_TWICE, Cause.TOO_FREQUENT, Cause.WECHAT_FAILED)
        codes = "WeChat's" if by_wechat else str(Verdict(state_of(cause), cause).openwx_code)
        meaning = meanings[cause.name] + (f"; held {rule.ends}" if rule.ends else "")
        rows.append((code(cause), Words(codes), code(rule.ret), Words(meaning), Words(rule.remedy)))
    return with_tables(page, translated, rows)


def state_of(cause: Cause) -> SendState:
    """Return the state of sends with a cause."""
    if cause is Cause.NO_ANSWER:
        return SendState.UNKNOWN
    return SendState.HELD if RULES[cause].ends else SendState.REFUSED


def architecture(page: str, _: bool) -> str:
    before, fence, rest = page.partition("```layers\n")
    return f"{before}{fence}{picture()}\n```{rest.partition('```')[2]}"


_MADE: Mapping[str, Callable[[str, bool], str]] = {
    **{
        f"reference/{each.__name__}.md": each for each in (settings, limits, options, states, events, journal, errors)
    },
    "access.md": endpoints,
    "architecture.md": architecture,
    "sends.md": causes,
}
_MANUALS = {"wxclient.8.scd": options_man, "wxcontroller.toml.5.scd": settings_man}
# Pages with generated parts: what makes them, and whether they are translated.
PAGES: Mapping[str, tuple[Callable[[str, bool], str], bool]] = {
    "etc/wxcontroller.toml": (settings_file, False),
    **{f"docs/{name}": (made, False) for name, made in _MADE.items()},
    **{f"docs/zh/{name}": (made, True) for name, made in _MADE.items()},
    **{f"docs/man/{name}": (made, False) for name, made in _MANUALS.items()},
    **{f"docs/man/zh_CN/{name}": (made, True) for name, made in _MANUALS.items()},
}


def filled(name: str) -> str:
    """Return a page with its generated parts."""
    made, translated = PAGES[name]
    return made((ROOT / name).read_text(encoding="utf-8"), translated)


if __name__ == "__main__":
    for name in PAGES:
        (ROOT / name).write_text(filled(name), encoding="utf-8")
        print(name)
