"""What the tests of the installed package share: calls to the product and to the sandbox."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONTROLLER, SANDBOX = "http://127.0.0.1:2000", "http://127.0.0.1:2100/sandbox"


def run(*command: str) -> str:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout


def call(url: str, body: object = None, timeout: float = 60) -> Any:
    """Return the JSON at an address; with a body, of a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)


def openwx(name: str, **parameters: str) -> Any:
    return call(f"{CONTROLLER}/openwx/{name}?{urllib.parse.urlencode(parameters)}")


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def state(name: str) -> str:
    return str(call(f"{CONTROLLER}/v1/accounts/{name}")["state"])


def unit_state(name: str) -> str:
    return run("systemctl", "show", "--value", "-p", "ActiveState", f"wxclient@{name}.service").strip()


class Account:
    """An account of the product, and the WeChat account behind it."""

    def __init__(self, name: str, uin: str) -> None:
        self.name, self.uin = name, uin

    def write(self, text: str) -> None:
        """A friend writes."""
        call(f"{SANDBOX}/accounts/{self.uin}/receive", {"from": self._friend(), "text": text})

    def heard(self) -> Any:
        return call(f"{CONTROLLER}/openwx/check_event?client={self.name}", timeout=120)

    def friend_id(self) -> str:
        friend = self._friend()
        return str(next(one["id"] for one in openwx("get_friend_info", client=self.name) if one["name"] == friend))

    def _friend(self) -> str:
        world = call(f"{SANDBOX}/accounts/{self.uin}")
        return str(next(one["name"] for one in world["contacts"] if one["kind"] == "friend"))

    def sent(self) -> Any:
        return call(f"{SANDBOX}/accounts/{self.uin}/sent")


def logged_in(name: str) -> Account:
    """Point new accounts at the sandbox, start one, and play the phone."""
    settings = Path("/etc/wxcontroller/wxcontroller.toml.d/sandbox.toml")
    settings.write_text('[client]\nserver = "http://127.0.0.1:2100"\nsend_interval = 0\n')
    run("systemctl", "enable", "--now", "wxcontroller-sandbox.service")
    run("systemctl", "reload", "wxcontroller.service")
    uin = str(call(f"{SANDBOX}/accounts", {"nickname": name})["uin"])
    run("systemctl", "start", f"wxclient@{name}.service")
    until(lambda: state(name) == "scaning", "a QR code")
    login = call(f"{CONTROLLER}/v1/accounts/{name}/qr")["link"].rsplit("/", 1)[1]
    call(f"{SANDBOX}/logins/{login}/scan", {"uin": uin})
    call(f"{SANDBOX}/logins/{login}/confirm", {})
    until(lambda: state(name) == "running", "running")
    return Account(name, uin)
