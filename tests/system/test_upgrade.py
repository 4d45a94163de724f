"""Upgrade from 2.3.0, which restarts running accounts, with pending reports and queued sends."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.system import actors
from tests.system.actors import CONTROLLER, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.releases import packages_of
from tests.system.units import show
from wxcontroller import __version__

pytestmark = pytest.mark.system
NAME = "veteran"
MOVER = "mover"
BUNDLE, KEY = "/root/mover.wx", "/root/key"
HISTORY, SEND = ("GET", "messages?limit=5", None), ("POST", "messages", {"to": "filehelper", "text": "a text"})
CALLS: tuple[tuple[str, str, Json], ...] = (
    *(HISTORY, SEND, ("GET", "chats", None), ("GET", "sends", None), ("GET", "contacts", None)),
    *(("GET", "groups", None), ("GET", "events?limit=5", None), ("GET", "deliveries", None)),
)
RUNNING = "reader"


@pytest.fixture(scope="module")
def old_debs() -> list[Path]:
    return packages_of("2.3.0")


@dataclass
class World(actors.World):
    status: dict[str, int] = field(default_factory=dict)  # by content; 503 for others while "" is 503

    def send(self, text: str, key: str) -> Json:
        form = urlencode({"client": NAME, "id": "filehelper", "content": text, "async": "1"}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": key}
        address = f"{CONTROLLER}/openwx/send_friend_message"
        return json.loads(self.host.http("POST", address, body=form, headers=headers, timeout=60)[2])

    def restart(self, send_interval: str) -> None:
        """Restart the account with another pause between sends."""
        status, answer = self.caller.v1("PATCH", f"/accounts/{NAME}/options", {"send_interval": send_interval})
        assert status == 200, answer
        self.host.run("systemctl", "restart", f"wxclient@{NAME}")
        self.caller.until_state(NAME, "running")

    def programs(self) -> tuple[str, str]:
        """Return the processes of the controller and of the account."""
        controller, account = "wxcontroller.service", f"wxclient@{NAME}.service"
        return show(self.host, controller, "MainPID"), show(self.host, account, "MainPID")

    def deliveries(self) -> Json:
        return self.caller.v1("GET", f"/accounts/{NAME}/deliveries?state=pending,dead")[1]

    def contents(self) -> list[str]:
        """Contents of received messages as the webhook took them."""
        return [report["content"] for report in self.hook.reports if report["post_type"] == "receive_message"]

    def sent(self) -> list[str]:
        return [one["text"] for one in self.phone.sent(self.uin, 0, 0.1)]

    def call(self, name: str, method: str, path: str, body: Json) -> tuple[int, Json]:
        return self.caller.v1(method, f"/accounts/{name}/{path}", body)

    def contacts(self, uin: str) -> Json:
        return self.phone.world(uin)["contacts"]

    def has_received(self, name: str) -> bool:
        """Return whether an account has a received file, without a call of the account."""
        found = self.host.run("ls", f"/var/lib/private/wxclient/{name}/media", check=False)
        return b"mojo_weixin_media_" in found.stdout

    def receive_picture(self) -> None:
        """Start another account, which receives a picture."""
        uin = self.phone.account(RUNNING)
        log_in(self.caller, self.phone, RUNNING, uin)
        until(partial(self.contacts, uin), "the contacts")
        picture = {"from": self.phone.friend(uin), "kind": "image"}
        self.phone.call("POST", f"/accounts/{uin}/receive", picture)
        until(partial(self.has_received, RUNNING), "the picture")


@pytest.fixture(scope="module")
def world(bare_host: Host, old_debs: list[Path]) -> Iterator[World]:
    """2.3.0, with an account that has everything an upgrade must keep."""
    bare_host.install(*old_debs)
    use_sandbox(bare_host)
    with Webhook(bare_host) as hook:
        one = World(bare_host, hook, Phone(bare_host).account("老用户"))
        hook.answer = lambda report: one.status.get(str(report.get("content")), one.status.get("", 200))
        log_in(one.caller, one.phone, NAME, one.uin, post_api=hook.address, send_interval="0.1")
        one.receive_picture()
        yield one


def test_account_of_2_3_0_keeps_its_queue_reports_keys_and_session(world: World, debs: list[Path]) -> None:
    host, caller, phone = world.host, world.caller, world.phone
    friend = phone.friend(world.uin)
    answer = world.send("sent before", "key-1")
    until(lambda: "sent before" in world.sent(), "the first send")
    until(lambda: not world.deliveries()["pending"], "all reports")
    world.status.update({"a dead letter": 410, "": 503})
    world.status[""] = 200
    phone.write(world.uin, friend, "a dead letter")
    until(lambda: world.deliveries()["dead"] == 1, "the dead letter")
    world.status[""] = 503
    for number in range(5):
        phone.write(world.uin, friend, f"waits {number}")
    until(lambda: world.deliveries()["pending"] >= 5, "reports that wait")
    world.restart("60")
    for number in range(4):
        assert world.send(f"queued {number}", f"queued-{number}")["code"] == 0
    until(lambda: "queued 0" in world.sent(), "the first of the queue")
    ids = {delivery["id"]: delivery["attempts"] for delivery in world.deliveries()["deliveries"]}
    mover = phone.account("搬家")
    log_in(caller, phone, MOVER, mover, post_api=f"{world.hook.address}?of=mover")
    phone.write(mover, phone.friend(mover), "packed")
    until(lambda: caller.v1("GET", f"/accounts/{MOVER}/deliveries")[1]["pending"], "a report to pack")
    host.write(KEY, b"a passphrase\n", 0o600)
    host.run("wxctl", "export", MOVER, BUNDLE, "--stop", "--passphrase-file", KEY)
    host.run("wxctl", "remove", MOVER, "--yes")

    before, codes = world.programs(), len(phone.call("GET", "/logins"))
    assert "restarting running accounts" in host.install(*debs)
    assert not {"0", *before} & {*world.programs()}
    caller.until_state(NAME, "running")
    assert len(phone.call("GET", "/logins")) == codes  # no scan was needed
    assert caller.openwx("get_user_info", client=NAME)["name"] == "老用户"
    assert world.deliveries()["pending"] >= 5
    stream = f"curl -sN --max-time 5 '{CONTROLLER}/v1/events?account={NAME}&cursor=1000' || true"
    assert "waits 4" in host.text("sh", "-c", stream)

    world.restart("0.1")
    assert caller.account(NAME)["client"]["version"] == __version__
    found = {delivery["id"]: delivery["attempts"] for delivery in world.deliveries()["deliveries"]}
    assert ids.keys() <= found.keys()
    assert all(found[one] >= attempts for one, attempts in ids.items())
    # Queued sends go out once, under their keys; a key that was used before has its old answer. (An upgrade does not
    # restart the sandbox, which would end the logins.)
    until(lambda: "queued 3" in world.sent(), "the queue")
    assert world.send("sent before", "key-1") == answer
    assert world.send("queued 3", "queued-3")["code"] == 0
    assert world.sent() == ["sent before", *(f"queued {number}" for number in range(4))]
    world.status.clear()
    assert caller.v1("POST", f"/accounts/{NAME}/deliveries/replay", {"state": "dead"})[1]["replayed"] == 1
    until(lambda: not world.deliveries()["pending"], "everything is delivered")
    assert sorted(world.contents()) == ["a dead letter", *(f"waits {number}" for number in range(5))]
    assert world.sent() == ["sent before", *(f"queued {number}" for number in range(4))]
    assert caller.account(NAME)["queue"]["sent_today"] == 5


def test_running_account_works_after_the_upgrade(world: World) -> None:
    host, caller = world.host, world.caller
    caller.until_state(RUNNING, "running")
    answers = {call[:2]: world.call(RUNNING, *call) for call in CALLS}
    assert {call: answer for call, answer in answers.items() if answer[0] != 200} == {}
    [media] = [each["media"] for each in answers[HISTORY[:2]][1]["messages"] if each["media"]]
    assert host.http("GET", f"{CONTROLLER}/v1/accounts/{RUNNING}/media/{media['file']}")[0] == 200
    assert caller.account(RUNNING)["issues"] == []


def test_export_of_2_3_0_is_imported(world: World) -> None:
    host, caller = world.host, world.caller
    codes = len(world.phone.call("GET", "/logins"))
    host.run("wxctl", "import", BUNDLE, "--passphrase-file", KEY)
    host.run("wxctl", "start", MOVER, "--timeout", "60")
    assert len(world.phone.call("GET", "/logins")) == codes  # no scan was needed
    until(lambda: "packed" in world.contents(), "the packed report")
    assert world.contents().count("packed") == 1
    caller.openwx("stop_client", client=MOVER)
