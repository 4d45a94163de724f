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
SCRAPES = 20
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
    _scraped(host)
    with forwarded(host, 2000) as port:
        for language in ("en", "zh-CN"):
            with browsing(f"http://127.0.0.1:{port}", language) as browser:
                browser.size(1280)
                _opened(browser, language, uins)
        with browsing(f"http://127.0.0.1:{port}") as browser:
            browser.size(1280)
            browser.open()
            browser.until(lambda: _good(browser) == len(uins), "all of them running")
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
    browser.until(lambda: _good(browser) == len(uins), "all of them running")
    for number in range(5):
        browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        browser.driver.refresh()
        browser.until(lambda: _good(browser) == len(uins), "all of them running")
        times.append(browser.script("return performance.getEntriesByName('accounts')[0].startTime") / 1000)
        if number == 0:
            weights = browser.script(_WEIGHT)
            wire, unpacked = (sum(weight[which] for weight in weights) for which in (0, 1))
            line(f"the page ({language})", f"{len(weights)} files, {wire} bytes on the wire, {unpacked} unpacked")
            worst = max(browser.script("return window.blocked"), default=0)
            line(f"longest task of a script ({language})", f"{worst:.0f} ms")
    show(f"from the click to all accounts shown ({language})", times)


def _busy(host: Host, pid: int, when: str) -> None:
    def spent(tasks: str) -> float:
        return (
            sum(int(line.split()[0]) for line in host.text("sh", "-c", f"cat {tasks}", check=False).splitlines())
            / 1e9
        )

    everything, controller = (f"/proc/{which}/task/*/schedstat 2>/dev/null" for which in ("[0-9]*", pid))
    before = spent(everything), spent(controller)
    time.sleep(WATCHED_SECONDS)
    for what, earlier, tasks in (("host", before[0], everything), ("controller", before[1], controller)):
        line(f"processor time of the {what} {when}", f"{(spent(tasks) - earlier) / WATCHED_SECONDS * 100:.2f} %")


def _scraped(host: Host) -> None:
    """Fetch /metrics a few times, and measure what that costs the host, and calls beside it."""
    tasks = "cat /proc/[0-9]*/task/*/schedstat 2>/dev/null"
    script = f"""
import http.client, subprocess, threading, time
def get(path):
    connection = http.client.HTTPConnection("127.0.0.1", 2000)
    connection.request("GET", path)
    return len(connection.getresponse().read())
def spent():
    found = subprocess.run(["sh", "-c", {tasks!r}], capture_output=True, text=True).stdout
    return sum(int(line.split()[0]) for line in found.splitlines()) / 1e6
def scrape():
    for _ in range({SCRAPES}):
        size.append(get("/metrics"))
        time.sleep(0.2)
size, worst = [], 0.0
before = spent(); time.sleep({SCRAPES} * 0.2); idle = spent() - before
before = spent(); scrape(); print(round((spent() - before - idle) / {SCRAPES}, 1), size[-1])
scraping = threading.Thread(target=scrape)
scraping.start()
while scraping.is_alive():
    begun = time.monotonic()
    get("/openwx/get_user_info?client=bot-1")
    worst = max(worst, time.monotonic() - begun)
    time.sleep(0.005)
print(round(worst * 1000, 1))
"""
    cost, size, worst = host.text("python3", "-c", script).split()
    line("a scrape: processor time; bytes; slowest call beside it", f"{cost} ms; {size}; {worst} ms")


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
    browser.until(lambda: browser.script(condition), condition)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
