"""How many modules an idle account has loaded: every module is in memory as often as there are accounts.

A new module either belongs to what an idle account does, and the limit is raised, or it is imported where it is used.
Modules that are found but not executed yet (core/process/deferred.py) are not loaded.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.patience import until
from tests.unit.durability.process import processed

# Of our own, and of the standard library and everything else.
OWN, OTHERS = 236, 222
# Besides the standard library.
LIBRARIES = set(
    """aiohappyeyeballs aiohttp aiosignal attr cython_runtime defusedxml frozenlist multidict propcache sdnotify
    wxcontroller yarl""".split()
)
_PROGRAM = """
import os, signal, sys
def tell(*_):
    with open({path!r} + ".new", "w") as out:
        out.write("\\n".join(name for name, one in sys.modules.items() if type(one).__name__ != "LazyModule"))
    os.rename({path!r} + ".new", {path!r})
signal.signal(signal.SIGUSR1, tell)
from wxcontroller.client.__main__ import main
sys.exit(main())
"""


async def test_idle_account_after_a_message_loads_few_modules(tmp_path: Path) -> None:
    loaded = tmp_path / "modules"
    async with processed(tmp_path / "account") as one:
        one.program = ("-c", _PROGRAM.format(path=str(loaded)))
        await one.start(login=True)
        one.route.write(one, "hello")
        await one.webhook.messages(1)
        assert one.process is not None
        os.kill(one.process.pid, signal.SIGUSR1)
        await until(loaded.exists)
    # Without what an installation adds to every program.
    plain = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    names = {name for name in set(loaded.read_text().split()) - set(plain.stdout.split()) if not name.startswith("_")}
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names <= LIBRARIES
    own = sorted(name for name in names if name.startswith("wxcontroller"))
    assert len(own) <= OWN, own
    assert len(names) - len(own) <= OTHERS, sorted(names - {*own})
