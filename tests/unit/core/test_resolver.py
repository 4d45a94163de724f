"""DNS lookups end in time."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE
from wxcontroller.core.net.resolver import Resolver


@pytest.fixture
def dead_dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """DNS servers that do not answer until the event is set; names in the hosts file are still resolved."""
    original, back = socket.getaddrinfo, threading.Event()

    def hang(host: str, *rest: object, **more: object) -> object:
        if host.endswith(".example"):
            back.wait(PATIENCE)
            return original("127.0.0.1", *rest, **more)  # type: ignore[arg-type]
        return original(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield back
    back.set()
    for thread in lookups():
        thread.join(PATIENCE)


def lookups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "resolver"]


async def test_hanging_lookups_do_not_delay_those_of_other_resolvers(dead_dns: threading.Event) -> None:
    resolver = Resolver(threads=2, seconds=0.5)
    begun = time.monotonic()
    hanging = [resolver.resolve(f"{number}.example") for number in range(500)]
    results = await asyncio.gather(*hanging, resolver.resolve("localhost"), return_exceptions=True)
    assert all(isinstance(result, socket.gaierror) for result in results)
    assert time.monotonic() - begun < PATIENCE  # two at a time would take 125 s
    assert len(lookups()) == 2
    assert await asyncio.to_thread(lambda: 1) == 1
    assert await Resolver().resolve("localhost")
    dead_dns.set()
    while lookups():
        await asyncio.sleep(0.01)
    assert await resolver.resolve("localhost")
