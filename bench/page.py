"""Figures of the page with many accounts logged in: its weight, when it can be used, how soon it shows changes.

make deb && /usr/bin/python3 -m bench.page dist/*.deb        # PAGE_ACCOUNTS=300 PAGE_MINUTES=15, both as a rule
"""

import os
import sys
import time

from bench.figures import in_a_host, line, memory, show
from bench.many import allow_many, logged_in
from tests.page.browser import Browser, browsing
from tests.system.actors import Caller, Phone
from tests.system.forward import forwarded
from tests.system.host import Host

MANY = int(os.environ.get("PAGE_ACCOUNTS", "300"))
MINUTES = float(os.environ.get("PAGE_MINUTES", "15"))
ROUNDS = 20
WATCHED_SECONDS = 30
_WEIGHT = """
return [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((one) => !one.name.includes("/v1/")).map((one) => [one.transferSize, one.decodedBodySize]);
"""
# Long tasks delay clicks.
_BLOCKED = """
window.blocked = [];
new PerformanceObserver((list) => list.getEntries().forEach((one) => window.blocked.push(one.duration)))
  .observe({ type: "longtask", buffered: true });
"""
_SCROLLED = """
const done = arguments[0];
const gaps = [];
let last = performance.now();
function step() {
  const now = performance.now();
  gaps.push(now - last);
  last = now;
  window.scrollBy(0, 120);
  if (gaps.length < 90) requestAnimationFrame(step);
  else done(gaps.slice(1));
}
requestAnimationFrame(step);
"""


def main() -> int:
    return in_a_host(__doc__, measure)


def measure(host: Host) -> None:
    allow_many(host)
    caller, phone = Caller(host), Phone(host)
    begun = time.monotonic()
    uins = logged_in(host, MANY, MINUTES)
    line("accounts logged in", f"{len(uins)} in {time.monotonic() - begun:.0f} s")
    controller = int(host.text("systemctl", "show", "-P", "MainPID", "wxcontroller").strip())
    line("memory of the controller before anybody looks", memory(host, controller))
    _busy(host, controller, "while nobody looks")
    with forwarded(host, 2000) as port:
        for language in ("en", "zh-CN"):
            with browsing(f"http://127.0.0.1:{port}", language) as browser:
                browser.size(1280)
                _opened(browser, language, uins)
        with browsing(f"http://127.0.0.1:{port}") as browser:
            browser.size(1280)
            browser.open()
            browser.until(lambda: _good(browser) == len(uins), "all of them running", 60)
            _busy(host, controller, "while one page looks")
            line("memory of the controller meanwhile", memory(host, controller))
            _news(browser, caller, phone, uins)
            gaps = browser.driver.execute_async_script(_SCROLLED)
            show("scrolled: from frame to frame", [gap / 1000 for gap in gaps])
            heap = browser.script("return performance.memory.usedJSHeapSize")
            line("memory of the page's scripts", f"{heap / 2**20:.1f} MiB")
            browser.picture("many-running")
    line("memory of the controller afterwards", memory(host, controller))
    line("memory of an account", memory(host, caller.account(next(iter(uins)))["pid"]))


def _good(browser: Browser) -> int:
    return int(browser.script("return document.querySelectorAll('#rows .state.good').length"))


def _opened(browser: Browser, language: str, uins: dict[str, str]) -> None:
    """Open the page with nothing in the browser's cache, then again."""
    times: list[float] = []
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _BLOCKED})
    browser.open()
    browser.until(lambda: _good(browser) == len(uins), "all of them running", 60)
    for number in range(5):
        browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        browser.driver.refresh()
        browser.until(lambda: _good(browser) == len(uins), "all of them running", 60)
        times.append(browser.script("return performance.getEntriesByName('accounts')[0].startTime") / 1000)
        if number == 0:
            weights = browser.script(_WEIGHT)
            wire, unpacked = (sum(weight[which] for weight in weights) for which in (0, 1))
            line(f"the page ({language})", f"{len(weights)} files, {wire} bytes on the wire, {unpacked} unpacked")
            worst = max(browser.script("return window.blocked"), default=0)
            line(f"longest task of a script ({language})", f"{worst:.0f} ms")
    show(f"from the click to all accounts shown ({language})", times)


def _busy(host: Host, pid: int, when: str) -> None:
    def spent() -> float:
        fields = host.text("cat", f"/proc/{pid}/stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = spent()
    time.sleep(WATCHED_SECONDS)
    line(f"processor time of the controller {when}", f"{(spent() - before) / WATCHED_SECONDS * 100:.1f} %")


def _news(browser: Browser, caller: Caller, phone: Phone, uins: dict[str, str]) -> None:
    stops: list[float] = []
    messages: list[float] = []
    for name, uin in list(uins.items())[:ROUNDS]:
        row = f"#rows [data-account='{name}']"
        began = time.monotonic()
        caller.v1("POST", f"/accounts/{name}/stop")
        stops.append(_until(browser, f'return document.querySelector("{row} .state.off") !== null', began))
        caller.v1("POST", f"/accounts/{name}/start")
        friend = phone.friend(uin)
        _until(browser, f'return document.querySelector("{row} .state.good") !== null', began)
        began = time.monotonic()
        phone.write(uin, friend, "hello")
        last = f'return /[0-9]|now/.test(document.querySelector("{row} .number").textContent)'
        messages.append(_until(browser, last, began))
    show("from the call that stops an account to its row", stops)
    show("from a message to its time in the row", messages)


def _until(browser: Browser, condition: str, began: float) -> float:
    browser.until(lambda: browser.script(condition), condition, 30)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
