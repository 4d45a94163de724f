"""Files that an account may send, and those that nobody may have: under the units as installed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from tests.system.actors import CONTROLLER, Caller, Json, Phone, Webhook, log_in, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
NAME = "asked"
GIF = b"GIF89a" + bytes(100)
MB = 1024 * 1024
DROP_IN = f"/run/systemd/system/wxclient@{NAME}.service.d/files.conf"


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone
    hook: Webhook
    uin: str
    port: int

    def url(self, way: str, call: str, **given: str) -> str:
        base, given = (CONTROLLER, {**given, "client": NAME}) if way == "controller" else (self.direct, given)
        return f"{base}/openwx/{call}?{urlencode(given)}"

    @property
    def direct(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, way: str, call: str, **given: str) -> Json:
        status, _, body = self.host.http("GET", self.url(way, call, **given), timeout=60)
        assert status == 200, (call, status, body)
        return json.loads(body)

    def restarted(self) -> None:
        """By the settings as they are now, still logged in."""
        self.caller.openwx("stop_client", client=NAME)
        assert self.caller.openwx("start_client", client=NAME)["code"] == 0
        self.caller.until_state(NAME, "running")


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("问")
    with Webhook(host) as hook:
        log_in(caller, phone, NAME, uin, post_api=hook.address, media_size_max=str(128 * MB))
        yield World(host, caller, phone, hook, uin, caller.account(NAME)["port"])


def test_a_file_as_large_as_is_taken_goes_in_and_out_within_the_accounts_memory(world: World) -> None:
    pid = world.caller.account(NAME)["pid"]
    body = {"from": world.phone.friend(world.uin), "kind": "file", "name": "large.bin", "size": 100 * MB}
    message = world.phone.call("POST", f"/accounts/{world.uin}/receive", body, timeout=120)["msg_id"]
    report = world.hook.wait_for(lambda one: one.get("id") == message)
    assert (report["media_size"], report["media_data"], report["media_name"]) == (100 * MB, "", "large.bin")
    assert world.host.run("cat", report["media_path"], user="wxcontroller", check=False).returncode != 0
    answer = world.ask("controller", "send_friend_message", id="filehelper", media_id=report["media_id"])
    assert answer["code"] == 0, answer
    sent = world.phone.sent(world.uin, seconds=0)[-1]
    assert (sent["kind"], sent["name"], sent["size"]) == ("file", "large.bin", 100 * MB)
    again = world.ask("controller", "send_friend_message", id="filehelper", media_id=answer["media_id"])
    assert (again["code"], again["media_id"]) == (0, answer["media_id"])
    assert world.caller.account(NAME)["pid"] == pid
    # The unit's MemoryMax, 512 MB, is not enforced here.
    status = world.host.text("cat", f"/proc/{pid}/status")
    assert 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) < 120 * MB


@pytest.fixture(scope="module")
def files(world: World) -> Iterator[str]:
    """A directory that the settings allow, with a picture, and ways out of it; and one that units hide."""
    host, folder = world.host, "/opt/pictures"
    host.run("mkdir", "-p", folder, "/home/bot/pictures")
    for path in (f"{folder}/a.gif", "/home/bot/pictures/a.gif", "/opt/outside.gif"):
        host.write(path, GIF, 0o644)
    host.run("ln", "-s", "/opt/outside.gif", f"{folder}/link.gif")
    host.run("mkfifo", "--mode=666", f"{folder}/pipe.gif")
    settings = f'[client]\nmedia_paths = "{folder}:/home/bot/pictures"\n'
    host.write("/etc/wxcontroller/wxcontroller.toml.d/files.toml", settings.encode(), 0o644)
    host.run("systemctl", "reload", "wxcontroller")
    world.restarted()
    yield folder


def both(world: World, path: str) -> tuple[Json, Json]:
    """A file or address, uploaded and sent."""
    given = {"media_path": path}
    return world.ask("direct", "upload_media", **given), world.ask(
        "controller", "send_friend_message", id="filehelper", **given
    )


def test_a_file_below_an_allowed_directory(world: World, files: str) -> None:
    uploaded, sent = both(world, f"{files}/a.gif")
    assert (uploaded["code"], uploaded["media_name"], uploaded["media_size"]) == (0, "a.gif", len(GIF))
    assert (sent["code"], sent["media_id"].endswith(":47")) == (0, True)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("{files}/link.gif", "no such file below media_paths"),
        ("/proc/self/environ", "no such file below media_paths"),
        ("{files}/pipe.gif", "it is not a file"),
        ("/home/bot/pictures/a.gif", "media_paths in wxclient(8)"),
        (f"{CONTROLLER}/openwx/check_client", "private network"),
    ],
)
def test_a_file_or_address_that_nobody_may_have(world: World, files: str, path: str, reason: str) -> None:
    for answer in both(world, path.format(files=files)):
        assert (answer["code"], answer["status"]) == (-1, "invaild media_path"), answer
        assert reason in answer["reason"], answer
        assert not answer["media_id"]


def test_a_directory_that_a_drop_in_shows(world: World, files: str) -> None:
    """As the operations guide has it."""
    content = b"[Service]\nProtectHome=tmpfs\nBindReadOnlyPaths=/home/bot/pictures\n"
    world.host.run("mkdir", "-p", DROP_IN.rpartition("/")[0])
    world.host.write(DROP_IN, content, 0o644)
    world.host.run("systemctl", "daemon-reload")
    world.restarted()
    uploaded, sent = both(world, "/home/bot/pictures/a.gif")
    assert (uploaded["code"], sent["code"]) == (0, 0)
