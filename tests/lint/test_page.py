"""The page: nothing makes markup, code or a request from text, and all routes are offered."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.config.routechoice import ROUTES as OFFERED
from wxcontroller.drivers import ROUTES

STATIC = Path(__file__).parents[2] / "wxcontroller/controller/page/static"
SCRIPTS = sorted(STATIC.glob("*.js"))
_FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\b|"
    r"new Function|srcdoc|setTimeout\(\s*[\"'`]|javascript:|localStorage|https?://"
)
_COMMENT = re.compile(r"^\s*//.*|\s// .*", re.MULTILINE)


@dataclass(frozen=True)
class Rule:
    """A way to a request or another page, except in modules that may use it, and examples that it must find."""

    pattern: str
    examples: Collection[str]
    modules: Collection[str] = ()

    def found(self, source: str) -> list[str]:
        return re.findall(self.pattern, _COMMENT.sub("", source))


# Texts in responses come from accounts, so paths are made by the tag of paths.js only, and addresses by blobs.js and
# placeOf.
RULES = {
    "requests are made by paths.js": Rule(
        # The text of a snippet continues with a value.
        r"\bfetch\b(?!\(\$\{)|XMLHttpRequest|WebSocket|WebTransport|EventSource|sendBeacon|Worker\b|importScripts",
        ("fetch(media.url)", "const get = fetch;", "new WebSocket(url)", "new EventSource(url)",
         "new SharedWorker(url)", "navigator.sendBeacon(url)", "new XMLHttpRequest()"),
        ("paths.js",),
    ),
    "values are encoded by paths.js": Rule(
        r"encodeURI|(?<!CSS\.)\bescape\(",
        ("`v1/${encodeURIComponent(id)}`", "encodeURI(url)", "escape(url)"),
        ("paths.js",),
    ),
    "templates of paths are written out": Rule(
        r"\bpath\(|\bdocumented\b|String\.raw|path`(?:[^`]*\b(?:openwx|v1)/)?\$\{",
        ("path(media.url)", "documented(media.url, {})", "path`${media.url}`", "path`openwx/${verb}`",
         "path`v1/${rest}`"),
        ("paths.js", "reference-form.js"),
    ),
    "paths are no strings": Rule(
        r"\b(?:picture|stream|followed|fetched|urlOf)\(\s*[\"'`]|"
        r"\b(?:call|exchange|request|send)\((?:[^,()]|\([^()]*\))*,\s*[\"'`]",
        ('picture("v1/x")', "stream(`v1/${x}`)", 'call("GET", "v1/x")', "exchange(method, `v1/${x}`)",
         'request(of(x), "v1/x")', "fetched('v1/x')", 'call(\n  "GET",\n  `v1/${x}`,\n)'),
    ),
    "modules are named": Rule(
        r"\bimport\((?!\"\./[\w-]+\.js\"\)|`\./\$\{name\}-\$\{language\}\.js`\))",
        ("import(url)", 'import("/openwx/x")', "import(`./${view}.js`)"),
    ),
    "elements get no address from a text": Rule(
        r"(?<![\w.$\"'-])(?:href|src|srcset)\b"
        r"(?!: (?:placeOf\(|`#i_\$\{name\}` |new URL\(\"\./views\.css\", import\.meta\.url\)\.href))(?!=\"#)|"
        r"\.(?:href|src|srcset|action|formAction|poster|ping)\s*=(?!=| placeOf\()|"
        r"setAttribute\(\s*[\"'`](?:href|src|srcset|action|formaction|poster|ping)",
        ('h("img", { src: media.url })', 'h("a", { href })', "image.src = url;", "link.href = `#/${x}`;",
         "form.action = url;", 'image.setAttribute("src", url)', 'h("a", { href: url })'),
        ("blobs.js",),
    ),
    "the page leads nowhere else": Rule(
        r"\blocation\s*=(?!=)|\blocation\.(?:assign|replace|href\b|pathname\s*=|search\s*=|host)|"
        r"\blocation\.hash\s*=(?!=| \"#/\";)|window\.open|\bnavigation\.|\bnavigate\(|"
        r"history\.(?:go|back|forward|(?:push|replace)State\((?!null, \"\", location\.pathname\)))",
        ("location = url;", "location.href = url;", "location.assign(url)", "location.replace(url)",
         "window.open(url)", "location.hash = name;", 'history.pushState(null, "", url)', "navigation.navigate(url)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_no_text_becomes_a_request(name: str) -> None:
    rule = RULES[name]
    scripts = [path for path in SCRIPTS if path.name not in rule.modules]
    assert {path.name: found for path in scripts if (found := rule.found(path.read_text(encoding="utf-8")))} == {}
    assert [example for example in rule.examples if not rule.found(example)] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_makes_no_markup_or_code_from_text(script: Path) -> None:
    assert _FORBIDDEN.findall(script.read_text(encoding="utf-8")) == []


def test_style_sheets_load_nothing() -> None:
    sheets = [path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")]
    assert len(sheets) > 3
    assert [re.findall(r"url\(|@import|expression", sheet) for sheet in sheets] == [[]] * len(sheets)


def test_option_and_page_offer_all_routes() -> None:
    assert set(OPTIONS["driver"].words) == {route.driver for route in OFFERED} == set(ROUTES)
