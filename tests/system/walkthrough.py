"""Show one account from its start to its end in a booted host: ``make run``.

Requests and responses are printed. Afterwards the controller (127.0.0.1:2000) and the sandbox with its phone page
(127.0.0.1:2100) stay reachable on this machine until interrupted, unless ``--exit`` is given.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.parse import quote, urlencode

from tests.system.actors import CONTROLLER, SANDBOX_SETTINGS, Caller, Json, Phone, Webhook, until, use_sandbox
from tests.system.forward import forwarding
from tests.system.host import Host, HostError

PORTS = (2000, 2100)


@dataclass
class Tour:
    """Prints what it does in a host."""

    host: Host
    colour: bool
    _steps: int = 0
    _begun: float = field(default_factory=time.monotonic)

    def step(self, title: str) -> None:
        self._steps += 1
        passed = self._painted("2", f"[{time.monotonic() - self._begun:.1f} s]")
        print(f"\n{self._painted('1;36', f'{self._steps}. {title}')}  {passed}", flush=True)

    def say(self, text: str, limit: int = 40) -> None:
        lines = text.rstrip("\n").splitlines()
        more = [f"… {len(lines) - limit} more lines"] if len(lines) > limit else []
        print(*(f"   {line}" for line in [*lines[:limit], *more]), sep="\n", flush=True)

    def _painted(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colour else text

    def shell(self, *argv: str) -> None:
        self.say(self._painted("33", f"$ {' '.join(argv)}"))
        self.say(self.host.text(*argv, check=False))

    def ask(self, call: str, **parameters: str) -> Json:
        query = "?" + urlencode(parameters, quote_via=quote) if parameters else ""
        self.say(self._painted("33", f"$ curl '{CONTROLLER}/openwx/{call}{query}'"))
        answer = Caller(self.host).openwx(call, **parameters)
        text = json.dumps(answer, ensure_ascii=False)
        self.say(text if len(text) < 600 else text[:600] + " …")
        return answer

    def run(self) -> None:
        """Show everything. Raises AssertionError when something does not happen."""
        self.step("The sandbox plays WeChat: nothing leaves this machine")
        use_sandbox(self.host)
        self.shell("cat", SANDBOX_SETTINGS)
        with Webhook(self.host) as hook:
            self._talk(hook, self._log_in(hook))
            self._restart(hook)
            self.step("Stop it")
            self.ask("stop_client", client="alice")
            hook.wait_for(lambda report: report.get("event") == "stop", "stop report")
            self.say("webhook got: stop")

    def _log_in(self, hook: Webhook) -> str:
        """Return the account's uin at WeChat."""
        caller, phone = Caller(self.host), Phone(self.host)
        self.step("Start an account: systemd starts a unit for it")
        uin = phone.account("小红", friends=30, groups=4)
        assert self.ask("start_client", client="alice", post_api=hook.address)["code"] == 0
        caller.until_state("alice", "scaning")
        self.step("Scan its QR code with the phone and confirm")
        self.shell("wxctl", "qr", "alice")
        uuid = phone.login_of(caller.v1("GET", "/accounts/alice/qr")[1]["link"])
        phone.scan(uuid, uin)
        caller.until_state("alice", "confirming")
        phone.confirm(uuid)
        caller.until_state("alice", "running")
        self.ask("check_client", client="alice")
        login = hook.wait_for(lambda report: report.get("event") == "login", "login")
        self.say(f"webhook got: login {login['params']}")
        return uin

    def _talk(self, hook: Webhook, uin: str) -> None:
        phone = Phone(self.host)
        self.step("Send and receive")
        self.ask("get_user_info", client="alice")
        self.ask("send_friend_message", client="alice", id="filehelper", content="你好, filehelper")
        for message in phone.sent(uin):
            self.say(f"WeChat got: {message['text']!r}")
        began = time.time()
        phone.write(uin, phone.friend(uin), "在吗?")
        report = hook.wait_for(lambda report: report.get("post_type") == "receive_message", "a message")
        self.say(f"a friend writes; the webhook got it {(hook.times[-1] - began) * 1000:.0f} ms later:")
        self.say(json.dumps(report, ensure_ascii=False))

    def _restart(self, hook: Webhook) -> None:
        caller = Caller(self.host)
        self.step("It is a service like any other")
        self.shell("systemctl", "--no-pager", "status", "wxclient@alice")
        self.shell("journalctl", "--no-pager", "-u", "wxclient@alice", "-n", "12", "-o", "short-iso")
        self.shell("wxctl", "list")
        self.step("Restart the controller: accounts keep running")
        before = caller.account("alice")["pid"]
        self.shell("systemctl", "restart", "wxcontroller")
        assert (caller.state("alice"), caller.account("alice")["pid"]) == ("running", before)
        self.step("Kill the account's process: systemd starts it again, and no scan is needed")
        began = time.monotonic()
        self.shell("systemctl", "kill", "--signal=KILL", "wxclient@alice")

        def is_back() -> bool:
            found = caller.account("alice")
            return bool(found["login_state"] == "running" and found["pid"] != before)

        until(is_back, "alice running with another pid")
        self.say(f"running again after {time.monotonic() - began:.1f} s")
        hook.wait_for(lambda report: report.get("params") == [0], "login with the stored session")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="leave right after the walk-through")
    parser.add_argument("--name", default="wxrun", help="name of the booted host")
    parser.add_argument("debs", nargs="+", type=Path, help="the built packages")
    chosen = parser.parse_args(arguments)
    # A signal becomes an exception, so that the host is taken down.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    taken = [] if chosen.exit else taken_ports()
    if taken:
        named = " and ".join(map(str, taken))
        print(f"port {named} of this machine is in use: stop what listens there (ss -ltnp), or use --exit")
        return 1
    print("booting a Debian 13 host with systemd and installing the packages by apt", flush=True)
    try:
        with Host.up(chosen.name) as host:
            host.install(*chosen.debs)
            tour = Tour(host, sys.stdout.isatty() and "NO_COLOR" not in os.environ)
            try:
                tour.run()
            except BaseException:
                tour.say(host.journal("wxclient@alice.service", "wxcontroller.service"), limit=200)
                raise
            if not chosen.exit:
                _stay(tour)
    except KeyboardInterrupt:
        print("\ninterrupted; the host is gone", flush=True)
        return 130
    except HostError as problem:
        print(f"\n{problem}", flush=True)
        return 1
    return 0


def _stay(tour: Tour) -> None:
    Caller(tour.host).openwx("start_client", client="bob")
    with forwarding(tour.host, *PORTS):
        tour.step("Yours now, until Ctrl-C")
        tour.say("http://127.0.0.1:2000/  the controller: page and API; bob waits for a scan")
        tour.say("http://127.0.0.1:2100/  the sandbox: a phone to scan, confirm and chat with")
        forever: Callable[[], object] = threading.Event().wait
        forever()


def taken_ports() -> list[int]:
    """Return those of PORTS on which something on this machine listens."""
    taken = []
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.append(port)
    return taken


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
