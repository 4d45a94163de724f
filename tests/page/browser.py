"""Real Chromium, driven by selenium, that looks, clicks and types as people do."""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.patience import PATIENCE

# Screenshots are kept to be looked at; git ignores them.
_ARTEFACTS = Path(__file__).parents[2] / "build/page"
_DRIVER = "/usr/bin/chromedriver"
# Chromium as root has no sandbox of its own, and must make no requests of its own.
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # Fewer processes, and no second compiler for scripts that run once: a seventh less work.
    "--renderer-process-limit=1",
    "--in-process-gpu",
    "--disable-site-isolation-trials",
    "--js-flags=--no-opt",
)
# Breaches of the page's content security policy.
_WATCH = """
window.addEventListener("securitypolicyviolation", (event) => {
  (window.violations ??= []).push(event.violatedDirective + " " + event.blockedURI + " " + event.sample);
});
"""
# A test looks hundreds of times, and WebDriver's "is displayed" takes 20 ms: this script is faster. As there,
# elements without a size and transparent ones are not visible.
_VISIBLE = """
const [selector, text] = arguments;
const sized = (each) => {
  const { width, height } = each.getBoundingClientRect();
  if (width > 0 && height > 0) return true;
  return getComputedStyle(each).overflow !== "hidden" && [...each.children].some(sized);
};
const drawn = (box) => box.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && sized(box);
const visible = (each) =>
  drawn(each.closest("select") ?? each) && (!text || (each.innerText ?? each.textContent).includes(text));
return [...document.querySelectorAll(selector)].find(visible);
"""
# The element is replaced, hidden or inert.
_NOT_YET = (StaleElementReferenceException, ElementNotInteractableException, ElementClickInterceptedException)
T = TypeVar("T")


@dataclass
class Browser:
    """One window on the page at ``address``."""

    driver: webdriver.Chrome
    address: str

    def open(self, path: str = "") -> None:
        self.driver.get(f"{self.address}/{path}")

    def until(self, condition: Callable[[], T], what: str) -> T:
        """Call a condition until it is true, and return its value; fail with the text of the page."""
        began = time.monotonic()
        while True:
            with contextlib.suppress(*_NOT_YET):
                if found := condition():
                    return found
            if (waited := time.monotonic() - began) > PATIENCE:
                self.picture("failed")
                shown = self.driver.find_element(By.TAG_NAME, "body").text
                raise AssertionError(f"{what} did not happen within {PATIENCE} s; the page shows:\n{shown[:3000]}")
            time.sleep(min(max(0.05, waited / 20), 0.25))

    def find(self, selector: str, text: str = "") -> WebElement:
        """Wait for a visible element that fits a CSS selector and contains a text."""
        found = self.until(lambda: self._visible(selector, text), f"{selector!r} with {text!r}")
        assert found is not None
        return found

    def _visible(self, selector: str, text: str) -> WebElement | None:
        found = self.script(_VISIBLE, selector, text)
        assert found is None or isinstance(found, WebElement)
        return found

    def gone(self, selector: str, text: str = "") -> None:
        """Wait until no visible element fits."""
        self.until(lambda: self._visible(selector, text) is None, f"no {selector!r} with {text!r}")

    def click(self, selector: str, text: str = "") -> None:
        """Click with the mouse on what ``find`` finds, once it can be clicked."""

        def clicked() -> bool:
            element = self.find(selector, text)
            if not element.is_enabled():
                return False
            element.click()
            return True

        self.until(clicked, f"a click on {selector!r}")

    def choose(self, account: str, action: str) -> None:
        """Open the menu of an account's row in the list, and click on an action."""
        self.click(f"#rows [data-account='{account}'] .more")
        self.click(f"#menu [data-action={action}]")

    def type(self, selector: str, text: str) -> None:
        """Replace the content of a field."""

        def typed() -> bool:
            element = self.find(selector)
            element.clear()
            element.send_keys(text)
            return True

        self.until(typed, f"typing into {selector!r}")

    def press(self, *keys: str) -> None:
        """Press keys wherever the focus is."""

        def pressed() -> bool:
            self.driver.switch_to.active_element.send_keys(*keys)
            return True

        self.until(pressed, "pressing keys")

    def text(self, selector: str, text: str = "") -> str:
        """Return the text of the element that ``find`` finds, which the page may replace meanwhile."""
        read = self.until(lambda: [str(self.find(selector, text).text)], f"a text in {selector!r}")
        return read[0]

    def script(self, source: str, *arguments: object) -> Any:
        return self.driver.execute_script(source, *arguments)  # type: ignore[no-untyped-call]

    def size(self, width: int, height: int = 800) -> None:
        """Set the size of the viewport, which may be narrower than a window can be."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def colours(self, theme: str) -> None:
        """Set the system's theme, light or dark."""
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        )

    def picture(self, name: str) -> None:
        """Keep a screenshot."""
        _ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(_ARTEFACTS / f"{name}.png"))

    def complaints(self) -> list[str]:
        """Return the errors in the console since the last call, and breaches of the page's policy."""
        lines = [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]
        # Chromium's first tab complains when it is slow on a busy machine. The picture of an account that is stopped
        # meanwhile can't be fetched; its letter is shown instead.
        expected = re.compile(r"chrome://|.*/openwx/get_avatar\?.*status of 50[23]")
        return [*(line for line in lines if not expected.match(line)), *self.script("return window.violations ?? []")]


@contextlib.contextmanager
def browsing(address: str, language: str = "en") -> Iterator[Browser]:
    """Start a browser with a language."""
    profile = tempfile.mkdtemp(prefix="wx-chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for switch in (*_SWITCHES, f"--user-data-dir={profile}", f"--accept-lang={language}", f"--lang={language}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    environment = {**os.environ, "LANGUAGE": language.replace("-", "_"), "HOME": profile}
    driver = webdriver.Chrome(options=options, service=Service(_DRIVER, env=environment))
    try:
        driver.set_script_timeout(PATIENCE)
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
        yield Browser(driver, address)
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


@contextlib.contextmanager
def new_tab(browser: Browser, address: str) -> Iterator[Browser]:
    """Open a tab without cookies and storage of ``address``."""
    driver = browser.driver
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    try:
        for what in ("Cookies", "Cache"):
            driver.execute_cdp_cmd(f"Network.clearBrowser{what}", {})
        driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": address, "storageTypes": "all"})
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
        tab = Browser(driver, address)
        tab.complaints()  # of other tabs
        yield tab
    finally:
        for handle in driver.window_handles:
            if handle != first:
                driver.switch_to.window(handle)
                driver.close()
        driver.switch_to.window(first)
