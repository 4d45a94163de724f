"""A client in Perl under our unit, as docs/howto/perl-client.md says; a module of ours stands in for Mojo-Weixin."""

import pytest

from tests.system.actors import Caller, until
from tests.system.host import Host
from tests.system.pages import blocks
from tests.system.plays import MOJO_WEIXIN
from tests.system.units import show

pytestmark = pytest.mark.system
PAGE = "docs/howto/perl-client.md"
NAME, UNIT = "alice", "wxclient@alice"


def test_perl_client_keeps_its_files_and_is_restarted_after_exit_0(host: Host) -> None:
    caller = Caller(host)
    host.write("/usr/local/share/perl/lib/perl5/Mojo/Weixin.pm", MOJO_WEIXIN.encode())
    [program] = [block.text for block in blocks(PAGE) if "wxclient.pl <<" in block.text]
    [change] = [block for block in blocks(PAGE) if block.unit == UNIT]
    host.run("sh", input=program.encode())
    host.run("systemctl", "edit", "--stdin", UNIT, input=change.text.encode())
    host.run("wxctl", "start", NAME, "--no-wait")
    caller.until_state(NAME, "running")
    assert host.text("ls", f"/var/lib/private/wxclient/{NAME}/media").split() == ["picture.jpg"]
    before = show(host, UNIT, "MainPID")
    host.http("GET", f"http://127.0.0.1:{caller.account(NAME)['port']}/openwx/stop_client")
    until(lambda: show(host, UNIT, "MainPID") not in ("0", before), "its return")
    assert show(host, UNIT, "Result") == "success"
    assert caller.openwx("stop_client", client=NAME)["code"] == 0
    assert show(host, UNIT, "MainPID") == "0"
