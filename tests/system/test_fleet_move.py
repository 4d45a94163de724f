"""Two hosts that list each other: accounts move by one command, and a lost host's account is adopted from its bundle.

Nothing is lost or sent twice. tests/fleet shows that no account is on two hosts at once.
"""

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.system.actors import Caller, Json, Phone, Webhook, log_in, until
from tests.system.fleet import GUIDE, PASSPHRASE, PASSPHRASE_FILE, Fleet, fleet, of_hosts
from tests.system.host import Host
from tests.system.pages import step

pytestmark = pytest.mark.system
NAME = "mover"
UNIT = f"wxclient@{NAME}.service"
# The account with a standby copy, as the guide calls it.
KEPT, HEADING = "alice", "Keep a standby copy on another host"


@pytest.fixture(scope="module")
def pair(debs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(debs, tmp_path_factory.mktemp("certificates")) as both:
        yield both


def move(host: Host, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return host.run("wxctl", "move", *arguments, check=check, timeout=PATIENCE * 2)


def settled(pair: Fleet, name: str, host: str) -> None:
    assert (pair.where(name), pair.running(name)) == ([host], [host])


def test_moved_account_keeps_its_login_and_queues(pair: Fleet) -> None:
    first, second = pair.hosts.values()
    caller, phone = pair.caller("host-a"), Phone(first)
    uin = phone.account("搬家")
    friend = phone.friend(uin)
    with Webhook(first, answer=lambda _: 503) as hook:
        log_in(caller, phone, NAME, uin, post_api=hook.address, lang="en_US")
        phone.write(uin, friend, "not delivered there")
        listing = ("wxctl", "deliveries", "list", NAME, "--json")
        [row] = until(
            lambda: [row for row in json.loads(first.run(*listing).stdout) if row["type"] == "friend_message"], "it"
        )
    logins = len(phone.call("GET", "/logins"))
    with Webhook(second) as hook:
        move(first, NAME, "host-b")
        settled(pair, NAME, "host-b")
        pair.caller("host-b").until_state(NAME, "running")
        phone.write(uin, friend, "after the move")
        got = until(
            lambda: (
                found if len(found := [report for report in hook.reports if report.get("content")]) == 2 else None
            ),
            "both",
        )
    assert [one["content"] for one in got] == ["not delivered there", "after the move"]
    assert got[0]["_delivery"] == row["delivery"]
    assert [hook.headers[one["_delivery"]]["X-Wx-Epoch"] for one in got] == ["1", "2"]
    assert len(phone.call("GET", "/logins")) == logins  # no code was asked for
    assert pair.caller("host-b").account(NAME)["epoch"] == 2
    assert json.loads(second.run("wxctl", "show", NAME, "--json").stdout)["options"]["lang"]["value"] == "en_US"
    assert first.run("test", "-e", f"/var/lib/private/wxclient/{NAME}", check=False).returncode == 1
    # It cannot be started here any more.
    refused = first.run("systemctl", "start", UNIT, check=False)
    assert refused.returncode != 0
    assert f"account {NAME} has moved to host host-b" in first.journal(f"wxclient-prepare@{NAME}.service")
    assert pair.where(NAME) == ["host-b"]
    # A repeated move succeeds without effect. The account moves back, with another one.
    move(first, NAME, "host-b")
    second.run("wxctl", "add", "moved-too")
    for pattern in ("mov*", "moved-too"):
        move(second, NAME, pattern, "host-a")
    settled(pair, NAME, "host-a")
    assert pair.where("moved-too") == ["host-a"]
    assert pair.caller("host-a").account(NAME)["epoch"] == 3


def test_target_host_refuses_before_the_account_is_stopped(pair: Fleet) -> None:
    first, second = pair.hosts.values()
    pid = pair.caller("host-a").account(NAME)["pid"]
    second.run("mount", "-t", "tmpfs", "-o", "size=16M,mode=0700", "tmpfs", "/var/lib/private")
    try:
        refused = move(first, NAME, "host-b", check=False)
    finally:
        second.run("umount", "/var/lib/private")
    assert b"MB free" in refused.stderr
    second.run("systemctl", "stop", "wxcontroller-receive.socket")
    refused = move(first, NAME, "host-b", check=False)
    assert b"systemctl enable --now wxcontroller-receive.socket" in refused.stderr
    second.run("systemctl", "start", "wxcontroller-receive.socket")
    assert b"known hosts: host-b" in move(first, NAME, "nowhere", check=False).stderr
    # Another host's bundle is imported only with the fleet's passphrase. Otherwise the move is refused, and the
    # account runs here as before.
    second.write(PASSPHRASE_FILE, b"another passphrase\n", 0o600)
    refused = move(first, NAME, "host-b", check=False)
    second.write(PASSPHRASE_FILE, PASSPHRASE, 0o600)
    assert b"stays on this host" in refused.stderr
    settled(pair, NAME, "host-a")
    assert pair.caller("host-a").account(NAME)["leaving"] is None
    assert pair.caller("host-a").account(NAME)["pid"] != pid  # it was stopped for that, and only that
    assert second.run("sh", "-c", "ls -A /var/lib/private/wxclient", check=False).stdout.strip() == b""


def printed(host: Host, word: str) -> bool:
    return word in host.text("cat", "/run/moving", check=False)


def gone(host: Host, pid: str) -> bool:
    return host.run("test", "-e", f"/proc/{pid}", check=False).returncode == 1


def test_a_move_that_is_killed_after_any_step_is_finished_by_the_same_command(pair: Fleet) -> None:
    for step_begun in ("stopping", "sending", "starting"):
        [here] = pair.where(NAME)
        [there] = pair.hosts.keys() - {here}
        source = pair.hosts[here]
        command = f"rm -f /run/moving; wxctl move {NAME} {there} >/run/moving 2>&1 & echo $!"
        pid = source.run("sh", "-c", command).stdout.decode().strip()
        until(partial(printed, source, step_begun), step_begun)
        source.run("kill", "-9", pid, check=False)
        until(partial(gone, source, pid), "its end")
        assert len(pair.running(NAME)) <= 1
        status = json.loads(source.run("wxctl", "status", NAME, "--json", check=False).stdout or b"{}")
        if status.get("leaving") and not pair.running(NAME):  # the remedy is shown
            assert f"wxctl move {NAME} {there}" in status["issues"][0]["remedy"]
            assert source.run("systemctl", "start", UNIT, check=False).returncode != 0
        move(source, NAME, there)
        settled(pair, NAME, there)


def bundle(caller: Caller) -> Json:
    """Return the standby bundle of the account as a host shows it, None for none."""
    _, body = caller.v1("GET", "/fleet")
    return next((standby for standby in body["standbys"] if standby["account"] == KEPT and standby["at"]), None)


def test_adopted_account_of_a_lost_host_keeps_its_login_and_sends_nothing_twice(pair: Fleet) -> None:
    first, second = pair.hosts.values()  # the sandbox is on the first one
    there, here = pair.caller("host-b"), pair.caller("host-a")
    phone = Phone(first)
    uin = phone.account("备份")
    friend = phone.friend(uin)
    log_in(there, phone, KEPT, uin, post_api=Webhook(first).address, send_interval="3600")
    to = {"client": KEPT, "id": "filehelper"}
    assert there.openwx("send_friend_message", **to, content="sent")["code"] == 0
    assert there.openwx("send_friend_message", **to, content="queued", **{"async": "1"})["code"] == 0
    commands = of_hosts(step(GUIDE, HEADING), "host-b", "host-a")
    second.run("bash", "-euc", commands.replace("wxctl fleet", "wxctl fleet || true"))  # there is no copy yet
    kept = until(lambda: bundle(here), "a bundle")
    assert (kept["from"], kept["to"], kept["epoch"], kept["stale"]) == ("host-b", "host-a", 1, False)
    assert pair.where(KEPT) == ["host-b"]
    stored = first.run("sh", "-c", "ls -l /var/lib/wxcontroller-standby").stdout.decode()
    assert f"{KEPT}.wxaccount" in stored
    # A later one replaces it. Its host forgets the first one, so as not to wait for the account's turn.
    phone.write(uin, friend, "before the last bundle")
    listing = ("wxctl", "deliveries", "list", KEPT, "--json")
    until(lambda: b"friend_message" in second.run(*listing).stdout, "what it receives")
    second.run("systemctl", "stop", "wxcontroller-standby.timer", "wxcontroller-standby.service")
    second.run("rm", "/var/lib/wxcontroller-standby/sent.json")
    second.run("systemctl", "start", "wxcontroller-standby.service")
    assert bundle(here)["at"] > kept["at"]
    # It is not adopted while its host responds.
    refused = first.run("wxctl", "claim", KEPT, "--yes", check=False)
    assert (refused.returncode, b"host host-b responds" in refused.stderr) == (8, True)

    pair.lose("host-b")
    until(lambda: here.v1("GET", "/fleet")[1]["hosts"][0]["state"] == "unreachable", "its loss")
    asked = first.run("wxctl", "claim", KEPT, check=False)
    assert b"Is host-b off for good" in asked.stderr or b"no terminal to ask on" in asked.stderr
    assert first.run("test", "-e", f"/var/lib/wxcontroller/clients/{KEPT}.env", check=False).returncode == 1
    logins = len(phone.call("GET", "/logins"))
    with Webhook(first) as hook:
        command, _ = step(GUIDE, HEADING, number=1).splitlines()
        adopted = json.loads(first.run(*command.split(), "--yes", "--json").stdout)
        assert (adopted["epoch"], adopted["from"], adopted["unit_state"]) == (2, "host-b", "active")
        here.until_state(KEPT, "running")
        report = hook.wait_for(lambda report: report.get("content") == "queued", "the end of what was queued")
        assert (report["code"], report["post_type"]) == (-1, "send_message")
        assert "it may have arrived" in report["info"]
        hook.wait_for(lambda report: report.get("content") == "before the last bundle", "what had arrived")
        phone.write(uin, friend, "after the loss")
        hook.wait_for(lambda report: report.get("content") == "after the loss", "what arrives now")
    assert len(phone.call("GET", "/logins")) == logins  # no code was asked for
    assert [one["text"] for one in phone.sent(uin, seconds=0)] == ["sent"]
    assert bundle(here) is None

    pair.bring_back("host-b")
    journal = ("journalctl", "-u", "wxcontroller", "-b")
    until(lambda: b"stays down" in second.run(*journal).stdout, "its refusal", 2 * PATIENCE)
    assert pair.where(KEPT) == ["host-a", "host-b"]
    assert pair.running(KEPT) == ["host-a"]
    [twice] = until(lambda: there.v1("GET", "/fleet")[1]["duplicates"], "the copy to be noticed")
    assert (twice["account"], sorted(twice["hosts"])) == (KEPT, ["host-a", "host-b"])
    refused = second.run("wxctl", "start", KEPT, check=False)
    assert b"exists on more than one host" in refused.stderr
    # Its copy is refused as a bundle, and goes with the account there.
    second.run("wxctl", "remove", KEPT, "--yes")
    until(lambda: not here.v1("GET", "/fleet")[1]["duplicates"], "its removal")
    assert pair.running(KEPT) == ["host-a"]
    here.until_state(KEPT, "running")
