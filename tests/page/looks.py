"""Faults of how a page looks and reads: content that is too wide, and axe-core's findings."""

from tests.page.browser import Browser
from tests.programs import fetched

# Elements whose content is wider than they are, and overlaps their neighbors.
_SPILT = """
return [...document.querySelectorAll("body *")]
  .filter((each) => each.checkVisibility() && !each.closest(".unseen, .skip, thead, noscript") && each.clientWidth)
  .filter((each) => getComputedStyle(each).overflowX === "visible" && each.scrollWidth > each.clientWidth + 1)
  .map((each) => `${each.scrollWidth} > ${each.clientWidth} ${each.outerHTML.slice(0, 150)}`);
"""
_SERIOUS = """
const done = arguments[0];
const lines = ({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 150)} ${node.failureSummary}`);
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  done(violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).flatMap(lines)));
"""


def faults(browser: Browser, axe: bool = True) -> list[str]:
    """Return the faults of the page as the browser shows it now, one line each."""
    # innerWidth grows with the content of a narrow page
    excess = browser.script("const page = document.scrollingElement; return page.scrollWidth - page.clientWidth")
    found = [f"{excess} pixels too wide"] if excess > 0 else []
    found += browser.script(_SPILT)
    if axe:
        if not browser.script("return Boolean(window.axe)"):
            browser.script((fetched("axe-core") / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
        found += browser.driver.execute_async_script(_SERIOUS)
    return found
