"""Proxies of Debian, and accounts that can reach nothing else.

WeChat is the sandbox under the real names, with TLS, on an address that the proxies may reach and the accounts may
not: a drop-in confines their units.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.system.actors import CONTROLLER, Caller, Json, Phone, Webhook, log_in
from tests.system.host import Host

pytestmark = pytest.mark.system
PLACE = "/var/lib/wxcontroller-sandbox"
WECHAT, PROXIES = "127.0.0.3", "127.0.0.2"
USER, PASSWORD = "egress-user", "n0t/4:eyes%all"
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"
SECRETS = (USER, PASSWORD, quote(PASSWORD, safe=""))
URLS = {
    "http": f"http://{LOGIN}@{PROXIES}:8888",
    "https": f"https://{LOGIN}@{PROXIES}:8443",
    "socks5": f"socks5://{LOGIN}@{PROXIES}:1080",
}
# Behind TLS is the HTTP proxy, which logs the connections.
UNITS = {"http": "test-http", "https": "test-http", "socks5": "test-socks"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100

HTTP_PROXY = f"""
Port 8888
Listen {PROXIES}
Timeout 600
MaxClients 100
LogLevel Connect
Allow 127.0.0.0/8
BasicAuth {USER} {PASSWORD}
ConnectPort 443
ConnectPort 2100
"""
SERVICES = {
    "test-http": "ExecStart=/usr/bin/tinyproxy -d -c /etc/proxies/http.conf",
    "test-https": f"ExecStart=/usr/bin/socat OPENSSL-LISTEN:8443,bind={PROXIES},fork,reuseaddr,verify=0,"
    f"cert=/etc/proxies/both.pem TCP:{PROXIES}:8888",
    # It erases its arguments, so the unit must not show them, either.
    "test-socks": "ExecStart=/bin/sh -c '"
    f'exec microsocks -i {PROXIES} -p 1080 -u "$(cat /etc/proxies/user)" -P "$(cat /etc/proxies/password)"'
    "'",
}
# The API and the webhook are on 127.0.0.1. No proxy is where the environment names one.
CONFINED = f"""[Service]
IPAddressDeny=any
IPAddressAllow=127.0.0.1 {PROXIES}
Environment=http_proxy=http://127.0.0.9:9 https_proxy=http://127.0.0.9:9 all_proxy=socks5://127.0.0.9:9
"""


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone

    def confine(self, name: str) -> None:
        """Allow an account to reach the proxies and this host's services only."""
        self.host.write(f"/run/systemd/system/wxclient@{name}.service.d/confined.conf", CONFINED.encode())
        self.host.run("systemctl", "daemon-reload")

    def asked(self, unit: str) -> set[str]:
        """Return what a proxy connected to, by its log."""
        told = self.host.journal(f"{unit}.service", lines=5000)
        return set(re.findall(r"CONNECT (\S+) HTTP", told)) | set(re.findall(r"connected to (\S+)", told))


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    host.write(
        "/etc/default/wxcontroller-sandbox",
        f'WXSANDBOX_OPTS="--tls-listen {WECHAT}:443 --tls-dir {PLACE}"\n'.encode(),
    )
    host.run("systemctl", "enable", "--now", "wxcontroller-sandbox")
    host.run("sh", "-c", f"wxsandbox names | sed 's/^[0-9.]*/{WECHAT}/' >> /etc/hosts")
    for name, content in (("http.conf", HTTP_PROXY), ("user", USER), ("password", PASSWORD)):
        host.write(f"/etc/proxies/{name}", content.encode(), 0o600)
    host.run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
        *("-subj", "/CN=a proxy", "-addext", f"subjectAltName=IP:{PROXIES}"),
        *("-keyout", "/etc/proxies/proxy.key", "-out", "/etc/proxies/proxy.crt"),
    )
    host.run("sh", "-c", "cd /etc/proxies && umask 077 && cat proxy.crt proxy.key > both.pem")
    trusted = "/usr/local/share/ca-certificates"
    host.run("sh", "-c", f"cp {PLACE}/ca.crt {trusted}/wxsandbox.crt && cp /etc/proxies/proxy.crt {trusted}/")
    host.run("update-ca-certificates")
    for name, command in SERVICES.items():
        host.write(f"/run/systemd/system/{name}.service", f"[Service]\n{command}\n".encode())
        host.run("systemctl", "start", name)
    host.write(
        "/etc/wxcontroller/wxcontroller.toml.d/test.toml", b"[client]\nsend_interval = 0\nlog_level = 'debug'\n"
    )
    host.run("systemctl", "reload", "wxcontroller")
    yield World(host, Caller(host), Phone(host))


@pytest.mark.parametrize("kind", ["https", "socks5"])  # the HTTPS proxy is the HTTP proxy behind TLS
def test_confined_account_logs_in_receives_and_sends_by_its_proxy(world: World, kind: str) -> None:
    name, caller, phone = f"via-{kind}", world.caller, world.phone
    uin = phone.account(f"代理 {kind}")
    friend = phone.friend(uin)
    world.confine(name)
    with Webhook(world.host) as hook:
        answer = log_in(caller, phone, name, uin, proxy=URLS[kind], post_api=hook.address)
        assert answer["proxy"] == f"{kind}://{PROXIES}:{URLS[kind].rpartition(':')[2]}"
        phone.write(uin, friend, "through the proxy")
        hook.wait_for(lambda report: report.get("content") == "through the proxy")
        phone.call("POST", f"/accounts/{uin}/receive", {"from": friend, "kind": "image"})
        picture = hook.wait_for(lambda report: report.get("format") == "media")
        assert picture["media_data"], picture.get("media_error")
        assert caller.openwx("send_friend_message", client=name, id="filehelper", content="out")["code"] == 0
        assert send_picture(world.host, name)["code"] == 0
        assert [each["kind"] for each in phone.sent(uin)] == ["text", "image"]
        status, _, avatar = caller.get("/openwx/get_avatar", client=name, id=picture["sender_id"])
        assert (status, avatar[:2]) == (200, b"\xff\xd8")
    requests = phone.call("GET", f"/requests?uin={uin}")
    assert requests["violations"] == []
    asked = world.asked(UNITS[kind])
    for host_name in ("login.wx.qq.com", "login.weixin.qq.com", "wx.qq.com", "webpush.wx.qq.com", "file.wx.qq.com"):
        assert {f"{host_name}:443"} <= asked
    assert not any(each.startswith("127.") for each in asked)
    assert caller.openwx("stop_client", client=name)["code"] == 0


def send_picture(host: Host, client: str) -> Json:
    host.write("/root/x.png", PNG)
    form = ("-F", "id=filehelper", "-F", "media_name=x.png", "-F", "media_data=@/root/x.png")
    return json.loads(host.text("curl", "-sS", *form, f"{CONTROLLER}/openwx/send_friend_message?client={client}"))


def test_user_and_password_of_a_proxy_are_never_shown(world: World) -> None:
    """After the tests above, with the most verbose journal."""
    host, caller = world.host, world.caller
    world.confine("quiet")
    seen = {
        "start_client": json.dumps(caller.openwx("start_client", client="quiet", proxy=URLS["http"], http_debug="1"))
    }
    caller.until_state("quiet", "scaning")
    for call in ("start_client", "check_client", "get_client_info"):
        seen[f"{call} again"] = json.dumps(caller.openwx(call, client="quiet"))
    for path in ("/v1/accounts", "/v1/accounts/quiet", "/v1/health", "/"):
        seen[path] = caller.get(path)[2].decode()
    for command in (
        ("journalctl", "-b", "--no-pager", "-o", "export"),
        ("ps", "axww"),
        ("systemctl", "status", "--no-pager", "--full", "wxclient@quiet"),
        ("systemctl", "show", "wxclient@quiet"),
        ("systemctl", "cat", "--no-pager", "wxclient@quiet"),
        ("wxctl", "status", "quiet"),
        ("wxctl", "status", "quiet", "--json"),
        ("wxctl", "list", "--json"),
        ("sh", "-c", "cat /run/wxclient/quiet/*"),
    ):
        seen[" ".join(command)] = host.text(*command, timeout=60)
    for command in (
        ("ps", "axeww"),
        ("sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; true"),
        ("sh", "-c", "grep -rhs . /etc/wxcontroller /var/lib/wxcontroller /run/wxclient /run/wxcontroller; true"),
    ):
        seen["nobody: " + " ".join(command)] = host.run(*command, user="nobody", check=False).stdout.decode("latin-1")
    assert len(seen["journalctl -b --no-pager -o export"]) > 10_000
    for where, content in seen.items():
        assert not [secret for secret in SECRETS if secret in content], where
    # Only files of root and the controller hold them.
    files = host.text(
        "sh", "-c", f"grep -rls {USER} /etc/wxcontroller /var/lib/wxcontroller /run/wxclient /run/wxcontroller; true"
    )
    assert "/var/lib/wxcontroller/clients/quiet.env" in files.split()
    assert {Path(file).suffix for file in files.split()} == {".env"}
    assert set(host.text("stat", "-c", "%a %U", *files.split()).splitlines()) == {"640 wxcontroller"}
    caller.openwx("stop_client", client="quiet")
