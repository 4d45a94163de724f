"""Callers that go on while the controller restarts, and note the requests that fail."""

import json
import threading
import time
from dataclasses import dataclass, field

from tests.system.host import Host


@dataclass
class Knocking:
    """Callers that together make ``rate`` requests a second, each on a connection that it keeps as long as it can."""

    host: Host
    rate: float
    callers: int
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Knocking":
        self._threads = [threading.Thread(target=self._knock) for _ in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _knock(self) -> None:
        connection = self.host.connection()
        while not self._done.is_set():
            path = ("/openwx/check_client", "/openwx/get_client_info?client=alice", "/v1/health")[self.asked % 3]
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or json.loads(body).get("code", 0) != 0:
                    self.failed.append(f"{path}: {answer.status} {body[:200]!r}")
                if answer.will_close or self.asked % 4 == 0:
                    connection.close()
            except Exception as trouble:
                self.failed.append(f"{path}: {trouble!r}")
                connection.close()
            self.asked += 1
            time.sleep(self.callers / self.rate)
