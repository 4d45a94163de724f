"""How often WeChat is asked, and that nothing else waits for a slow disk."""

import asyncio

import pytest

from tests.patience import until
from tests.unit.drivers.kit import Wechat, counted, friend, wechat
from wxcontroller.drivers.base import Checkpoint, MessageArrived
from wxcontroller.sandbox import session as sandbox_session
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.sandbox import Options

NEWS = 'window.synccheck={retcode:"0",selector:"3"}'


def picture(world: Wechat, alice: ServerAccount) -> None:
    assert alice.session is not None
    content = "&lt;msg&gt;&lt;img/&gt;&lt;/msg&gt;"
    peer = friend(alice)
    alice.session.push(
        sandbox_session.ServerMessage(world.sandbox.next_msg_id(), 1_700_000_000, peer, peer, content, 3)
    )


@pytest.mark.parametrize(("mode", "least", "limit", "nudges"), [("0", 4, 12, 0), ("1", 1, 3, 0), ("2", 1, 5, 1)])
async def test_the_guard_after_media(
    world: Wechat, alice: ServerAccount, mode: str, least: int, limit: int, nudges: int
) -> None:
    async with world.online(alice, fix_media_loop=mode) as drive:
        picture(world, alice)
        await drive.until(MessageArrived)
        told = world.requests("webwxstatusnotify")
        world.fault("synccheck", FaultKind.GARBAGE, NEWS, count=None)
        # 0: three and then ten a second, as this test's times are; else 0.3 s after the first, and 0.6 s after that.
        # 2: WeChat has news of the nudge.
        assert await counted(world, "webwxsync", 0.75, least) <= limit
        assert world.requests("webwxstatusnotify") - told == nudges
    assert world.violations() == []


async def test_a_key_is_used_only_when_its_checkpoint_is_durable() -> None:
    async with wechat(Options(poll_hold=0.3, sync_hold=5)) as world:
        alice = world.sandbox.add_account()
        async with world.online(alice) as drive:
            await until(lambda: world.requests("synccheck") != 0)
            drive.hold = lambda event: isinstance(event, Checkpoint)
            syncs = world.requests("webwxsync")
            world.hear(alice, "x")
            await drive.text("x")
            checks = world.requests("synccheck")
            await asyncio.sleep(0.4)
            assert (world.requests("webwxsync"), world.requests("synccheck")) == (syncs + 1, checks)
