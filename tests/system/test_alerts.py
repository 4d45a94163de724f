"""Alerts by webhook, program and mail, with exim or a stand-in for it."""

import base64
import email.policy
import json
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser

import pytest

from tests.system import actors
from tests.system.actors import Json, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import show

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
SETTINGS = "/etc/wxcontroller/wxcontroller.toml.d/alerts.toml"
PLACE = "/var/spool/standin"
# In place of a mail system.
SENDMAIL = f'#!/bin/sh\nd=$(mktemp -d {PLACE}/mail.XXXXXX)\necho "$@" >$d/args\nid -un >$d/user\ncat >$d/mail\n'
TELL = f"#!/bin/sh\nd=$(mktemp -d {PLACE}/told.XXXXXX)\nid -un >$d/user\nenv >$d/env\ncat >$d/input\n"
TELL += 'if [ -n "$WXALERT_QRCODE" ]; then cp "$WXALERT_QRCODE" $d/code; fi\n'


class World(actors.World):
    def set(self, **alerts: Json) -> None:
        """Replace the table [alerts] and reload the settings."""
        # Accounts may be offline for a moment on a busy machine, which must not use up the alerts of an hour.
        given = {"webhook": self.hook.address, "after": 10, "per_hour": 500, **alerts}
        lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
        content = "check_interval = 0.5\n[alerts]\n" + "\n".join(lines) + "\n"
        # Only the controller may read it; systemd passes it on to the channels.
        self.host.write(SETTINGS, content.encode(), 0o640)
        self.host.run("chgrp", "wxcontroller", SETTINGS)
        self.host.run("systemctl", "reload", "wxcontroller")

    def alert(self, event: str, account: str, kind: str, seconds: float = 60) -> Json:
        """Wait for an alert about an account; return its item."""

        def has(report: Json) -> bool:
            return report.get("event") == event and bool(items(report, account, kind))

        report = self.hook.wait_for(has, f"{event} {kind} of {account}", seconds)
        return items(report, account, kind)[0]

    def alerts(self, account: str) -> list[str]:
        return [
            f"{report['event']} {item['kind']}"
            for report in self.hook.reports
            for item in report.get("items", [])
            if item["account"] == account
        ]


def items(report: Json, account: str, kind: str) -> list[Json]:
    return [item for item in report.get("items", []) if (item["account"], item["kind"]) == (account, kind)]


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    host.run("install", "-d", "-m", "1777", PLACE)
    _stand_in(host)
    host.write("/usr/local/bin/tell", TELL.encode(), 0o755)
    # The program writes only where the administrator allows it.
    host.write(
        "/etc/systemd/system/wxcontroller-alert@command.service.d/place.conf",
        f"[Service]\nReadWritePaths={PLACE}\n".encode(),
    )
    host.run("systemctl", "daemon-reload")
    with Webhook(host, port=8950) as hook:
        yield World(host, hook)


def _stand_in(host: Host) -> None:
    host.run("rm", "/usr/sbin/sendmail")  # a link to exim's program
    host.write("/usr/sbin/sendmail", SENDMAIL.encode(), 0o755)


@pytest.fixture
def mailbox(world: World) -> Iterator[str]:
    """The mailbox of a user of the host; exim delivers there."""
    host, settings = world.host, "/etc/exim4/update-exim4.conf.conf"
    host.run("useradd", "--create-home", "ops")  # exim looks into it
    host.run("sed", "-i", "s/^dc_eximconfig_configtype=.*/dc_eximconfig_configtype='local'/", settings)
    host.run("ln", "-sf", "exim4", "/usr/sbin/sendmail")
    host.run("systemctl", "start", "exim4")
    yield "/var/mail/ops"
    host.run("systemctl", "stop", "exim4")
    _stand_in(host)


def mail_of(content: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=email.policy.default).parsebytes(content)


def places(world: World, kind: str) -> list[str]:
    return world.host.text("sh", "-c", f"ls -d {PLACE}/{kind}.* 2>/dev/null; true").split()


def test_test_alert_is_delivered_by_all_channels(world: World) -> None:
    world.set()
    world.host.run("touch", "/var/spool/wxcontroller/mail/note.json", "/var/spool/wxcontroller/webhook/note.txt")
    active = (
        "systemctl",
        "is-active",
        *(f"wxcontroller-alert@{each}.path" for each in ("webhook", "mail", "command")),
    )
    until(lambda: world.host.text(*active, check=False).split() == ["active", "inactive", "inactive"], "one channel")
    world.set(mail="root, ops@example.org", command=["/usr/local/bin/tell", "--loud"])
    done = world.host.run("wxctl", "alert", "test")
    assert done.stdout.decode() == "webhook: delivered\nmail: delivered\ncommand: delivered\n"
    report = world.hook.wait_for(lambda given: given.get("event") == "test")
    assert base64.b64decode(report["items"][0]["qrcode"]["base64"]).startswith(b"\x89PNG")
    [mail] = places(world, "mail")
    assert world.host.read(f"{mail}/args") == b"-i root ops@example.org\n"
    got = mail_of(world.host.read(f"{mail}/mail"))
    assert got["Subject"] == report["subject"]
    assert "image/png" in [part.get_content_type() for part in got.walk()]
    [told] = places(world, "told")
    assert json.loads(world.host.read(f"{told}/input"))["id"] == report["id"]
    assert world.host.read(f"{told}/code").startswith(b"\x89PNG")
    for place in (mail, told):
        assert world.host.read(f"{place}/user") == b"wxalert\n"
    environment = world.host.read(f"{told}/env").decode()
    assert "WXALERT_EVENT=test\n" in environment
    assert "CREDENTIALS_DIRECTORY" not in environment
    assert world.host.text("systemctl", "--failed", "--plain", "--no-legend").strip() == ""
    runs = world.host.text("sh", "-c", "journalctl -b -u wxcontroller-alert@webhook | grep -c Finished").strip()
    assert int(runs) == 1  # other files do not start the channel


def test_exim_delivers_the_alert(world: World, mailbox: str) -> None:
    world.set(mail="ops")
    assert world.host.run("wxctl", "alert", "test").stdout == b"webhook: delivered\nmail: delivered\n"
    content = until(lambda: world.host.run("cat", mailbox, check=False).stdout, "a mail")
    got = mail_of(content)
    assert str(got["To"]).startswith("ops@")  # exim names the host
    assert got["Auto-Submitted"] == "auto-generated"
    words = got.get_body(("plain",))
    assert words is not None
    assert "wxcontroller" in words.get_content()
    assert "image/png" in [part.get_content_type() for part in got.walk()]


def _refuse_pushes(world: World, name: str) -> None:
    """Say no on the phone, as often as it is asked, until a code is shown."""

    def shown() -> bool:
        for login in world.phone.call("GET", "/logins"):
            if login.get("push") and login["state"] in ("waiting", "scanned"):
                world.phone.act(login["uuid"], "cancel")
        return world.caller.state(name) == "scaning"

    until(shown, "a code to scan")


def test_alert_is_delivered_once_after_an_outage_and_kills(world: World) -> None:
    world.set()
    uin = world.phone.account("杀")
    log_in(world.caller, world.phone, "killed", uin)
    world.hook.answer = lambda _: 503
    try:
        world.phone.call("POST", f"/accounts/{uin}/logout", {"retcode": 1101})
        _refuse_pushes(world, "killed")
        until(lambda: _waiting(world) >= 1 or None, "an alert that waits")
        until(lambda: int(show(world.host, "wxcontroller-alert@webhook.service", "NRestarts")) >= 1 or None, "a try")
        for unit in ("wxcontroller.service", "wxcontroller-alert@webhook.service"):
            world.host.run("systemctl", "kill", "--signal=KILL", unit, check=False)
        until(lambda: world.caller.openwx("check_client")["code"] == 0 or None, "the controller")
        time.sleep(1.5)  # three checks, which must not alert again
        assert _waiting(world) == 1
    finally:
        world.hook.answer = lambda _: 200
    world.alert("problem", "killed", "scan", 60)
    until(lambda: _waiting(world) == 0 or None, "an empty spool")
    time.sleep(1.5)
    assert world.alerts("killed") == ["problem scan"]
    world.caller.openwx("stop_client", client="killed")


def _waiting(world: World) -> int:
    return int(world.caller.v1("GET", "/alerts")[1]["channels"]["webhook"]["waiting"])


def test_alert_is_delivered_although_the_disk_is_full(world: World) -> None:
    world.set()
    spool = "/var/spool/wxcontroller/webhook"
    owner = world.host.text("stat", "-c", "uid=%u,gid=%g", spool).strip()
    world.host.run("mount", "-t", "tmpfs", "-o", f"size=4k,mode=2770,{owner}", "tmpfs", spool)
    try:
        world.host.run("sh", "-c", f"head -c 4096 /dev/zero >{spool}/.filler")
        before = len(world.hook.reports)
        assert world.host.run("wxctl", "alert", "test").stdout == b"webhook: delivered\n"
        assert world.hook.reports[before]["event"] == "test"
    finally:
        world.host.run("umount", spool)
