"""What readers of the documents do besides running commands, mostly on the phone, and what they see."""

import json
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import self_signed
from tests.system.actors import Caller, Phone, until
from tests.system.host import Host

UIN = "1234567001"
EXAMPLE_NAMES = "127.0.0.1 proxy.example wx.example hooks.example"


@dataclass(frozen=True, slots=True)
class Stage:
    """The host of the commands, the phone and a caller."""

    host: Host
    phone: Phone
    caller: Caller


Act = Callable[[Stage], object]


@dataclass(frozen=True, slots=True)
class Play:
    """Actions before and during the block of a page that contains ``text``."""

    page: str
    text: str
    before: Act | None = None
    beside: Act | None = None


def scan(stage: Stage) -> None:
    """Scan the QR code of alice and confirm. WeChat still has those of earlier starts, until they expire."""
    uuid = stage.phone.login_of(until(lambda: _link_of_alice(stage), "a QR code of alice"))
    stage.phone.scan(uuid, UIN)
    stage.phone.confirm(uuid)


def _link_of_alice(stage: Stage) -> str:
    """Return the link in the QR code of alice, "" for none. A page may have closed the API, so read the file."""
    shown = stage.host.run("cat", "/run/wxclient/alice/mojo_weixin_state_alice.json", check=False).stdout
    told = json.loads(shown) if shown else {}
    return str(told.get("qrcode_link") or "") if told.get("state") == "scaning" else ""


def write(stage: Stage) -> None:
    stage.phone.write(UIN, "同事小明", "are you there?")


def write_to_reader(stage: Stage) -> None:
    """Write once the stream has a reader."""
    until(lambda: b"heartbeat" in stage.host.run("cat", "/tmp/endless", check=False).stdout, "a reader")
    write(stage)


def write_until_seen(stage: Stage) -> None:
    """Write repeatedly until a reader has printed something: one that prints nothing before."""
    stage.host.run("rm", "-f", "/tmp/endless.seen")

    def seen() -> bool:
        write(stage)
        return bool(stage.host.run("cat", "/tmp/endless", "/tmp/endless.seen", check=False).stdout)

    until(seen, "a reader")


def a_file_to_send(stage: Stage) -> None:
    stage.host.write("/root/checkout/report.pdf", b"%PDF-1.7\n" + bytes(1000))


def first_start(stage: Stage) -> None:
    stage.host.run("wxctl", "remove", "alice", "--yes", check=False)


def logged_in(stage: Stage) -> None:
    """Log alice in, for pages that begin with a running account."""
    starting = threading.Thread(target=stage.host.run, args=("wxctl", "start", "alice"))
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


# A stand-in for Mojo-Weixin that reports to be running, and responds.
MOJO_WEIXIN = r"""
package Mojo::Weixin;
use IO::Socket::INET;
sub new { return bless {}, shift }
sub load { my ($self, $plugin, %given) = @_; $self->{port} = $given{data}{listen}[0]{port} }
sub run {
    my $self = shift;
    open(my $file, ">", $ENV{MOJO_WEIXIN_STATE_PATH}) or die "state: $!";
    print $file qq({"account":"$ENV{MOJO_WEIXIN_ACCOUNT}","state":"running","port":$self->{port},"pid":$$});
    close($file);
    open(my $picture, ">", "$ENV{MOJO_WEIXIN_MEDIA_DIR}/picture.jpg") or die "media: $!";
    close($picture);
    print STDERR "the stand-in runs at log level $ENV{MOJO_WEIXIN_LOG_LEVEL}\n";
    my $here = IO::Socket::INET->new(
        LocalAddr => "127.0.0.1", LocalPort => $self->{port}, Listen => 5, ReuseAddr => 1)
        or die "port: $!";
    while (my $caller = $here->accept) {
        my $asked = <$caller>;
        while (my $line = <$caller>) { last if $line =~ /^\s*$/ }
        print $caller "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}";
        close($caller);
        exit 0 if $asked =~ /stop_client/;
    }
}
1;
"""


def stand_in(stage: Stage) -> None:
    stage.host.write("/usr/local/share/perl/lib/perl5/Mojo/Weixin.pm", MOJO_WEIXIN.encode())


PLAYS = [
    Play("README.md", "wxctl start alice\n", beside=scan),
    Play("README.md", "report.pdf", before=a_file_to_send, beside=write_until_seen),
    Play("README.md", "start_client", before=first_start),
    Play("README.md", "check_client", before=scanned_and_in_a_group_called_home),
    Play("README.md", "check_event", beside=write),
    Play("docs/tutorial.md", "curl -sN", beside=write_to_reader),
    Play("docs/howto/reverse-proxy.md", "nginx -t", before=certificate),
    Play("docs/howto/egress-proxies.md", "/root/alice.proxy\nwxctl start", before=proxies, beside=scan),
    Play("docs/howto/backup-and-move.md", "umask 077\ntar", before=logged_in),
    Play("docs/howto/backup-and-move.md", "tar -C / -xpf /root/wx.tar", before=empty_machine),
    Play("docs/howto/backup-and-move.md", "wxctl import", before=first_start),
    Play("docs/howto/migrate-from-perl.md", "wxctl start alice", beside=scan),
    Play("docs/howto/perl-client.md", "wxclient.pl <<", before=stand_in),
]
# Commands that readers end by Ctrl-C, and what these print before.
ENDLESS: Mapping[str, str] = {
    "wxctl events alice": "are you there",
    "wxctl logs alice -f": "running",
    "curl -sN 'http://127.0.0.1:2000/v1/events?account=alice'": "are you there",
}
# Texts that blocks must print; besides, no command may fail and no response be a refusal.
TOLD: Mapping[tuple[str, str], str] = {
    ("docs/tutorial.md", "wxctl status alice"): "login: running",
    ("docs/tutorial.md", 'receive 1234567001 小明 "are you there?"'): "you said: are you there?",
    ("docs/tutorial.md", "journalctl -u echo-bot"): '"content": "are you there?"',
    ("docs/tutorial.md", "python3 - <<"): "or at nine",
    ("docs/tutorial.md", "journalctl -x"): '"scan": with a QR code',
    ("docs/tutorial.md", "systemctl kill"): "you said: still there?",
    ("docs/howto/reverse-proxy.md", "%{http_code}"): "401",
    ("docs/howto/reverse-proxy.md", "curl -fsS"): '{"accounts":',
    ("docs/howto/egress-proxies.md", "wxctl status alice"): "http://proxy.example:3128",
    ("docs/howto/alerts.md", "page-ops"): "",
    ("docs/howto/alerts.md", "-u 'wxcontroller-alert@*'"): "urgent: ",
    ("docs/howto/alerts.md", "chmod 640"): "webhook: delivered",
    ("docs/howto/backup-and-move.md", "-xpf /root/wx.tar"): "alice is running",
    ("docs/howto/backup-and-move.md", "wxctl import"): "alice is running",
    ("docs/howto/migrate-from-perl.md", "send_friend_message"): '"state":"running"',
    ("docs/howto/perl-client.md", "check_client"): "the stand-in runs at log level debug",
}
