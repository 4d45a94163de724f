"""CPU of answers about all accounts: check_client, beside the original's controller, and GET /v1/accounts.

python3 -m bench.answers [--accounts 1,10,100,300,1000] [--original DIRECTORY:DIRECTORY] [--rounds N] [--short]

--original has the modules of Mojo-Weixin and of Mojolicious (PERL5LIB). Accounts are files; both programs read the
same ones. Each figure is for files that stay as they are, and for one that is replaced before every twelfth call.
"""

import argparse
import contextlib
import http.client
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cpu import Counter
from bench.proxy import CHECKOUT, CORES, controller, free_port, running
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.rendering import render_account
from wxcontroller.core.states import Desired

EVERY = 12
# As its documentation starts it. The list form asks for a setting that its class lacks.
_ORIGINAL = """
use Mojo::Weixin::Controller;
*Mojo::Weixin::Controller::json_codec_mode = sub { 0 };
my ($directory, $port, $pid, @files) = @ARGV;
my %accounts;
for my $file (@files) { $accounts{$file} = {client => $file, pid => $pid, port => 3000, _state_path => $file} }
Mojo::Weixin::Controller->new(
    listen => [{host => "127.0.0.1", port => $port}], tmpdir => $directory, backend => \\%accounts,
    log_level => "fatal",
)->run;
"""


@dataclass(frozen=True)
class Program:
    name: str
    port: int
    counter: Counter
    calls: tuple[str, ...]


class Accounts:
    """Files of accounts that run, in a root directory with a controller's settings."""

    def __init__(self, root: Path, number: int) -> None:
        self.root, self.paths, self.port = root, Paths(root), free_port()
        self.names = [f"account{n:04}" for n in range(number)]
        self._next = 0
        paths = self.paths
        paths.template.parent.mkdir(parents=True)
        shutil.copy(CHECKOUT / "etc/client.env.j2", paths.template)
        paths.settings_file.write_text(
            f'template_path = "{paths.template}"\nlisten = [{{ host = "127.0.0.1", port = {self.port} }}]\n'
            f"max_clients = {number + 1}\n"
        )
        paths.accounts.mkdir(parents=True)
        for index, name in enumerate(self.names):
            record = Account(parse_name(name), 3000 + index, desired=Desired.STARTED)
            paths.account_file(name).write_text(render_account(record, paths, paths.template))
            paths.runtime(name).mkdir(parents=True)
            self._write(name)
        listed = [{"unit": f"wxclient@{name}.service", "active": "active", "sub": "running"} for name in self.names]
        (root / "units.json").write_text(json.dumps(listed))
        systemctl = root / "bin/systemctl"
        systemctl.parent.mkdir()
        systemctl.write_text(f'#!/bin/sh\ncase "$*" in *list-units*) cat {root}/units.json;; esac\n')
        systemctl.chmod(0o755)

    def change(self) -> None:
        """Replace the state of one account."""
        self._write(self.names[self._next % len(self.names)])
        self._next += 1

    def _write(self, name: str) -> None:
        now, running_for_hours = time.clock_gettime(time.CLOCK_BOOTTIME), 1e4
        kept = ("tmpdir", "media_dir", "cookie_path", "qrcode_path", "pid_path", "state_path")
        state = {
            **{"account": name, "state": "running", "login_state": "running", "status": "running", "driver": "web"},
            **{"state_since": 1_700_000_000, "start_time": 1_600_000_000, "pid": os.getpid(), "qrcode_link": None},
            **{"user": {"id": f"@{name}", "name": name}, "last_sync_time": 1},
            "last_sync_uptime": now + running_for_hours,
            **{key: f"/run/wxclient/{name}/{key}" for key in kept},
            **{f"option_{number}": "some value" for number in range(20)},
        }
        new = self.root / "new"
        new.write_text(json.dumps(state))
        new.rename(self.paths.state_file(name))


@contextlib.contextmanager
def programs(accounts: Accounts, original: str) -> Iterator[list[Program]]:
    with contextlib.ExitStack() as stack:
        counter = stack.enter_context(controller(CHECKOUT, accounts.root, accounts.port))
        found = [Program("product", accounts.port, counter, ("/openwx/check_client", "/v1/accounts"))]
        if original:
            port, place = free_port(), accounts.root / "original"
            place.mkdir()
            files = [str(accounts.paths.state_file(name)) for name in accounts.names]
            command = ("perl", "-e", _ORIGINAL, str(place), str(port), str(os.getpid()), *files)
            environment, log = {**os.environ, "PERL5LIB": original}, stack.enter_context((place / "log").open("w"))
            counter = stack.enter_context(
                running(*command, core=1, port=port, env=environment, stdout=log, stderr=log)
            )
            found.append(Program("original", port, counter, ("/openwx/check_client",)))
        yield found


def milliseconds(program: Program, path: str, accounts: Accounts, every: int, seconds: float) -> float:
    """Return the CPU of a call, one after the other; before each ``every``-th an account changes, with 0 none."""
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=60)
    calls, before, end = 0, program.counter.seconds(), time.perf_counter() + seconds
    while time.perf_counter() < end or not calls:
        if every and calls % every == 0:
            accounts.change()
        connection.request("GET", path)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        listed = content["client"] if "client" in content else content["accounts"]
        assert answer.status == 200 and len(listed) == len(accounts.names), (program.name, path, content)
        calls += 1
    connection.close()
    return (program.counter.seconds() - before) / calls * 1000


def measure(number: int, original: str, rounds: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="wxbench-") as directory:
        accounts = Accounts(Path(directory) / "root", number)
        with programs(accounts, original) as found:
            for every in (0, EVERY):
                taken: dict[tuple[str, str], list[float]] = {}
                for turn in range(rounds + 1):
                    for program in found:
                        for path in program.calls:
                            took = milliseconds(program, path, accounts, every, seconds)
                            if turn:  # at first a program still reads what there is
                                taken.setdefault((path, program.name), []).append(took)
                for (path, name), times in taken.items():
                    ours, what = taken[path, "product"], "changing" if every else "unchanged"
                    ratio = statistics.median(a / b for a, b in zip(times, ours, strict=True))
                    spread = f"{statistics.median(times):.3f} ({min(times):.3f}-{max(times):.3f})"
                    print(f"{number:5} accounts, {what:9} {path:20} {name:9} {spread} ms, {ratio:.2f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", default="1,10,100,300,1000", help="how many, separated by commas")
    parser.add_argument("--original", default=os.environ.get("MOJO_WEIXIN_LIB", ""), metavar="DIRECTORIES")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--short", action="store_true", help="one quick round with three accounts")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, CORES[:1])
    for number in [3] if arguments.short else map(int, arguments.accounts.split(",")):
        measure(
            number, arguments.original, *((1, 0.05) if arguments.short else (arguments.rounds, arguments.seconds))
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
