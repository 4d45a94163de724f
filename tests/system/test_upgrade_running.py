"""Upgrade from 2.3.0 with running accounts, which keep their programs until they are restarted.

A program loads parts of its code with the first request that needs them, then from the files of the new version.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.system.actors import Caller, Json, Phone, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.releases import packages_of
from tests.system.units import show

pytestmark = pytest.mark.system
HISTORY, SEND = ("GET", "messages?limit=5", None), ("POST", "messages", {"to": "filehelper", "text": "a text"})
CALLS: tuple[tuple[str, str, Json], ...] = (
    *(HISTORY, SEND, ("GET", "chats", None), ("GET", "sends", None), ("GET", "contacts", None)),
    *(("GET", "groups", None), ("GET", "events?limit=5", None), ("GET", "deliveries", None)),
)
# The calls that each account has answered before the upgrade.
BEFORE = {"fresh": (), "read": (HISTORY,), "sent": (SEND,)}


@dataclass
class Upgraded:
    """A host with accounts of 2.3.0, under the new controller. ``pids`` are those of their programs."""

    host: Host
    caller: Caller
    pids: dict[str, str]

    def call(self, name: str, method: str, path: str, body: Json) -> tuple[int, Json]:
        return self.caller.v1(method, f"/accounts/{name}/{path}", body)

    def has_received(self, name: str) -> bool:
        """Return whether an account has a received file, without a call of the account."""
        found = self.host.run("ls", f"/var/lib/private/wxclient/{name}/media", check=False)
        return b"mojo_weixin_media_" in found.stdout


def contacts(phone: Phone, uin: str) -> Json:
    return phone.world(uin)["contacts"]


@pytest.fixture(scope="module")
def upgraded(bare_host: Host, debs: list[Path]) -> Upgraded:
    host = bare_host
    host.install(*packages_of("2.3.0"))
    use_sandbox(host)
    one, phone = Upgraded(host, Caller(host), {}), Phone(host)
    for name, calls in BEFORE.items():
        uin = phone.account(name)
        log_in(one.caller, phone, name, uin)
        until(partial(contacts, phone, uin), "the contacts")
        phone.call("POST", f"/accounts/{uin}/receive", {"from": phone.friend(uin), "kind": "image"})
        until(partial(one.has_received, name), "the picture")
        for call in calls:
            assert one.call(name, *call)[0] == 200
        one.pids[name] = show(host, f"wxclient@{name}.service", "MainPID")
    host.install(*debs, reinstall=True)
    return one


@pytest.mark.parametrize("name", BEFORE)
def test_running_account_works_and_is_due_for_a_restart(upgraded: Upgraded, name: str) -> None:
    host, caller = upgraded.host, upgraded.caller
    answers = {call[:2]: upgraded.call(name, *call) for call in CALLS}
    assert {call: answer for call, answer in answers.items() if answer[0] != 200} == {}
    [media] = [each["media"] for each in answers[HISTORY[:2]][1]["messages"] if each["media"]]
    assert host.http("GET", f"http://127.0.0.1:2000/v1/accounts/{name}/media/{media['file']}")[0] == 200
    assert [issue["code"] for issue in caller.account(name)["issues"]] == ["restart-due"]
    assert show(host, f"wxclient@{name}.service", "MainPID") == upgraded.pids[name]
    host.run("wxctl", "restart", name)
    caller.until_state(name, "running")
    assert caller.account(name)["issues"] == []
    assert host.run("test", "-S", f"/run/wxclient/{name}/api.sock").returncode == 0
