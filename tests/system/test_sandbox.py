"""The sandbox as bot authors use it: its unit, and programs that can't be told where it is."""

import pytest

from tests.system.actors import SANDBOX, Caller, Phone, log_in, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
PLACE = "/var/lib/wxcontroller-sandbox"


def test_an_unmodified_client_reaches_it_over_tls_on_the_real_names(host: Host) -> None:
    """As docs/sandbox.md says; the account has no option `server`."""
    host.write(
        "/etc/default/wxcontroller-sandbox",
        f'WXSANDBOX_OPTS="--tls-listen 127.0.0.1:443 --tls-dir {PLACE}"\n'.encode(),
    )
    host.run("systemctl", "enable", "--now", "wxcontroller-sandbox")
    host.run("cp", f"{PLACE}/ca.crt", "/usr/local/share/ca-certificates/wxsandbox.crt")
    host.run("update-ca-certificates")
    host.run("sh", "-c", "wxsandbox names >> /etc/hosts")
    caller, phone = Caller(host), Phone(host)
    # Its home is another domain than the one the login begins on.
    uin = phone.account("真名", domain="wx2.qq.com")
    log_in(caller, phone, "named", uin)
    assert caller.openwx("send_friend_message", client="named", id="filehelper", content="over TLS")["code"] == 0
    assert [message["text"] for message in phone.sent(uin)] == ["over TLS"]
    assert phone.call("GET", f"/requests?uin={uin}")["violations"] == []
    assert "WXCLIENT_SERVER" not in host.read("/var/lib/wxcontroller/clients/named.env").decode()
    caller.openwx("stop_client", client="named")


def test_a_certificate_of_another_ca_is_refused(host: Host) -> None:
    host.run("sh", "-c", "rm -f /usr/local/share/ca-certificates/wxsandbox.crt && update-ca-certificates --fresh")
    caller = Caller(host)
    assert caller.openwx("start_client", client="distrust")["code"] == 0
    until(lambda: "certificate" in host.journal("wxclient@distrust.service").lower(), "the refusal in the journal")
    assert caller.state("distrust") == "loading"
    caller.openwx("stop_client", client="distrust")


def test_sessions_outlive_a_restart_of_the_sandbox(host: Host) -> None:
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("重启")
    log_in(caller, phone, "outlives", uin)
    host.run("systemctl", "restart", "wxcontroller-sandbox")
    phone.write(uin, phone.friend(uin), "still there?")
    events = caller.openwx("check_event", client="outlives")
    assert [event["content"] for event in events] == ["still there?"]
    caller.openwx("stop_client", client="outlives")


def test_the_command_reports_errors_and_exit_codes(host: Host) -> None:
    use_sandbox(host)
    assert host.run("wxsandbox", "accounts").returncode == 0
    for wrong in (["scan"], ["receive", "1", "nobody", "x"], ["no-such-verb"]):
        done = host.run("wxsandbox", *wrong, check=False)
        assert done.returncode != 0
        assert done.stderr
        assert b"Traceback" not in done.stderr
    host.run("systemctl", "stop", "wxcontroller-sandbox")
    done = host.run("wxsandbox", "accounts", check=False)
    assert done.returncode != 0
    assert SANDBOX.removeprefix("http://").encode() in done.stderr
