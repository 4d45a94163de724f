"""Units of the booted host: what they are, and changing them for a while."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.host import Host


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
    found = re.search(r'^MOJO_WEIXIN_PLUGIN_OPENWX_PORT="(\d+)"$', registered, re.MULTILINE)
    assert found, registered
    return int(found[1])


def show(host: Host, unit: str, name: str) -> str:
    return host.text("systemctl", "show", "--value", "-p", name, unit).strip()
