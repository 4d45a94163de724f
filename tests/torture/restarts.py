"""Callers that go on while the controller restarts, and note the requests that fail."""

import json
import random
import threading
import time
from dataclasses import dataclass, field

from tests.system.host import Host


@dataclass
class Knocking:
    """Callers that together make ``rate`` requests a second, on connections that are kept and on new ones."""

    host: Host
    rate: float
    callers: int
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

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
        while not self._done.is_set():
            path = chance.choice(["/openwx/check_client", "/openwx/get_client_info?client=alice", "/v1/health"])
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or json.loads(body).get("code", 0) != 0:
                    self.failed.append(f"{path}: {answer.status} {body[:200]!r}")
                if answer.will_close or chance.random() < 0.3:
                    connection.close()
            except Exception as trouble:
                self.failed.append(f"{path}: {trouble!r}")
                connection.close()
            self.asked += 1
            due += pause
            time.sleep(max(0.0, due - time.monotonic()))
