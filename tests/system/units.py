"""Units of the booted host: what they are, changing them for a while, and evaluating Python in their sandbox."""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE
from tests.system.host import Host

INSIDE = "/usr/local/lib/inside.py"


@contextmanager
def dropin(host: Host, unit: str, content: str) -> Iterator[None]:
    """Change a unit for the duration of a block."""
    place = f"/run/systemd/system/{unit}.d"
    host.write(f"{place}/test.conf", content.encode())
    host.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        host.run("rm", "-r", place)
        host.run("systemctl", "daemon-reload")


def port_of(host: Host, instance: str) -> int:
    registered = host.read(f"/var/lib/wxcontroller/clients/{instance}.env").decode()
    match = re.search(r'^MOJO_WEIXIN_PLUGIN_OPENWX_PORT="(\d+)"$', registered, re.MULTILINE)
    assert match, registered
    return int(match[1])


def show(host: Host, unit: str, name: str) -> str:
    return host.text("systemctl", "show", "--value", "-p", name, unit).strip()


@dataclass
class Inside:
    """A unit in which ``inside.py`` runs in the program's place. ``names`` are what expressions may use."""

    host: Host
    unit: str
    port: int = 0
    names: dict[str, Any] = field(default_factory=dict)

    def evaluate(self, *expressions: str) -> list[Any]:
        """Return the value of each expression, or the name of its error as ``{"error": …}``."""
        order = json.dumps({"expressions": expressions, "names": self.names}).encode()
        port = self.port or port_of(self.host, self.unit.partition("@")[2].removesuffix(".service"))
        status, _, answer = self.host.http("POST", f"http://127.0.0.1:{port}/", order, timeout=240)
        assert status == 200
        return [load.get("value") if "value" in load else load for load in json.loads(answer)]

    def value(self, expression: str) -> Any:
        return self.evaluate(expression)[0]

    def run(self, *argv: str) -> tuple[int, str]:
        code, output = self.value(f"run(*{argv!r})")
        return code, output


class Piped(Inside):
    """The same for a unit without a port: wxclient-export@, which systemd connects to a socket of root."""

    def evaluate(self, *expressions: str) -> list[Any]:
        order = json.dumps({"expressions": expressions, "names": self.names}).encode()
        place = self.host.path(f"/run/wxclient-export/{self.unit.partition('@')[2].removesuffix('.service')}")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place))
            listener.listen(1)
            self.host.run("systemctl", "start", self.unit)
            place.unlink()
            listener.settimeout(PATIENCE)
            connection, _ = listener.accept()
        with connection, connection.makefile("rb") as answer:
            connection.sendall(order)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(240)
            values = [load.get("value") if "value" in load else load for load in json.loads(answer.read())]
        # As wxctl does: the start of a unit whose process is about to exit starts none.
        self.host.run("systemctl", "stop", self.unit)
        return values


@contextmanager
def inside(host: Host, unit: str, port: int = 0, names: Mapping[str, Any] | None = None) -> Iterator[Inside]:
    """Run ``inside.py`` in a unit for the duration of a block. ``port``: where it listens if it is no account."""
    host.write(INSIDE, Path(__file__).with_name("inside.py").read_bytes())
    if unit.startswith("wxclient-export@"):
        with dropin(host, unit, f"[Service]\nExecStart=\nExecStart=/usr/bin/python3 {INSIDE} piped\n"):
            yield Piped(host, unit, port, dict(names or {}))
        return
    service = f"Type=notify\nRestart=no\nExecStart=\nExecStart=/usr/bin/python3 {INSIDE}\nWatchdogSec=0\n"
    variable = f"Environment=MOJO_WEIXIN_PLUGIN_OPENWX_PORT={port}\n" if port else ""
    with dropin(host, unit, f"[Service]\n{service}{variable}"):
        host.run("systemctl", "restart", unit)
        yield Inside(host, unit, port, dict(names or {}))
        host.run("systemctl", "stop", unit)
    if unit == "wxcontroller.service":
        host.run("systemctl", "start", unit)
