"""Content: fetched as the server has it, sent in pieces."""

import hashlib
import io
from pathlib import Path

import pytest

from tests.unit.drivers.kit import Drive, Wechat, friend
from wxcontroller.core.errors import UploadFailed, WeChatError
from wxcontroller.core.model import Message, MessageKind, MessageMedia
from wxcontroller.drivers.base import MessageArrived, SessionLost, Upload
from wxcontroller.drivers.web.media.uploads import LARGE
from wxcontroller.sandbox import compose, samples
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.contents import ContentItem, kind_of
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.session import ServerMessage as Delivered

MOST = 1 << 24


def hold(world: Wechat, kind: str, data: bytes, name: str = "") -> ContentItem:
    return ContentItem(kind, world.sandbox.contents.add(data), len(data), name, kind_of(data[:16]))


async def arrived(world: Wechat, drive: Drive, account: ServerAccount, delivered: Delivered) -> Message:
    world.put(account, delivered)
    return (await drive.until(MessageArrived)).message


def draft(world: Wechat, account: ServerAccount, chat: str = "", sender: str = "") -> compose.Draft:
    peer = chat or friend(account)
    return compose.Draft(world.sandbox.next_msg_id(), peer, sender or peer)


async def fetched(drive: Drive, message: Message, limit: int = MOST) -> tuple[bytes, str]:
    assert message.media is not None
    sink = io.BytesIO()
    got = await drive.driver.fetch(message.media, sink, limit)
    assert got.size == len(sink.getvalue())
    return sink.getvalue(), got.mime


async def test_expired_content_is_empty(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice) as drive:
        for kind in (MessageKind.IMAGE, MessageKind.VIDEO, MessageKind.VOICE):
            got = await drive.driver.fetch(MessageMedia(kind, "12345"), io.BytesIO(), MOST)
            assert got.size == 0
        with pytest.raises(WeChatError, match="key"):
            await drive.driver.fetch(MessageMedia(MessageKind.FILE, "12345"), io.BytesIO(), MOST)
        with pytest.raises(WeChatError, match="no content"):
            await drive.driver.fetch(MessageMedia(MessageKind.TEXT, "12345"), io.BytesIO(), MOST)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FaultKind.STATUS, 503),
        (FaultKind.RESET, None),
        (FaultKind.TRUNCATE, 40),
        (FaultKind.GARBAGE, '{"BaseResponse":{"Ret":1101}}'),
        (FaultKind.GARBAGE, "<html><body>sorry</body></html>"),
    ],
)
async def test_invalid_media_response_raises(
    world: Wechat, alice: ServerAccount, kind: FaultKind, value: str | int | None
) -> None:
    async with world.online(alice) as drive:
        picture = hold(world, "image", samples.png("x"))
        message = await arrived(world, drive, alice, compose.image(draft(world, alice), picture))
        take_back = world.fault("webwxgetmsgimg", kind, value, count=None)
        with pytest.raises(WeChatError) as failed:
            await fetched(drive, message)
        assert "skey" not in str(failed.value)
        take_back()
        assert await fetched(drive, message) == (samples.png("x"), "image/png")
        assert drive.count(SessionLost) == 0


async def test_avatars_of_people_and_groups(world: Wechat, alice: ServerAccount) -> None:
    group = next(group for group in alice.world.groups.values() if group.saved)
    async with world.online(alice) as drive:
        assert alice.session is not None
        name = alice.session.username
        for person, room in (
            (name(friend(alice)), ""),
            (name(alice.wxid), ""),
            (name(group.wxid), ""),
            (name(group.members[1].wxid), name(group.wxid)),
        ):
            sink = io.BytesIO()
            got = await drive.driver.avatar(person, room, sink, MOST)
            assert (got.mime, sink.getvalue()[:2]) == ("image/jpeg", b"\xff\xd8")
        assert world.violations() == []
        before = world.requests("webwxgeticon")
        with pytest.raises(WeChatError, match="no picture"):
            await drive.driver.avatar("@nobody", "", io.BytesIO(), MOST)
        assert world.requests("webwxgeticon") - before == 3  # often it is there at the next try


# -- sending


def written(directory: Path, name: str, data: bytes, mime: str = "", kind: MessageKind | None = None) -> Upload:
    path = directory / hashlib.sha256(name.encode()).hexdigest()
    path.write_bytes(data)
    return Upload(path, name, mime, len(data), kind)


@pytest.mark.parametrize(("kind", "value"), [(FaultKind.RESET, "after"), (FaultKind.RESET, None)])
async def test_upload_survives_a_broken_connection(
    world: Wechat, alice: ServerAccount, tmp_path: Path, kind: FaultKind, value: str | None
) -> None:
    async with world.online(alice) as drive:
        file = written(tmp_path, "x.bin", bytes(range(250)) * 8000)
        world.fault("webwxuploadmedia", kind, value)
        uploaded = await drive.driver.upload(file)
        await drive.driver.send_media("filehelper", uploaded, drive.driver.new_client_id())
        assert alice.sent[-1].item is not None
        assert alice.sent[-1].item.size == file.size
    assert world.violations() == []


@pytest.mark.parametrize("endpoint", ["webwxuploadmedia", "webwxsendappmsg", "webwxcheckupload"])
async def test_a_refused_file(world: Wechat, alice: ServerAccount, tmp_path: Path, endpoint: str) -> None:
    size = LARGE + 1 if endpoint == "webwxcheckupload" else 10
    async with world.online(alice) as drive:
        world.fault(endpoint, FaultKind.RETCODE, 1205)
        with pytest.raises(WeChatError) as refused:
            uploaded = await drive.driver.upload(written(tmp_path, "x", bytes(size)))
            await drive.driver.send_media("filehelper", uploaded, drive.driver.new_client_id())
        assert refused.value.ret == 1205
        assert isinstance(refused.value, UploadFailed) == (endpoint != "webwxsendappmsg")
        assert drive.count(SessionLost) == 0


@pytest.mark.parametrize("desktop", ["on", "off"])
async def test_the_form_of_a_file_message(world: Wechat, alice: ServerAccount, tmp_path: Path, desktop: str) -> None:
    async with world.online(alice, desktop=desktop) as drive:
        uploaded = await drive.driver.upload(written(tmp_path, "x.txt", b"x"))
        for expected in (2 if desktop == "on" else None, 1):
            if expected == 2:  # the desktop page's form is refused: the other one serves, now and later
                world.fault("webwxsendappmsg", FaultKind.RETCODE, 1)
            before = world.requests("webwxsendappmsg")
            if expected is not None:
                await drive.driver.send_media("filehelper", uploaded, drive.driver.new_client_id())
                assert world.requests("webwxsendappmsg") - before == expected
                assert "appid='wxeb7ec651dd0aefa9'" in alice.sent[-1].text
    assert world.violations() == []
