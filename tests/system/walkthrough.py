"""Show one account from its start to its end in a booted host: ``make run``.

Requests and responses are printed. Afterwards the controller (127.0.0.1:2000) and the sandbox with its phone page
(127.0.0.1:2100) stay reachable on this machine until interrupted, unless ``--exit`` is given.
"""

import argparse
import contextlib
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from urllib.parse import quote, urlencode

from tests.system.actors import CONTROLLER, SANDBOX_SETTINGS, Caller, Json, Phone, Webhook, until, use_sandbox
from tests.system.forward import passing_on
from tests.system.host import Host, HostError

PORTS = (2000, 2100)


def say(text: str, limit: int = 40) -> None:
    lines = text.rstrip("\n").splitlines()
    more = [f"… {len(lines) - limit} more lines"] if len(lines) > limit else []
    print(*(f"   {line}" for line in [*lines[:limit], *more]), sep="\n", flush=True)


def step(title: str) -> None:
    print(f"\n{title}", flush=True)


class Tour:
    """Shows an account in a host. Raises AssertionError when something does not happen."""

    def __init__(self, host: Host) -> None:
        self.host, self.caller, self.phone = host, Caller(host), Phone(host)

    def shell(self, *argv: str) -> None:
        say(f"$ {' '.join(argv)}")
        say(self.host.text(*argv, check=False))

    def ask(self, call: str, **parameters: str) -> Json:
        query = "?" + urlencode(parameters, quote_via=quote) if parameters else ""
        say(f"$ curl '{CONTROLLER}/openwx/{call}{query}'")
        answer = self.caller.openwx(call, **parameters)
        text = json.dumps(answer, ensure_ascii=False)
        say(text if len(text) < 600 else text[:600] + " …")
        return answer

    def run(self) -> None:
        step("1. The sandbox replaces WeChat: nothing leaves this machine")
        use_sandbox(self.host)
        self.shell("cat", SANDBOX_SETTINGS)
        with Webhook(self.host) as hook:
            self._talk(hook, self._log_in(hook))
            self._restart(hook)
            step("7. Stop it")
            self.ask("stop_client", client="alice")
            hook.wait_for(lambda report: report.get("event") == "stop", "stop report")
            say("webhook got: stop")

    def _log_in(self, hook: Webhook) -> str:
        """Return the account's uin at WeChat."""
        step("2. Start an account: systemd starts a unit for it")
        uin = self.phone.account("小红", friends=30, groups=4)
        assert self.ask("start_client", client="alice", post_api=hook.address)["code"] == 0
        self.caller.until_state("alice", "scaning")
        step("3. Scan its QR code with the phone and confirm")
        self.shell("wxctl", "qr", "alice")
        uuid = self.phone.login_of(self.caller.v1("GET", "/accounts/alice/qr")[1]["link"])
        self.phone.scan(uuid, uin)
        self.caller.until_state("alice", "confirming")
        self.phone.confirm(uuid)
        self.caller.until_state("alice", "running")
        self.ask("check_client", client="alice")
        login = hook.wait_for(lambda report: report.get("event") == "login", "login")
        say(f"webhook got: login {login['params']}")
        return uin

    def _talk(self, hook: Webhook, uin: str) -> None:
        step("4. Send and receive")
        self.ask("send_friend_message", client="alice", id="filehelper", content="你好, filehelper")
        for message in self.phone.sent(uin):
            say(f"WeChat got: {message['text']!r}")
        began = time.time()
        self.phone.write(uin, self.phone.friend(uin), "在吗?")
        report = hook.wait_for(lambda report: report.get("post_type") == "receive_message", "a message")
        say(f"a friend writes; the webhook got it {(hook.times[-1] - began) * 1000:.0f} ms later:")
        say(json.dumps(report, ensure_ascii=False))

    def _restart(self, hook: Webhook) -> None:
        step("5. It is a service like any other, and runs while the controller is restarted")
        self.shell("systemctl", "--no-pager", "--lines=0", "status", "wxclient@alice")
        self.shell("journalctl", "--no-pager", "--lines=8", "--unit=wxclient@alice")
        self.shell("wxctl", "list")
        before = self.caller.account("alice")["pid"]
        self.shell("systemctl", "restart", "wxcontroller")
        assert (self.caller.state("alice"), self.caller.account("alice")["pid"]) == ("running", before)
        step("6. Kill the account's process: systemd starts it again, and no scan is needed")
        began = time.monotonic()
        self.shell("systemctl", "kill", "--signal=KILL", "wxclient@alice")

        def is_back() -> bool:
            account = self.caller.account("alice")
            return bool(account["login_state"] == "running" and account["pid"] != before)

        until(is_back, "alice running with another pid")
        say(f"running again after {time.monotonic() - began:.1f} s")
        hook.wait_for(lambda report: report.get("params") == [0], "login with the stored session")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="leave right after the walk-through")
    parser.add_argument("--name", default="wxrun", help="name of the booted host")
    parser.add_argument("debs", nargs="+", type=Path, help="the built packages")
    chosen = parser.parse_args()
    # A signal becomes an exception, so that the host is taken down.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        listeners = [] if chosen.exit else [socket.create_server(("127.0.0.1", port)) for port in PORTS]
    except OSError as problem:
        print(f"cannot listen on ports 2000 and 2100 of this machine: {problem}; free them (ss -ltnp), or use --exit")
        return 1
    print("booting a Debian 13 host with systemd and installing the packages by apt", flush=True)
    try:
        with Host.up(chosen.name) as host:
            host.install(*chosen.debs)
            try:
                Tour(host).run()
            except BaseException:
                say(host.journal("wxclient@alice.service", "wxcontroller.service"), limit=200)
                raise
            if listeners:
                _stay(host, listeners)
    except KeyboardInterrupt:
        print("\ninterrupted; the host is gone", flush=True)
        return 130
    except HostError as problem:
        print(f"\n{problem}", flush=True)
        return 1
    return 0


def _stay(host: Host, listeners: list[socket.socket]) -> None:
    Caller(host).openwx("start_client", client="bob")
    with contextlib.ExitStack() as stack:
        for listener, port in zip(listeners, PORTS, strict=True):
            stack.enter_context(passing_on(listener, host, port))
        step("The host stays up until Ctrl-C")
        say("http://127.0.0.1:2000/  the controller: page and API; bob waits for a scan")
        say("http://127.0.0.1:2100/  the sandbox: a phone to scan, confirm and chat with")
        forever: Callable[[], object] = threading.Event().wait
        forever()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
