"""The lease of a host and its accounts, on two booted hosts: one runs an account, the other one has etcd and WeChat.

Nothing claims accounts here: the tests write what the controller would write after a claim. All times are a third of
the real ones.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import program
from tests.system.actors import Caller, Phone, log_in, until, use_sandbox
from tests.system.fleet import ADDRESSES, FLEET, cable, ends
from tests.system.host import Host
from wxcontroller.core.paths import Paths

pytestmark = pytest.mark.system
NAME = "alice"
UNIT = f"wxclient@{NAME}.service"
KEEPER = "wxcontroller-keeper.service"
WATCHDOG = 5.0
LEASE, STOP, ACKNOWLEDGED = WATCHDOG * 2, WATCHDOG / 3, WATCHDOG * 8 / 15
PATHS = Paths()
TIMES = "/etc/systemd/system/wxclient@.service.d/50-times.conf"


@dataclass
class Pair:
    """``home`` runs the account, ``far`` has etcd and WeChat. ``uin`` is the account's at WeChat."""

    home: Host
    far: Host
    uin: str

    def is_active(self, unit: str = UNIT) -> bool:
        return self.home.run("systemctl", "is-active", unit, check=False).returncode == 0

    def has_process(self) -> bool:
        return self.home.run("systemctl", "show", "-P", "MainPID", UNIT).stdout.strip() != b"0"

    def key(self) -> str:
        """Return the key of the host in etcd, "" once its lease has ended."""
        return self.far.text("etcdctl", "get", "--print-value-only", "/wxcontroller/main/hosts/host-a").strip()

    def lease(self) -> dict[str, object]:
        found = self.home.run("cat", str(PATHS.fleet_runtime / "lease"), check=False).stdout
        return dict(json.loads(found)) if found else {}

    def own(self, **content: object) -> None:
        """Write what the controller writes."""
        lease = until(self.lease, "a lease")["lease"]
        written = {"host": "host-a", "epoch": 7, "lease": lease, **content}
        self.home.write(str(PATHS.owner_file(NAME)), json.dumps(written).encode())

    def start(self) -> None:
        """Have the account run, with a valid lease."""
        self.home.run("systemctl", "start", KEEPER)
        self.own()
        self.home.run("systemctl", "reset-failed", UNIT, check=False)
        self.home.run("systemctl", "start", UNIT)
        until(lambda: self.state() == "running", "the login")

    def state(self) -> str:
        file = str(PATHS.state_file(NAME))
        return str(json.loads(self.home.run("cat", file, check=False).stdout or b"{}").get("state"))

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Disconnect the other host during a block: packets are lost."""
        self.far.run("ip", "link", "set", ends()[1], "down")
        try:
            yield
        finally:
            self.far.run("ip", "link", "set", ends()[1], "up")


@pytest.fixture(scope="module")
def pair(fleet_debs: list[Path]) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        home, far = (
            stack.enter_context(Host.up(f"wx-{name}-{os.getpid()}", packages=fleet_debs))
            for name in ("keeper", "keeper-far")
        )
        cable(home, far)
        address = ADDRESSES["host-b"]
        use_sandbox(far)
        for name in ("etcd", "etcdctl"):
            far.write(f"/usr/bin/{name}", Path(program(name)).read_bytes(), 0o755)
        urls = f"http://127.0.0.1:2379,http://{address}:2379"
        etcd = ("etcd", "--data-dir=/var/lib/etcd", f"--listen-client-urls={urls}", f"--advertise-client-urls={urls}")
        far.run("systemd-run", "--unit=etcd", "-p", "Type=notify", *etcd)
        forwarded = (f"TCP-LISTEN:2100,bind={address},reuseaddr,fork", "TCP:127.0.0.1:2100")
        far.run("systemd-run", "--unit=wechat", "socat", *forwarded)
        home.write(
            "/etc/wxcontroller/wxcontroller.toml.d/sandbox.toml",
            f'[client]\nserver = "http://{address}:2100"\nsend_interval = 0\n'.encode(),
        )
        home.run("systemctl", "reload", "wxcontroller.service")
        phone = Phone(far)
        uin = phone.account("围栏")
        log_in(Caller(home), phone, NAME, uin)
        home.run("systemctl", "disable", "--now", "wxcontroller.socket", "wxcontroller.service")
        settings = f'[fleet]\nname = "host-a"\n[fleet.etcd]\nendpoints = ["http://{address}:2379"]\n'
        far.write(FLEET, settings.encode())
        watchdog = f"[Service]\nWatchdogSec={WATCHDOG}\n".encode()
        home.write(f"/etc/systemd/system/{KEEPER}.d/times.conf", watchdog)
        times = f"[Service]\nEnvironment=WXCLIENT_FLEET_SECONDS={ACKNOWLEDGED}\nTimeoutStopSec={STOP}\n"
        home.write(TIMES, times.encode())
        home.run("systemctl", "daemon-reload")
        yield Pair(home, far, uin)


def test_generator_binds_no_account_without_etcd_in_the_settings(pair: Pair) -> None:
    assert pair.is_active()
    assert pair.home.text("systemctl", "show", "-P", "BindsTo", UNIT).strip() == ""
    pair.home.write(FLEET, pair.far.text("cat", FLEET).encode())
    pair.home.run("systemctl", "daemon-reload")
    # From now on no account runs without a lease, also before the keeper is enabled.
    until(lambda: not pair.is_active(), "the end of the account")
    pair.home.run("systemctl", "enable", KEEPER)


def test_an_account_runs_where_it_is_owned(pair: Pair) -> None:
    pair.home.run("systemctl", "start", KEEPER)
    pair.own(host="host-b", lease=0)
    assert pair.home.run("systemctl", "start", UNIT, check=False).returncode != 0
    sentence = "account alice is owned by host-b; start it there, or move it: wxctl move alice host-a"
    until(lambda: sentence in pair.home.journal(UNIT), "the sentence")
    assert pair.home.text("systemctl", "show", "-P", "ExecMainStatus", UNIT).strip() == "78"
    # One that was claimed under another lease is not owned now; it waits for the controller.
    pair.own(lease=1)
    pair.home.run("systemctl", "start", "--no-block", UNIT)
    until(pair.has_process, "its process")
    pair.own()
    until(lambda: pair.is_active() and pair.state() == "running", "the login")
    assert json.loads(pair.home.run("cat", str(PATHS.state_file(NAME))).stdout)["epoch"] == 7
    url = "http://127.0.0.1:3000/openwx/send_friend_message?id=filehelper&content=owned"
    pair.home.run("curl", "-sS", url)
    assert [one["text"] for one in Phone(pair.far).sent(pair.uin, seconds=0)] == ["owned"]


@pytest.mark.parametrize("signal", ["KILL", "STOP", "SEGV"])
def test_accounts_do_not_outlive_the_keeper(pair: Pair, signal: str) -> None:
    pair.start()
    before = pair.lease()
    pair.home.run("systemctl", "kill", "--kill-whom=main", f"--signal={signal}", KEEPER)
    until(lambda: not pair.has_process(), "the end of the account", WATCHDOG + STOP + 2)
    assert pair.key()
    # Another lease, as the host has no account of before; and nothing starts before it is claimed again.
    until(lambda: pair.lease() and pair.lease() != before, "another lease")
    assert not pair.has_process()


def test_isolated_host_is_silent_before_its_lease_ends(pair: Pair) -> None:
    pair.start()
    with pair.cut():
        began = time.monotonic()
        until(lambda: not pair.has_process(), "the end of the account", WATCHDOG + STOP + 2)
        ended = time.monotonic()
        assert pair.key()
        until(lambda: not pair.key(), "the end of the lease", LEASE)
        assert time.monotonic() > ended
        assert ended - began < WATCHDOG * 17 / 15 + STOP
        # systemd starts the keeper again, which waits for etcd.
        until(lambda: not pair.lease(), "the end of the keeper")
    until(pair.lease, "another lease")
    assert not pair.is_active()


def test_start_without_etcd_fails_at_once_and_is_retried(pair: Pair) -> None:
    pair.home.run("systemctl", "stop", KEEPER)
    with pair.cut():
        began = time.monotonic()
        assert pair.home.run("systemctl", "start", UNIT, check=False).returncode != 0
        assert time.monotonic() - began < WATCHDOG
        sentence = "account alice cannot be started, because this host has no lease: etcd at http://"
        until(lambda: sentence in pair.home.journal(UNIT), "the sentence")
        assert "; check the members: etcdctl endpoint status" in pair.home.journal(UNIT)
        assert not pair.has_process()
    pair.own()
    until(lambda: pair.is_active() and pair.state() == "running", "the login")


def test_stopping_the_keeper_stops_the_accounts_and_gives_the_name_back(pair: Pair) -> None:
    pair.start()
    pair.home.run("systemctl", "stop", KEEPER)
    assert not pair.has_process()
    assert not pair.key()
    journal = pair.home.journal(UNIT, KEEPER)
    assert journal.rindex("Stopped wxclient@alice") < journal.rindex("Stopping wxcontroller-keeper")
    # Starting the account starts it.
    pair.home.run("systemctl", "start", "--no-block", UNIT)
    until(lambda: pair.is_active(KEEPER), "the keeper")
    pair.home.run("systemctl", "stop", UNIT)


def test_slow_stop_delays_the_next_lease(pair: Pair) -> None:
    """The keeper must not have another lease while an account of before runs."""
    pair.start()
    before = pair.lease()
    pair.home.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", UNIT)
    pair.home.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", KEEPER)
    seen = until(lambda: pair.lease() != before and (pair.lease(), pair.has_process()), "another lease")
    assert seen[1] is False


def test_disabling_the_keeper_removes_the_host(pair: Pair) -> None:
    pair.home.run("rm", TIMES)
    pair.home.run("systemctl", "disable", "--now", KEEPER)
    pair.home.run("rm", FLEET)
    pair.home.run("systemctl", "daemon-reload")
    pair.home.run("systemctl", "start", UNIT)
    assert pair.is_active()
    assert pair.home.text("systemctl", "show", "-P", "BindsTo", UNIT).strip() == ""


@pytest.mark.parametrize(
    ("settings", "is_bound"),
    [
        ("[fleet.etcd]", True),
        ('[ fleet . "etcd" ]', True),
        ('[fleet]\netcd = {endpoints = ["http://127.0.0.1:2379"]}', True),
        ('fleet.etcd.endpoints = ["http://127.0.0.1:2379"]', True),
        ("# [fleet.etcd]", False),
        ('[fleet.hosts.etcd]\nca_file = "etcd.pem"', False),
    ],
)
def test_generator_knows_the_table_in_each_spelling(pair: Pair, settings: str, is_bound: bool) -> None:
    pair.home.write(FLEET, f"{settings}\n".encode())
    pair.home.run("/usr/lib/systemd/system-generators/wxcontroller-generator", f"/run/generated-{hash(settings)}")
    found = pair.home.run("ls", f"/run/generated-{hash(settings)}", check=False).stdout
    pair.home.run("rm", FLEET)
    assert (found != b"") is is_bound


@pytest.mark.parametrize("how", ["remove", "purge"])
def test_without_the_package_no_account_of_a_fleet_with_etcd_starts(pair: Pair, how: str) -> None:
    """By systemctl, either: the settings still say that other hosts may run it."""
    pair.home.write(FLEET, pair.far.read(FLEET))
    pair.home.run("dpkg", f"--{how}", "wxcontroller-fleet")
    started = pair.home.run("systemctl", "start", UNIT, check=False)
    assert started.returncode != 0
    assert f"Unit {KEEPER} not found" in started.stderr.decode()
    assert not pair.has_process()
    if how == "purge":
        pair.home.run("rm", FLEET)
        pair.home.run("systemctl", "daemon-reload")
        pair.home.run("systemctl", "start", UNIT)  # as the words of wxctl say
        assert pair.is_active()
