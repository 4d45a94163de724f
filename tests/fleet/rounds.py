"""Rounds: accounts receive, send and move while something fails; then it is repaired, and the judge looks.

A round begins with each account running on one host. One of them moves, in most rounds, and at a random moment one
fault begins, for a time around the length of a lease. When it is over, accounts end on one host (or on none, with a
sentence that says what to do; the harness then does it), and all messages and sends end.
"""

import contextlib
import itertools
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.fleet.faults import FAULTS, ISOLATING, Action, Fault, Scene
from tests.fleet.judge import Finding
from tests.fleet.takeovers import TAKEOVERS, taker
from tests.fleet.world import ACCOUNTS, HOSTS, ILINK, LEASE, World
from tests.system.actors import Json

ALL_FAULTS: Mapping[str, Fault] = {**FAULTS, **TAKEOVERS}
_SETTLE_SECONDS = 90.0  # until accounts, messages and sends have ended, besides two leases


@dataclass
class Rounds:
    """Runs rounds in a world. A fault lasts for at most ``longest`` lives of a lease."""

    world: World
    seed: int
    longest: float = 1.6
    number: int = 0
    findings: list[Finding] = field(default_factory=list)
    _traffic: threading.Event = field(default_factory=threading.Event)
    _sends: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.judge = self.world.judge()
        self._at_wechat: dict[str, list[Json]] = {name: [] for name in ACCOUNTS}
        self._read = 0

    def run(self, rounds: int, faults: Sequence[str] = ()) -> list[Finding]:
        """Run rounds, each fault before any comes again; return their findings."""
        chance, before = random.Random(self.seed), len(self.findings)
        faults = faults or list(ALL_FAULTS)
        turn: list[str] = []
        with self._traffic_threads():
            for _ in range(rounds):
                turn = turn or chance.sample(faults, len(faults))
                self.number += 1
                began, fault = time.monotonic(), turn.pop()
                action, findings = self._round(fault, random.Random(chance.random()))
                seconds, words = time.monotonic() - began, "; ".join(map(str, findings)) or "ok"
                print(f"{self.number:4} {fault:24} {action or '-':14} {seconds:5.1f} s  {words}", flush=True)
                if findings:
                    self._save_journals()
                self.findings += findings
        return self.findings[before:]

    def _round(self, fault: str, chance: random.Random) -> tuple[str, list[Finding]]:
        """Return what became of the move, adoption or takeover, and the findings."""
        homes = {name: self.homes(name) for name in ACCOUNTS}
        account = chance.choice([name for name, places in homes.items() if len(places) == 1])
        [host] = homes[account]
        other, third = chance.sample(sorted(HOSTS.keys() - {host}), 2)
        [kind] = chance.choices(("move", "claim", ""), (6, 4 if fault in ISOLATING else 0, 2))
        scene, action = Scene(self.world, chance, account, host, other), None
        takeover, taken = TAKEOVERS.get(fault), ""
        kills_mover = fault == "mover_killed"
        if takeover is not None:
            takeover.prepare(scene)
        elif kills_mover or kind == "move":
            target = other if kills_mover or chance.random() < 0.9 else third
            action = Action(self.world.hosts[host], "wxctl", "move", account, target)
            if not kills_mover and chance.random() < 0.4:  # to the end that receives it
                scene = replace(scene, host=other, other=host)
        elif kind == "claim":
            self.world.send_bundle(account, host, other)
            action = Action(self.world.hosts[other], "wxctl", "claim", account, "--yes")
        self._traffic.set()
        if action:
            action.start()
        time.sleep(chance.uniform(0, 1.5))
        with ALL_FAULTS[fault](scene):
            if takeover is not None:
                taken = taker(scene)
            else:
                time.sleep(chance.uniform(0.2, self.longest) * LEASE / self.world.scale)
            if action and action.verb == "claim" and fault != "hosts_cut":
                # It takes as long as the lease lives, and some seconds. With "hosts_cut" the lease goes on.
                action.join(3 * LEASE / self.world.scale + 20)
        self._traffic.clear()
        advice, waiting = self._settle(action, chance)
        self.look()
        delivered = {name: [str(each["text"]) for each in sent] for name, sent in self._at_wechat.items()}
        findings = self.judge.findings(delivered)
        findings += [Finding("ends", name, self._state(name)) for name in waiting]
        findings += [Finding("silent", name, "is down and says nothing") for name, words in advice if not words]
        done = f"{action.verb} {action.outcome}" if action else ""
        if takeover is not None:
            done = f"taken over {'ok' if taken else 'no'}"
            findings += [Finding("held", account, self._state(account))] * (takeover.is_certain and not taken)
            for home in self.homes(account):
                self.world.hosts[home].run("wxctl", "set", account, "takeover=hold", check=False)
        if action and "exit" in done:
            print(f"     {action.words}")
        return done, findings

    def _save_journals(self) -> None:
        """Keep what the hosts have written until now."""
        place = Path("build/fleet")
        place.mkdir(parents=True, exist_ok=True)
        for name, host in self.world.hosts.items():
            (place / f"{self.seed}-{self.number}-{name}.log").write_text(host.journal(lines=5000))
        shutil.copy(self.world.wechat.journal, place / f"{self.seed}-{self.number}-wechat.json")

    def _state(self, account: str) -> str:
        """Return where the account is, for people."""
        rows = [f"{row['host']}: {row['condition']}, epoch {row['epoch']}" for row in self._rows()[account]]
        return f"registered on {', '.join(self.homes(account)) or 'no host'}; {'; '.join(rows)}"

    def homes(self, account: str) -> list[str]:
        """Return the hosts that have the account in their register, running or not."""
        return [
            name
            for name, host in self.world.hosts.items()
            if host.path(f"/var/lib/wxcontroller/clients/{account}.env").exists()
        ]

    def _waiting(self) -> dict[str, list[Json]]:
        """Return the rows of the accounts that do not run on one host, or are on another one, too."""
        return {
            account: rows
            for account, rows in self._rows().items()
            if not len(rows) == 1 == len(self.homes(account)) or rows[0]["condition"] != "running"
        }

    def _rows(self) -> dict[str, list[Json]]:
        """Return the rows of each account at the hosts that have it."""
        found: dict[str, list[Json]] = {name: [] for name in ACCOUNTS}
        for host in HOSTS:
            with contextlib.suppress(OSError, AssertionError):
                for row in self.world.rows(host):
                    found[row["name"]].append(row)
        return found

    def _settle(self, action: Action | None, chance: random.Random) -> tuple[list[tuple[str, str]], Iterable[str]]:
        """Wait until all accounts run; return those that needed help with their sentence, and those that do not run.

        A keeper that is starved may stop an account once more, which then starts again: that all ran once is enough.
        """
        if action:
            action.end()
        advice: list[tuple[str, str]] = []
        began, longest = time.monotonic(), _SETTLE_SECONDS + 2 * LEASE / self.world.scale
        while (waited := time.monotonic() - began) < longest:
            self.look()
            waiting = self._waiting()
            missing = any(self.judge.missing(name) for name in ACCOUNTS)
            if not waiting and not missing:
                return advice, ()
            for name, rows in waiting.items():
                gives_up = waited > longest / 3
                advice += [(name, words) for words in self._help(name, rows, chance, gives_up)]
            time.sleep(0.2)
        return advice, self._waiting()

    def _help(self, account: str, rows: list[Json], chance: random.Random, gives_up: bool) -> list[str]:
        """Do what a stopped account's sentence says. Returns the sentence; none while it is on its way."""
        for row in sorted(rows, key=lambda row: int(row["epoch"])):
            leaving, host = row["leaving"], self.world.hosts[row["host"]]
            sentence = [str(row["issues"][0]["remedy"]) if row["issues"] else ""]
            if not any(sentence) and not gives_up:
                continue  # it has just come up, and looks for the other hosts
            if leaving:
                undo = ("wxctl", "move", account, "--undo")
                if chance.random() < 0.5 or host.run(*undo, check=False).returncode:
                    host.run("wxctl", "move", account, leaving["to"], check=False)
                return sentence
            if len(rows) > 1 and row["unit_state"] != "active":
                # The copy that an adoption has left there. It is stopped once it has delivered what it has.
                if row["desired"] != "stopped" and not gives_up:
                    return []
                host.run("wxctl", "remove", account, "--yes", check=False)
                return sentence
            if row["desired"] == "stopped" or row["unit_state"] == "failed":
                host.run("wxctl", "start", account, check=False)
                return sentence
        return []

    def look(self) -> None:
        """Read what is new in the journal and at WeChat."""
        with self.world.wechat.journal.open("rb") as journal:
            journal.seek(self._read)
            lines = [line for line in journal if line.endswith(b"\n")]
        self._read += sum(map(len, lines))
        self.judge.read(lines)
        for name, uin in self.world.uins.items():
            known = self._at_wechat[name]
            known += self.world.phone.sent(uin, after=len(known), seconds=0)

    @contextlib.contextmanager
    def _traffic_threads(self) -> Iterator[None]:
        """Let WeChat have messages for the accounts, and a caller at each host send some, during a block."""
        over = threading.Event()

        def run(pause: float, action: Callable[[random.Random], None], chance: random.Random) -> None:
            while not over.is_set():
                if self._traffic.wait(0.1):
                    # A host that is frozen or has been cut off from the account's does not answer, or with a failure.
                    with contextlib.suppress(OSError, AssertionError, ValueError):
                        action(chance)
                    over.wait(chance.expovariate(1 / pause))

        def receive(chance: random.Random) -> None:
            name = chance.choice(list(ACCOUNTS))
            message = self.world.write(name)
            if name != ILINK:  # there the journal tells what a host has
                self.judge.sent[name].add(message)

        def send_at(host: str) -> Callable[[random.Random], None]:
            def send(chance: random.Random) -> None:
                name, text = chance.choice(sorted(ACCOUNTS.keys() - {ILINK})), f"send-{next(self._sends)}"
                to = {"client": name, "id": "filehelper", "content": text, "async": "1"}
                self.judge.accepted[name].add(text)
                is_accepted = False
                try:
                    is_accepted = self.world.caller(host).openwx("send_friend_message", **to)["code"] == 0
                finally:
                    if not is_accepted:
                        self.judge.accepted[name].discard(text)

            return send

        actions = [(0.15, receive), *((0.6, send_at(host)) for host in HOSTS)]
        threads = [
            threading.Thread(target=run, args=(*each, random.Random(self.seed + number)))
            for number, each in enumerate(actions)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()
