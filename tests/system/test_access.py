"""Authentication on the installed system, for callers on the host and on another machine.

Tokens with their scopes and accounts, the accounts' ports, TLS by the controller, and nginx and Caddy in front, as
documented.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.system.actors import CONTROLLER, token, until
from tests.system.host import Host
from tests.system.units import dropin, port_of, show

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
ADDRESS, NAME = "192.0.2.10", "wx.example"
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


def test_tokens_are_neither_stored_nor_logged(host: Host) -> None:
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


@dataclass
class Far:
    """Another machine, connected to the host."""

    network: str

    def run(self, *argv: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        command = ["ip", "netns", "exec", self.network, *argv]
        variables = {**os.environ, **environment}
        return subprocess.run(command, capture_output=True, timeout=30, check=False, env=variables, cwd=ROOT)

    def curl(self, url: str, *options: str, shown: str = "") -> tuple[int, bytes]:
        """Return the status, 0 for none, and the body."""
        token = ["-H", f"X-Auth-Token: {shown}"] if shown else []
        name = ["--resolve", f"{NAME}:443:{ADDRESS}"]
        done = self.run("curl", "-s", "-m", "5", "-w", "\n%{http_code}", *name, *token, *options, url)
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), body


@contextmanager
def another_machine(host: Host) -> Iterator[Far]:
    """Make a machine that reaches the host at ADDRESS."""
    network, outer, inner = f"wx-far-{os.getpid()}", f"wxo{os.getpid()}", f"wxi{os.getpid()}"

    def ip(*argv: str) -> None:
        subprocess.run(["ip", *argv], check=True, capture_output=True)

    ip("netns", "add", network)
    try:
        ip("link", "add", outer, "netns", network, "type", "veth", "peer", "name", inner, "netns", str(host.leader))
        ip("-n", network, "address", "add", "192.0.2.1/24", "dev", outer)
        for each in (outer, "lo"):
            ip("-n", network, "link", "set", each, "up")
        host.run("ip", "address", "add", f"{ADDRESS}/24", "dev", inner)
        host.run("ip", "link", "set", inner, "up")
        yield Far(network)
    finally:
        ip("netns", "delete", network)


def certificates(host: Host, place: Path) -> Path:
    """Write a certificate where certbot does, for root only; return it."""
    certificate, key = self_signed(place, NAME, ADDRESS)
    live = f"/etc/letsencrypt/live/{NAME}"
    host.run("mkdir", "-p", "-m", "700", "/etc/letsencrypt/live", live)
    host.write(f"{live}/fullchain.pem", certificate.read_bytes(), 0o600)
    host.write(f"{live}/privkey.pem", key.read_bytes(), 0o600)
    return certificate


def block(language: str, beginning: str, page: str = "docs/access.md") -> str:
    """Return the block of a page that has this language and beginning."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    [found] = [each for each in blocks if each.startswith(beginning)]
    return found


@pytest.fixture(scope="module")
def far(host: Host) -> Iterator[Far]:
    with another_machine(host) as made:
        yield made


@contextmanager
def listening_for_others(host: Host) -> Iterator[None]:
    with dropin(host, "wxcontroller.socket", f"[Socket]\nListenStream={ADDRESS}:2000\n"):
        host.run("systemctl", "stop", "wxcontroller.service")
        host.run("systemctl", "restart", "wxcontroller.socket")
        host.run("systemctl", "start", "wxcontroller.service", check=False)
        yield
    host.run("systemctl", "stop", "wxcontroller.service")
    host.run("systemctl", "restart", "wxcontroller.socket")
    host.run("systemctl", "start", "wxcontroller.service")


def test_controller_serves_tls_as_documented(host: Host, far: Far, tmp_path: Path) -> None:
    certificate = certificates(host, tmp_path)
    shown = token(host, "far", "read")
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/access.md").read_text(), re.DOTALL)
    [settings] = [each for each in blocks if "tls_key" in each]
    host.write(SETTINGS, settings.encode())
    with (
        dropin(host, "wxcontroller.service", block("ini", "# systemctl edit wxcontroller.service")),
        listening_for_others(host),
    ):
        url = f"https://{ADDRESS}:2000"
        trusted = ("--cacert", str(certificate))
        assert show(host, "wxcontroller.service", "ActiveState") == "active"
        assert far.curl(f"{url}/v1/accounts", *trusted)[0] == 401
        assert far.curl(f"{url}/v1/accounts", *trusted, shown=shown)[0] == 200
        assert far.curl(f"{url}/v1/accounts", *trusted, "-H", f"Host: {NAME}", shown=shown)[0] == 200
        assert far.curl(f"{url}/v1/accounts", *trusted, "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0")[0] == 0
        assert far.curl(f"http://{ADDRESS}:2000/v1/accounts", shown=shown)[0] == 0
        wxctl = ("/usr/bin/python3", "-m", "wxcontroller.cli", "--url", url)
        done = far.run(*wxctl, "list", WXCTL_TOKEN=shown, SSL_CERT_FILE=str(certificate))
        assert done.returncode == 0, done.stderr
        # Callers on this machine are not affected.
        assert ask(host, "/v1/accounts", shown) == (200, None)
        assert host.run("wxctl", "list").returncode == 0
        # Renewal, as documented.
        renewed = certificates(host, tmp_path)
        host.run("systemctl", "restart", "wxcontroller")
        assert far.curl(f"{url}/v1/accounts", "--cacert", str(renewed), shown=shown)[0] == 200
        host.run("rm", SETTINGS)
    host.run("systemctl", "restart", "wxcontroller")


@dataclass(frozen=True)
class Front:
    """A reverse proxy. ``adapted`` adapts the documented configuration to a name without public certificates."""

    unit: str
    place: str
    adapted: Callable[[str], str]
    logged: str  # a line of its log of requests


_LIVE = f"/etc/letsencrypt/live/{NAME}"
# By itself, Caddy would request a certificate from an authority.
_CADDY_TLS = f"{NAME} {{\n\ttls {_LIVE}/fullchain.pem {_LIVE}/privkey.pem\n"
FRONTS = (
    Front("nginx", "/etc/nginx/conf.d/wxcontroller.conf", lambda text: text, "GET /openwx/get_client_info 200"),
    Front(
        *("caddy", "/etc/caddy/Caddyfile", lambda text: text.replace(f"{NAME} {{\n", _CADDY_TLS)),
        "/openwx/get_client_info?client=alice",
    ),
)


@contextmanager
def in_front(host: Host, front: Front) -> Iterator[None]:
    """Configure it in front of the controller as documented."""
    configuration = front.adapted(block(front.unit, f"# {front.place}", "docs/howto/reverse-proxy.md"))
    host.write(front.place, configuration.encode())
    host.write(SETTINGS, block("toml", f"# {SETTINGS}", "docs/howto/reverse-proxy.md").encode())
    host.run("systemctl", "reload", "wxcontroller.service")
    if front.unit == "caddy":  # which is not root
        host.run("chown", "-R", "caddy", "/etc/letsencrypt")
    host.run("systemctl", "start", front.unit)
    try:
        yield
    finally:
        host.run("systemctl", "stop", front.unit)
        host.run("rm", "-f", front.place, SETTINGS)
        host.run("systemctl", "start", "wxcontroller.socket", "wxcontroller.service")
        host.run("systemctl", "reload", "wxcontroller.service")


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.unit)
def test_reverse_proxy_works_as_documented(host: Host, far: Far, tmp_path: Path, front: Front) -> None:
    certificate = certificates(host, tmp_path)
    port = started(host, "alice")
    shown = token(host, "panel", "send")
    url, trusted = f"https://{NAME}", ("--cacert", str(certificate))
    with in_front(host, front):
        assert far.curl(f"{url}/v1/accounts", *trusted)[0] == 401
        status, body = far.curl(f"{url}/v1/accounts", *trusted, shown=shown)
        assert (status, b'"alice"' in body) == (200, True)
        assert far.curl(f"{url}/openwx/get_client_info?client=alice&token={shown}", *trusted)[0] == 200
        form = ("-F", f"token={shown}", "-F", "client=alice", "-F", "id=filehelper", "-F", "content=你好")
        status, body = far.curl(f"{url}/openwx/send_friend_message", *trusted, *form)
        assert (status, json.loads(body)["code"]) == (200, -3)  # it got there, and is not logged in
        page = far.curl(f"{url}/", *trusted, "-i")
        assert b"content-security-policy: default-src 'none'" in page[1].lower()
        upgrade = ("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13")
        key = ("-H", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", "--http1.1")
        status, told = far.curl(f"{url}/v1/events?token={shown}", *trusted, *upgrade, *key)
        assert (status, b"heartbeat" in told) == (101, True)
        status, told = far.curl(f"{url}/v1/events?token={shown}", *trusted)
        assert (status, b"event: heartbeat" in told) == (200, True)
        own_page = ("-H", f"Origin: {url}", "-H", "Sec-Fetch-Site: same-origin")
        assert far.curl(f"{url}/v1/accounts", *trusted, *own_page, shown=shown)[0] == 200
        assert far.curl(f"{url}/v1/accounts", *trusted, "-H", "Origin: https://evil.example", shown=shown)[0] == 403
        # Failures are counted by the caller's address (trusted_proxies), which callers cannot choose.
        wrong = [far.curl(f"{url}/v1/accounts", *trusted, shown="wrong")[0] for _ in range(25)]
        assert wrong[-1] == 429
        pretended = ("-H", "X-Forwarded-For: 198.51.100.7")
        assert far.curl(f"{url}/v1/accounts", *trusted, *pretended)[0] == 429
        assert far.curl(f"{url}/v1/accounts", *trusted, shown=shown)[0] == 200
        here = ("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "--resolve", f"{NAME}:443:127.0.0.1")
        assert host.text(*here, f"{url}/v1/accounts") == "401"
        host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
        assert far.curl(f"{url}/v1/accounts?token={shown}", *trusted)[0] == 502
        host.run("systemctl", "start", "wxcontroller.socket", "wxcontroller.service")
        logged = host.text("sh", "-c", f"cat /var/log/{front.unit}/*; journalctl -b --no-pager -u {front.unit}")
        assert front.logged in logged
        assert shown.rpartition("_")[2] not in logged
        assert far.curl(f"http://{ADDRESS}:{port}/openwx/get_client_info")[0] == 0
