"""Downloads that break off: gone on with where they broke off, whole in the end or an error."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.drivers.kit import Drive, Wechat, friend
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.model import MessageMedia
from wxcontroller.drivers.base import Fetched, MessageArrived
from wxcontroller.drivers.connection.failures import TooLong
from wxcontroller.drivers.connection.transport import ReceivedFile
from wxcontroller.drivers.web.media.intake import Intake
from wxcontroller.sandbox import compose
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.contents import ContentItem
from wxcontroller.sandbox.faults import FaultKind

PAPER = bytes(range(256)) * 4000
MOST = 1 << 24


@dataclass
class Paper:
    world: Wechat
    drive: Drive
    media: MessageMedia

    async def fetch(self, limit: int = MOST) -> tuple[bytes, Fetched]:
        sink = io.BytesIO()
        got = await self.drive.driver.fetch(self.media, sink, limit)
        return sink.getvalue(), got

    def fault(self, kind: FaultKind, value: int | str | None = None, count: int | None = 1) -> None:
        self.world.fault("webwxgetmedia", kind, value, count)

    @property
    def requests(self) -> int:
        return self.world.requests("webwxgetmedia")


@pytest.fixture
async def paper(world: Wechat, alice: ServerAccount) -> AsyncIterator[Paper]:
    item = ContentItem("file", world.sandbox.contents.add(PAPER), len(PAPER), "a.bin")
    async with world.online(alice) as drive:
        peer = friend(alice)
        delivered = compose.file(compose.Draft(world.sandbox.next_msg_id(), peer, peer), item)
        world.put(alice, delivered)
        media = (await drive.until(MessageArrived)).message.media
        assert media is not None
        yield Paper(world, drive, media)


@pytest.mark.parametrize("anew", [False, True])
async def test_interrupted_download_is_resumed(paper: Paper, anew: bool) -> None:
    for value in (100_000, 300_000, 10):
        paper.fault(FaultKind.TRUNCATE, value)
    if anew:
        paper.fault(FaultKind.NO_RANGE)
    assert (await paper.fetch())[0] == PAPER
    assert paper.requests == 4
    assert paper.world.violations() == []


async def test_short_response_is_not_mistaken_for_the_whole_file(paper: Paper) -> None:
    paper.fault(FaultKind.SHORT, 100_000)
    assert (await paper.fetch())[0] == PAPER
    paper.fault(FaultKind.SHORT, 100_000, count=None)
    with pytest.raises(WeChatError, match=f"incomplete; 100000 of {len(PAPER)} bytes came"):
        await paper.fetch()


@pytest.mark.parametrize(
    ("kind", "value"), [(FaultKind.TRUNCATE, 0), (FaultKind.RESET, None), (FaultKind.STATUS, 503)]
)
async def test_stuck_download_times_out(paper: Paper, kind: FaultKind, value: int | None) -> None:
    paper.fault(FaultKind.TRUNCATE, 100_000)
    paper.fault(kind, value, count=None)
    with pytest.raises(WeChatError, match=f"100000 of {len(PAPER)} bytes came") as failed:
        await paper.fetch()
    # A broken connection is retried more often; a kept one that turns out dead is replaced at once.
    assert paper.requests == 4 if kind is FaultKind.STATUS else 6 <= paper.requests <= 11
    assert "ticket" not in str(failed.value)


async def test_download_in_tiny_pieces_ends(paper: Paper) -> None:
    paper.fault(FaultKind.TRUNCATE, 20, count=None)
    with pytest.raises(WeChatError, match="bytes came"):
        await paper.fetch()
    assert paper.requests == 12


async def test_size_limit_applies_to_all_parts_together(paper: Paper) -> None:
    paper.fault(FaultKind.SHORT, 100_000)
    with pytest.raises(TooLong):
        await paper.fetch(limit=len(PAPER) - 1)


@given(
    content=st.binary(max_size=400),
    cuts=st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.integers(1, 60)), max_size=8),
)
def test_any_answers_give_the_content_or_a_typed_error(content: bytes, cuts: list[tuple[int, bool, int]]) -> None:
    """Wherever answers break off, whether they go on or begin anew, however they come in pieces."""
    sink = io.BytesIO()
    intake = Intake(sink, "x", 1000, anything=True, announced=len(content))
    for length, anew, size in [*cuts, (400, True, 7)]:
        start = 0 if anew else intake.resume_at
        intake.begin(ReceivedFile(0 if start else len(content), "", start, len(content) if start else 0))
        part = content[start : start + length]
        for at in range(0, len(part), size):
            intake.take(part[at : at + size])
        if intake.whole and start + length >= len(content):
            break
    assert intake.whole
    assert intake.end().size == len(content)
    assert sink.getvalue() == content
