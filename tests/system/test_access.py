"""Authentication on the installed system: tokens, their scopes and accounts, and the accounts' ports."""

import json
from collections.abc import Iterator

import pytest

from tests.system.actors import CONTROLLER, until
from tests.system.callers import SETTINGS, ask, forget_tokens, started, token
from tests.system.host import Host
from tests.system.units import show

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def no_tokens_are_left(host: Host) -> Iterator[None]:
    yield
    forget_tokens(host)


def test_calls_need_a_token_from_the_first_to_the_last_one(host: Host) -> None:
    port = started(host, "alice")
    controller, account = (show(host, f"{unit}.service", "MainPID") for unit in ("wxcontroller", "wxclient@alice"))
    info = "/openwx/get_client_info"
    assert ask(host, "/v1/accounts") == (200, None)
    assert ask(host, info, port=port) == (200, None)
    admin, own = token(host, "admin"), token(host, "own", "read", "alice")
    assert ask(host, "/v1/accounts") == (401, "no-token")
    assert ask(host, "/openwx/check_client") == (403, -6)
    assert ask(host, info, port=port) == (403, -6)
    assert ask(host, "/v1/status", port=port) == (401, "no-token")
    assert ask(host, "/") == (200, None)
    for shown in (admin, own):
        assert ask(host, "/v1/accounts", shown) == (200, None)
        assert ask(host, f"{info}?client=alice", shown) == (200, None)
    # An account's port takes the account's own tokens only.
    assert ask(host, info, own, port=port) == (200, None)
    assert ask(host, info, admin, port=port) == (403, -6)
    host.run("wxctl", "token", "revoke", "own")
    assert ask(host, "/v1/accounts", own) == (401, "bad-token")
    assert ask(host, info, own, port=port) == (403, -6)
    host.run("wxctl", "token", "revoke", "admin")
    assert ask(host, "/v1/accounts") == (200, None)
    assert ask(host, info, port=port) == (200, None)
    assert show(host, "wxcontroller.service", "MainPID") == controller
    assert show(host, "wxclient@alice.service", "MainPID") == account


def test_wxctl_uses_roots_token_or_a_given_one(host: Host) -> None:
    started(host, "alice")
    shown = token(host, "bo", "read")
    assert "alice" in host.text("wxctl", "list")  # root
    assert host.run("wxctl", "restart", "alice", "--no-wait").returncode == 0
    refused = host.run("wxctl", "list", user="nobody", check=False)
    assert (refused.returncode, b"wxctl token create" in refused.stderr) == (7, True)
    assert b"alice" in host.run("env", f"WXCTL_TOKEN={shown}", "wxctl", "list", user="nobody").stdout
    host.run("install", "-m", "600", "-o", "nobody", "/dev/null", "/var/tmp/bo.token")
    host.run("sh", "-c", "cat >/var/tmp/bo.token", input=shown.encode())
    assert b"alice" in host.run("wxctl", "list", "--token-file", "/var/tmp/bo.token", user="nobody").stdout
    refused = host.run("wxctl", "stop", "alice", "--token-file", "/var/tmp/bo.token", user="nobody", check=False)
    assert (refused.returncode, b"needs the scope control" in refused.stderr) == (7, True)
    refused = host.run("wxctl", "token", "create", "eve", user="nobody", check=False)
    assert (refused.returncode, b"run it as root" in refused.stderr) == (1, True)
    for path in ("/etc/wxcontroller/tokens", "/run/wxcontroller/local-token", "/var/lib/wxclient-access/tokens"):
        assert host.run("cat", path, user="nobody", check=False).returncode != 0, path
    assert host.text("stat", "-c", "%a %U:%G", "/etc/wxcontroller/tokens").strip() == "640 root:wxcontroller"
    # While the controller is down, too.
    host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    host.run("wxctl", "token", "revoke", "bo")
    again = token(host, "bo", "read")
    host.run("systemctl", "start", "wxcontroller.socket", "wxcontroller.service")
    assert ask(host, "/v1/accounts", shown) == (401, "bad-token")
    assert ask(host, "/v1/accounts", again) == (200, None)


def test_controller_reaches_accounts_after_each_restart(host: Host) -> None:
    port = started(host, "alice")
    shown = token(host, "admin")
    secret = "/run/wxclient/alice/port-secret"
    info = "/openwx/get_client_info"
    seen = [host.read(secret)]

    def closed_but_for_the_controller() -> None:
        until(lambda: ask(host, f"{info}?client=alice", shown) == (200, None), "alice through the controller")
        assert json.loads(host.http("GET", f"{CONTROLLER}/v1/accounts/alice?token={shown}")[2])["client"]
        assert ask(host, info, port=port) == (403, -6)

    closed_but_for_the_controller()
    host.run("wxctl", "restart", "alice", "--no-wait")
    closed_but_for_the_controller()
    seen.append(host.read(secret))
    host.run("systemctl", "kill", "-s", "KILL", "wxclient@alice.service")
    until(lambda: show(host, "wxclient@alice.service", "SubState") == "running", "alice again")
    closed_but_for_the_controller()
    seen.append(host.read(secret))
    host.run("systemctl", "restart", "wxcontroller.service")
    closed_but_for_the_controller()
    host.run("systemctl", "kill", "-s", "KILL", "wxcontroller.service")
    closed_but_for_the_controller()
    assert len(set(seen)) == 3
    user = host.text("stat", "-c", "%U", "/run/wxclient/alice").strip()
    assert host.text("stat", "-c", "%a %U:%G", secret).strip() == f"640 {user}:wxcontroller"


def test_tokens_are_stored_and_logged_nowhere(host: Host) -> None:
    host.write(SETTINGS, b"http_debug = true\n")
    host.run("systemctl", "reload", "wxcontroller.service")
    port = started(host, "alice")
    admin, own = token(host, "admin"), token(host, "own", "send", "alice")
    wrong = "wxc_12345678_" + "5" * 64
    for shown in (admin, own, wrong):
        ask(host, f"/openwx/start_client?client=alice&log_level=debug&token={shown}")
        ask(host, f"/openwx/get_client_info?client=alice&token={shown}")
        ask(host, "/openwx/send_friend_message?client=alice", method="POST", body=f"token={shown}&id=x".encode())
        ask(host, "/openwx/send_friend_message", method="POST", port=port, body=f"token={shown}&id=x".encode())
        ask(host, f"/openwx/check_client?client=%ff&token={shown}")
        ask(host, f"/v1/accounts/alice/start?token={shown}", method="POST")
        ask(host, f"/openwx/get_client_info?token={shown}", port=port)
        ask(host, f"/v1/accounts/alice/deliveries?token={shown}")
        ask(
            host, f"/v1/accounts/alice/deliveries/replay?token={shown}", method="POST", body=f"token={shown}".encode()
        )
        ask(host, f"/v1/accounts/alice/media/none?token={shown}")
        host.run("sh", "-c", f"curl -sN -m 1 '{CONTROLLER}/v1/events?token={shown}' >/dev/null", check=False)
        ask(host, "/v1/accounts", shown)
    host.run("wxctl", "restart", "alice", "--no-wait")
    host.run("journalctl", "--sync")
    texts = {shown: shown.rpartition("_")[2] for shown in (admin, own, wrong)}
    journal = host.text("journalctl", "-b", "--no-pager", "-o", "export", timeout=60)
    assert "/openwx/start_client" in journal
    assert "access-refused" in journal
    places = ["/etc/wxcontroller", "/var/lib/wxcontroller", "/var/lib/private/wxclient", "/var/lib/wxclient-access"]
    for secret in texts.values():
        assert secret not in journal
        found = host.run("grep", "-rl", secret, *places, "/run/wxclient", "/run/wxcontroller", check=False)
        assert (found.returncode, found.stdout) == (1, b"")
        environment = host.text(
            "sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"
        )
        assert secret not in environment
    host.run("rm", SETTINGS)
    host.run("systemctl", "reload", "wxcontroller.service")
