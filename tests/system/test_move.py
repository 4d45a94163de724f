"""An account moves to a machine that has never seen it: with its login, and with what was not delivered."""

import json
import os
from pathlib import Path

import pytest

from tests.system.actors import Caller, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
NAME = "搬家的"
BUNDLE, KEY, PASSPHRASE = "/root/account", "/root/key", b"correct horse battery\n"
WECHAT = "/var/lib/private/wxcontroller-sandbox/state.json"


def test_to_a_new_machine(debs: list[Path]) -> None:
    with Host.up(f"wx-move-from-{os.getpid()}", packages=debs) as first:
        use_sandbox(first)
        caller, phone = Caller(first), Phone(first)
        uin = phone.account("搬家")
        friend = phone.friend(uin)
        with Webhook(first, answer=lambda _: 503) as hook:
            log_in(caller, phone, NAME, uin, post_api=hook.address, lang="en_US")
            phone.write(uin, friend, "not delivered there")
            listing = ("wxctl", "deliveries", "list", NAME, "--json")
            wanted = "friend_message"
            rows = until(
                lambda: [row for row in json.loads(first.run(*listing).stdout) if row["type"] == wanted], "it"
            )
        first.write(KEY, PASSPHRASE, 0o600)
        first.run("wxctl", "export", NAME, BUNDLE, "--stop", "--passphrase-file", KEY)
        assert json.loads(first.run("wxctl", "status", NAME, "--json").stdout)["desired"] == "stopped"
        phone.write(uin, friend, "while it was on its way")
        first.run("systemctl", "stop", "wxcontroller-sandbox")
        bundle, wechat = first.read(BUNDLE), first.read(WECHAT)
        instance = caller.account(NAME)["instance"]

    with Host.up(f"wx-move-to-{os.getpid()}", packages=debs) as second:
        use_sandbox(second)
        # The same WeChat: who is who, and which sessions there are.
        second.run("systemctl", "stop", "wxcontroller-sandbox")
        second.write(WECHAT, wechat)
        second.run("systemctl", "start", "wxcontroller-sandbox")
        second.write(KEY, PASSPHRASE, 0o600)
        second.write(BUNDLE, bundle, 0o600)
        caller, phone = Caller(second), Phone(second)
        logins = len(phone.call("GET", "/logins"))
        with Webhook(second) as hook:
            second.run("wxctl", "import", BUNDLE, "--passphrase-file", KEY)
            second.run("wxctl", "start", NAME, "--timeout", "60")
            moved = caller.account(NAME)
            assert (moved["instance"], moved["epoch"]) == (instance, 2)
            got = until(
                lambda: found if len(found := [r for r in hook.reports if r.get("content")]) == 2 else None,
                "both",
            )
        assert [one["content"] for one in got] == ["not delivered there", "while it was on its way"]
        assert got[0]["_delivery"] == rows[0]["id"]
        assert len(phone.call("GET", "/logins")) == logins  # no code was asked for
        assert json.loads(second.run("wxctl", "show", NAME, "--json").stdout)["options"]["lang"]["value"] == "en_US"
        assert second.run("wxctl", "doctor", "--quiet", check=False).returncode == 0
