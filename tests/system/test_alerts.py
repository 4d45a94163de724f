"""A human is told when an account drops: a real receiver, a real program, and exim, or what stands in for it."""

import base64
import email.policy
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from urllib.parse import quote

import pytest

from tests.system.actors import CONTROLLER, Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import dropin

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
SETTINGS = "/etc/wxcontroller/wxcontroller.toml.d/alerts.toml"
PLACE = "/var/spool/standin"
# In the place of a mail system; what it gets is looked at as a mail.
SENDMAIL = f'#!/bin/sh\nd=$(mktemp -d {PLACE}/mail.XXXXXX)\necho "$@" >$d/args\nid -un >$d/user\ncat >$d/mail\n'
TELL = f"#!/bin/sh\nd=$(mktemp -d {PLACE}/told.XXXXXX)\nid -un >$d/user\nenv >$d/env\ncat >$d/input\n"
TELL += 'if [ -n "$WXALERT_QRCODE" ]; then cp "$WXALERT_QRCODE" $d/code; fi\n'


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone
    hook: Webhook

    def set(self, **alerts: Json) -> None:
        """Write the table [alerts] anew and have it read."""
        # A busy machine has accounts offline for a moment: that must not use up the alerts of an hour.
        given = {"webhook": self.hook.address, "after": 10, "per_hour": 500, **alerts}
        lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
        content = "check_interval = 0.5\n[alerts]\n" + "\n".join(lines) + "\n"
        # Nobody but the controller may read it; systemd hands it to those who deliver.
        self.host.write(SETTINGS, content.encode(), 0o640)
        self.host.run("chgrp", "wxcontroller", SETTINGS)
        self.host.run("systemctl", "reload", "wxcontroller")

    def alert(self, event: str, account: str, kind: str, seconds: float = 60) -> Json:
        """Wait for an alert about an account; return the item of it."""

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

    def show(self, unit: str, what: str) -> str:
        return self.host.text("systemctl", "show", "-P", what, unit).strip()


def items(report: Json, account: str, kind: str) -> list[Json]:
    return [item for item in report.get("items", []) if (item["account"], item["kind"]) == (account, kind)]


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    host.run("install", "-d", "-m", "1777", PLACE)
    _stand_in(host)
    host.write("/usr/local/bin/tell", TELL.encode(), 0o755)
    # The program may write nowhere but where the admin lets it.
    host.write(
        "/etc/systemd/system/wxcontroller-alert@command.service.d/place.conf",
        f"[Service]\nReadWritePaths={PLACE}\n".encode(),
    )
    host.run("systemctl", "daemon-reload")
    with Webhook(host, port=8950) as hook:
        yield World(host, Caller(host), Phone(host), hook)


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


def test_a_test_alert_gets_through_by_all_ways(world: World) -> None:
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
    assert int(runs) == 1  # a file that is no alert starts nothing


def test_a_mail_system_of_debian_takes_the_alert(world: World, mailbox: str) -> None:
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


def test_a_lost_session_is_told_with_the_code_and_then_its_end(world: World) -> None:
    world.set(mail="root", command=["/usr/local/bin/tell"])
    world.host.run("sh", "-c", f"rm -rf {PLACE}/*")
    uin = world.phone.account("掉线")
    log_in(world.caller, world.phone, "小店", uin)
    assert world.alerts("小店") == []  # the scan was nobody's business
    began = time.monotonic()
    world.phone.end_session(uin, 1101)
    _refuse_pushes(world, "小店")
    item = world.alert("problem", "小店", "scan")
    print(f"told {time.monotonic() - began:.1f} s after the session was ended")
    assert "小店" in item["message"]
    assert "wxctl qr 小店" in item["remedy"]
    status, _, png = world.host.http("GET", f"{CONTROLLER}/v1/accounts/{quote('小店')}/qr?format=png")
    assert status == 200
    assert base64.b64decode(item["qrcode"]["base64"]) == png
    assert item["qrcode"]["valid_until"] - item["qrcode"]["made"] == 120
    mail = until(lambda: places(world, "mail"), "a mail")[0]
    got = mail_of(world.host.read(f"{mail}/mail"))
    pictures = [part.get_payload(decode=True) for part in got.walk() if part.get_content_type() == "image/png"]
    assert pictures == [png]
    told = until(lambda: places(world, "told"), "the command")[0]
    assert until(lambda: world.host.run("cat", f"{told}/code", check=False).stdout, "its code") == png
    environment = world.host.read(f"{told}/env").decode()
    assert "WXALERT_KIND=scan\n" in environment
    assert "WXALERT_ACCOUNT=小店\n" in environment
    _, qr = world.caller.v1("GET", f"/accounts/{quote('小店')}/qr")
    uuid = world.phone.login_of(qr["link"])
    world.phone.scan(uuid, uin)
    world.phone.confirm(uuid)
    world.alert("recovery", "小店", "scan")
    assert world.alerts("小店") == ["problem scan", "recovery scan"]
    # The code is in no log.
    assert qr["link"].rsplit("/", 1)[1] not in world.host.journal(lines=100_000)
    world.caller.openwx("stop_client", client="小店")


def _refuse_pushes(world: World, name: str) -> None:
    """Say no on the phone, as often as it is asked, until a code is shown."""

    def shown() -> bool:
        for login in world.phone.call("GET", "/logins"):
            if login.get("push") and login["state"] in ("waiting", "scanned"):
                world.phone.act(login["uuid"], "cancel")
        return world.caller.state(name) == "scaning"

    until(shown, "a code to scan")


def test_what_is_stopped_on_purpose_is_not_told(world: World) -> None:
    world.set()
    for name in ("by-api", "by-hand", "removed"):
        log_in(world.caller, world.phone, name, world.phone.account(name))
    world.caller.openwx("stop_client", client="by-api")
    world.host.run("systemctl", "stop", "wxclient@by-hand")
    world.host.run("wxctl", "remove", "removed", "--yes")
    time.sleep(15)  # longer than after = 10
    assert [world.alerts(name) for name in ("by-api", "by-hand", "removed")] == [[], [], []]
    assert [one for one in world.caller.v1("GET", "/alerts")[1]["problems"] if one["told"]] == []


def test_an_account_that_gives_up_is_told_with_its_reason(world: World) -> None:
    world.set()
    uin = world.phone.account("拒绝", web_login="refused")
    assert world.caller.openwx("start_client", client="refused", desktop="off")["code"] == 0
    world.caller.until_state("refused", "scaning")
    uuid = world.phone.login_of(world.caller.v1("GET", "/accounts/refused/qr")[1]["link"])
    world.phone.scan(uuid, uin)
    world.phone.confirm(uuid)
    item = world.alert("problem", "refused", "parked")
    assert "1203" in item["message"]
    assert "wxctl start refused" in item["remedy"]
    assert world.alerts("refused") == ["problem parked"]  # the first scan was nobody's business
    world.caller.openwx("stop_client", client="refused")


def test_a_unit_that_fails_again_and_again_is_told(world: World) -> None:
    world.set()
    change = "[Service]\nExecStart=\nExecStart=/usr/bin/python3 -c 'raise SystemExit(1)'\nRestartSec=200ms\n"
    with dropin(world.host, "wxclient@looping.service", change + "RestartSteps=0\n"):
        # Together: alerts are half a minute apart.
        world.host.write("/etc/wxcontroller/clients/wrong.env", b'MOJO_WEIXIN_SEND_INTERVAL="soon"\n')
        for name in ("looping", "wrong"):
            world.host.run("systemctl", "start", f"wxclient@{name}", check=False)
        assert "keeps exiting" in world.alert("problem", "looping", "failed")["message"]
        assert "wxctl logs wrong" in world.alert("problem", "wrong", "failed")["remedy"]
        world.host.run("rm", "/etc/wxcontroller/clients/wrong.env")
        for name in ("looping", "wrong"):
            world.caller.openwx("stop_client", client=name)


def test_a_receiver_that_is_down_gets_it_later_and_once_whatever_is_killed(world: World) -> None:
    world.set()
    uin = world.phone.account("杀")
    log_in(world.caller, world.phone, "killed", uin)
    world.hook.answer = lambda _: 503
    try:
        world.phone.end_session(uin, 1101)
        _refuse_pushes(world, "killed")
        until(lambda: _waiting(world) >= 1 or None, "an alert that waits")
        until(lambda: int(world.show("wxcontroller-alert@webhook.service", "NRestarts")) >= 1 or None, "a try")
        for unit in ("wxcontroller.service", "wxcontroller-alert@webhook.service"):
            world.host.run("systemctl", "kill", "--signal=KILL", unit, check=False)
        until(lambda: world.caller.openwx("check_client")["code"] == 0 or None, "the controller")
        time.sleep(3)  # looks that could tell it again
        assert _waiting(world) == 1
    finally:
        world.hook.answer = lambda _: 200
    world.alert("problem", "killed", "scan", 60)
    until(lambda: _waiting(world) == 0 or None, "an empty spool")
    time.sleep(3)  # looks that could tell it again
    assert world.alerts("killed") == ["problem scan"]
    world.caller.openwx("stop_client", client="killed")


def _waiting(world: World) -> int:
    return int(world.caller.v1("GET", "/alerts")[1]["channels"]["webhook"]["waiting"])


def test_a_full_disk_holds_no_alert_up(world: World) -> None:
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


def test_a_disk_that_is_nearly_full_is_told(world: World) -> None:
    # A disk of its own with little on it, of which less is wanted than there is; then it fills up.
    def disk(event: str) -> Json:
        world.host.run("systemctl", "restart", "wxcontroller")  # it looks at once, and then each minute
        return world.alert(event, "", "disk")

    world.set(disk_low=1 << 40)
    world.host.run("mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs", "/var/log")
    try:
        world.host.run("sh", "-c", "head -c 62M /dev/zero >/var/log/filler")
        assert "/var/log has only 2 MB left" in disk("problem")["message"]
        world.host.run("rm", "/var/log/filler")
        disk("recovery")
    finally:
        world.host.run("umount", "-l", "/var/log")
        world.set(disk_low=0)


def test_those_who_deliver_see_nothing_of_accounts_and_settings(world: World) -> None:
    log_in(world.caller, world.phone, "private", world.phone.account("x"))
    looks = [
        "ls /var/lib/wxcontroller",
        "ls /var/lib/private/wxclient",
        "cat /run/wxclient/private/mojo_weixin_state_private.json",
        f"cat {SETTINGS}",
        "ls /run/wxcontroller",
        "touch /var/lib/x",
        "touch /etc/x",
        "ls /root",
        "systemctl stop wxclient@private",
        "su -c id",
    ]
    script = "#!/bin/sh\n" + "\n".join(f"({each}) >/dev/null 2>&1 && echo 'could: {each}'" for each in looks)
    world.host.write("/usr/local/bin/look", f"{script}\necho looked\n".encode(), 0o755)
    world.set(command=["/usr/local/bin/look"])
    world.host.run("wxctl", "alert", "test")
    told = world.host.journal("wxcontroller-alert@command.service")
    assert "looked" in told
    assert "could:" not in told
    world.caller.openwx("stop_client", client="private")


def test_a_reboot_tells_nothing_twice_and_makes_no_storm(world: World) -> None:
    world.set()
    for name in ("boot-1", "boot-2", "boot-3"):
        log_in(world.caller, world.phone, name, world.phone.account(name))
    uin = world.phone.account("x", web_login="refused")
    assert world.caller.openwx("start_client", client="boot-parked", desktop="off")["code"] == 0
    world.caller.until_state("boot-parked", "scaning")
    uuid = world.phone.login_of(world.caller.v1("GET", "/accounts/boot-parked/qr")[1]["link"])
    world.phone.scan(uuid, uin)
    world.phone.confirm(uuid)
    world.alert("problem", "boot-parked", "parked", 90)
    before = len(world.hook.reports)
    world.host.reboot()
    # The receiver went down with the host's network, too.
    with Webhook(world.host, port=8950) as hook:
        world.hook = hook
        for name in ("boot-1", "boot-2", "boot-3"):
            world.caller.until_state(name, "running")
        world.caller.until_state("boot-parked", "stop")  # the refusal still holds
        time.sleep(20)  # twice the patience that is set
        told = [report for report in hook.reports if report.get("event") == "problem"]
        assert told == []
    assert before > 0
