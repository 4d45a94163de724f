"""Login codes of the iLink route (protocol section 5).

A code is a ``WebLoginCode``: the same phone scans, confirms and lets expire both kinds. It adds iLink's verification
digits, redirects to another host and bots that are bound already.
"""

import enum
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.sandbox.world.ilinkbots import Bot
from wxcontroller.sandbox.world.logins import LoginStage, WebLoginCode

MAX_WRONG = 3  # verify codes


class HostChange(enum.Enum):
    """The continuation of a scanned code."""

    NONE = "none"
    OTHER_NAME = "other-name"  # another name of this sandbox
    HERE = "here"  # the status names no host


@dataclass(slots=True)
class ILinkCode(WebLoginCode):
    """One QR code. ``origin`` is the scheme, host and path prefix at which the client asked for it."""

    origin: str = ""
    host: str = ""
    tokens: tuple[str, ...] = ()  # local_token_list
    digits: str = ""  # digits for the client; empty: none, or already entered
    wrong: int = 0
    redirect: HostChange = HostChange.NONE
    redirect_host: str = ""  # overrides the name that ``redirect`` would choose
    status: str = ""  # overrides everything, for statuses of the future
    reported_status: str = ""  # the status of the last answer
    bot: Bot | None = None
    bound: bool = False  # the user's bot is in ``tokens``
    credentials: JsonObject = field(default_factory=dict)  # the confirmed body

    @property
    def link(self) -> str:
        """The content of the QR code."""
        return f"https://liteapp.weixin.qq.com/q/7GiQu1?qrcode={quote(self.uuid, safe='')}&bot_type=3"

    def confirmed(self, now: float, life: float) -> None:
        """Record the owner's confirmation; ``life`` is how long a client may fetch the credentials."""
        self.expires = now + life

    def ask_digits(self) -> None:
        """Show on the phone the digits that the client must send."""
        self.digits = f"{secrets.randbelow(10**6):06d}"

    def status_at(self, host: str) -> str:
        """Return the status for a poll at ``host``."""
        if self.status:
            return self.status
        match self.state:
            case LoginStage.WAITING:
                return "wait"
            case LoginStage.SCANNED | LoginStage.CONFIRMED if self._is_elsewhere(host):
                return "scaned_but_redirect"
            case LoginStage.SCANNED:
                return "need_verifycode" if self.digits else "scaned"
            case LoginStage.CONFIRMED | LoginStage.DONE:
                return "binded_redirect" if self.bound else "confirmed"
            case LoginStage.REFUSED:
                return "verify_code_blocked"
            case _:
                return "expired"

    def _is_elsewhere(self, host: str) -> bool:
        if self.redirect is HostChange.HERE:
            return self.reported_status in ("", "wait")
        return self.redirect is HostChange.OTHER_NAME and host == self.host

    def as_json(self) -> JsonObject:
        """Return it for the scripting API."""
        return WebLoginCode.as_json(self) | {
            "route": "ilink",
            "status": self.reported_status,
            "digits": self.digits,
            "wrong_codes": self.wrong,
            "bot_id": self.bot.bot_id if self.bot else "",
        }
