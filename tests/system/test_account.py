"""Accounts under the installed units: files, signed reports, secrets of a proxy, stops, names, a reboot."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.system import actors
from tests.system.actors import Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import dropin
from wxcontroller.core.config import envfile

pytestmark = pytest.mark.system
NAME = "alice"
UNIT = f"wxclient@{NAME}.service"
SECRETS = ("key-of-the-webhook", "the-old-one")
GIF = b"GIF89a" + bytes(100)
MB = 1024 * 1024
PICTURES, HIDDEN_PICTURES = "/opt/pictures", "/home/bot/pictures"


class World(actors.World):
    def restart(self, **options: str) -> None:
        """Start the account again with other options; its login is kept."""
        self.caller.openwx("stop_client", client=NAME)
        assert self.caller.openwx("start_client", client=NAME, post_api=self.hook.address, **options)["code"] == 0
        self.caller.until_state(NAME, "running")

    def received(self, text: str) -> Json:
        return self.hook.wait_for(lambda report: report.get("content") == text, text[:20])

    def queue(self, *texts: str) -> None:
        for text in texts:
            sent = self.caller.openwx(
                "send_friend_message", client=NAME, id="filehelper", content=text, **{"async": "1"}
            )
            assert sent["code"] == 0

    def sent(self, *texts: str) -> list[str]:
        """Return those of ``texts`` that WeChat has, in their order there."""
        return [one["text"] for one in self.phone.sent(self.uin, 0, 0.1) if one["text"] in texts]


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    host.write("/etc/wxcontroller/credentials/webhook-secret", "\n".join(SECRETS).encode(), 0o600)
    for path in (f"{PICTURES}/a.gif", f"{HIDDEN_PICTURES}/a.gif"):
        host.write(path, GIF, 0o644)
    settings = f'[client]\nmedia_paths = "{PICTURES}:{HIDDEN_PICTURES}"\n'
    host.write("/etc/wxcontroller/wxcontroller.toml.d/files.toml", settings.encode())
    host.run("systemctl", "reload", "wxcontroller")
    with Webhook(host) as hook:
        made = World(host, hook, Phone(host).account("爱丽丝"))
        log_in(made.caller, made.phone, NAME, made.uin, post_api=hook.address, media_size_max=str(128 * MB))
        yield made


def test_file_of_100_mb_is_received_and_sent_within_the_accounts_memory(world: World) -> None:
    pid = world.caller.account(NAME)["pid"]
    body = {"from": world.phone.friend(world.uin), "kind": "file", "name": "large.bin", "size": 100 * MB}
    message = world.phone.call("POST", f"/accounts/{world.uin}/receive", body, timeout=120)["msg_id"]
    report = world.hook.wait_for(lambda one: one.get("id") == message)
    assert (report["media_size"], report["media_data"], report["media_name"]) == (100 * MB, "", "large.bin")
    assert world.host.run("cat", report["media_path"], user="wxcontroller", check=False).returncode != 0
    to = {"client": NAME, "id": "filehelper"}
    answer = world.caller.openwx("send_friend_message", **to, media_id=report["media_id"])
    assert answer["code"] == 0, answer
    sent = world.phone.sent(world.uin, seconds=0)[-1]
    assert (sent["kind"], sent["name"], sent["size"]) == ("file", "large.bin", 100 * MB)
    again = world.caller.openwx("send_friend_message", **to, media_id=answer["media_id"])
    assert (again["code"], again["media_id"]) == (0, answer["media_id"])
    assert world.caller.account(NAME)["pid"] == pid
    # The unit's MemoryMax, 512 MB, is not enforced here.
    status = world.host.text("cat", f"/proc/{pid}/status")
    assert 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) < 120 * MB


def test_file_below_media_paths_is_sent_if_the_unit_sees_it(world: World) -> None:
    def send(path: str) -> Json:
        return world.caller.openwx("send_friend_message", client=NAME, id="filehelper", media_path=path)

    assert send(f"{PICTURES}/a.gif")["code"] == 0
    refused = send(f"{HIDDEN_PICTURES}/a.gif")
    assert (refused["code"], refused["status"]) == (-1, "invaild media_path"), refused
    assert "media_paths in wxclient(8)" in refused["reason"], refused
    # As docs/operations.md says.
    with dropin(world.host, UNIT, f"[Service]\nProtectHome=tmpfs\nBindReadOnlyPaths={HIDDEN_PICTURES}\n"):
        world.restart()
        assert send(f"{HIDDEN_PICTURES}/a.gif")["code"] == 0


def test_reports_are_signed_with_the_units_credential(world: World) -> None:
    world.write("signed")
    delivery = world.received("signed")["_delivery"]
    headers = world.hook.headers[delivery]
    stamped = headers["X-Wx-Timestamp"].encode() + b"." + world.hook.bodies[delivery]
    expected = [f"sha256={hmac.new(each.encode(), stamped, hashlib.sha256).hexdigest()}" for each in SECRETS]
    assert headers["X-Wx-Signature"].split(", ") == expected
    assert headers["X-Wx-Attempt"] == "1"
    assert SECRETS[0] not in world.host.journal(UNIT, "wxcontroller.service") + world.host.text("ps", "axeww")


def test_user_and_password_of_a_proxy_are_never_shown(world: World) -> None:
    """With the most verbose journal."""
    host, caller, user, password = world.host, world.caller, "egress-user", "n0t/4:eyes%all"
    settings = (
        "Port 8888",
        "Listen 127.0.0.1",
        "LogLevel Connect",
        f"BasicAuth {user} {password}",
        "ConnectPort 2100",
    )
    host.write("/etc/proxy.conf", "\n".join([*settings, ""]).encode(), 0o600)
    host.run("systemd-run", "--unit=proxy", "tinyproxy", "-d", "-c", "/etc/proxy.conf")
    encoded = quote(password, safe="")
    proxy = f"http://{user}:{encoded}@127.0.0.1:8888"
    shown = {"start_client": json.dumps(caller.openwx("start_client", client="quiet", proxy=proxy, http_debug="1"))}
    caller.until_state("quiet", "scaning")
    for call in ("start_client", "check_client", "get_client_info"):
        shown[f"{call} again"] = json.dumps(caller.openwx(call, client="quiet"))
    for path in ("/v1/accounts", "/v1/accounts/quiet", "/"):
        shown[path] = caller.get(path)[2].decode()
    for user_name, command in (
        ("root", "journalctl -b --no-pager -o export"),
        ("root", "systemctl status --no-pager --full wxclient@quiet"),
        ("root", "systemctl show wxclient@quiet"),
        ("root", "wxctl status quiet --json"),
        ("root", "cat /run/wxclient/quiet/*"),
        ("nobody", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null"),
        ("nobody", "grep -rhs . /etc/wxcontroller /var/lib/wxcontroller /run/wxclient /run/wxcontroller"),
    ):
        done = host.run("sh", "-c", command, user=user_name, check=False, timeout=60)
        shown[command] = (done.stdout + done.stderr).decode("latin-1")
    assert "CONNECT" in host.journal("proxy.service")
    for place, content in shown.items():
        assert not [secret for secret in (user, password, encoded) if secret in content], place
    # Only the account's file has them, for root and the controller.
    search = f"grep -rls {user} /etc/wxcontroller /var/lib/wxcontroller /run/wx*; true"  # sockets cannot be read
    files = host.text("sh", "-c", search).split()
    assert files == ["/var/lib/wxcontroller/clients/quiet.env"]
    assert host.text("stat", "-c", "%a %U", *files).strip() == "640 wxcontroller"
    caller.openwx("stop_client", client="quiet")


def test_stop_sends_what_is_queued_beyond_the_units_time_limit(world: World) -> None:
    with dropin(world.host, UNIT, "[Service]\nTimeoutStopSec=2\n"):
        world.restart(send_interval="1")
        texts = [f"goodbye {number}" for number in range(5)]
        began = time.monotonic()
        world.queue(*texts)
        assert world.caller.openwx("stop_client", client=NAME)["code"] == 0
        assert time.monotonic() - began > 3.9
    assert world.sent(*texts) == texts
    journal = world.host.journal(UNIT)
    assert "timed out" not in journal
    assert re.search(r"stopping: first sending the queued messages \(\d\), for at most 15 s", journal)


def test_name_beyond_ascii_works_everywhere(world: World) -> None:
    host, caller, name = world.host, world.caller, "小红的账号"
    log_in(caller, world.phone, name, world.phone.account("名字"))
    account = caller.account(name)
    assert account["name"] == name
    assert "running: logged in as 名字" in host.text("systemctl", "show", "-P", "StatusText", account["unit"])
    assert name in host.text("wxctl", "list")
    assert "running" in host.text("journalctl", "--no-pager", f"WX_ACCOUNT={name}", "-n", "50")
    assert caller.openwx("send_friend_message", client=name, id="filehelper", content="x")["code"] == 0
    assert caller.openwx("stop_client", client=name)["code"] == 0


def test_systemd_parses_environment_files_as_we_do(world: World) -> None:
    ours = "小 红 \" ' $HOME `x` \\ %i #;"
    content = (
        '# A="no"\nPLAIN=one two \nDOUBLE="a\\"b\\\\c\\$d\\`e\\nf"\nSINGLE=\'p"q\'\nJOINED=one\\\ntwo\n'
        f"HASH=x # y\nEMPTY=\nTWICE=1\nTWICE=2\nOURS={envfile.quote(ours)}\n# comment\\\nAFTER=1\n"
    )
    world.host.write("/run/wx-test.env", content.encode())
    command = "systemd-run -Pq --wait --collect -p EnvironmentFile=/run/wx-test.env /usr/bin/env -0"
    theirs = dict(pair.split("=", 1) for pair in world.host.text(*command.split()).split("\0") if "=" in pair)
    for key, value in envfile.parse(content).items():
        assert theirs[key] == value, key


def test_reboot_starts_wanted_accounts_only(world: World) -> None:
    for name in ("wanted", "unwanted"):
        assert world.caller.openwx("start_client", client=name)["code"] == 0
    world.caller.openwx("stop_client", client="unwanted")
    world.host.reboot()
    until(lambda: world.caller.state("wanted") == "scaning", "the account")
    assert world.caller.openwx("check_client", client="unwanted") == {"code": 1, "status": "client not exists"}
    assert world.caller.account("unwanted")["unit_state"] in ("inactive", "absent")
