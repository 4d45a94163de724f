"""Authentication on the installed system: tokens, the accounts' ports, and nginx in front, as documented.

TLS by the controller: tests/system/fleet.py.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.system.actors import CONTROLLER, token, until
from tests.system.host import Host
from tests.system.pages import step
from tests.system.units import port_of, show

pytestmark = pytest.mark.system
NAME = "wx.example"
SETTINGS = "/etc/wxcontroller/wxcontroller.toml.d/network.toml"


def forget_tokens(host: Host) -> None:
    """Remove all tokens, so that calls need none."""
    host.run("rm", "-f", "/etc/wxcontroller/tokens")
    host.run("wxctl", "token", "list")


def ask(
    host: Host, path: str, shown: str = "", method: str = "GET", port: int = 2000, body: bytes | None = None
) -> tuple[int, object]:
    """Send a request to the host's loopback; return the status and the code of a refusal."""
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    status, _, content = host.http(method, f"http://127.0.0.1:{port}{path}", body, headers)
    try:
        answer = json.loads(content)
    except ValueError:
        return status, None
    if status in (401, 403) and isinstance(answer, dict):
        return status, answer["error"]["code"] if "error" in answer else answer["code"]
    return status, None


def started(host: Host, name: str) -> int:
    host.run("systemctl", "start", f"wxclient@{name}")
    return port_of(host, name)


@pytest.fixture(autouse=True)
def no_tokens_are_left(host: Host) -> Iterator[None]:
    yield
    forget_tokens(host)


def test_api_is_closed_while_any_token_exists(host: Host) -> None:
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
    refused = host.run("wxctl", "list", user="nobody", check=False)
    assert (refused.returncode, b"wxctl token create" in refused.stderr) == (7, True)
    assert b"alice" in host.run("env", f"WXCTL_TOKEN={shown}", "wxctl", "list", user="nobody").stdout
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


def test_tokens_are_neither_stored_nor_logged(host: Host) -> None:
    host.write(SETTINGS, b"http_debug = true\n")
    host.run("systemctl", "reload", "wxcontroller.service")
    port = started(host, "alice")
    admin, own = token(host, "admin"), token(host, "own", "send", "alice")
    wrong = "wxc_12345678_" + "5" * 64
    for shown in (admin, own, wrong):
        ask(host, f"/openwx/start_client?client=alice&log_level=debug&token={shown}")
        ask(host, "/openwx/send_friend_message?client=alice", method="POST", body=f"token={shown}&id=x".encode())
        ask(host, "/openwx/send_friend_message", method="POST", port=port, body=f"token={shown}&id=x".encode())
        ask(host, f"/openwx/check_client?client=%ff&token={shown}")
        ask(host, f"/openwx/get_client_info?token={shown}", port=port)
        ask(host, f"/v1/accounts/alice/deliveries?token={shown}")
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


def test_nginx_in_front_works_as_documented(host: Host, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, NAME)
    for file, made in ("fullchain", certificate), ("privkey", key):
        host.write(f"/etc/letsencrypt/live/{NAME}/{file}.pem", made.read_bytes(), 0o600)
    started(host, "alice")
    shown = token(host, "panel", "send")
    place, page = "/etc/nginx/conf.d/wxcontroller.conf", "docs/howto/reverse-proxy.md"
    host.write(place, step(page, "4a. nginx", "nginx").encode())
    host.write(SETTINGS, step(page, "2. Allow the host name", "toml").encode())
    host.run("systemctl", "reload", "wxcontroller.service")
    host.run("systemctl", "start", "nginx")

    def curl(path: str, *options: str, address: str = "127.0.0.9") -> tuple[int, str]:
        """Return the status and the body, for a caller with this address."""
        url = ("--interface", address, "--resolve", f"{NAME}:443:127.0.0.1", f"https://{NAME}{path}")
        done = host.run("curl", "-sk", "-m", "5", "-w", "\n%{http_code}", *options, *url, check=False)
        body, _, status = done.stdout.decode(errors="replace").rpartition("\n")
        return int(status), body

    with_token = ("-H", f"X-Auth-Token: {shown}")
    assert curl("/v1/accounts")[0] == 401
    assert '"alice"' in curl("/v1/accounts", *with_token)[1]
    assert curl(f"/openwx/get_client_info?client=alice&token={shown}")[0] == 200
    form = ("-F", f"token={shown}", "-F", "client=alice", "-F", "id=filehelper", "-F", "content=你好")
    status, body = curl("/openwx/send_friend_message", *form)
    assert (status, json.loads(body)["code"]) == (200, -3)  # the account got it, and is not logged in
    upgrade = ("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13")
    key_of_upgrade = ("-H", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", "--http1.1")
    status, body = curl(f"/v1/events?token={shown}", *upgrade, *key_of_upgrade)
    assert (status, "heartbeat" in body) == (101, True)
    status, body = curl(f"/v1/events?token={shown}")
    assert (status, "event: heartbeat" in body) == (200, True)
    own_page = ("-H", f"Origin: https://{NAME}", "-H", "Sec-Fetch-Site: same-origin")
    assert curl("/v1/accounts", *with_token, *own_page)[0] == 200
    assert curl("/v1/accounts", *with_token, "-H", "Origin: https://evil.example")[0] == 403
    # Failures are counted by the caller's address (trusted_proxies), which callers cannot choose.
    # One more is checked every three seconds, so a slow machine needs more of them.
    assert any(curl("/v1/accounts", "-H", "X-Auth-Token: wrong")[0] == 429 for _ in range(100))
    assert curl("/v1/accounts", "-H", "X-Forwarded-For: 198.51.100.7")[0] == 429
    assert curl("/v1/accounts", *with_token)[0] == 200
    assert curl("/v1/accounts", address="127.0.0.10")[0] == 401
    host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    assert curl(f"/v1/accounts?token={shown}")[0] == 502
    logged = host.text("sh", "-c", "cat /var/log/nginx/*; journalctl -b --no-pager -u nginx")
    assert "GET /openwx/get_client_info 200" in logged
    assert shown.rpartition("_")[2] not in logged
    host.run("systemctl", "stop", "nginx")
    host.run("rm", place, SETTINGS)
    host.run("systemctl", "start", "wxcontroller.socket", "wxcontroller.service")
