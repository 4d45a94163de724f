"""What is wrong with how a page looks and reads: scripts that look, and axe-core where it is."""

from pathlib import Path

from tests.page.browser import Browser

_HERE = Path(__file__).parent
# Controls without a name for a screen reader; text that is hard to read on what is behind it, or stands on another.
_LOOKS = [(_HERE / name).read_text(encoding="utf-8") for name in ("unnamed.js", "pale.js", "spilt.js")]
_AXE = _HERE.parents[1] / ".cache/thirdparty/axe-core/node_modules/axe-core/axe.min.js"
_SERIOUS = """
const done = arguments[0];
const told = ({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 150)} ${node.failureSummary}`);
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  done(violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).flatMap(told)));
"""


def faults(browser: Browser, axe: bool = True) -> list[str]:
    """Return what is wrong with what the browser shows at present, in a line each."""
    wide = browser.script("return document.scrollingElement.scrollWidth - innerWidth")
    found = [f"{wide} pixels too wide"] if wide > 0 else []
    for look in _LOOKS:
        found += browser.script(look)
    if axe and _AXE.is_file():
        if not browser.script("return Boolean(window.axe)"):
            browser.script(_AXE.read_text(encoding="utf-8"))
        found += browser.driver.execute_async_script(_SERIOUS)
    return found
