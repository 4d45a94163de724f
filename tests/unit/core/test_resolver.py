"""Names are resolved in time, or not at all."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE
from wxcontroller.core.resolver import Resolver


@pytest.fixture
def dead_dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """DNS servers that never answer, until the event is set; what the hosts file knows is still resolved."""
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


async def test_unknown_name_is_distinguished_from_a_dead_server(dead_dns: threading.Event) -> None:
    with pytest.raises(socket.gaierror) as unknown:
        await Resolver().resolve("a..b")
    assert unknown.value.errno == socket.EAI_NONAME
    with pytest.raises(socket.gaierror) as dead:
        await Resolver(seconds=0.1).resolve("dead.example")
    assert dead.value.errno == socket.EAI_AGAIN


async def test_lookups_that_hang_use_up_their_own_turns_only(dead_dns: threading.Event) -> None:
    resolver = Resolver(threads=2, seconds=0.5)
    begun = time.monotonic()
    hanging = [resolver.resolve(f"{number}.example") for number in range(500)]
    results = await asyncio.gather(*hanging, resolver.resolve("localhost"), return_exceptions=True)
    assert all(isinstance(one, socket.gaierror) for one in results)
    assert time.monotonic() - begun < PATIENCE  # two at a time: 125
    assert len(lookups()) == 2
    assert await asyncio.to_thread(lambda: 1) == 1
    assert await Resolver().resolve("localhost")
    dead_dns.set()
    while lookups():
        await asyncio.sleep(0.01)
    assert await resolver.resolve("localhost")
