"""Content that waits to be sent is on disk: what an account needs in memory does not grow with its queue."""

import asyncio
import gc
import tracemalloc
from pathlib import Path

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, RunningClient, Start
from tests.unit.client.listener import Listener
from wxcontroller.core.jsontypes import obj

SIZE, NUMBER = 3_000_000, 12
# Waits for its turn for longer than any test.
SLOW = {"MOJO_WEIXIN_SEND_INTERVAL": "600"}


def held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def unfinished(directory: Path) -> list[Path]:
    return list(directory.glob(".*")) if directory.exists() else []


def form(content: bytes, **fields: str) -> tuple[bytes, str]:
    """A multipart body and its type."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{fields[key]}\r\n' for key in fields]
    head = "".join(parts) + '--b\r\nContent-Disposition: form-data; name="media_data"; filename="x"\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


async def test_contents_that_wait_are_not_in_memory(start: Start, listener: Listener, traced: None) -> None:
    client = start(**{POST_API: listener.address}, **SLOW)
    await client.login()
    assert obj(await client.get("send_friend_message", id="@ben", content="first"))["code"] == 0
    body, kind = form(b"%PDF" + bytes(SIZE), id="@ann", media_name="a.pdf")

    async def send() -> bytes:
        url = client.address("send_friend_message")
        async with client.http.post(url, data=body, headers={"Content-Type": kind}) as answer:
            return await answer.read()

    before = held()
    asked = [asyncio.create_task(send()) for _ in range(NUMBER)]
    await client.until_queued(NUMBER)
    async with asyncio.timeout(PATIENCE):
        while held() - before > SIZE:  # while they are looked at, one by one
            await asyncio.sleep(0.05)
    assert len(unfinished(client.paths.media("alice"))) == NUMBER
    await client.stop()
    await asyncio.gather(*asked, return_exceptions=True)
    assert len(unfinished(client.paths.media("alice"))) == NUMBER  # for the next start
    again = start(**{POST_API: listener.address})
    await again.login()
    await until(lambda: not unfinished(client.paths.media("alice")))
    assert [len(content) for _, content in again.driver.uploads] == [SIZE + 4] * NUMBER


async def test_content_that_nobody_wants_leaves_nothing(client: RunningClient) -> None:
    body, kind = form(bytes(SIZE), id="@nobody")
    for call in ("send_friend_message", "get_client_info", "search_friend", "no_such_call"):
        for sent in (body, body[:-9]):
            async with client.http.post(client.address(call), data=sent, headers={"Content-Type": kind}) as answer:
                await answer.read()
        assert unfinished(client.paths.media("alice")) == [], call


async def test_content_that_comes_is_sent_and_reported_whole(start: Start, listener: Listener) -> None:
    """Small and large, and as large as a request may be and a byte more."""
    client = start(**{POST_API: listener.address}, MOJO_WEIXIN_MEDIA_SIZE_MAX=str(1 << 27))
    await client.login()
    url = client.address("send_friend_message")
    for size in (1, 100_000, 3_000_000):
        content = bytes(range(256)) * (size // 256 + 1)
        body, kind = form(content, id="@ann", media_name="a.bin")
        async with client.http.post(url, data=body, headers={"Content-Type": kind}) as answer:
            assert obj(await answer.json())["code"] == 0
        assert client.driver.uploads[-1][1] == content
    head = len(form(b"", id="@ann")[0])
    body, kind = form(bytes((1 << 26) - head), id="@ann")
    async with client.http.post(url, data=body, headers={"Content-Type": kind}) as answer:
        assert obj(await answer.json())["code"] == 0
    assert client.driver.uploads[-1][0].size == (1 << 26) - head
    async with client.http.post(url, data=body + b"x", headers={"Content-Type": kind}) as answer:
        assert answer.status == 413


async def test_a_disk_that_can_not_take_a_request_is_told(client: RunningClient, tmp_path: Path) -> None:
    client.paths.media("alice").write_text("not a directory")
    body, kind = form(bytes(SIZE), id="@ann")
    url = client.address("send_friend_message")
    async with client.http.post(url, data=body, headers={"Content-Type": kind}) as answer:
        assert answer.status == 507
        assert "can't be kept" in str(obj(await answer.json())["status"])
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 0
