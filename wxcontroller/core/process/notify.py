"""Reports the process's state to systemd (sd_notify). Does nothing when not started by systemd."""

import os
import time

import sdnotify

# Essential messages wait for a busy systemd, for example during a daemon-reload of many units. Watchdog messages and
# status texts are repeated anyway, so they never block.
_PATIENCE = 30.0


class Notifier:
    """The notification socket of this process, and the watchdog's interval."""

    def __init__(self) -> None:
        self._socket = sdnotify.SystemdNotifier()
        self._socket.debug = True  # else a failed send would go unnoticed
        self._status = ""

    @property
    def watchdog_seconds(self) -> float | None:
        """The interval in which systemd expects WATCHDOG=1, or None without a watchdog."""
        # The variables are inherited, but systemd watches only this process, not its children.
        if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return None
        try:
            return int(os.environ["WATCHDOG_USEC"]) / 1_000_000
        except (KeyError, ValueError):
            return None

    def ready(self) -> None:
        self._send("READY=1")

    def status(self, words: str) -> None:
        """Set the one-line status that ``systemctl status`` shows."""
        line = words.replace("\n", " ")
        if line != self._status and self._send(f"STATUS={line}", 0.0):
            self._status = line

    def watchdog(self) -> None:
        self._send("WATCHDOG=1", 0.0)

    def reloading(self) -> None:
        # systemd uses the time of the reload to match it with READY=1 (Type=notify-reload).
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def extend(self, seconds: float) -> None:
        """Extend the unit's time limit by this many seconds from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def _send(self, message: str, patience: float = _PATIENCE) -> bool:
        """Return whether it was sent."""
        if self._socket.socket is None:
            return True  # no listener
        self._socket.socket.settimeout(patience)
        try:
            # The library sends Latin-1. UTF-8 read as Latin-1 leaves it as UTF-8 again, which is what systemd wants.
            self._socket.notify(message.encode("utf-8", "replace").decode("latin-1"))
        except OSError:
            return False
        return True
