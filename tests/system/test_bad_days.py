"""Bad input and bad days: each ends in a clear error, the right state, and a working system after."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.system.actors import Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
SETTINGS = "/etc/wxcontroller/wxcontroller.toml.d/zz-test.toml"


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone

    @contextmanager
    def settings(self, content: str) -> Iterator[None]:
        """Other settings for the duration of a block."""
        self.host.write(SETTINGS, content.encode(), 0o644)
        self.host.run("systemctl", "reload", "wxcontroller")
        try:
            yield
        finally:
            self.host.run("rm", "-f", SETTINGS)
            self.host.run("systemctl", "reload", "wxcontroller")

    def works(self) -> None:
        """The system still does its job: an account starts, shows a code, and stops."""
        assert self.caller.openwx("start_client", client="probe")["code"] == 0
        self.caller.until_state("probe", "scaning")
        assert self.caller.openwx("stop_client", client="probe")["code"] == 0


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    yield World(host, Caller(host), Phone(host))


def test_a_template_with_an_error_stops_nothing_else(world: World) -> None:
    template = "/etc/wxcontroller/client.env.j2"
    good = world.host.read(template)
    world.host.write(template, b"{% for x in %}\n", 0o644)
    try:
        answer = world.caller.openwx("start_client", client="templated")
        assert answer["code"] == 3
        assert "template" in answer["status"]
        assert world.caller.openwx("check_client", client="templated")["code"] == 1
        failed = world.host.run("systemctl", "start", "wxclient@templated", check=False)
        assert failed.returncode != 0
        assert template in world.host.journal("wxclient-prepare@templated.service")
        world.host.write(template, b"A=1\n", 0o644)
        assert "MOJO_WEIXIN" in world.caller.openwx("start_client", client="templated")["status"]
    finally:
        world.host.write(template, good, 0o644)
    world.works()


def test_start_while_starting_and_start_while_stopping(world: World) -> None:
    answers: list[Json] = []

    def start() -> None:
        answers.append(world.caller.openwx("start_client", client="twice"))

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer["code"] for answer in answers] == [0, 0, 0]
    assert sorted(answer["status"] for answer in answers) == ["client already exists"] * 2 + ["success"]
    assert len({answer["pid"] for answer in answers}) == 1
    stop = threading.Thread(target=lambda: world.caller.openwx("stop_client", client="twice"))
    stop.start()
    time.sleep(0.05)  # so that the stop is first; either order must end well
    again = world.caller.openwx("start_client", client="twice")
    stop.join()
    assert again["code"] == 0
    until(lambda: world.caller.state("twice") in ("scaning", "") or None, "a settled state")
    world.caller.openwx("stop_client", client="twice")
    world.works()


def test_a_client_that_never_becomes_ready(world: World) -> None:
    with world.settings("start_timeout = 5\n"):
        world.host.run("mkdir", "-p", "/run/systemd/system/wxclient@never.service.d")
        world.host.write(
            "/run/systemd/system/wxclient@never.service.d/never.conf",
            b"[Service]\nExecStart=\nExecStart=/usr/bin/python3 -c 'import time; time.sleep(99)'\n"
            b"TimeoutStartSec=3\n",
            0o644,
        )
        world.host.run("systemctl", "daemon-reload")
        answer = world.caller.openwx("start_client", client="never")
        assert answer["code"] == 3
        assert "wxclient@never" in answer["status"]
        assert world.caller.state("never") != "running"
        assert world.caller.openwx("stop_client", client="never")["code"] == 0
    world.works()


@pytest.mark.parametrize("state", ["loading", "scaning", "confirming", "updating", "running"])
def test_a_client_killed_in_any_state_comes_back(world: World, state: str) -> None:
    name = f"kill-{state}"
    uin = world.phone.account(state)
    with ExitStack() as faults:
        if state == "loading":
            faults.enter_context(world.phone.fault("jslogin", "delay", 3600))
        if state == "updating":
            faults.enter_context(world.phone.fault("webwxgetcontact", "delay", 3600))
        world.caller.openwx("start_client", client=name)
        if state not in ("loading", "scaning"):
            world.caller.until_state(name, "scaning")
            _, qr = world.caller.v1("GET", f"/accounts/{name}/qr")
            uuid = world.phone.login_of(qr["link"])
            world.phone.scan(uuid, uin)
            if state != "confirming":
                world.phone.confirm(uuid)
        world.caller.until_state(name, state)
        before = world.caller.account(name)["pid"]
        world.host.run("systemctl", "kill", "--signal=KILL", f"wxclient@{name}")

    # Accepted logins are kept; before that a new code is shown.
    wanted = "running" if state in ("updating", "running") else "scaning"

    def back() -> Json:
        account = world.caller.account(name)
        return account["pid"] not in (0, None, before) and account["state"] == wanted

    until(back, f"{name} back and {wanted}")
    world.caller.openwx("stop_client", client=name)


@pytest.mark.timeout(300)
def test_wechat_gone_for_a_while_costs_no_session_and_is_told(world: World) -> None:
    uin = world.phone.account("断网")
    with Webhook(world.host) as hook:
        log_in(world.caller, world.phone, "outage", uin, post_api=hook.address)
        friend = world.phone.friend(uin)
        with world.phone.fault("*", "drop"):
            until(lambda: world.caller.state("outage") != "running" or None, "the outage seen", 120)
            assert world.caller.openwx("get_client_info", client="outage")["code"] == 0
        world.caller.until_state("outage", "running", seconds=120)
        world.phone.write(uin, friend, "after the outage")
        hook.wait_for(lambda report: report.get("content") == "after the outage")
        assert hook.events("login", "outage") == [[1]]
    world.caller.openwx("stop_client", client="outage")


def test_the_controller_killed_while_proxying(world: World) -> None:
    world.caller.openwx("start_client", client="proxied")
    outcome: list[object] = []

    def poll() -> None:
        try:
            outcome.append(world.caller.openwx("check_event", client="proxied"))
        except Exception as problem:
            outcome.append(problem)

    waiting = threading.Thread(target=poll)
    waiting.start()
    time.sleep(2)  # until the request is on its way; nothing tells from outside
    pid = world.caller.account("proxied")["pid"]
    world.host.run("systemctl", "kill", "--signal=KILL", "wxcontroller")
    waiting.join(timeout=60)
    assert isinstance(outcome[0], Exception), outcome
    assert world.caller.account("proxied")["pid"] == pid
    world.caller.openwx("stop_client", client="proxied")
    world.works()


def test_a_full_disk_keeps_the_account_going(world: World) -> None:
    uin = world.phone.account("满")
    log_in(world.caller, world.phone, "full", uin)
    world.caller.openwx("stop_client", client="full")
    world.host.run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", "/var/lib/private/wxclient/full")
    text = {"client": "full", "id": "filehelper", "content": "x"}
    try:
        world.host.run("sh", "-c", "head -c 2M /dev/zero > /var/lib/private/wxclient/full/filler; true")
        log_in(world.caller, world.phone, "full", uin)
        answer = world.caller.openwx("send_friend_message", **text)
        # Nothing is taken that could be lost, or sent twice.
        assert (answer["code"], answer["status"]) == (-1, "not sent: it can't be stored: database or disk is full")
        assert "No space left" in world.host.journal("wxclient@full.service")
        world.host.run("rm", "/var/lib/private/wxclient/full/filler")
        until(lambda: world.caller.openwx("send_friend_message", **text)["code"] == 0, "a send")
        world.caller.openwx("stop_client", client="full")
    finally:
        world.host.run("umount", "/var/lib/private/wxclient/full")
    world.caller.openwx("start_client", client="full")
    world.caller.until_state("full", "running", "scaning", "confirming")
    world.caller.openwx("stop_client", client="full")


def test_sigterm_ends_a_client_soon_in_every_state(world: World) -> None:
    world.caller.openwx("start_client", client="quick")
    world.caller.until_state("quick", "scaning")
    world.host.run("systemctl", "stop", "wxclient@quick")
    assert world.host.text("systemctl", "show", "-P", "Result", "wxclient@quick").strip() == "success"
    uin = world.phone.account("快")
    log_in(world.caller, world.phone, "quick", uin, post_api="http://127.0.0.1:9/")
    world.host.run("systemctl", "stop", "wxclient@quick")
    assert world.host.text("systemctl", "show", "-P", "Result", "wxclient@quick").strip() == "success"
    world.caller.openwx("stop_client", client="quick")


def test_a_flagged_account_is_parked_and_asks_nobody(world: World) -> None:
    uin = world.phone.account("封号")
    with Webhook(world.host) as hook:
        log_in(world.caller, world.phone, "flagged", uin, post_api=hook.address)
        world.phone.end_session(uin, 1102)
        account = until(lambda: _parked(world, "flagged"), "flagged parked")
        assert hook.wait_for(lambda report: report.get("event") == "stop")
    assert account["reason"] == (
        "WeChat ended the session right after the login: the account is probably flagged. "
        "Leave it alone for some days, use it on the phone, then start it again; or switch to the official bot API "
        "(driver=ilink)"
    )
    for told in (
        world.host.run("wxctl", "status", "flagged", check=False).stdout.decode(),
        world.host.journal("wxclient@flagged.service"),
    ):
        assert "probably flagged" in told
    counts = world.phone.call("GET", f"/requests?uin={uin}")["counts"]
    assert "webwxpushloginurl" not in counts
    assert counts["webwxnewloginpage"] == 1
    world.caller.openwx("stop_client", client="flagged")


@pytest.mark.timeout(400)
def test_a_disk_that_was_read_only_when_the_account_began_holds_it_up_only_for_so_long(world: World) -> None:
    """Its process can never write there; when the disk is well again, another one takes its place."""
    uin, place = world.phone.account("只读"), "/var/lib/private/wxclient/shut"
    with Webhook(world.host) as hook:
        world.host.run("mkdir", "-p", "-m", "0700", place)
        world.host.run("mount", "-t", "tmpfs", "-o", "size=20m,mode=0700", "tmpfs", place)
        try:
            log_in(world.caller, world.phone, "shut", uin, post_api=hook.address)
            world.caller.openwx("stop_client", client="shut")
            world.host.run("mount", "-o", "remount,ro", place)
            world.caller.openwx("start_client", client="shut", post_api=hook.address)
            until(lambda: "Read-only" in world.host.journal("wxclient@shut.service"), "trouble with the disk")
            world.phone.write(uin, world.phone.friend(uin), "came meanwhile")
            world.host.run("mount", "-o", "remount,rw", place)
            hook.wait_for(lambda report: report.get("content") == "came meanwhile", "the message", 200)
            assert sum(report.get("content") == "came meanwhile" for report in hook.reports) == 1
            assert "read-only when the process began" in world.host.journal("wxclient@shut.service", lines=400)
            world.caller.openwx("stop_client", client="shut")
        finally:
            world.host.run("systemctl", "stop", "wxclient@shut")
            world.host.run("umount", place)


def test_an_account_that_wechat_refuses_says_so_asks_and_tries_no_mode_twice(world: World) -> None:
    uin = world.phone.account("拒绝", web_login="refused")
    with Webhook(world.host) as hook:
        assert world.caller.openwx("start_client", client="refused", post_api=hook.address)["code"] == 0
        _refuse(world, uin)
        account = until(lambda: _parked(world, "refused"), "refused parked")
        assert account["input"]["id"] == "allow-desktop"
        assert "about two weeks" in account["reason"]
        told = world.host.run("wxctl", "status", "refused", check=False).stdout.decode()
        assert "wxctl answer refused" in told.replace("\n", " ")
        world.caller.openwx("stop_client", client="refused")
        assert world.caller.openwx("start_client", client="refused", post_api=hook.address)["code"] == 0
        until(lambda: _parked(world, "refused"), "refused parked again, without a code")
        world.host.run("wxctl", "answer", "refused", "yes")
        _refuse(world, uin)
        account = until(lambda: _parked(world, "refused"), "refused parked for good")
        assert account["input"] is None
        assert "1203" in account["reason"]
        assert account["state"] == "stop"
        refusals = until(lambda: len(hook.events("login", "refused")) > 1 and hook.events("login", "refused"))
        assert [params[0] for params in refusals] == [-1, -1]
        assert hook.wait_for(lambda report: report.get("event") == "stop")
    status = world.host.run("wxctl", "status", "refused", check=False)
    assert status.returncode == 6
    assert "1203" in status.stdout.decode() + status.stderr.decode()
    assert "1203" in world.host.text("systemctl", "show", "-P", "StatusText", "wxclient@refused")
    again = world.caller.openwx("start_client", client="refused")
    assert (again["code"], again["status"]) == (0, "success")
    assert again["pid"] != account["pid"]
    account = until(lambda: _parked(world, "refused"), "refused parked at once")
    assert "in an hour or later" in account["reason"]
    world.caller.openwx("stop_client", client="refused")


def _refuse(world: World, uin: str) -> None:
    """Scan and confirm the code that the account shows, or is about to show."""
    world.caller.until_state("refused", "scaning")
    uuid = world.phone.login_of(world.caller.v1("GET", "/accounts/refused/qr")[1]["link"])
    world.phone.scan(uuid, uin)
    world.phone.confirm(uuid)


def _parked(world: World, name: str) -> Json:
    account = world.caller.account(name)
    return account if account["login_state"] == "parked" else None
