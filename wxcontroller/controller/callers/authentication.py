"""Authentication: a token holder, root on this machine, or, without any tokens, every local user."""

import hmac
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wxcontroller.controller.callers.agenttokens import ConsumerTokens
from wxcontroller.controller.callers.refusals import Refused, too_many_failures
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import Token, Tokens, minted_for_root, token_book
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.failurelimit import FailureLimiter, caller_of
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.net.addresses import host_in, is_loopback
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.process.summaries import cause
from wxcontroller.core.registry.notifytargets import NotifyTargets, target_book
from wxcontroller.core.text.templates import N_, NOTHING, Text, Value
from wxcontroller.openwx.http.credentials import TOKEN_FORM_BYTES
from wxcontroller.openwx.http.parameters import BadParameter

log = logging.getLogger(__name__)
# A revoked token stays valid this long where requests are too frequent to check its file each time: less than the
# documented 50 ms.
LOOK_SECONDS = 0.02
_HOW = Text(
    "send one as 'Authorization: Bearer TOKEN', 'X-Auth-Token: TOKEN' or the parameter token (query, or a form of "
    "up to {most} bytes); root on the controller's machine creates one: wxctl token create NAME --scope SCOPE",
    most=TOKEN_FORM_BYTES,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """The headers by which a host shows itself and its caller."""

    caller: str
    authorization: str | None
    x_auth_token: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. ``instances`` are the accounts it is bound to, None when it is bound to none.

    ``token`` is its token's id, "" for a caller that needs none. ``target`` is its notification target.
    ``hop`` is the host that forwards the request, "" for none.
    """

    words: str
    scope: Scope
    instances: frozenset[str] | None = None
    token: str = ""
    target: str = ""
    hop: str = ""

    def may_see(self, instance: str) -> bool:
        """Return whether an account is one of the caller's."""
        return self.instances is None or instance in self.instances


ANYBODY = Caller("a program on this machine", Scope.ADMIN)
ROOT = Caller("root on this machine", Scope.ADMIN)
# Has access to public information only, not to any account.
NOBODY = Caller("somebody", Scope.READ, frozenset())


class Gate:
    """Holds the current tokens.

    ``exposed``: other machines reach the controller, so every caller needs a token. ``local`` is
    root's token, or "". ``look_seconds`` is the maximum age of what ``tokens_of_late`` returns.
    """

    def __init__(
        self,
        paths: Paths,
        exposed: bool = False,
        local: str = "",
        token_failures: int = DEFAULTS.token_failures,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.exposed = exposed
        self._local = local
        self._book = token_book(paths.tokens_file)
        self.consumers = ConsumerTokens(paths)
        self._targets = target_book(paths.notify_targets)
        self._targets_complaint = NOTHING
        self._failures = FailureLimiter(token_failures=token_failures)
        # Apart from failures: a caller with a valid token is known, and is not slowed down.
        self._denials = FailureLimiter(token_failures=token_failures)
        self._complaint = NOTHING
        self._look_seconds = look_seconds
        self._looked = float("-inf")
        self._tokens = Tokens()

    def set_token_failures(self, number: int) -> None:
        """Set how many failures of one address are answered without a delay."""
        self._failures.token_failures = self._denials.token_failures = number

    @property
    def tokens(self) -> Tokens:
        """The tokens at this moment. When their file cannot be used, that is logged once."""
        tokens = self._tokens = self._book.current()
        if tokens.broken != self._complaint:
            self._complaint = tokens.broken
            if tokens.broken:
                log.error("the tokens file cannot be used, all requests except root's are refused: %s", tokens.broken)
        return tokens

    @property
    def targets(self) -> NotifyTargets:
        """The notification targets at this moment. When their file cannot be used, that is logged once."""
        targets = self._targets.current()
        if targets.broken != self._targets_complaint:
            self._targets_complaint = targets.broken
            if targets.broken:
                log.error("the file of notification targets cannot be used, all are refused: %s", targets.broken)
        return targets

    def tokens_of_late(self, now: float) -> Tokens:
        """Return the tokens, at most ``look_seconds`` old. ``now`` is by the loop's clock."""
        if not 0 <= now - self._looked < self._look_seconds:
            self._looked = now
            return self.tokens
        return self._tokens

    @property
    def is_open(self) -> bool:
        """Whether every caller may do everything."""
        return not self.exposed and not self.tokens.required

    def recognize(self, presented: str | None, address: object, tokens: Tokens | None = None) -> Caller | None:
        """Return the holder of a valid token, None for any other. Nothing is logged or counted. ``tokens`` are the
        valid ones, by default the present ones.
        """
        if presented is None:
            return None
        token = (tokens or self.tokens).find(presented) or self.consumers.tokens.find(presented)
        if token is not None and not token.expired(time.time()):
            return holder(token)
        # Root's token is in a file of this machine: from elsewhere it can only have leaked.
        return ROOT if self._is_local(presented) and is_loopback(address) else None

    def recognize_head(self, shown: Callable[[], str | None], address: object, tokens: Tokens) -> Caller | None:
        """Return the caller that the head of a request shows; while every caller may do everything, anybody or root.

        ``shown`` returns its token, or raises BadParameter, which the next reader of the query reports.
        """
        is_open = not self.exposed and not tokens.required
        if is_open and not isinstance(address, str):
            return ANYBODY
        try:
            found = self.recognize(shown(), address, tokens)
        except BadParameter:
            found = None
        return ANYBODY if is_open and found is not ROOT else found

    def notifier(self, presented: str | None) -> Caller | None:
        """Return who shows the token of a notification target, None for any other."""
        target = self.targets.find(presented) if presented is not None else None
        if target is None:
            return None
        words = f"target {target.name} ({target.id})"
        return Caller(words, Scope.NOTIFY, frozenset({target.instance}), target.id, target.name)

    def unusable_targets(self) -> Refused:
        """Return what to raise for a notification while the targets' file cannot be used."""
        return Refused(
            "tokens-unusable",
            N_("the file of notification targets cannot be used; all notifications are refused"),
            N_("see on its machine: journalctl -u wxcontroller"),
            status=503,
        )

    def caller(self, presented: str | None, address: object) -> Caller:
        """Return the holder of a token, on paths that require one even while the API is open.

        ``address`` is the caller's as its socket gives it. Raises Refused.
        """
        found = self.recognize(presented, address)
        if found is not None:
            return found
        if self.tokens.broken:  # before the caller's token is judged: no other token would help
            raise Refused(
                "tokens-unusable",
                N_("the tokens file cannot be used; all requests except root's are refused"),
                N_("see on its machine: journalctl -u wxcontroller"),
                status=503,
            )
        if self.consumers.tokens.broken:  # not as a revoked token, which would make agents delete it
            raise Refused(
                "tokens-unusable",
                N_("the file of iLink tokens cannot be used: {reason}"),
                N_("see on its machine: journalctl -u wxcontroller"),
                status=503,
                reason=self.consumers.tokens.broken,
            )
        if presented is None:
            raise self._refused(address, "no-token", N_("a token is needed"), _HOW, "without a token")
        token = self.tokens.find(presented)
        if token is not None:
            what = f"with the expired token {token.name} ({token.id})"
            raise self._refused(address, "expired-token", N_("the token has expired"), _HOW, what)
        raise self._refused(address, "bad-token", N_("the token is not valid"), _HOW, "with a wrong token")

    def is_still_valid(self, caller: Caller) -> bool:
        """Whether an authorized caller still is: for long-running answers."""
        if caller is ROOT:
            return True
        if not caller.token:  # a host's certificate is valid as long as its connection
            return bool(caller.hop) or self.is_open
        token = self.tokens.by_id.get(caller.token) or self.consumers.tokens.by_id.get(caller.token)
        return token is not None and not token.expired(time.time())

    def denied(self, caller: Caller, message: str, remedy: str, /, **values: Value) -> Refused:
        """Return the exception for a known caller without permission, and log it."""
        refusal = Refused("not-allowed", Text(message, **values), Text(remedy, **values))
        denial = self._denials.failed(caller.words)
        if denial.log:
            more = _more(denial.unlogged)
            marks = {**fields(Event.ACCESS_REFUSED), **cause(f"denied {caller.token}")}  # a host may invent callers
            log.warning("%s lacks permission: %s%s", caller.words, refusal.message, more, extra=marks)
        return refusal

    def revoked(self) -> Refused:
        """Return the refusal of a caller whose token was revoked or has expired meanwhile."""
        return Refused("bad-token", N_("the token is no longer valid"), _HOW, status=401)

    def _is_local(self, presented: str) -> bool:
        return bool(self._local) and hmac.compare_digest(
            presented.encode("utf-8", "surrogateescape"), self._local.encode()
        )

    def _refused(self, address: object, code: str, message: str, remedy: Text, what: str) -> Refused:
        peer = host_in(address)
        failure = self._failures.failed(caller_of(peer))
        if failure.log:
            more = _more(failure.unlogged)
            log.warning(
                "a call %s from %s was refused%s",
                what,
                peer or "a local socket",
                more,
                extra={**fields(Event.ACCESS_REFUSED), **cause("no valid token")},  # an attacker has many addresses
            )
        if failure.retry_after:
            return too_many_failures(
                N_("too many calls without a valid token"),
                N_("wait {seconds} s, or use a valid token, which is accepted immediately"),
                failure.retry_after,
            )
        return Refused(code, message, remedy, status=401)


def holder(token: Token) -> Caller:
    return Caller(f"token {token.name} ({token.id})", token.scope, token.instances, token.id)


def _more(unlogged: int) -> str:
    return f" ({unlogged} more before it)" if unlogged else ""


def local_token(paths: Paths, addresses: Sequence[object]) -> str:
    """Create root's token, and store it with our addresses where only root can read it. Raises OSError. It changes at
    each start, so a program that received it by listening on the controller's port cannot use it afterwards.
    """
    made = minted_for_root()
    paths.controller_runtime.mkdir(parents=True, exist_ok=True)
    listening = [[address[0], address[1]] for address in addresses if isinstance(address, tuple)]
    content = json.dumps({"token": made, "addresses": listening}) + "\n"
    replace_file(paths.local_token, content.encode(), 0o600)
    return made
