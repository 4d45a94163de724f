"""What `make run` shows: the product doing what it exists for, in a booted host, each request and answer printed.

Afterwards the controller (127.0.0.1:2000) and the sandbox with its phone page (127.0.0.1:2100) stay reachable on
this machine until interrupted; --exit leaves right after the walk-through.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import quote, urlencode

from tests.system.actors import CONTROLLER, SANDBOX_SETTINGS, Caller, Json, Phone, Webhook, until, use_sandbox
from tests.system.forward import forwarding
from tests.system.host import Host, HostError

PORTS = (2000, 2100)


class Story:
    """Prints what happens, for people to read."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour
        self._step = 0
        self._begun = time.monotonic()

    def step(self, title: str) -> None:
        self._step += 1
        passed = time.monotonic() - self._begun
        self._print(f"\n{self._paint('1;36', f'{self._step}. {title}')}  {self._paint('2', f'[{passed:.1f} s]')}")

    def say(self, text: str) -> None:
        self._print(f"   {text}")

    def command(self, text: str) -> None:
        self._print(f"   {self._paint('33', '$ ' + text)}")

    def output(self, text: str, limit: int = 40) -> None:
        lines = text.rstrip("\n").splitlines()
        for line in lines[:limit]:
            self._print(f"     {line}")
        if len(lines) > limit:
            self._print(f"     … {len(lines) - limit} more lines")

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _print(self, text: str) -> None:
        print(text, flush=True)


@dataclass
class Tour:
    """The walk-through: one host, one newcomer, one phone."""

    host: Host
    story: Story

    def __post_init__(self) -> None:
        self.caller = Caller(self.host)
        self.phone = Phone(self.host)

    def ask(self, call: str, **parameters: str) -> Json:
        """Show and do a GET on port 2000."""
        query = "?" + urlencode(parameters, quote_via=quote) if parameters else ""
        self.story.command(f"curl '{CONTROLLER}/openwx/{call}{query}'")
        answer = self.caller.openwx(call, **parameters)
        text = json.dumps(answer, ensure_ascii=False)
        self.story.output(text if len(text) < 600 else text[:600] + " …")
        return answer

    def shell(self, *argv: str, limit: int = 40) -> str:
        self.story.command(" ".join(argv))
        done = self.host.run(*argv, check=False)
        text = (done.stdout + done.stderr).decode(errors="replace")
        self.story.output(text, limit)
        return text

    def run(self) -> None:
        story, phone = self.story, self.phone
        with Webhook(self.host) as hook:
            story.step("The sandbox plays WeChat: nothing here leaves this machine")
            use_sandbox(self.host)
            story.command(f"cat {SANDBOX_SETTINGS}")
            story.output(self.host.read(SANDBOX_SETTINGS).decode())
            story.command("systemctl enable --now wxcontroller-sandbox; systemctl reload wxcontroller")
            uin = phone.account("小红", friends=30, groups=4)
            world = phone.world(uin)
            story.say(
                f"an account with {len(world['contacts'])} contacts and {len(world['groups'])} groups lives there"
            )

            story.step("Start an account: a unit of its own comes up")
            begun = time.monotonic()
            answer = self.ask("start_client", client="alice", post_api=hook.address)
            assert answer["code"] == 0, answer
            self.caller.until_state("alice", "scaning")
            ready = time.monotonic() - begun

            story.step("Its QR code is there, as a picture and in the terminal")
            status, headers, image = self.caller.get("/openwx/get_qrcode", client="alice")
            assert status == 200 and image.startswith(b"\xff\xd8"), status
            story.command(f"curl -o qr.jpg '{CONTROLLER}/openwx/get_qrcode?client=alice'")
            story.say(f"{len(image)} bytes of {headers.get('Content-Type')}, {ready:.2f} s after start_client")
            self.shell("wxctl", "qr", "alice")

            story.step("The phone scans it and confirms")
            _, qr = self.caller.v1("GET", "/accounts/alice/qr")
            uuid = phone.login_of(qr["link"])
            begun = time.monotonic()
            phone.scan(uuid, uin)
            self.caller.until_state("alice", "confirming")
            phone.confirm(uuid)
            self.caller.until_state("alice", "running")
            story.say(f"running {time.monotonic() - begun:.2f} s after the scan")
            state = self.ask("check_client", client="alice")["client"][0]
            story.say(f"state: {state['state']}, {state['status']}")
            hook.wait_for(lambda report: report.get("event") == "login", what="login")
            for report in hook.reports:
                params = report["params"]
                shown = [p if len(str(p)) < 60 else str(p)[:57] + "…" for p in params]
                story.say(f"webhook got: {report['event']} {json.dumps(shown, ensure_ascii=False)}")

            story.step("Who am I, whom do I know")
            self.ask("get_user_info", client="alice")
            friends = self.caller.openwx("get_friend_info", client="alice")
            groups = self.caller.openwx("get_group_basic_info", client="alice")
            story.say(f"{len(friends)} friends, {len(groups)} groups")

            story.step("Send and receive")
            self.ask("send_friend_message", client="alice", id="filehelper", content="你好, filehelper")
            someone = next(f for f in friends if f["category"] == "好友")
            self.ask("send_friend_message", client="alice", displayname=someone["displayname"], content="hi & bye <3")
            self.ask("send_group_message", client="alice", id=groups[0]["id"], content="大家好")
            for message in phone.sent(uin):
                story.say(f"WeChat got: {message['text']!r}")
            begun_at = time.time()
            phone.write(uin, phone.friend(uin), "在吗?")
            report = hook.wait_for(lambda r: r.get("post_type") == "receive_message", what="received message")
            story.say(f"a friend writes; the webhook got it {(hook.times[-1] - begun_at) * 1000:.0f} ms later:")
            story.output(json.dumps(report, ensure_ascii=False))

            story.step("It is a service like any other")
            self.shell("systemctl", "--no-pager", "status", "wxclient@alice")
            self.shell("journalctl", "--no-pager", "-u", "wxclient@alice", "-n", "12", "-o", "short-iso")
            self.shell("wxctl", "list")

            story.step("The controller restarts under load; nobody notices")
            with self._hammer() as counts:
                self.shell("systemctl", "restart", "wxcontroller")
                time.sleep(0.5)
            story.say(f"{counts['ok']} requests meanwhile, {counts['failed']} failed")
            assert counts["failed"] == 0, counts
            assert self.caller.state("alice") == "running"

            story.step("The client is killed; systemd starts it again, no scan is needed")
            before = self.caller.account("alice")["pid"]
            self.shell("systemctl", "kill", "--signal=KILL", "wxclient@alice")

            def back() -> Json:
                found = self.caller.account("alice")
                return found["login_state"] == "running" and found["pid"] != before

            begun = time.monotonic()
            until(back, "alice running again with another pid")
            story.say(f"running again after {time.monotonic() - begun:.1f} s")
            hook.wait_for(lambda report: report.get("params") == [0], what="login by the stored session")

            story.step("Stop it")
            self.ask("stop_client", client="alice")
            self.ask("check_client", client="alice")
            hook.wait_for(lambda r: r.get("event") == "stop", what="stop report")
            story.say("webhook got: stop")

    def leave_something_to_see(self) -> None:
        """One account that waits for a scan on the phone page."""
        self.caller.openwx("start_client", client="bob")

    @contextmanager
    def _hammer(self) -> Iterator[dict[str, int]]:
        """Request without pause, on fresh and on kept connections, while the block runs."""
        counts = {"ok": 0, "failed": 0}
        done = threading.Event()
        lock = threading.Lock()

        def knock() -> None:
            while not done.is_set():
                try:
                    good = self.caller.openwx("check_client", client="alice")["code"] == 0
                except Exception as problem:
                    good = False
                    self.story.say(f"failed request: {problem!r}")
                with lock:
                    counts["ok" if good else "failed"] += 1

        threads = [threading.Thread(target=knock) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield counts
        finally:
            done.set()
            for thread in threads:
                thread.join()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="leave right after the walk-through")
    parser.add_argument("--name", default="wxrun", help="name of the booted host")
    parser.add_argument("debs", nargs="+", type=Path, help="the built packages")
    chosen = parser.parse_args(arguments)
    story = Story(sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    # Whatever ends us, the host is taken down: a signal becomes an exception that unwinds the stack.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    taken = [] if chosen.exit else taken_ports()
    if taken:
        named = " and ".join(map(str, taken))
        print(f"port {named} of this machine is in use: stop what listens there (ss -ltnp), or use --exit")
        return 1
    try:
        story.step("Boot a Debian 13 host with systemd and install the packages by apt")
        with Host.up(chosen.name) as host:
            host.install(*chosen.debs)
            tour = Tour(host, story)
            tour.shell(
                "systemctl", "--no-pager", "--lines=0", "status", "wxcontroller.socket", "wxcontroller.service"
            )
            try:
                tour.run()
            except BaseException:
                story.output(host.journal("wxclient@alice.service", "wxcontroller.service"), limit=200)
                raise
            if not chosen.exit:
                _stay(tour, host, story)
    except KeyboardInterrupt:
        print("\ninterrupted; the host is gone", flush=True)
        return 130
    except HostError as problem:
        print(f"\n{problem}", flush=True)
        return 1
    story.step("Done: everything above happened, the host is gone")
    return 0


def _stay(tour: Tour, host: Host, story: Story) -> None:
    tour.leave_something_to_see()
    with forwarding(host, *PORTS):
        story.step("Yours now, until Ctrl-C")
        story.say("http://127.0.0.1:2000/  the controller: page and API; bob waits for a scan")
        story.say("http://127.0.0.1:2100/  the sandbox: a phone to scan, confirm and chat with")
        forever: Callable[[], object] = threading.Event().wait
        forever()


def taken_ports() -> list[int]:
    """Return those of PORTS that somebody on this machine listens on already."""
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
