"""An account as a stream of sealed bytes: packed in one thread, sent by another, never whole in memory or on disk.

A host may be moved from because its disk is full, so nothing is written here. If packing fails, the stream ends
without its last piece, which the other side notices: it imports nothing.
"""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from wxcontroller.cli.transfer.copy.exportunit import OpenReader, read_by_unit
from wxcontroller.cli.transfer.copy.pack import Packed, pack
from wxcontroller.cli.transfer.copy.preconditions import PATHS, disk_problem
from wxcontroller.cli.transfer.copy.seal import Sealer
from wxcontroller.core.errors import WxError
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import N_

_PIECE = 256 * 1024


@dataclass(slots=True)
class SealedAccount:
    """The content of one account; iterate once. ``problem`` is why it ended early, None while all is well.

    With ``host`` it is a standby bundle of that host; ``size`` is how many bytes it has. ``has_run``: the account is
    known to have stored files, and a bundle without any must not replace those that have them. ``read`` starts the
    reader of its files.
    """

    account: Account
    passphrase: bytes = field(repr=False)
    now: int
    host: str = ""
    paths: Paths = PATHS
    has_run: bool = False
    read: OpenReader = read_by_unit
    size: int = field(init=False, default=0)
    packed: Packed = field(init=False, default_factory=Packed)
    problem: WxError | None = field(init=False, default=None)

    def pieces(self) -> Iterator[bytes]:
        """Yield the sealed bytes."""
        source, sink = os.pipe()
        with os.fdopen(source, "rb") as reader:
            packing = threading.Thread(target=self._pack, args=(os.fdopen(sink, "wb"),), daemon=True)
            packing.start()
            while piece := reader.read(_PIECE):
                yield piece
        # ``packed`` and ``problem`` are complete only then.
        packing.join()

    def _pack(self, out: IO[bytes]) -> None:
        try:
            with out:
                sealer = Sealer(out, self.passphrase)
                self.packed = pack(
                    sealer, self.account, self.paths, self.now, media=True, host=self.host, read=self.read
                )
                if self.has_run and not self.packed.files:
                    raise WxError(
                        N_("the state directory of {account} is missing or empty"),
                        N_("restore it; the last standby bundle is kept"),
                        account=self.account.name.name,
                    )
                sealer.close()
                self.size = sealer.written
        except WxError as problem:
            self.problem = problem
        except BrokenPipeError:  # the reader has stopped, and has the reason
            return
        except OSError as problem:
            self.problem = disk_problem(self.paths.private_state(self.account.name.instance), problem)
