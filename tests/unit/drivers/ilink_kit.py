"""The sandbox with an iLink driver of short timings, and a record of its events."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from tests.patience import PATIENCE
from tests.unit.drivers.kit import Checkpoints, Drive, Store
from wxcontroller.drivers.base import Accepted, DriverContext, Online, QrReady
from wxcontroller.drivers.ilink.driver import ILinkDriver
from wxcontroller.drivers.ilink.timing import ILinkTiming
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.codes import ILinkCode
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import Address, running
from wxcontroller.sandbox.world.ilinkbots import Bot, ILinkSend, User
from wxcontroller.sandbox.world.logins import LoginStage
from wxcontroller.sandbox.world.phone import ServerAccount

# A day of WeChat in a second.
_TIMES = {
    **{"call": 3.0, "brief": 2.0, "code_poll": 2.0, "code_spacing": 0.02, "hint": 1.0, "hint_extra": 1.0},
    **{"edge_least": 0.05, "poll_retry": 0.05, "poll_rest": 0.2, "offline_after": 0.5, "held_alive": 0.1},
    **{"confirm_pause": 0.05, "confirm_alive": 0.15, "progress_every": 0.3},
    **{"retry_first": 0.05, "retry_longest": 0.2},
}
_PAUSES = ILinkTiming(upload_pauses=(0.0, 0.02, 0.04), permit_pauses=(0.05, 0.1))
QUICK = replace(_PAUSES, **_TIMES)  # type: ignore[arg-type]


UIN, OTHER_UIN = 1_234_567_001, 1_234_567_002
HURRY = Options(poll_hold=0.2, updates_hold=0.2, takeover=0.0)


async def waiting_code(sandbox: Sandbox, seconds: float = PATIENCE) -> ILinkCode:
    """Wait for a code that nobody has scanned, and return it."""
    async with asyncio.timeout(seconds):
        while True:
            for login in sandbox.logins.newest_first():
                if isinstance(login, ILinkCode) and login.state is LoginStage.WAITING:
                    return login
            await sandbox.logins.bell.wait(seconds)


@dataclass(slots=True)
class Bench:
    """The sandbox, and the stored state of one account's drivers."""

    sandbox: Sandbox
    url: str
    store: Store = field(default_factory=Store)
    state: Checkpoints = field(default_factory=Checkpoints)

    @property
    def account(self) -> ServerAccount:
        return self.sandbox.accounts[UIN]

    @property
    def user(self) -> User:
        return self.sandbox.ilink.users[UIN]

    @property
    def bot(self) -> Bot:
        bot = self.user.bot
        assert bot is not None
        return bot

    @property
    def peer(self) -> str:
        return self.user.user_id

    @contextlib.asynccontextmanager
    async def drive(
        self, account: str = "alice", stored: "Bench | None" = None, timing: ILinkTiming = QUICK, **options: str
    ) -> AsyncIterator[Drive]:
        """Run a driver; it is stopped at the end of the block if it still runs. ``stored``: of another account."""
        stored = stored or self
        context = DriverContext(account, {"server": self.url, **options}, stored.store, stored.state)
        drive = Drive(ILinkDriver(context, timing), stored.state)
        drive.task = asyncio.create_task(drive.driver.run(drive.emit))
        try:
            yield drive
        finally:
            if not drive.task.done():
                await drive.stop()

    @contextlib.asynccontextmanager
    async def online(self, timing: ILinkTiming = QUICK, **options: str) -> AsyncIterator[Drive]:
        """Run a driver that has logged in by a scan."""
        async with self.drive("alice", None, timing, **options) as drive:
            await self.enter(drive)
            yield drive

    async def enter(self, drive: Drive) -> Accepted:
        """Scan and confirm the next code; wait until the account is online."""
        await drive.until(QrReady)
        phone.confirm(self.sandbox, await waiting_code(self.sandbox), self.account)
        accepted = await drive.until(Accepted)
        await drive.until(Online)
        return accepted

    async def hear(self, drive: Drive, words: str) -> None:
        """Write a text on the phone, and wait until the driver has reported it."""
        phone.write_text(self.sandbox, self.account, words)
        await drive.text(words)

    def sent(self) -> list[ILinkSend]:
        return list(self.user.sent)

    def requests(self, endpoint: str) -> int:
        return sum(exchange.endpoint == endpoint for exchange in self.sandbox.ilink.exchanges)


@contextlib.asynccontextmanager
async def bench(options: Options = HURRY) -> AsyncIterator[Bench]:
    sandbox = Sandbox(options)
    for _ in (UIN, OTHER_UIN):
        sandbox.add_account()
    async with running(sandbox, Address("127.0.0.1", 0)) as addresses:
        yield Bench(sandbox, f"http://{addresses[0]}")


def quick(**changes: float) -> ILinkTiming:
    return replace(QUICK, **changes)  # type: ignore[arg-type]
