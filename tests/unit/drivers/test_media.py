"""Media: downloads, also interrupted ones, avatars, and uploads in parts."""

import hashlib
import io
from pathlib import Path

import pytest

from tests.unit.drivers.kit import Drive, Wechat, friend
from wxcontroller.core.errors import UploadFailed, WeChatError
from wxcontroller.core.model import MessageMedia
from wxcontroller.drivers.base import MessageArrived, SessionLost, Upload
from wxcontroller.drivers.connection.failures import TooLong
from wxcontroller.drivers.web.media.uploads import LARGE
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.media import samplemedia
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.web import composing
from wxcontroller.sandbox.world.phone import ServerAccount

MOST = 1 << 24


async def received(world: Wechat, drive: Drive, account: ServerAccount, kind: str, data: bytes) -> MessageMedia:
    """Let a friend send content; return its description in the message."""
    item, peer = ContentItem(kind, world.sandbox.contents.add(data), len(data), "a.bin"), friend(account)
    made = composing.image if kind == "image" else composing.file
    world.put(account, made(composing.Draft(world.sandbox.next_msg_id(), peer, peer), item))
    media = (await drive.until(MessageArrived)).message.media
    assert media is not None
    return media


async def fetched(drive: Drive, media: MessageMedia, limit: int = MOST) -> bytes:
    sink = io.BytesIO()
    got = await drive.driver.fetch(media, sink, limit)
    assert got.size == len(sink.getvalue())
    return sink.getvalue()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FaultKind.STATUS, 503),
        (FaultKind.TRUNCATE, 40),
        (FaultKind.GARBAGE, '{"BaseResponse":{"Ret":1101}}'),
        (FaultKind.GARBAGE, "<html><body>sorry</body></html>"),
    ],
)
async def test_invalid_media_response_raises(
    world: Wechat, alice: ServerAccount, kind: FaultKind, value: str | int | None
) -> None:
    async with world.online(alice) as drive:
        media = await received(world, drive, alice, "image", samplemedia.png("x"))
        take_back = world.fault("webwxgetmsgimg", kind, value, count=None)
        with pytest.raises(WeChatError) as failed:
            await fetched(drive, media)
        assert "skey" not in str(failed.value)
        take_back()
        assert await fetched(drive, media) == samplemedia.png("x")
        assert drive.count(SessionLost) == 0


async def test_avatars_of_people_and_groups(world: Wechat, alice: ServerAccount) -> None:
    group = next(group for group in alice.world.groups.values() if group.saved)
    async with world.online(alice) as drive:
        assert alice.session is not None
        name = alice.session.username
        for person, room in (
            (name(friend(alice)), ""),
            (name(group.wxid), ""),
            (name(group.members[1].wxid), name(group.wxid)),
        ):
            sink = io.BytesIO()
            got = await drive.driver.avatar(person, room, sink, MOST)
            assert (got.mime, sink.getvalue()[:2]) == ("image/jpeg", b"\xff\xd8")
        assert world.violations() == []
        with pytest.raises(WeChatError, match="no picture"):
            await drive.driver.avatar("@nobody", "", io.BytesIO(), MOST)


# -- interrupted downloads

PAPER = bytes(range(256)) * 4000


@pytest.mark.parametrize("no_range", [False, True])
async def test_interrupted_download_is_resumed(world: Wechat, alice: ServerAccount, no_range: bool) -> None:
    async with world.online(alice) as drive:
        media = await received(world, drive, alice, "file", PAPER)
        for value in (100_000, 300_000, 10):
            world.fault("webwxgetmedia", FaultKind.TRUNCATE, value)
        if no_range:
            world.fault("webwxgetmedia", FaultKind.NO_RANGE)
        assert await fetched(drive, media) == PAPER
    assert world.requests("webwxgetmedia") == 4
    assert world.violations() == []


async def test_incomplete_download_is_not_mistaken_for_the_whole_file(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice) as drive:
        media = await received(world, drive, alice, "file", PAPER)
        world.fault("webwxgetmedia", FaultKind.SHORT, 100_000)
        with pytest.raises(TooLong):
            await fetched(drive, media, limit=len(PAPER) - 1)  # of all parts together
        world.fault("webwxgetmedia", FaultKind.SHORT, 100_000)
        assert await fetched(drive, media) == PAPER
        world.fault("webwxgetmedia", FaultKind.SHORT, 100_000, count=None)
        with pytest.raises(WeChatError, match=f"incomplete; 100000 of {len(PAPER)} bytes came") as failed:
            await fetched(drive, media)
        assert "ticket" not in str(failed.value)


# -- sending


def written(directory: Path, name: str, data: bytes) -> Upload:
    path = directory / hashlib.sha256(name.encode()).hexdigest()
    path.write_bytes(data)
    return Upload(path, name, "", len(data))


async def test_upload_survives_a_broken_connection(world: Wechat, alice: ServerAccount, tmp_path: Path) -> None:
    async with world.online(alice) as drive:
        file = written(tmp_path, "x.bin", bytes(range(250)) * 8000)
        world.fault("webwxuploadmedia", FaultKind.RESET, "after")
        uploaded = await drive.driver.upload(file)
        await drive.driver.send_media("filehelper", uploaded, drive.driver.new_client_id())
        assert alice.sent[-1].item is not None
        assert alice.sent[-1].item.size == file.size
    assert world.violations() == []


@pytest.mark.parametrize("endpoint", ["webwxuploadmedia", "webwxsendappmsg", "webwxcheckupload"])
async def test_refused_file_does_not_end_the_session(
    world: Wechat, alice: ServerAccount, tmp_path: Path, endpoint: str
) -> None:
    size = LARGE + 1 if endpoint == "webwxcheckupload" else 10
    async with world.online(alice) as drive:
        world.fault(endpoint, FaultKind.RETCODE, 1205)
        with pytest.raises(WeChatError) as refused:
            uploaded = await drive.driver.upload(written(tmp_path, "x", bytes(size)))
            await drive.driver.send_media("filehelper", uploaded, drive.driver.new_client_id())
        assert refused.value.ret == 1205
        assert isinstance(refused.value, UploadFailed) == (endpoint != "webwxsendappmsg")
        assert drive.count(SessionLost) == 0


async def test_file_message_falls_back_to_the_other_form(world: Wechat, alice: ServerAccount, tmp_path: Path) -> None:
    async with world.online(alice, desktop="on") as drive:
        uploaded = await drive.driver.upload(written(tmp_path, "x.txt", b"x"))
        world.fault("webwxsendappmsg", FaultKind.RETCODE, 1)  # the desktop page's form is refused
        for requests in (2, 3):  # the other form is used at once, and from then on
            await drive.driver.send_media("filehelper", uploaded, drive.driver.new_client_id())
            assert world.requests("webwxsendappmsg") == requests
            assert "appid='wxeb7ec651dd0aefa9'" in alice.sent[-1].text
    assert world.violations() == []
