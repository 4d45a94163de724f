"""The header of a forwarded call that names its caller.

The credential of a hop (a token of scope fleet, or a certificate) proves which host calls, and opens nothing. The
receiving host checks each call against the caller in this header, its scope and its accounts, and against what its
settings allow that host. So a caller can do on another host only what its own token allows, and a host that makes up
callers only what it is allowed itself.
"""

import json
import re
from dataclasses import dataclass

from wxcontroller.core.access.rights import LADDER, Scope
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, one_line, read_json
from wxcontroller.core.names import is_instance

# In characters: the ids of 1,000 accounts, in a header that any server takes.
CALLER_HEADER_LENGTH = 7000
_WORDS_LENGTH = 120
# Scopes of callers whose calls are forwarded. Programs that send notifications use the host of their target.
_SCOPES = (None, *LADDER, Scope.ILINK, Scope.FLEET)
_ORIGIN = re.compile(r"(?:https?://[!#-;=?-~]{1,300})?")
_KEYS = {"host", "scope", "accounts", "caller", "origin"}


class BadCaller(ValueError):
    """A text that names no caller."""


@dataclass(frozen=True, slots=True)
class HopCaller:
    """The caller of a forwarded call. ``scope`` is None for a caller without a token, on paths that need none.
    ``accounts`` are instances, None for all. ``words`` are for logs. ``origin`` is the address at which an agent
    reaches the calling host, "" for other callers.
    """

    host: str
    scope: Scope | None
    accounts: frozenset[str] | None
    words: str
    origin: str = ""

    def __str__(self) -> str:
        """Return the header. Raises BadCaller when it would be too long."""
        accounts: JsonValue = None if self.accounts is None else [*sorted(self.accounts)]
        content: JsonObject = {
            "host": self.host,
            "scope": None if self.scope is None else self.scope.value,
            "accounts": accounts,
            "caller": self.words[:_WORDS_LENGTH],
            "origin": self.origin,
        }
        written = json.dumps(content, separators=(",", ":"))  # ASCII
        if len(written) > CALLER_HEADER_LENGTH:
            raise BadCaller("it is bound to too many accounts")
        return written


def read_caller(header: str) -> HopCaller:
    """Read the header. Raises BadCaller for anything that is not exactly what a host writes."""
    try:
        content = obj(read_json(header.encode(), unique=True)) if len(header) <= CALLER_HEADER_LENGTH else {}
    except ValueError:
        content = {}
    scope, accounts = content.get("scope"), content.get("accounts")
    texts = {key: each for key in ("host", "caller", "origin") if isinstance(each := content.get(key), str)}
    # Exactly these: a field of a later version may restrict the caller, and must not be ignored.
    if content.keys() != _KEYS or len(texts) != 3 or scope not in _SCOPES:
        raise BadCaller("it is not what a host writes")
    bound: frozenset[str] | None = None
    if accounts is not None:
        if not isinstance(accounts, list) or not all(
            isinstance(account, str) and is_instance(account) for account in accounts
        ):
            raise BadCaller("it names accounts that cannot be any")
        bound = frozenset(map(str, accounts))
    if not _ORIGIN.fullmatch(texts["origin"]):
        raise BadCaller("its origin is no address")
    words, host = one_line(texts["caller"])[:_WORDS_LENGTH], one_line(texts["host"])[:_WORDS_LENGTH]
    return HopCaller(host, None if scope is None else Scope(str(scope)), bound, words, texts["origin"])
