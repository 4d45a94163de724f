"""Callers on other machines: tokens, TLS by the controller, and nginx and Caddy in front, as documented."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.actors import until
from tests.system.callers import (
    ADDRESS,
    NAME,
    ROOT,
    SETTINGS,
    Far,
    another_machine,
    ask,
    block,
    certificates,
    forget_tokens,
    started,
    token,
)
from tests.system.host import Host
from tests.system.units import dropin, show

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def no_tokens_are_left(host: Host) -> Iterator[None]:
    yield
    forget_tokens(host)


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


def test_controller_that_others_reach_needs_a_token_to_start(host: Host, far: Far) -> None:
    url = f"http://{ADDRESS}:2000"
    port = started(host, "alice")
    with listening_for_others(host):
        assert show(host, "wxcontroller.service", "ActiveState") != "active"
        told = host.journal("wxcontroller.service", lines=30)
        assert f"{ADDRESS} port 2000: other machines reach this address, and no token exists" in told
        assert "wxctl token create NAME --scope admin" in told
        shown = token(host, "far", "read")
        # systemd starts it again.
        until(lambda: show(host, "wxcontroller.service", "ActiveState") == "active", "the controller")
        assert far.curl(f"{url}/v1/accounts")[0] == 401
        assert far.curl(f"{url}/openwx/check_client")[0] == 403
        status, body = far.curl(f"{url}/v1/accounts", shown=shown)
        assert (status, b'"alice"' in body) == (200, True)
        assert far.curl(f"{url}/v1/accounts/alice/stop", "-X", "POST", shown=shown)[0] == 403
        # DNS rebinding, pages of other origins, and the accounts' own ports.
        assert b"allow_hosts" in far.curl(f"{url}/v1/accounts", "-H", "Host: evil.example", shown=shown)[1]
        assert far.curl(f"{url}/v1/accounts", "-H", "Origin: https://evil.example", shown=shown)[0] == 403
        assert far.curl(f"http://{ADDRESS}:{port}/openwx/get_client_info")[0] == 0
        host.run("wxctl", "token", "revoke", "far")
        assert far.curl(f"{url}/v1/accounts")[0] == 401
        assert ask(host, "/v1/accounts") == (401, "no-token")
    assert ask(host, "/v1/accounts") == (200, None)


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
    language: str
    place: str
    adapted: Callable[[str], str]
    log: str  # of requests
    logged: str  # a line of it


_LIVE = f"/etc/letsencrypt/live/{NAME}"
# By itself, Caddy would request a certificate from an authority.
_CADDY_TLS = f"{NAME} {{\n\ttls {_LIVE}/fullchain.pem {_LIVE}/privkey.pem\n"
FRONTS = (
    Front(
        "nginx",
        "nginx",
        "/etc/nginx/conf.d/wxcontroller.conf",
        lambda text: text,
        "/var/log/nginx/*",
        "GET /openwx/get_client_info 200",
    ),
    Front(
        "caddy",
        "caddy",
        "/etc/caddy/Caddyfile",
        lambda text: text.replace(f"{NAME} {{\n", _CADDY_TLS),
        "/var/log/caddy/*",
        "/openwx/get_client_info?client=alice",
    ),
)


@contextmanager
def in_front(host: Host, front: Front) -> Iterator[None]:
    """Configure it in front of the controller as documented."""
    configuration = front.adapted(block(front.language, f"# {front.place}", "docs/howto/reverse-proxy.md"))
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
        logged = host.text("sh", "-c", f"cat {front.log}; journalctl -b --no-pager -u {front.unit}")
        assert front.logged in logged
        assert shown.rpartition("_")[2] not in logged
        assert far.curl(f"http://{ADDRESS}:{port}/openwx/get_client_info")[0] == 0
