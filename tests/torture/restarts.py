"""The controller restarts, again and again, while callers go on calling: how many of them notice?"""

import argparse
import json
import random
import sys
import threading
import time
from dataclasses import dataclass, field

from tests.system.actors import Caller, use_sandbox
from tests.system.host import Host
from tests.torture.play import debs

ACCOUNT = "alice"


@dataclass
class Knocking:
    """Callers that together make ``rate`` requests a second, on connections that are kept and on new ones."""

    host: Host
    rate: float
    callers: int = 64  # enough that those who wait for a restart leave others to ask
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)
    _book: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Knocking":
        self._threads = [threading.Thread(target=self._knock, args=(number,)) for number in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _knock(self, number: int) -> None:
        chance, pause = random.Random(number), self.callers / self.rate
        connection, due = self.host.connection(), time.monotonic()
        paths = ["/openwx/check_client", f"/openwx/get_client_info?client={ACCOUNT}", "/v1/health"]
        while not self._done.is_set():
            path = chance.choice(paths)
            problem = ""
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or json.loads(body).get("code", 0) != 0:
                    problem = f"{path}: {answer.status} {body[:200]!r}"
                if answer.will_close or chance.random() < 0.3:
                    connection.close()
            except Exception as trouble:
                problem = f"{path}: {trouble!r}"
                connection.close()
            with self._book:
                self.asked += 1
                if problem:
                    self.failed.append(problem)
            due += pause
            time.sleep(max(0.0, due - time.monotonic()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.torture.restarts", description=__doc__)
    parser.add_argument("--restarts", type=int, default=200)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    given = parser.parse_args()
    with Host.up("wx-restarts", packages=debs()) as host:
        use_sandbox(host)
        Caller(host).openwx("start_client", client=ACCOUNT)
        begun = time.monotonic()
        with Knocking(host, given.rate) as knocking:
            for number in range(given.restarts):
                host.run("systemctl", "restart", "wxcontroller.service")
                if (number + 1) % 20 == 0:
                    print(
                        f"{number + 1} restarts, {knocking.asked} requests, {len(knocking.failed)} failed", flush=True
                    )
        seconds = time.monotonic() - begun
    print(
        f"{given.restarts} restarts in {seconds:.0f} s under {knocking.asked / seconds:.0f} requests a second: "
        f"{len(knocking.failed)} of {knocking.asked} failed"
    )
    for problem in knocking.failed[:20]:
        print(f"  {problem}")
    return 1 if knocking.failed else 0


if __name__ == "__main__":
    sys.exit(main())
