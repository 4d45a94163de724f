"""What an idle account has loaded: every module is in memory as often as there are accounts.

A module that is new here either belongs to what an idle account does, and is added to the list, or is imported where
it is used. Modules that are found but not executed yet (core.deferred) are not loaded.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.durability.process import processed

ALLOWED = Path(__file__).with_name("idle_modules.txt")
# Told apart by their packages; of our own ``core``, ``openwx`` and ``client`` each module counts.
_EACH = ("wxcontroller.core.", "wxcontroller.openwx.", "wxcontroller.client.")
_PROGRAM = """
import os, signal, sys
def tell(*_):
    with open({path!r} + ".new", "w") as out:
        out.write("\\n".join(name for name, one in sys.modules.items() if type(one).__name__ != "Unloaded"))
    os.rename({path!r} + ".new", {path!r})
signal.signal(signal.SIGUSR1, tell)
from wxcontroller.client.__main__ import main
sys.exit(main())
"""


def _entry(name: str) -> str:
    """Return the line of the list that covers a module."""
    if name.startswith(_EACH):
        return name
    parts = name.split(".")
    return ".".join(parts[:3] if parts[0] == "wxcontroller" else parts[:1])


@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="the list is of Debian 13's Python")
async def test_idle_account_after_a_message_loads_only_listed_modules(tmp_path: Path) -> None:
    told = tmp_path / "modules"
    async with processed(tmp_path / "account") as one:
        one.program = ("-c", _PROGRAM.format(path=str(told)))
        await one.start(login=True)
        one.route.write(one, "hello")
        await one.webhook.messages(1)
        assert one.process is not None
        os.kill(one.process.pid, signal.SIGUSR1)
        deadline = time.monotonic() + 3 * PATIENCE
        while not told.exists():
            assert time.monotonic() < deadline, one.log.read_text()
            await asyncio.sleep(0.01)
    # What an installation adds to every program, and a library's parts in C, are nobody's choice here.
    plain = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    names = set(told.read_text().split()) - set(plain.stdout.split())
    found = {_entry(name) for name in names if not name.startswith("_")}
    allowed = {line for line in ALLOWED.read_text().splitlines() if line and not line.startswith("#")}
    assert sorted(found - allowed) == []
