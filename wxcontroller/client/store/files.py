"""The account's session on disk: one private file, replaced whole."""

from dataclasses import dataclass
from pathlib import Path

from wxcontroller.core.files import replace_file


@dataclass(frozen=True, slots=True)
class FileStore:
    """A SessionStore in ``path``; with ``keep`` false nothing is written (option keep_cookie=0)."""

    path: Path
    keep: bool = True

    def load(self) -> bytes | None:
        """Return what was saved last, None when there is nothing readable."""
        if not self.keep:
            return None
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def save(self, session: bytes) -> None:
        """Replace the session. Raises OSError and keeps the old one."""
        if self.keep:
            replace_file(self.path, session, 0o600, durable=True)

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
