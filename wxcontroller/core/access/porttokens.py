"""The data about tokens for an account's process: whether any exist, and which of them belong to it.

All accounts read one file, and any of them may be compromised. So it holds no token's hash: each token that is bound
to one account is stored as a mark that only this account recognizes, and only when the token is shown to it. A token
for more than one account is not listed, and is not accepted at an account's port, where a compromised process could
collect it. Tokens of scopes outside the ladder open nothing at these ports, and are not listed either.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import Tokens, digest
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.files.atomic import read_foreign, replace_file
from wxcontroller.core.files.filecache import TOKENS_FILE_BYTES, Watched
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, read_json, text
from wxcontroller.core.jsontypes import field as member
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_

_MODE = 0o640


@dataclass(frozen=True, slots=True)
class PortToken:
    """A token that is bound to one account: its scope, and when it ends (seconds since 1970, None: never)."""

    scope: Scope
    expires: int | None


@dataclass(frozen=True, slots=True)
class PortTokens:
    """The file at one moment. ``closed``: callers without a token are refused."""

    closed: bool = False
    by_mark: Mapping[str, PortToken] = field(default_factory=dict[str, PortToken])

    def find(self, instance: str, presented: str, now: float) -> PortToken | None:
        """Return a token's scope at this account's port, None if it is not valid there."""
        wanted, found = mark(instance, digest(presented)), None
        for each, token in self.by_mark.items():
            # All are compared, in constant time: timing must not reveal a close match.
            if hmac.compare_digest(each, wanted):
                found = token
        return found if found is not None and (found.expires is None or now < found.expires) else None


def mark(instance: str, sha256: str) -> str:
    """Return a token's mark in the accounts' file."""
    return hashlib.sha256(f"{instance}\0{sha256}".encode()).hexdigest()


def rendered(tokens: Tokens) -> bytes:
    """Return the content of the accounts' file."""
    listed: list[JsonValue] = []
    for token in tokens.by_id.values():
        instances = token.instances
        if token.scope.in_ladder and instances is not None and len(instances) == 1:
            [instance] = instances
            own: JsonObject = {
                "mark": mark(instance, token.sha256),
                "scope": token.scope.value,
                "expires": token.expires,
            }
            listed.append(own)
    content: JsonObject = {"closed": tokens.required, "tokens": listed}
    return (json.dumps(content, indent=2) + "\n").encode()


def publish(paths: Paths, tokens: Tokens, group: int | None = None) -> None:
    """Bring the accounts' file up to date. Raises OSError."""
    wanted = rendered(tokens)
    try:
        if read_foreign(paths.port_tokens, TOKENS_FILE_BYTES) == wanted:
            return
    except FileNotFoundError:
        if not tokens.required:
            return  # equivalent to no file
    replace_file(paths.port_tokens, wanted, _MODE, durable=True, group=group)


def port_book(paths: Paths) -> Watched[PortTokens]:
    """Return the accounts' file, always current; an unusable one admits no caller."""
    return Watched(paths.port_tokens, parse, PortTokens(), lambda _: PortTokens(closed=True))


def parse(content: bytes) -> PortTokens:
    wrong = BadSettings(
        N_("the accounts' file of tokens cannot be read"), N_("rewrite it: systemctl restart wxcontroller")
    )
    try:
        parsed = read_json(content)
    except ValueError:
        raise wrong from None
    closed, listed = member(parsed, "closed"), member(parsed, "tokens")
    if not isinstance(closed, bool) or not isinstance(listed, list):
        raise wrong
    found: dict[str, PortToken] = {}
    for entry in items(listed):
        expires = member(entry, "expires")
        try:
            scope = Scope(text(member(entry, "scope")))
        except ValueError:
            raise wrong from None
        if not re.fullmatch(r"[0-9a-f]{64}", text(member(entry, "mark"))):
            raise wrong
        found[text(member(entry, "mark"))] = PortToken(scope, None if expires is None else integer(expires))
    return PortTokens(closed, found)
