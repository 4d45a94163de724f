"""The account's files under /run, which the controller reads: state, QR code, pid, and the secret of its port.

A file that cannot be written, usually because /run is full, is retried; until then the controller shows the previous
content. Only the newest content of each file is kept.
"""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from wxcontroller.core.errors import file_failed
from wxcontroller.core.files.atomic import replace_file

log = logging.getLogger(__name__)
# The controller's group reads these; the account's private files have no such mode.
_MODE = 0o640
# A failing write to a file system in memory costs almost nothing, and people wait for a QR code.
_RETRY_SECONDS = 1.0


class PublicFiles:
    """Writes files whole, again and again while that fails. Use within a running event loop, and close."""

    def __init__(self) -> None:
        self._unwritten: dict[Path, bytes] = {}
        self._retry: asyncio.TimerHandle | None = None

    def write(self, path: Path, content: bytes) -> None:
        """Replace a file now, or later if it cannot be written. Raises nothing."""
        try:
            replace_file(path, content, _MODE)
        except OSError as problem:
            # Once for all files: they fail together.
            if not self._unwritten:
                log.error("%s; trying again every second", file_failed(problem))
            self._unwritten[path] = content
            if self._retry is None:
                self._retry = asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._write_again)
        else:
            self._unwritten.pop(path, None)

    def remove(self, path: Path) -> None:
        """Remove a file if it exists."""
        self._unwritten.pop(path, None)
        with suppress(OSError):
            path.unlink()

    def close(self) -> None:
        """Discard unwritten content."""
        self._unwritten.clear()
        if self._retry is not None:
            self._retry.cancel()

    def _write_again(self) -> None:
        self._retry = None
        for path, content in list(self._unwritten.items()):
            self.write(path, content)
        if not self._unwritten:
            log.info("the delayed files are now written")
