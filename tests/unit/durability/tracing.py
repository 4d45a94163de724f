"""What a process does for its files to outlast a power cut, as strace sees it.

A test can't cut the power, and a file that was not synced looks like one that was. The system calls are the
observation: a file replaced by a rename is durable when its content was synced before the rename, and the directory
after it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.programs import program

_SYNC = re.compile(r"\d+ +(?:fsync|fdatasync)\(\d+<([^>]*)>")
_MOVE = re.compile(r'\d+ +(?:rename|link)(?:at|at2)?\(.*?"(.*?)",.*?"(.*?)"')


@dataclass(frozen=True, slots=True)
class Call:
    """``path`` is synced; or, when there is ``to``, given that name."""

    path: Path
    to: Path | None = None


def traced(command: Sequence[str], log: Path) -> list[str]:
    """Return a command that runs another one, and writes what it does to ``log``. Its child processes count, too."""
    calls = "fsync,fdatasync,rename,renameat,renameat2,link,linkat"
    options = ("-D", "-f", "-y", "-qq", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(log))
    return [program("strace"), *options, *command]


def calls_in(log: Path) -> list[Call]:
    found = []
    for line in log.read_text().splitlines():
        if sync := _SYNC.match(line):
            found.append(Call(Path(sync[1])))
        elif move := _MOVE.match(line):
            found.append(Call(Path(move[1]), Path(move[2])))
    return found


def synced(calls: Sequence[Call]) -> list[Path]:
    return [call.path for call in calls if call.to is None]


def assert_replaced(calls: Sequence[Call], path: Path) -> None:
    """Check that a file got its content durably: content, name, directory, in this order."""
    moves = [number for number, call in enumerate(calls) if call.to == path]
    assert moves, f"{path} was not replaced: {calls}"
    for number in moves:
        content, before = calls[number].path, synced(calls[:number])
        if content.is_relative_to("/proc/self/fd"):  # it had no name before
            content, before = path.parent, [one.parent for one in before]
        assert content in before, f"the content of {path} was not synced: {calls}"
        assert path.parent in synced(calls[number:]), f"the directory of {path} was not synced: {calls}"
