"""DNS servers that do not answer: what does not need them goes on."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.unit.client.conftest import POST_API, Start, Webhook
from tests.unit.client.scripted import message
from wxcontroller.core.jsontypes import obj


@pytest.fixture
def dead_dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As with servers that never answer: a lookup of a name under .example blocks its thread."""
    original, over = socket.getaddrinfo, threading.Event()

    def hang(host: str, *rest: object, **more: object) -> object:
        if str(host).endswith(".example"):
            over.wait(3600)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return original(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield
    over.set()


async def test_sends_whose_media_cannot_be_found_stall_nothing(
    start: Start, webhook: Webhook, dead_dns: None
) -> None:
    client = start(**{POST_API: webhook.address})
    await client.login()
    for number in range(60):
        address = f"http://host{number}.example/a.png"
        answer = obj(await client.get("send_friend_message", id="@ann", media_path=address, **{"async": "1"}))
        assert answer["code"] == 0
    client.driver.play([message(f"m{number}") for number in range(30)])
    received = await webhook.messages(30)
    assert [one["content"] for one in received] == [f"m{number}" for number in range(30)]
    assert obj(await client.get("send_friend_message", id="@ben", content="text"))["code"] == 0
    answer = obj(await client.post("send_friend_message", id="@ben", media_data="GIF89a..."))
    assert answer["code"] == 0, "content that is here needs no DNS"
    async with client.http.get(f"http://127.0.0.1:{client.port}/v1/events?limit=1") as events:
        assert events.status == 200
        assert json.loads(await events.read())["events"]
    begun = time.monotonic()
    await client.stop()
    assert time.monotonic() - begun < 10  # a lookup takes 12
