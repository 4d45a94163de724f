"""Run all commands of the tutorial, the how-to pages and README in a booted host, page by page.

A block that cannot run there has the reason in its first line, after `sh`: `no-test: REASON`. ACTIONS has the
reader's other actions, mostly on the phone, and ENDLESS the commands that run until Ctrl-C.
"""

import json
import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.system.actors import Caller, Phone, until, use_sandbox
from tests.system.host import Host
from tests.system.pages import PAGES, Block, Shell, blocks, until_printed

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
UIN = "1234567001"
EXAMPLE_NAMES = "127.0.0.1 proxy.example wx.example hooks.example"


@dataclass(frozen=True, slots=True)
class Stage:
    """The host of the commands, the phone and a caller."""

    host: Host
    phone: Phone
    caller: Caller


Step = Callable[[Stage], object]


@dataclass(frozen=True, slots=True)
class Action:
    """Actions before and during the block of a page that contains ``text``."""

    page: str
    text: str
    before: Step | None = None
    meanwhile: Step | None = None


def scan(stage: Stage) -> None:
    """Scan the QR code of alice and confirm. WeChat still has those of earlier starts, until they expire."""
    uuid = stage.phone.login_of(until(lambda: _link_of_alice(stage), "a QR code of alice"))
    stage.phone.scan(uuid, UIN)
    stage.phone.confirm(uuid)


def _link_of_alice(stage: Stage) -> str:
    """Return the link in the QR code of alice, "" for none. A page may have closed the API, so read the file."""
    content = stage.host.run("cat", "/run/wxclient/alice/mojo_weixin_state_alice.json", check=False).stdout
    state = json.loads(content) if content else {}
    return str(state.get("qrcode_link") or "") if state.get("state") == "scaning" else ""


def write(stage: Stage) -> None:
    stage.phone.write(UIN, "同事小明", "are you there?")


def write_to_reader(stage: Stage) -> None:
    """Write once the stream has a reader."""
    until(lambda: b"heartbeat" in stage.host.run("cat", "/tmp/endless", check=False).stdout, "a reader")
    write_to_bot(stage)


def write_to_bot(stage: Stage) -> None:
    stage.phone.call("POST", f"/accounts/{UIN}/phone-send", {"to": "clawbot", "text": "are you there?"})


def write_to_bot_until_seen(stage: Stage) -> None:
    """Write to the bot repeatedly until a reader has printed something: one that prints nothing before."""
    stage.host.run("rm", "-f", "/tmp/endless.seen")

    def seen() -> bool:
        write_to_bot(stage)
        return bool(stage.host.run("cat", "/tmp/endless", "/tmp/endless.seen", check=False).stdout)

    until(seen, "a reader")


def heard_and_a_file_to_send(stage: Stage) -> None:
    write_to_bot(stage)
    until(lambda: stage.host.run("wxctl", "messages", "alice").stdout, "the message")
    stage.host.write("/root/checkout/report.pdf", b"%PDF-1.7\n" + bytes(1000))


def first_start(stage: Stage) -> None:
    stage.host.run("wxctl", "remove", "alice", "--yes", check=False)


def logged_in(stage: Stage) -> None:
    """Log alice in, for pages that begin with a running account."""
    starting = threading.Thread(target=stage.host.run, args=("wxctl", "start", "alice", "--wait"))
    starting.start()
    scan(stage)
    starting.join(60)
    stage.caller.until_state("alice", "running")


def scanned_and_in_a_group_called_home(stage: Stage) -> None:
    scan(stage)
    stage.caller.until_state("alice", "running")
    group = stage.phone.world(UIN)["groups"][0]["wxid"]
    stage.phone.call("POST", f"/accounts/{UIN}/change", {"who": group, "name": "家人"})
    until(lambda: stage.caller.openwx("search_group", client="alice", displayname="家人"), "the group's name")


def certificate(stage: Stage) -> None:
    """Create a certificate, as certbot does, and trust it."""
    with tempfile.TemporaryDirectory() as place:
        made, key = self_signed(Path(place), "wx.example")
        stage.host.write("/etc/letsencrypt/live/wx.example/fullchain.pem", made.read_bytes())
        stage.host.write("/etc/letsencrypt/live/wx.example/privkey.pem", key.read_bytes(), 0o600)
        stage.host.write("/usr/local/share/ca-certificates/wx.example.crt", made.read_bytes())
    stage.host.run("update-ca-certificates")


def proxies(stage: Stage) -> None:
    lines = ("Port 3128", "Listen 127.0.0.1", "Allow 127.0.0.0/8", "BasicAuth user password", "ConnectPort 2100")
    stage.host.write("/etc/page-proxy.conf", "\n".join([*lines, ""]).encode())
    stage.host.run("systemctl", "stop", "page-http", "page-socks", check=False)
    run = ("systemd-run", "--collect")
    stage.host.run(*run, "--unit=page-http", "tinyproxy", "-d", "-c", "/etc/page-proxy.conf")
    stage.host.run(
        *(*run, "--unit=page-socks", "microsocks", "-i", "127.0.0.1", "-p", "1080", "-u", "user", "-P", "password")
    )


def empty_machine(stage: Stage) -> None:
    """Remove all accounts and settings, as on a new machine."""
    # With the socket, which would start a controller, and that the accounts.
    stage.host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service", "wxclient.target")
    stage.host.run(
        "sh", "-c", "rm -rf /var/lib/wxcontroller/* /var/lib/private/wxclient/* /etc/wxcontroller/clients/*"
    )
    stage.host.run("sh", "-c", "rm -rf /etc/wxcontroller/wxcontroller.toml.d/* /etc/wxcontroller/clients/*")
    stage.host.run("systemd-tmpfiles", "--create", "wxcontroller.conf")
    stage.host.run("systemctl", "start", "wxcontroller.service")


# A stand-in for Mojo-Weixin that reports to be running.
MOJO_WEIXIN = r"""
package Mojo::Weixin;
sub new { return bless {}, shift }
sub load { my ($self, $plugin, %given) = @_; $self->{port} = $given{data}{listen}[0]{port} }
sub run {
    my $self = shift;
    open(my $file, ">", $ENV{MOJO_WEIXIN_STATE_PATH}) or die "state: $!";
    print $file qq({"account":"$ENV{MOJO_WEIXIN_ACCOUNT}","state":"running","port":$self->{port},"pid":$$});
    close($file);
    print STDERR "the stand-in runs at log level $ENV{MOJO_WEIXIN_LOG_LEVEL}\n";
    sleep;
}
1;
"""


def stand_in(stage: Stage) -> None:
    stage.host.write("/usr/local/share/perl/lib/perl5/Mojo/Weixin.pm", MOJO_WEIXIN.encode())


ACTIONS = [
    Action("README.md", "wxctl start alice --driver ilink\n", meanwhile=scan),
    Action("README.md", "report.pdf", before=heard_and_a_file_to_send, meanwhile=write_to_bot_until_seen),
    Action("README.md", "start_client", before=first_start),
    Action("README.md", "check_client", before=scanned_and_in_a_group_called_home),
    Action("README.md", "check_event", meanwhile=write),
    Action("docs/tutorial.md", "curl -sN", meanwhile=write_to_reader),
    Action("docs/howto/reverse-proxy.md", "nginx -t", before=certificate),
    Action("docs/howto/egress-proxies.md", "/root/alice.proxy\nwxctl start", before=proxies, meanwhile=scan),
    Action("docs/howto/backup-and-move.md", "umask 077\ntar", before=logged_in),
    Action("docs/howto/backup-and-move.md", "tar -C / -xpf /root/wx.tar", before=empty_machine),
    Action("docs/howto/backup-and-move.md", "wxctl import", before=first_start),
    Action("docs/howto/migrate-from-perl.md", "wxctl start alice", meanwhile=scan),
    Action("docs/howto/perl-client.md", "wxclient.pl <<", before=stand_in),
]
# Commands that readers end by Ctrl-C, and what these print before.
ENDLESS: Mapping[str, str] = {
    "wxctl events alice": "are you there",
    "wxctl logs alice -f": "running",
    "curl -sN 'http://127.0.0.1:2000/v1/events?account=alice'": "are you there",
}
# Texts that blocks must print; besides, no command may fail and no response be a refusal.
PRINTED: Mapping[tuple[str, str], str] = {
    ("docs/tutorial.md", "wxctl status alice"): "login: running",
    ("docs/tutorial.md", '"text": "are you there?"'): "you said: are you there?",
    ("docs/tutorial.md", "journalctl -u echo-bot"): '"content": "are you there?"',
    ("docs/tutorial.md", "python3 - <<"): "or at nine",
    ("docs/tutorial.md", "journalctl -x"): '"scan": with a QR code',
    ("docs/tutorial.md", "systemctl kill"): "you said: still there?",
    ("docs/howto/reverse-proxy.md", "%{http_code}"): "401",
    ("docs/howto/reverse-proxy.md", "curl -fsS"): '{"accounts":',
    ("docs/howto/egress-proxies.md", "wxctl status alice"): "http://proxy.example:3128",
    ("docs/howto/alerts.md", "-u 'wxcontroller-alert@*'"): "urgent: ",
    ("docs/howto/alerts.md", "chmod 640"): "webhook: delivered",
    ("docs/howto/backup-and-move.md", "-xpf /root/wx.tar"): "alice is running",
    ("docs/howto/backup-and-move.md", "wxctl import"): "alice is running",
    ("docs/howto/migrate-from-perl.md", "send_friend_message"): '"state":"running"',
    ("docs/howto/perl-client.md", "check_client"): "the stand-in runs at log level debug",
}


@pytest.fixture(scope="module")
def stage(bare_host: Host, debs: list[Path]) -> Stage:
    """A host with a checkout after `make deb`; the tutorial installs the product."""
    for deb in debs:
        bare_host.write(f"/root/checkout/dist/{deb.name}", deb.read_bytes())
    bare_host.run("sh", "-c", f"echo '{EXAMPLE_NAMES}' >>/etc/hosts")
    return Stage(bare_host, Phone(bare_host), Caller(bare_host))


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_page_succeed(page: str, stage: Stage, debs: list[Path]) -> None:
    host = stage.host
    if page != PAGES[0]:
        if host.run("sh", "-c", "command -v wxctl", check=False).returncode:
            host.install(*debs)
        clean(host)
        use_sandbox(host)
    with Shell.open(host, "/root/checkout") as shell:
        for block in blocks(page):
            if block.done and not block.reason:
                follow(stage, shell, block)
    assert host.text("systemctl", "--failed", "--plain", "--no-legend").strip() == ""


def follow(stage: Stage, shell: Shell, block: Block) -> None:
    """Run a block, with the actions that belong to it."""
    actions = [action for action in ACTIONS if action.page == block.page and action.text in block.text]
    for action in actions:
        if action.before:
            action.before(stage)
    if block.file:
        stage.host.write(block.file, block.text.encode())
        return
    if block.unit:
        stage.host.run("systemctl", "edit", "--stdin", block.unit, input=block.text.encode())
        return
    with ThreadPoolExecutor() as others:
        parts = [others.submit(action.meanwhile, stage) for action in actions if action.meanwhile]
        printed = shell.do(runnable(block.text))
        for part in parts:
            part.result(90)
    for line in printed.splitlines():
        refused = re.match(r'\{.*"code": ?(-?[1-9]\d*)|\{"error"', line)
        assert not refused, f"{block.page}:{block.line}: refused: {line[:500]}"
    for (page, text), wanted in PRINTED.items():
        if page == block.page and text in block.text:
            assert wanted in printed, f"{block.page}:{block.line} did not print {wanted!r}:\n{printed}"


def runnable(text: str) -> str:
    """Return a block with its endless commands ended."""
    lines = text.rstrip("\n").splitlines()
    return "\n".join(until_printed(line, ENDLESS[line]) if line in ENDLESS else line for line in lines)


def clean(host: Host) -> None:
    """Remove what the page before has left, which may have failed."""
    listed = json.loads(host.text("wxctl", "list", "--json"))
    for account in listed if isinstance(listed, list) else listed["accounts"]:
        host.run("wxctl", "remove", account["name"], "--yes")
    host.run(
        "sh", "-c", "rm -rf /etc/wxcontroller/tokens /etc/wxcontroller/clients/* /etc/wxcontroller/credentials/*"
    )
    host.run("sh", "-c", "rm -rf /etc/systemd/system/wx*.d /etc/wxcontroller/wxcontroller.toml.d/*")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "stop", "wxcontroller.service")
    host.run("systemctl", "restart", "wxcontroller.socket")
    host.run("systemctl", "start", "wxcontroller.service")
