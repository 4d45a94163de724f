"""The machines of the test fleet: three booted hosts, WeChat, and three members of etcd, on one switch.

    192.0.2.1         WeChat and the webhook of all accounts    tests/fleet/wechat.py
    192.0.2.10 … 12   host-a, host-b, host-c                    the built packages, in tests/system/host.py
    192.0.2.21 … 23   etcd-1, etcd-2, etcd-3                    tests/etcd.py

The harness is outside. It enters the machines' namespaces to call their loopback, so that it reaches all of them
while nothing else does, and it reads the accounts' records from the hosts' disks.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.etcd import EtcdServers, Member
from tests.fleet import network
from tests.fleet.judge import Judge, Records
from tests.fleet.network import Switch
from tests.patience import PATIENCE
from tests.system import clock
from tests.system.actors import Caller, Json, Phone, log_in, until
from tests.system.fleet import acquaint
from tests.system.host import CGROUPS, Host, Machine
from wxcontroller.core.config.envfile import parse
from wxcontroller.core.registry.account import epoch_in

ROOT = Path(__file__).parents[2]
WECHAT, PORT = "192.0.2.1", 2100
HOSTS = {"host-a": "192.0.2.10", "host-b": "192.0.2.11", "host-c": "192.0.2.12"}
MEMBERS = {"etcd-1": "192.0.2.21", "etcd-2": "192.0.2.22", "etcd-3": "192.0.2.23"}
# By the host that each is started on. One is on the iLink route, where it only receives: it may send few messages.
ACCOUNTS = {"alice": "host-a", "bob": "host-b", "carol": "host-c"}
ILINK = "carol"
# Seconds: the life of a lease before it is divided, and how long hosts wait after that with takeovers.
LEASE, TAKEOVER_SECONDS = 30.0, 2.0
_FROZEN = CGROUPS / "unified" if (CGROUPS / "unified").is_dir() else CGROUPS


@dataclass
class WeChat(Machine):
    """The process of tests/fleet/wechat.py, and the journal that it writes."""

    process: "subprocess.Popen[bytes]"
    journal: Path

    @property
    def leader(self) -> int:
        return self.process.pid

    @classmethod
    @contextlib.contextmanager
    def up(cls, switch: Switch, place: Path) -> Iterator["WeChat"]:
        journal = place / "journal"
        with network.namespace("wechat") as name:
            switch.connect("wechat", name, WECHAT)
            program = [sys.executable, "-m", "tests.fleet.wechat", WECHAT, str(PORT), str(journal)]
            with subprocess.Popen(within(name, *program), cwd=ROOT, stdout=subprocess.PIPE) as process:
                try:
                    assert process.stdout is not None
                    assert process.stdout.readline() == b"serving\n"
                    yield cls(process, journal)
                finally:
                    process.kill()


@dataclass
class World:
    """Everything there is. ``blind`` are the times in which a host could not be heard, for the judge.

    All times are divided by ``scale``.
    """

    switch: Switch
    wechat: WeChat
    hosts: Mapping[str, Host]
    tokens: Mapping[str, str]
    records: Mapping[str, Records]
    etcd: EtcdServers
    scale: float
    uins: dict[str, str] = field(default_factory=dict)
    friends: dict[str, str] = field(default_factory=dict)
    blind: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def phone(self) -> Phone:
        return Phone(self.wechat)

    @property
    def ports(self) -> list[str]:
        """The names of all machines at the switch."""
        return ["wechat", *HOSTS, *MEMBERS]

    def caller(self, host: str) -> Caller:
        return Caller(self.hosts[host], self.tokens[host])

    def judge(self) -> Judge:
        """Return a judge of these accounts."""
        hosts = {address: name for name, address in HOSTS.items()}
        return Judge({int(uin): name for name, uin in self.uins.items()}, hosts, self.records, self.blind)

    @contextlib.contextmanager
    def unheard(self, *hosts: str) -> Iterator[None]:
        """Note for the judge that hosts cannot be heard for a block, and a little longer: until a retransmission."""
        begin = time.monotonic()
        try:
            yield
        finally:
            for host in hosts:
                self.blind.setdefault(host, []).append((begin, time.monotonic() + 2))

    @contextlib.contextmanager
    def frozen(self, host: str) -> Iterator[None]:
        """Suspend a host for a block: none of its processes runs, while clocks and its kernel go on."""
        freezer = _FROZEN / f"wx-{self.hosts[host].name}" / "cgroup.freeze"
        freezer.write_text("1")
        try:
            yield
        finally:
            freezer.write_text("0")

    def cut_power(self, host: str) -> None:
        """End a host at once, as it is."""
        self.switch.disconnect(host)
        self.hosts[host].cut_power()

    def bring_back(self, host: str) -> None:
        """Boot a host again; its controller starts again once the host has its address."""
        booted = self.hosts[host]
        booted.boot()
        clock.set_right(booted)
        self.switch.connect(host, str(booted.leader), HOSTS[host])
        booted.run("systemctl", "restart", "wxcontroller.socket")
        booted.run("systemctl", "restart", "wxcontroller.service")

    def send_bundle(self, account: str, host: str, standby: str) -> None:
        """Have a standby host keep the account of a host as it is now."""
        source, place = self.hosts[host], "/var/lib/wxcontroller-standby"
        file = self.hosts[standby].path(f"{place}/kept.json")

        def bundle() -> Json:
            return json.loads(file.read_text())["bundles"].get(account) if file.exists() else None

        def is_sent() -> bool:
            # Otherwise it waits its turn, and the next one waits for the pause after this one.
            source.run("systemctl", "stop", "wxcontroller-standby.service")
            source.run("rm", "-f", f"{place}/sent.json")
            source.run("systemctl", "start", "wxcontroller-standby.service", check=False)
            return bundle() not in (None, before)

        before = bundle()
        source.run("wxctl", "set", account, f"standby={standby}")
        try:
            until(is_sent, "a bundle", PATIENCE)  # the hosts may not have found each other again
        except AssertionError:
            raise AssertionError(source.text("wxctl", "fleet", check=False)) from None

    def forget_takeovers(self) -> None:
        """Let accounts be taken over again at once."""
        self.etcd.control("del", "--prefix", "/wxcontroller/main/takeovers/")

    def start(self, name: str, host: str) -> None:
        """Log an account in on a host, with its webhook at WeChat's address."""
        self.uins[name] = uin = self.phone.account(name)
        self.friends[name] = self.phone.friend(uin)
        options = {"post_api": f"http://{WECHAT}:{PORT}/hook", "driver": "ilink" if name == ILINK else "web"}
        patience = {"webhook_retry_first": "0.5", "webhook_retry_longest": "2", "webhook_timeout": "2"}
        log_in(self.caller(host), self.phone, name, uin, **options, **patience)

    def write(self, name: str) -> str:
        """Let WeChat have a message for an account; return its id."""
        if name == ILINK:
            to = {"to": "clawbot", "text": "message"}
            return str(self.phone.call("POST", f"/accounts/{self.uins[name]}/phone-send", to)["msg_id"])
        return self.phone.write(self.uins[name], self.friends[name], "message")

    def rows(self, host: str) -> list[Json]:
        """Return the accounts that a host itself has, as its controller shows them."""
        status, answer = self.caller(host).v1("GET", "/accounts")
        assert status == 200, answer
        return [row for row in answer["accounts"] if row["host"] == host]

    def observe(self) -> None:
        """Note the epoch in each record that a host has now."""
        for host, booted in self.hosts.items():
            for name, records in self.records.items():
                with contextlib.suppress(OSError, ValueError):  # the host is down, or about to boot
                    file = booted.path(f"/var/lib/wxcontroller/clients/{name}.env")
                    records.note(epoch_in(parse(file.read_text())), host)


@contextlib.contextmanager
def world(debs: list[Path], place: Path, scale: float) -> Iterator[World]:
    """Boot everything, let the hosts list each other, and log an account in on each."""
    network.sweep()
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(network.switch())
        wechat = stack.enter_context(WeChat.up(switch, place))
        etcd = stack.enter_context(members(switch, place))
        booting = {name: Host.up(f"wx-{name}-{os.getpid()}", packages=debs) for name in HOSTS}
        with ThreadPoolExecutor() as several:
            booted = {name: several.submit(stack.enter_context, host) for name, host in booting.items()}
        hosts = {name: host.result() for name, host in booted.items()}
        for name, host in hosts.items():
            switch.connect(name, str(host.leader), HOSTS[name])
            settings = (
                f'[client]\nserver = "http://{WECHAT}:{PORT}"\nsend_interval = 0\n[fleet]\negress = "line-1"\n'
                f"[fleet.etcd]\nendpoints = {json.dumps(etcd.endpoints)}\ntakeover_after = {TAKEOVER_SECONDS}\n"
            )
            host.write("/etc/wxcontroller/wxcontroller.toml.d/etcd.toml", settings.encode())
            clock.set_right(host)
            times = f"Environment=WXCLIENT_FLEET_SECONDS={8 / scale}\nTimeoutStopSec={5_000 / scale:.0f}ms\n"
            for unit, lines in (
                ("wxclient@", times),
                ("wxcontroller", f"IPAddressAllow={' '.join(MEMBERS.values())}\n"),
                ("wxcontroller-keeper", f"WatchdogSec={15_000 / scale:.0f}ms\n"),
            ):
                drop_in = f"/etc/systemd/system/{unit}.service.d/40-world.conf"
                host.write(drop_in, (clock.DROP_IN + lines).encode())
        tokens = acquaint(hosts, HOSTS, place)
        keep = "systemctl enable --now wxcontroller-keeper.service && systemctl daemon-reload"
        with ThreadPoolExecutor() as several:
            list(several.map(lambda host: host.run("sh", "-c", keep), hosts.values()))
        everything = World(switch, wechat, hosts, tokens, {name: Records() for name in ACCOUNTS}, etcd, scale)
        stack.enter_context(repeated(everything.observe, 0.05))
        with ThreadPoolExecutor() as several:
            list(several.map(everything.start, ACCOUNTS, ACCOUNTS.values()))
        for host in hosts.values():
            host.run("sh", "-c", clock.IN_USE)
        yield everything


@contextlib.contextmanager
def members(switch: Switch, place: Path) -> Iterator[EtcdServers]:
    """Run an etcd of three members, each in a namespace, for a block."""
    etcd = EtcdServers(place, 0)
    with contextlib.ExitStack() as stack:
        for name, address in MEMBERS.items():
            namespace = stack.enter_context(network.namespace(name))
            switch.connect(name, namespace, address)
            (place / name).mkdir()
            etcd.members.append(Member(name, place / name, 2379, 2380, address, within(namespace)))
        yield stack.enter_context(etcd.running())


@contextlib.contextmanager
def repeated(action: Callable[[], None], pause: float) -> Iterator[None]:
    """Repeat an action in a thread during a block."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(pause):
            action()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def within(namespace: str, *command: str) -> list[str]:
    """Return a command that runs in a namespace, and ends with this process."""
    return ["ip", "netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL", *command]
