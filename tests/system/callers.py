"""Callers of the installed product: with tokens and without, on the host and on another machine."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import self_signed
from tests.system.host import Host
from tests.system.units import port_of

ROOT = Path(__file__).parents[2]
ADDRESS, NAME = "192.0.2.10", "wx.example"
SETTINGS = "/etc/wxcontroller/wxcontroller.toml.d/network.toml"


def token(host: Host, name: str, scope: str = "admin", *accounts: str) -> str:
    bound = [part for account in accounts for part in ("--account", account)]
    return host.run("wxctl", "token", "create", name, "--scope", scope, *bound).stdout.decode().strip()


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
    """Start an account and return its port."""
    host.run("systemctl", "start", f"wxclient@{name}")
    return port_of(host, name)


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
