"""Three installed hosts become a fleet with etcd, by the guide: ``wxctl fleet init`` and ``wxctl fleet join``."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.fleet.network import Switch, switch
from tests.programs import program
from tests.system.actors import until
from tests.system.host import Host
from tests.system.pages import step

pytestmark = pytest.mark.system
GUIDE, HEADING = "docs/howto/etcd.md", "Set up three hosts"
ADDRESSES = {"host-a": "192.0.2.10", "host-b": "192.0.2.11", "host-c": "192.0.2.12"}
# As Debian's package has it.
UNIT = """\
[Service]
Type=notify
User=etcd
EnvironmentFile=-/etc/default/etcd
ExecStart=/usr/bin/etcd
Restart=on-abnormal
LimitNOFILE=65536
[Install]
WantedBy=multi-user.target
"""


@dataclass
class Three:
    """The hosts by name."""

    hosts: dict[str, Host]
    between: Switch

    def shown(self, name: str) -> str:
        """Return what ``wxctl fleet`` shows on a host while all is well, "" otherwise."""
        done = self.hosts[name].run("wxctl", "fleet", check=False)
        return "" if done.returncode else done.stdout.decode()

    def token(self, name: str) -> bytes:
        """Return what ``wxctl fleet init`` prints for a host: it waits, so its output is not read yet."""
        file = f"/var/lib/wxcontroller-fleet/{name}"
        return self.hosts["host-a"].run("cat", file, check=False).stdout

    def running(self, account: str) -> list[str]:
        unit = ("systemctl", "is-active", f"wxclient@{account}.service")
        return [name for name, host in self.hosts.items() if host.run(*unit, check=False).returncode == 0]


def install_etcd(host: Host) -> None:
    """Install etcd without its package."""
    for name in ("etcd", "etcdctl"):
        host.write(f"/usr/bin/{name}", Path(program(name)).read_bytes(), 0o755)
    host.write("/etc/systemd/system/etcd.service", UNIT.encode())
    host.run("useradd", "--system", "--create-home", "--home-dir", "/var/lib/etcd", "etcd")


@pytest.fixture(scope="module")
def three(fleet_debs: list[Path]) -> Iterator[Three]:
    with ExitStack() as stack:
        between = stack.enter_context(switch())
        hosts = {
            name: stack.enter_context(Host.up(f"wx-init-{name}-{os.getpid()}", packages=fleet_debs))
            for name in ADDRESSES
        }
        for name, host in hosts.items():
            between.connect(name, str(host.leader), ADDRESSES[name])
            install_etcd(host)
        yield Three(hosts, between)


def test_three_hosts_become_a_fleet_by_the_guide(three: Three) -> None:
    hosts = three.hosts
    hosts["host-a"].run("systemctl", "start", "wxclient@early")  # accounts of before go on
    on_each, on_first, on_others = (step(GUIDE, HEADING, number=number) for number in range(3))
    tokens = dict[str, bytes]()
    with ThreadPoolExecutor() as several:
        for host in hosts.values():
            host.run("bash", "-euc", re.sub("^apt .*$", "", on_each, flags=re.MULTILINE))
        beginning = several.submit(hosts["host-a"].run, "bash", "-euc", on_first)
        for name in ("host-b", "host-c"):
            tokens[name] = until(partial(three.token, name), "the token")
            hosts[name].run("bash", "-euc", on_others, input=tokens[name])
        printed = beginning.result().stdout.split()
    assert all(token in printed for token in tokens.values())
    for name in hosts:
        shown = until(partial(three.shown, name), f"a fleet without problems on {name}")
        assert all(other in shown for other in hosts)
        assert "3 of 3 members can be used; a quorum is 2" in shown
        assert len(re.findall(r"^https://.* leader ", shown, re.MULTILINE)) == 1
    until(lambda: three.running("early") == ["host-a"], "the account of before")


def test_accounts_move_between_the_hosts_and_are_copied(three: Three) -> None:
    first = three.hosts["host-a"]
    first.run("wxctl", "set", "early", "standby=host-c")
    first.run("systemctl", "start", "--no-block", "wxcontroller-standby.service")
    until(lambda: "early" in three.hosts["host-c"].text("ls", "/var/lib/wxcontroller-standby"), "a standby copy")
    first.run("wxctl", "move", "early", "host-b")
    until(lambda: three.running("early") == ["host-b"], "the account on the other host")


def test_a_host_of_the_fleet_cannot_replace_another_one_in_etcd(three: Three) -> None:
    second = three.hosts["host-b"]
    password = second.text("cat", "/etc/wxcontroller/credentials/etcd").strip()
    keys = "--cert=/etc/etcd/fleet.pem --key=/etc/etcd/fleet.key --cacert=/etc/ssl/wx-fleet.pem"
    etcdctl = f"etcdctl {keys} --endpoints=https://192.0.2.11:2379 --user=host-b:{password}"
    assert "capacity" in second.text("sh", "-c", f"{etcdctl} get /wxcontroller/main/hosts/host-a")
    refused = second.run("sh", "-c", f"{etcdctl} put /wxcontroller/main/hosts/host-a x", check=False)
    assert b"permission denied" in refused.stderr


def test_no_start_creates_a_blank_account_in_the_place_of_lost_files(three: Three) -> None:
    second, unit = three.hosts["host-b"], "wxclient@lost"

    def refusal(*command: str) -> str:
        done = second.run(*command, check=False)
        assert done.returncode, command
        return done.stderr.decode()

    assert refusal("systemctl", "start", unit)
    assert "wxctl start lost" in second.text("journalctl", "--no-pager", "WX_ACCOUNT=lost")
    second.run("wxctl", "start", "lost", "--no-wait", "--option", "placement=host-b")
    second.run("wxctl", "stop", "lost")
    second.run("rm", "-r", "/var/lib/wxcontroller/clients/lost.env", "/var/lib/private/wxclient/lost")
    assert refusal("systemctl", "start", unit)
    assert "wxctl claim lost --from FILE" in refusal("wxctl", "start", "lost")
    second.run("wxctl", "remove", "lost", "--yes")
    second.run("wxctl", "start", "lost", "--no-wait", "--option", "placement=host-b")
    second.run("wxctl", "remove", "lost", "--yes")


def test_both_commands_can_be_run_again(three: Three) -> None:
    """After an interruption, or to renew the certificates, but without another authority or other passwords."""
    first, on_first = three.hosts["host-a"], step(GUIDE, HEADING, number=1)
    password, certificate = "/etc/wxcontroller/credentials/etcd", "/etc/etcd/fleet.pem"
    before = first.read(password), first.read(certificate)
    first.run("bash", "-euc", on_first)
    assert (first.read(password), first.read(certificate)) == before
    first.run("bash", "-euc", f"{on_first.strip()} --renew")
    for name in ("host-b", "host-c"):
        three.hosts[name].run("wxctl", "fleet", "join", input=three.token(name))
    assert first.read(password) == before[0]
    assert first.read(certificate) != before[1]
    for name in three.hosts:
        until(partial(three.shown, name), f"a fleet without problems on {name}")
    until(lambda: three.running("early") == ["host-b"], "the account")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("init host-b=192.0.2.10 host-a=192.0.2.11 host-c=192.0.2.12", "this is host host-a"),
        ("init host-a=192.0.2.10 host-b=192.0.2.11 host-d=192.0.2.13", "belongs to a fleet of host-a=192.0.2.10"),
        ("init host-a=192.0.2.10 host-b=192.0.2.11", "2 hosts cannot form an etcd"),
        ("init host-a=192.0.2.10 host-a=192.0.2.11 host-c=192.0.2.12", "is given twice"),
        ("init host-a host-b host-c", "host-a is not a host with its address"),
        ("join <<<wxf_nothing", "this is not a token of wxctl fleet init"),
        ("join </var/lib/wxcontroller-fleet/host-b", "this is host host-a"),
    ],
)
def test_other_hosts_and_tokens_are_refused(three: Three, words: str, problem: str) -> None:
    refused = three.hosts["host-a"].run("bash", "-c", f"wxctl fleet {words}", check=False)
    assert refused.returncode == 2
    assert problem in refused.stderr.decode()


def test_a_lost_host_is_seen_and_its_accounts_are_claimed(three: Three) -> None:
    three.hosts["host-b"].cut_power()
    third = three.hosts["host-c"]
    claimed = partial(third.run, "wxctl", "claim", "early", "--yes", check=False)
    row = re.compile(rb"^https://192\.0\.2\.11:2379 +down ", re.MULTILINE)
    shown = until(
        lambda: row.search(out := third.run("wxctl", "fleet", check=False).stdout) and out, "the lost member"
    )
    assert b"2 of 3 members can be used; a quorum is 2" in shown
    until(lambda: claimed().returncode == 0, "the claim, once the lease has ended")
    assert third.run("systemctl", "is-active", "wxclient@early").returncode == 0
