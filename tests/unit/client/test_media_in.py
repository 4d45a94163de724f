"""Received media: fetched concurrently, reported in order, and deleted by age and size."""

import asyncio
import base64
import errno
import os
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.patience import until
from tests.unit.client.conftest import POST_API, Start, Webhook
from tests.unit.client.scripted import logged_in, message
from wxcontroller.client.incoming import mediafetcher, resuming
from wxcontroller.client.incoming.mediafetcher import MediaSwept, sweep
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Message, MessageKind, MessageMedia
from wxcontroller.drivers.base import MessageArrived
from wxcontroller.openwx.contract import reports

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def media(key: str, kind: MessageKind = MessageKind.IMAGE, name: str = "", **changes: object) -> MessageArrived:
    return message("[图片]", kind=kind, media=MessageMedia(kind, key, name), **changes)


async def test_slow_download_does_not_reorder_reports(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    client.driver.contents.update(slow=PNG, fast=PNG)
    gate = client.driver.gates["slow"] = asyncio.Event()
    client.driver.play([*logged_in(), media("slow", id="1"), media("fast", id="2"), message("after", id="3")])
    await client.until_state("running")
    # The loop is not held up: a send goes out while the download waits.
    await client.get("send_friend_message", id="@ann", content="x")
    assert not [r for r in webhook.reports if r["post_type"] != "event"]
    gate.set()
    got = await webhook.messages(4)
    assert [r["id"] for r in got] == ["1", "2", "3", "771000:@ann"]


async def test_a_download_that_fails_is_reported_with_the_reason(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, "WXCLIENT_MEDIA_FETCH_MAX": "100"})
    client.driver.contents.update(bad=WeChatError("the content has expired"), big=bytes(101), odd=RuntimeError("?"))
    client.driver.play([*logged_in(), media("bad"), media("big"), media("odd"), message("after")])
    bad, big, odd, after = await webhook.messages(4)
    assert (bad["media_error"], bad["media_path"], bad["media_data"]) == ("the content has expired", "", "")
    assert (bad["content"], bad["media_type"]) == ("[图片]", "image")
    assert "100 bytes" in str(big["media_error"])
    assert odd["media_error"]
    assert after["content"] == "after"
    assert list(client.paths.media("alice").iterdir()) == []


async def test_media_wait_for_a_full_disk(start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediafetcher, "_FULL_PAUSE", 0.05)
    real, full = mediafetcher.private, [True]
    tries = 0

    def private(path: Path) -> BinaryIO:
        nonlocal tries
        tries += 1
        if full:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path)

    monkeypatch.setattr(mediafetcher, "private", private)
    client = start(**{POST_API: webhook.address})
    client.driver.contents["55"] = PNG
    client.driver.play([*logged_in(), media("55", id="9"), message("after", id="10")])
    await until(lambda: tries > 3)
    assert not [report for report in webhook.reports if report["post_type"] != "event"]
    full.clear()
    first, second = await webhook.messages(2)
    assert (first["id"], first["media_size"], second["content"]) == ("9", len(PNG), "after")


async def test_media_that_do_not_fit_do_not_stop_messages_for_good(
    start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts can be stored, a large file cannot."""
    monkeypatch.setattr(mediafetcher, "_FULL_PAUSE", 0.01)
    monkeypatch.setattr(mediafetcher, "_FULL_TRIES", 3)

    def private(path: Path) -> BinaryIO:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(mediafetcher, "private", private)
    client = start(**{POST_API: webhook.address})
    client.driver.play([*logged_in(), media("55", id="9"), message("after", id="10")])
    first, second = await webhook.messages(2)
    assert "No space left" in str(first["media_error"])
    assert second["content"] == "after"


async def test_stop_during_a_media_download_loses_no_message(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    client.driver.contents["55"] = PNG
    client.driver.gates["55"] = asyncio.Event()
    client.driver.play([*logged_in(), media("55", id="9")])
    await client.until_state("running")
    client.driver.play([message("after", id="10")])
    await client.stop()
    assert not [report for report in webhook.reports if report["post_type"] != "event"]
    again = start(**{POST_API: webhook.address})
    again.driver.contents["55"] = PNG
    await again.login()
    first, second = await webhook.messages(2)
    assert (first["id"], first["media_size"], second["content"]) == ("9", len(PNG), "after")
    assert base64.b64decode(str(first["media_data"])) == PNG


async def test_messages_are_reported_without_media_if_the_account_does_not_return(
    start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "MEDIA_RESUME_SECONDS", 0.2)
    client = start(**{POST_API: webhook.address})
    client.driver.gates["55"] = asyncio.Event()
    client.driver.play([*logged_in(), media("55", id="9")])
    await client.until_state("running")
    await client.stop()
    start(**{POST_API: webhook.address})  # and does not log in
    [got] = await webhook.messages()
    assert (got["id"], got["media_type"], got["media_path"]) == ("9", "image", "")
    assert "not back in time" in str(got["media_error"])


async def test_bug_in_one_report_does_not_affect_others(
    start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = reports.received

    def received(one: Message, *more: object) -> JsonObject:
        if one.text == "bad":
            raise RuntimeError
        return real(one, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(reports, "received", received)
    client = start(**{POST_API: webhook.address})
    client.driver.play([*logged_in(), message("bad"), message("good")])
    assert [r["content"] for r in await webhook.messages()] == ["good"]


def test_old_and_excess_files_are_deleted(tmp_path: Path) -> None:
    def file(name: str, age: float, size: int = 10) -> Path:
        path = tmp_path / name
        path.write_bytes(bytes(size))
        os.utime(path, (1e9 - age, 1e9 - age))
        return path

    old, new = file("mojo_weixin_media_1.jpg", 1000), file("mojo_weixin_media_2.jpg", 10)
    other, unfinished, running = file("notes.txt", 1e6), file(".in.1", 1e6), file(".in.2", 10)
    assert sweep(tmp_path, 500, 0, 1e9) == MediaSwept(files=1, bytes=10, removed=1)
    assert [path.exists() for path in (old, new, other, unfinished, running)] == [False, True, True, False, True]
    first, second = file("mojo_weixin_media_3.jpg", 5), file("mojo_weixin_media_4.jpg", 4)
    assert sweep(tmp_path, 0, 20, 1e9) == MediaSwept(files=2, bytes=20, removed=1)
    assert [path.exists() for path in (new, first, second)] == [False, True, True]
    assert sweep(tmp_path / "missing", 1, 1, 1e9) == MediaSwept()


def test_content_of_own_sends_is_deleted_only_when_it_is_not_needed(tmp_path: Path) -> None:
    names = ("to_send", "oldest", "older", "reported", "crashed")
    files = {name: tmp_path / f".send.{name}" for name in names}
    for path in files.values():
        path.write_bytes(bytes(10))
        time.sleep(0.02)  # the clock of files ticks
    to_send = frozenset({str(files["to_send"])})
    in_use = frozenset(str(files[name]) for name in ("to_send", "oldest", "older", "reported"))
    sweep(tmp_path, 0, 20, time.time(), 0.0, in_use, to_send)  # crashed: a send may be about to record it
    assert {name for name, path in files.items() if path.exists()} == {"to_send", "older", "reported", "crashed"}
    sweep(tmp_path, 0, 0, time.time() + 1000, 0.0, in_use, to_send)
    assert {name for name, path in files.items() if path.exists()} == {"to_send", "older", "reported"}
    sweep(tmp_path, 0, 0, time.time(), time.time() + 1)  # left over by an earlier process
    assert not any(path.exists() for path in files.values())
