"""What shows an account's program that the controller calls: the secret it made for its port when it started.

The file is the account's own, so the account can put there what it likes: it gains what it has, its own port.
"""

import os
import re
from dataclasses import dataclass

from wxcontroller.controller.statefiles import Stamp, read_foreign
from wxcontroller.core.access import Scope
from wxcontroller.core.paths import Paths
from wxcontroller.openwx.credentials import PORT_HEADER

_SECRET = re.compile(rb"[0-9a-f]{64}\n?")
_MOST = 256


@dataclass(slots=True)
class _Known:
    path: str
    stamp: Stamp | None = None
    secret: str = ""


class PortSecrets:
    """All accounts' secrets, read anew when their files change."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._known: dict[str, _Known] = {}

    def headers(self, instance: str, scope: Scope) -> dict[str, str]:
        """Return what to send along to the port of a registered account for a caller with this scope.

        Nothing where the program has made no secret: it is not ours, or just starting.
        """
        secret = self._secret(instance)
        return {PORT_HEADER: f"{scope.value} {secret}"} if secret else {}

    def _secret(self, instance: str) -> str:
        known = self._known.get(instance)
        if known is None:
            known = self._known[instance] = _Known(str(self._paths.port_secret(instance)))
        try:
            found = os.stat(known.path, follow_symlinks=False)  # noqa: PTH116 - at every request
            stamp = (found.st_ctime_ns, found.st_ino, found.st_size)
            if known.stamp != stamp:
                content = read_foreign(self._paths.port_secret(instance), _MOST)
                known.secret = content.decode().strip() if _SECRET.fullmatch(content) else ""
                known.stamp = stamp
        except OSError:
            known.stamp, known.secret = None, ""
        return known.secret
