"""Alerts by webhook, program and mail, which exim delivers."""

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
PLACE, MAILBOX = "/var/spool/program", "/var/mail/ops"
PROGRAM = f'#!/bin/sh\ncd {PLACE}\nid -un >user\nenv >env\ncat >input\ncp "$WXALERT_QRCODE" code\n'


class World(actors.World):
    def set(self, **alerts: Json) -> None:
        """Replace the table [alerts] and reload the settings."""
        # Accounts may be offline for a moment on a busy machine, which must not use up the alerts of an hour.
        settings = {"webhook": self.hook.address, "after": 10, "per_hour": 500, **alerts}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        content = "check_interval = 0.5\n[alerts]\n" + "\n".join(lines) + "\n"
        # Only the controller may read it; systemd passes it on to the channels.
        self.host.write(SETTINGS, content.encode(), 0o640)
        self.host.run("chgrp", "wxcontroller", SETTINGS)
        self.host.run("systemctl", "reload", "wxcontroller")

    def alerts(self, account: str) -> list[str]:
        return [
            f"{report['event']} {item['kind']}"
            for report in self.hook.reports
            for item in report.get("items", [])
            if item["account"] == account
        ]

    def waiting(self) -> int:
        return int(self.caller.v1("GET", "/alerts")[1]["channels"]["webhook"]["waiting"])


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    host.run("install", "-d", "-m", "1777", PLACE)
    host.write("/usr/local/bin/program", PROGRAM.encode(), 0o755)
    # The program writes only where the administrator allows it.
    host.write(
        "/etc/systemd/system/wxcontroller-alert@command.service.d/place.conf",
        f"[Service]\nReadWritePaths={PLACE}\n".encode(),
    )
    host.run("systemctl", "daemon-reload")
    with Webhook(host, port=8950) as hook:
        yield World(host, hook)


def test_test_alert_is_delivered_by_all_channels(world: World) -> None:
    world.set()
    world.host.run("touch", "/var/spool/wxcontroller/mail/note.json", "/var/spool/wxcontroller/webhook/note.txt")
    active = (
        "systemctl",
        "is-active",
        *(f"wxcontroller-alert@{each}.path" for each in ("webhook", "mail", "command")),
    )
    until(lambda: world.host.text(*active, check=False).split() == ["active", "inactive", "inactive"], "one channel")
    host = world.host
    host.run("useradd", "--create-home", "ops")  # exim looks into it
    configuration = "/etc/exim4/update-exim4.conf.conf"
    host.run("sed", "-i", "s/^dc_eximconfig_configtype=.*/dc_eximconfig_configtype='local'/", configuration)
    host.run("systemctl", "start", "exim4")
    world.set(mail="ops", command=["/usr/local/bin/program"])
    done = host.run("wxctl", "alert", "test")
    assert done.stdout.decode() == "webhook: delivered\nmail: delivered\ncommand: delivered\n"
    report = world.hook.wait_for(lambda report: report.get("event") == "test")
    assert base64.b64decode(report["items"][0]["qrcode"]["base64"]).startswith(b"\x89PNG")
    content = until(lambda: host.run("cat", MAILBOX, check=False).stdout, "a mail")
    mail = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(content)
    assert (mail["Subject"], mail["Auto-Submitted"]) == (report["subject"], "auto-generated")
    assert "image/png" in [part.get_content_type() for part in mail.walk()]
    assert json.loads(host.read(f"{PLACE}/input"))["id"] == report["id"]
    assert host.read(f"{PLACE}/code").startswith(b"\x89PNG")
    assert host.read(f"{PLACE}/user") == b"wxalert\n"
    environment = host.read(f"{PLACE}/env").decode()
    assert "WXALERT_EVENT=test\n" in environment
    assert "CREDENTIALS_DIRECTORY" not in environment
    assert host.text("systemctl", "--failed", "--plain", "--no-legend").strip() == ""
    runs = host.text("sh", "-c", "journalctl -b -u wxcontroller-alert@webhook | grep -c Finished").strip()
    assert int(runs) == 1  # other files do not start the channel


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
        until(lambda: world.waiting() >= 1, "an alert that waits")
        until(lambda: int(show(world.host, "wxcontroller-alert@webhook.service", "NRestarts")) >= 1, "a try")
        for unit in ("wxcontroller.service", "wxcontroller-alert@webhook.service"):
            world.host.run("systemctl", "kill", "--signal=KILL", unit, check=False)
        until(lambda: world.caller.openwx("check_client")["code"] == 0, "the controller")
        time.sleep(1.5)  # three checks, which must not alert again
        assert world.waiting() == 1
    finally:
        world.hook.answer = lambda _: 200
    until(lambda: world.alerts("killed"), "the alert")
    until(lambda: world.waiting() == 0, "an empty spool")
    time.sleep(1.5)
    assert world.alerts("killed") == ["problem scan"]
    world.caller.openwx("stop_client", client="killed")


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
