"""wxctl show and set."""

import json
import re
from dataclasses import replace

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import RUNNING, STOPPED, Host


def test_options_are_shown_with_their_origin(wxctl: Wxctl, host: Host) -> None:
    plain = host.machine.settings
    host.machine.accounts.settings = replace(plain, client={"lang": "en_US"})
    host.machine.limit(contact_pages=20)
    host.add("alice", STOPPED, post_api="http://h/in?key=secret")
    shown = wxctl("show", "alice").stdout
    assert [line.split() for line in shown.splitlines()] == [
        ["OPTION", "VALUE", "FROM"],
        ["lang", "en_US", "settings"],
        ["post_api", "http://h/in?key=…", "request"],
        ["limits.contact_pages", "20", "settings"],
    ]
    shown = wxctl("show", "alice", "--all").stdout
    assert re.search("^send_interval +3 +default$", shown, re.MULTILINE)
    assert "limits.wechat_answer_bytes" in shown
    assert json.loads(wxctl("show", "alice", "--json").stdout)["options"]["lang"]["value"] == "en_US"
    host.machine.accounts.settings = plain
    host.add("bob")
    assert "no options but the defaults" in wxctl("show", "bob").stderr


def test_options_that_need_a_restart_are_listed(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING, send_interval="9")
    host.process("alice").options = b'{"instance": "alice", "options": {"send_interval": "9"}, "credentials": []}'
    assert wxctl("set", "alice", "send_interval=5").returncode == 0
    done = wxctl("show", "alice")
    assert done.stdout.splitlines()[-1].split() == ["send_interval", "5", "request"]
    assert "until its next start it runs with send_interval=9: wxctl restart alice" in done.stderr


def test_set_warns_about_a_proxy_that_a_credential_overrides(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING)
    proxy = "http://proxy.example:3128"
    host.process("alice").options = json.dumps(
        {"instance": "alice", "options": {"proxy": proxy}, "credentials": ["proxy"]}
    ).encode()
    done = wxctl("set", "alice", "proxy=http://other.example:3128")
    assert "alice: proxy stored" in done.stdout
    assert "/etc/wxcontroller/credentials/alice.proxy" in done.stderr
    assert "/etc/wxcontroller/credentials/alice.proxy" not in wxctl("set", "alice", "lang=en_US").stderr
