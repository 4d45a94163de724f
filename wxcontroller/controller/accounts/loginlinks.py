"""Links that let another person scan an account's QR code without a token.

A holder of the link sees the code and can log in the account, so its use is limited:

- One account and one login. A link remembers the process and how many logins that process has had; after a login or a
  restart it is invalid.
- Fifteen minutes: enough to read a message and get the phone.
- One browser. The page makes a key and shows it with the link; the first key is the only one from then on. A link
  that was intercepted is useless once it has been opened, and its reader notices if another person opens it first.
- As long as the token that made it.

The link is 256 random bits behind the ``#`` of a URL. Browsers do not send that part; the page sends it in a header,
so that no log, proxy or preview of a chat program sees it. Only hashes are stored, in memory: a restart of the
controller ends all links, and they are never on disk.
"""

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from wxcontroller.controller.accounts.view import View
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.controller.callers.refusals import Refused, too_many_failures
from wxcontroller.core.failurelimit import FailureLimiter, caller_of
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.net.addresses import host_in
from wxcontroller.core.process.summaries import cause
from wxcontroller.core.states import LoginState
from wxcontroller.core.text.templates import N_

log = logging.getLogger(__name__)
LIFE_SECONDS = 900
# Links of one account at a time; another one ends the oldest.
MAX_LINKS = 10
_SECRET = re.compile("[0-9a-f]{64}")
_LOGGED_IN = frozenset({LoginState.UPDATING, LoginState.RUNNING, LoginState.OFFLINE})


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def is_logged_in(view: View) -> bool:
    """Whether the login is over, so that there is no code to scan."""
    return view.login in _LOGGED_IN


def _process(view: View) -> tuple[int, int]:
    return (view.live.pid, view.live.start_time) if view.live else (0, 0)


@dataclass(slots=True)
class LoginLink:
    """One link. ``kept``: the route accepts only the last WeChat user. Times are seconds since 1970."""

    id: str
    account: str
    instance: str
    creator: Caller
    created: int
    kept: bool
    sha256: bytes = field(repr=False)
    process: tuple[int, int]
    logins: int
    browser: bytes = field(default=b"", repr=False)  # the hash of its key
    opened: int | None = None

    @property
    def expires(self) -> int:
        return self.created + LIFE_SECONDS

    def is_for(self, view: View) -> bool:
        """Return whether it is still the same process."""
        return self.process == _process(view)

    def is_done(self, view: View) -> bool:
        """Whether a login has happened since."""
        return is_logged_in(view) or view.counted("logins") != self.logins

    def as_json(self) -> JsonObject:
        return {
            "id": self.id,
            "account": self.account,
            "creator": self.creator.words,
            "created": self.created,
            "expires": self.expires,
            "opened": self.opened,
        }


class LoginLinks:
    """The valid links."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._links: dict[str, LoginLink] = {}  # by id, the oldest first
        self._failures = FailureLimiter()

    def create(self, view: View, kept: bool, creator: Caller) -> tuple[LoginLink, str]:
        """Return a new link for an account that waits for a login, and its secret."""
        secret, account = secrets.token_hex(32), view.account.name.name
        link = LoginLink(
            secrets.token_hex(4),
            account,
            view.instance,
            creator,
            int(self._clock()),
            kept,
            _digest(secret),
            _process(view),
            view.counted("logins"),
        )
        own = [each for each in self.current() if each.instance == view.instance]
        for old in own[: max(0, len(own) + 1 - MAX_LINKS)]:
            self.drop(old, "there are newer ones")
        self._links[link.id] = link
        self._log(link, f"created by {creator.words}")
        return link, secret

    def current(self) -> list[LoginLink]:
        """Return the links that have not expired, the oldest first."""
        now = self._clock()
        self._links = {link.id: link for link in self._links.values() if now < link.expires}
        return list(self._links.values())

    def drop(self, link: LoginLink, why: str) -> None:
        """End a link."""
        if self._links.pop(link.id, None) is not None:
            self._log(link, f"ended: {why}")

    def open(self, secret: str, browser: str, address: object) -> LoginLink:
        """Return the link with this secret for the browser with this key, which binds it. Raises Refused.

        ``address`` is the caller's as its socket gives it.
        """
        peer, shown = host_in(address) or "a local socket", _digest(secret)
        link = next((each for each in self.current() if hmac.compare_digest(each.sha256, shown)), None)
        if link is None or not _SECRET.fullmatch(browser):
            raise self._failed(peer, caller_of(host_in(address)))
        if not link.browser:
            link.browser, link.opened = _digest(browser), int(self._clock())
            self._log(link, f"opened from {peer}")
        if not hmac.compare_digest(link.browser, _digest(browser)):
            self._log(link, f"refused: opened in another browser from {peer}", cause("another browser"))
            raise Refused("link-taken", N_("this link was opened in another browser"), _ASK)
        return link

    def _failed(self, peer: str, key: str) -> Refused:
        failure = self._failures.failed(key)
        if failure.log:
            log.warning("invalid login link opened from %s", peer, extra=cause("invalid link"))
        if failure.retry_after:
            return too_many_failures(N_("too many invalid login links"), N_("wait {seconds} s"), failure.retry_after)
        return over()

    def _log(self, link: LoginLink, what: str, repeatable: Mapping[str, object] = MappingProxyType({})) -> None:
        marks = {"WX_ACCOUNT": link.account, **repeatable}
        log.info("login link %s of account %s: %s", link.id, link.account, what, extra=marks)


_ASK = N_("ask for a new link")


def over() -> Refused:
    """Return the exception for an invalid link, the same for all reasons."""
    return Refused("link-over", N_("this link is invalid or has expired"), _ASK, status=410)
