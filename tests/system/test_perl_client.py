"""A client in Perl under our unit, by the how-to page: received files are kept, and it is restarted after exit 0.

The stand-in of the page's own test, and Mojo-Weixin itself where MOJO_WEIXIN_LIB names its modules and an old
Mojolicious (see CONTRIBUTING.md): nothing of it is changed, WeChat's host names lead to the sandbox.
"""

import os
import re
import subprocess

import pytest

from tests.system.actors import Caller, Phone, until, use_sandbox
from tests.system.host import Host
from tests.system.pages import blocks
from tests.system.plays import MOJO_WEIXIN

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
PAGE = "docs/howto/perl-client.md"
NAME, UNIT = "alice", "wxclient@alice"
MODULES = "/usr/local/share/perl/lib/perl5"
MEDIA = f"/var/lib/private/wxclient/{NAME}/media"
ORIGINAL = os.environ.get("MOJO_WEIXIN_LIB", "")
# What it needs beside Mojolicious, which the page has cpanm fetch.
NEEDED = ("libio-socket-ssl-perl", "libnet-ssleay-perl", "libencode-locale-perl", "liburi-perl")


def follow(host: Host) -> None:
    """Do what the page says, but for the installation."""
    [program] = [block.text for block in blocks(PAGE) if "wxclient.pl <<" in block.text]
    [change] = [block for block in blocks(PAGE) if block.unit]
    assert change.unit == UNIT
    host.run("sh", input=program.encode())
    host.run("systemctl", "edit", "--stdin", UNIT, input=change.text.encode())


def stand_in(host: Host) -> None:
    host.write(f"{MODULES}/Mojo/Weixin.pm", MOJO_WEIXIN.encode())


def original(host: Host) -> None:
    if not ORIGINAL:
        pytest.skip("Mojo-Weixin is not there: set MOJO_WEIXIN_LIB")
    listed = subprocess.run(["dpkg", "-L", *NEEDED], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"Mojo-Weixin needs {' '.join(NEEDED)}")
    parts = re.findall(r"^/(usr/\S+\.(?:pm|pl|so|al|ix))$", listed.stdout, re.MULTILINE)
    unpack(host, "/", subprocess.run(["tar", "-C", "/", "-c", *parts], stdout=subprocess.PIPE, check=True).stdout)
    for directory in ORIGINAL.split(":"):
        unpack(host, MODULES, subprocess.run(["tar", "-C", directory, "-c", "."], stdout=-1, check=True).stdout)
    tls = "/var/lib/wxcontroller-sandbox"
    options = f'WXSANDBOX_OPTS="--tls-listen 127.0.0.1:443 --tls-dir {tls}"\n'
    host.write("/etc/default/wxcontroller-sandbox", options.encode())
    host.run("systemctl", "restart", "wxcontroller-sandbox.service")
    until(lambda: host.run("test", "-e", f"{tls}/ca.crt", check=False).returncode == 0, what="the CA")
    host.run("sh", "-c", f"cp {tls}/ca.crt /usr/local/share/ca-certificates/wxsandbox.crt && update-ca-certificates")
    host.run("sh", "-c", "wxsandbox names >>/etc/hosts")
    own = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\nMOJO_WEIXIN_IS_FETCH_NOTICE=0\n"
    host.write(f"/etc/wxcontroller/clients/{NAME}.env", own.encode())


def unpack(host: Host, place: str, archive: bytes) -> None:
    host.run("mkdir", "-p", place)
    host.run("tar", "-C", place, "-x", input=archive)


@pytest.fixture
def caller(host: Host) -> Caller:
    use_sandbox(host)
    return Caller(host)


def pid(host: Host) -> str:
    return host.text("systemctl", "show", "-P", "MainPID", UNIT).strip()


def ends_well_and_comes_back(caller: Caller) -> None:
    """Its own stop_client ends it with exit code 0; systemd starts it again, until we stop it."""
    host, before = caller.host, pid(caller.host)
    port = caller.account(NAME)["port"]
    host.http("GET", f"http://127.0.0.1:{port}/openwx/stop_client")
    until(lambda: pid(host) not in ("0", before), "its return")
    assert host.run("systemctl", "show", "-P", "Result", UNIT).stdout.strip() == b"success"
    assert caller.openwx("stop_client", client=NAME)["code"] == 0
    assert pid(host) == "0"


def test_a_stand_in(caller: Caller) -> None:
    stand_in(caller.host)
    follow(caller.host)
    caller.host.run("wxctl", "start", NAME, "--no-wait")
    caller.until_state(NAME, "running")
    assert caller.host.text("ls", MEDIA).split() == ["picture.jpg"]
    ends_well_and_comes_back(caller)


def test_mojo_weixin_itself(caller: Caller) -> None:
    original(caller.host)
    follow(caller.host)
    phone, host = Phone(caller.host), caller.host
    uin = phone.account("原版")
    host.run("wxctl", "start", NAME, "--no-wait")
    uuid = phone.waiting_login()
    phone.scan(uuid, uin)
    phone.confirm(uuid)
    caller.until_state(NAME, "running")
    assert caller.openwx("send_friend_message", client=NAME, id="filehelper", content="你好")["code"] == 0
    phone.call("POST", f"/accounts/{uin}/receive", {"from": phone.friend(uin), "kind": "image"})
    until(
        lambda: "mojo_weixin_media_" in host.text("sh", "-c", f"ls {MEDIA} || true"),
        "the picture in its directory",
    )
    assert caller.openwx("get_user_info", client=NAME)["name"] == "原版"
    ends_well_and_comes_back(caller)
