"""wxctl doctor on a host on which one thing after the other is broken."""

import json
from collections.abc import Iterator

import pytest

from tests.system.actors import Caller, Phone, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import dropin

pytestmark = pytest.mark.system
_RULE = "/usr/share/polkit-1/rules.d/50-wxcontroller.rules"


def findings(host: Host, code: int) -> list[tuple[str, str, str, str]]:
    """Return level, check, message and remedy of all findings that are not ok."""
    done = host.run("wxctl", "doctor", "--quiet", "--json", check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    return [(row["level"], row["check"], row["message"], row["remedy"]) for row in json.loads(done.stdout)]


def remedy_of(host: Host, level: str, check: str, words: str) -> str:
    """Assert that doctor finds this; return the remedy."""
    found = findings(host, 1 if level == "fail" else 0)
    [remedy, *_] = [each[3] for each in found if each[:2] == (level, check) and words in each[2]] or [""]
    assert remedy, found
    return remedy


@pytest.fixture(scope="module", autouse=True)
def alice(host: Host) -> None:
    use_sandbox(host)
    phone = Phone(host)
    log_in(Caller(host), phone, "alice", phone.account("病人"))
    assert findings(host, 0) == []


@pytest.fixture(autouse=True)
def repaired(host: Host) -> Iterator[None]:
    """Each test repairs what it breaks: nothing is found afterwards."""
    yield
    assert findings(host, 0) == []


def test_missing_polkit_rule_is_found_and_named_by_a_start(host: Host) -> None:
    host.run("mv", _RULE, "/root/rule")
    try:
        remedy = remedy_of(host, "fail", "polkit", "the rule that lets the controller start accounts is missing")
        assert "--reinstall wxcontroller" in remedy
        host.run("systemctl", "restart", "polkit")  # it notices later by itself
        error = host.run("wxctl", "start", "unruly", check=False).stderr.decode()
        assert "polkit does not let the controller start it" in error
        assert f"check that {_RULE} exists" in error
    finally:
        host.run("mv", "/root/rule", _RULE)
        host.run("systemctl", "restart", "polkit")
        host.run("wxctl", "remove", "--yes", "unruly")


def test_foreign_polkit_rule_that_forbids_is_found(host: Host) -> None:
    rule = "/etc/polkit-1/rules.d/10-no.rules"
    content = b'polkit.addRule(function (a, s) { if (s.user === "wxcontroller") return polkit.Result.NO; });\n'
    host.write(rule, content)
    host.run("systemctl", "restart", "polkit")
    try:
        remedy = remedy_of(host, "fail", "polkit", "the controller is not allowed to start and stop accounts")
        assert "no other rule precedes" in remedy
    finally:
        host.run("rm", rule)
        host.run("systemctl", "restart", "polkit")


def test_other_program_on_the_controllers_port_is_found(host: Host) -> None:
    host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    socat = ("socat", "TCP-LISTEN:2000,bind=127.0.0.1,fork,reuseaddr", "PIPE")
    host.run("systemd-run", "--unit=other", "--collect", "-p", "Type=exec", *socat)
    try:
        until(lambda: ":2000" in host.text("ss", "-Hltn", "sport = :2000"), "the other program")
        host.run("systemctl", "start", "wxcontroller.socket", check=False)
        assert "systemctl edit wxcontroller.socket" in remedy_of(
            host, "fail", "ports", "2000 is in use by socat (pid "
        )
        assert "journalctl -b -u" in remedy_of(host, "fail", "services", "wxcontroller.socket has failed")
    finally:
        host.run("systemctl", "stop", "other")
        host.run("systemctl", "reset-failed", "wxcontroller.socket", check=False)
        host.run("systemctl", "start", "wxcontroller.socket", "wxcontroller.service")


def test_full_or_read_only_disk_is_found(host: Host) -> None:
    place = "/var/lib/private/wxclient"
    host.run("mount", "-t", "tmpfs", "-o", "size=20m", "none", place)
    try:
        host.run("sh", "-c", f"head -c 30000000 /dev/zero > {place}/fill", check=False)
        assert "du -xsh" in remedy_of(host, "fail", "disk", "sends are refused")
        host.run("rm", f"{place}/fill")
        host.run("mount", "-o", "remount,ro", place)
        assert "remount,rw" in remedy_of(host, "fail", "disk", "is read-only")
    finally:
        host.run("umount", place)


def test_drop_in_that_weakens_the_sandbox_is_found(host: Host) -> None:
    with dropin(host, "wxclient@alice.service", "[Service]\nPrivateDevices=no\nMemoryDenyWriteExecute=no\n"):
        [(*_, message, remedy)] = findings(host, 0)
        assert remedy == "systemctl edit wxclient@alice.service"
        assert "/run/systemd/system/wxclient@alice.service.d/test.conf" in message
        assert "PrivateDevices=no, MemoryDenyWriteExecute=no" in message


def test_missing_or_readable_credential_is_found(host: Host) -> None:
    with dropin(host, "wxcontroller.service", "[Service]\nLoadCredential=tls.crt:/etc/nowhere.pem\n"):
        remedy_of(host, "fail", "credentials", "tls.crt from /etc/nowhere.pem, which is not there")
    host.run("chmod", "755", "/etc/wxcontroller/credentials")
    assert remedy_of(host, "fail", "credentials", "can be read by others").startswith("chmod 700")
    host.run("chmod", "700", "/etc/wxcontroller/credentials")


def test_masked_service_is_found(host: Host) -> None:
    host.run("systemctl", "mask", "--runtime", "polkit.service")
    assert remedy_of(host, "fail", "services", "polkit.service is masked") == "systemctl unmask polkit.service"
    host.run("systemctl", "unmask", "--runtime", "polkit.service")
