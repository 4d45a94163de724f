"""`make deps` and `make test-deps` on a machine with a running systemd: packages arrive, services do not start."""

from pathlib import Path

import pytest

from tests.system.host import Host

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
POLICY = "/usr/sbin/policy-rc.d"
# A package with a service, in a repository on the host's own disk.
MAKE_A_PACKAGE = """
set -e
mkdir -p /root/repository/loud/DEBIAN /root/repository/loud/usr/lib/systemd/system
cd /root/repository
cat >loud/usr/lib/systemd/system/loud.service <<END
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
cat >loud/DEBIAN/control <<END
Package: loud
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: service that starts when it is installed
END
cat >loud/DEBIAN/postinst <<END
#!/bin/sh
systemctl daemon-reload
systemctl enable loud.service
deb-systemd-invoke start loud.service || true
END
chmod 755 loud/DEBIAN/postinst
dpkg-deb -b loud .
dpkg-scanpackages -m . >Packages
echo 'deb [trusted=yes] file:/root/repository ./' >/etc/apt/sources.list.d/here.list
"""


@pytest.fixture
def loud(bare_host: Host) -> Host:
    """A host on which the package is not installed."""
    bare_host.run("sh", "-c", MAKE_A_PACKAGE)
    bare_host.run("apt-get", "-qy", "purge", "loud", check=False)
    bare_host.write("/root/deps", (ROOT / "tests/system/deps").read_bytes(), 0o755)
    return bare_host


def is_running(host: Host) -> bool:
    return host.text("systemctl", "is-active", "loud.service", check=False).strip() == "active"


def test_services_of_installed_packages_are_not_started(loud: Host) -> None:
    loud.run("/root/deps", "loud")
    assert "installed" in loud.text("dpkg-query", "-W", "-f", "${db:Status-Status}", "loud")
    assert not is_running(loud)
    assert loud.run("test", "-e", POLICY, check=False).returncode == 1
    loud.run("apt-get", "-qy", "install", "--reinstall", "loud")
    assert is_running(loud), "without the policy it starts: the test can fail"
    loud.run("systemctl", "stop", "loud.service")


def test_policy_of_the_administrator_is_restored(loud: Host) -> None:
    own = b"#!/bin/sh\nexit 0\n"
    loud.write(POLICY, own, 0o755)
    assert loud.run("/root/deps", "loud", "no-such-package", check=False).returncode != 0
    assert loud.read(POLICY) == own
    loud.run("/root/deps", "loud")
    assert not is_running(loud)
    assert loud.read(POLICY) == own
    loud.run("rm", POLICY)
