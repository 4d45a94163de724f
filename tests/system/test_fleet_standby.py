"""A host is lost, and its standby host adopts the account from the bundle it has; then the lost host comes back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.actors import Caller, Json, Phone, Webhook, log_in, until
from tests.system.fleet import GUIDE, Fleet, fleet, of_hosts
from tests.system.pages import step

pytestmark = pytest.mark.system
NAME, HEADING = "alice", "Keep a standby copy on another host"


@pytest.fixture(scope="module")
def pair(debs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(debs, tmp_path_factory.mktemp("certificates")) as both:
        yield both


def bundle(caller: Caller) -> Json:
    """Return the standby bundle of the account as a host shows it, None for none."""
    _, found = caller.v1("GET", "/fleet")
    return next((each for each in found["standbys"] if each["account"] == NAME and each["at"]), None)


def test_a_lost_host_s_account_is_adopted_with_its_login_and_sends_nothing_twice(pair: Fleet) -> None:
    first, second = pair.hosts.values()  # the sandbox is on the first one
    there, here = pair.caller("host-b"), pair.caller("host-a")
    phone = Phone(first)
    uin = phone.account("备份")
    friend = phone.friend(uin)
    log_in(there, phone, NAME, uin, post_api=Webhook(first).address, send_interval="3600")
    to = {"client": NAME, "id": "filehelper"}
    assert there.openwx("send_friend_message", **to, content="sent")["code"] == 0
    assert there.openwx("send_friend_message", **to, content="queued", **{"async": "1"})["code"] == 0
    commands = of_hosts(step(GUIDE, HEADING), "host-b", "host-a")
    second.run("bash", "-euc", commands.replace("wxctl fleet", "wxctl fleet || true"))  # there is no copy yet
    kept = until(lambda: bundle(here), "a bundle")
    assert (kept["from"], kept["to"], kept["epoch"], kept["stale"]) == ("host-b", "host-a", 1, False)
    assert pair.where(NAME) == ["host-b"]
    stored = first.run("sh", "-c", "ls -l /var/lib/wxcontroller-standby").stdout.decode()
    assert f"{NAME}.wxaccount" in stored
    # A later one replaces it. Its host forgets the first one, so as not to wait for the account's turn.
    phone.write(uin, friend, "before the last bundle")
    listing = ("wxctl", "deliveries", "list", NAME, "--json")
    until(lambda: b"friend_message" in second.run(*listing).stdout, "what it receives")
    second.run("systemctl", "stop", "wxcontroller-standby.timer", "wxcontroller-standby.service")
    second.run("rm", "/var/lib/wxcontroller-standby/sent.json")
    second.run("systemctl", "start", "wxcontroller-standby.service")
    assert bundle(here)["at"] > kept["at"]
    # As long as its host responds, nobody takes it.
    refused = first.run("wxctl", "adopt", NAME, "--yes", check=False)
    assert (refused.returncode, b"host host-b responds" in refused.stderr) == (8, True)

    pair.lose("host-b")
    until(lambda: here.v1("GET", "/fleet")[1]["hosts"][0]["state"] == "unreachable", "its loss")
    asked = first.run("wxctl", "adopt", NAME, check=False)
    assert b"Is host-b off for good" in asked.stderr or b"no terminal to ask on" in asked.stderr
    assert first.run("test", "-e", f"/var/lib/wxcontroller/clients/{NAME}.env", check=False).returncode == 1
    logins = len(phone.call("GET", "/logins"))
    with Webhook(first) as hook:
        command, _ = step(GUIDE, HEADING, number=1).splitlines()
        adopted = json.loads(first.run(*command.split(), "--yes", "--json").stdout)
        assert (adopted["epoch"], adopted["from"], adopted["unit_state"]) == (2, "host-b", "active")
        here.until_state(NAME, "running")
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
    until(lambda: b"stays down" in second.run("journalctl", "-u", "wxcontroller", "-b").stdout, "its refusal")
    assert pair.where(NAME) == ["host-a", "host-b"]
    assert pair.running(NAME) == ["host-a"]
    [twice] = until(lambda: there.v1("GET", "/fleet")[1]["duplicates"], "the copy to be noticed")
    assert (twice["account"], sorted(twice["hosts"])) == (NAME, ["host-a", "host-b"])
    refused = second.run("wxctl", "start", NAME, check=False)
    assert b"exists on more than one host" in refused.stderr
    # Its copy is refused as a bundle, and goes with the account there.
    second.run("wxctl", "remove", NAME, "--yes")
    until(lambda: not here.v1("GET", "/fleet")[1]["duplicates"], "its removal")
    assert pair.running(NAME) == ["host-a"]
    here.until_state(NAME, "running")
