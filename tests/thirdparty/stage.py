"""A network in which WeChat's host names lead to a sandbox: one of its own, or that of a booted host.

The sandbox listens on port 443 of the loopback, /etc/hosts names all of WeChat's hosts in a mount namespace, and
nothing leads outside. A client that is started in the same namespaces needs no change, and no setting but the
sandbox's CA.
"""

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tests.programs import program, serving
from tests.system.host import Host, network_of
from wxcontroller.sandbox.hosts import HOSTS

Json: TypeAlias = Any  # answers of the scripting API; the assertions are the check

PORT = 2100
_ENTER = 'ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class Stage:
    """A running sandbox: ``process`` is in its namespaces, ``place`` a directory for what clients write, with the CA
    in tls."""

    process: int
    place: Path

    @property
    def ca(self) -> Path:
        return self.place / "tls" / "ca.crt"

    def call(self, method: str, path: str, body: Json = None) -> Json:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        with network_of(self.process), contextlib.closing(connection):
            connection.request(method, f"/sandbox{path}", None if body is None else json.dumps(body))
            response = connection.getresponse()
            content = response.read()
        assert response.status < 300, (method, path, response.status, content)
        return json.loads(content)

    @property
    def enter(self) -> list[str]:
        """The beginning of a command that runs in the namespaces."""
        return ["nsenter", f"--target={self.process}", "--net", "--mount", f"--wdns={self.place}"]

    @contextlib.contextmanager
    def client(self, command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Path]:
        """Run a client for the duration of a block; gives the file with what it prints."""
        printed = self.place / "printed"
        variables = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.place),
            "TMPDIR": str(self.place),
        }
        with printed.open("wb") as stream:
            process = subprocess.Popen(
                [*self.enter, *command],
                env={**variables, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        try:
            yield printed
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def stage(place: Path, *options: str) -> Iterator[Stage]:
    """Run a sandbox in namespaces of its own; ``place`` is an empty directory."""
    command = [sys.executable, "-m", "wxcontroller.sandbox", "serve", "--accounts=0", f"--listen=127.0.0.1:{PORT}"]
    command += ["--tls-listen=127.0.0.1:443", f"--tls-dir={place / 'tls'}", *options]
    with serving([*_unshare(place, "--net"), *command]) as (line, process):
        assert line.startswith("sandbox with "), line
        yield Stage(process.pid, place)


@contextlib.contextmanager
def stage_in(host: Host, place: Path) -> Iterator[Stage]:
    """Give clients on this machine the network of a booted host, whose sandbox has WeChat's names."""
    (place / "tls").mkdir()
    (place / "tls" / "ca.crt").write_bytes(host.read("/var/lib/wxcontroller-sandbox/ca.crt"))
    network = ["nsenter", f"--target={host.leader}", "--net", *_unshare(place)]
    with serving([*network, "sh", "-c", "echo ready; exec sleep infinity"]) as (line, process):
        assert line == "ready", line
        yield Stage(process.pid, place)


def _unshare(place: Path, *more: str) -> list[str]:
    """Return the beginning of a command in new namespaces, where WeChat's names lead to the loopback."""
    program("ip")
    hosts = place / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {' '.join(sorted(HOSTS))}\n")
    return ["unshare", *more, "--mount", "--propagation=private", "sh", "-c", _ENTER, "sh", str(hosts)]
