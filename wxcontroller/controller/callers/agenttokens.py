"""The tokens of consumers: created and revoked by the controller, stored as hashes in a separate file.

They are apart from the other tokens, whose file only root writes: administrators approve agents remotely. A token is
valid only for the iLink API of one consumer. The gate (controller/callers/authentication.py) knows both files.
"""

import asyncio
import re
import time
from dataclasses import dataclass

from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import Token, TokenFile, Tokens, minted, token_book
from wxcontroller.core.errors import BadName
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import N_

# Part of URLs, headers and names of tokens. Without dots: they separate its parts in URLs of media.
_CONSUMER = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """The owner of a token: an account, by its instance, and a consumer's name."""

    instance: str
    name: str
    token: Token


def checked_name(name: str) -> str:
    """Return a consumer's name. Raises BadName."""
    if not _CONSUMER.fullmatch(name):
        raise BadName(
            N_("invalid agent name: {consumer}"),
            N_("use 1 to 32 of a-z 0-9 _ -, and begin with a letter or digit"),
            consumer=f"{name[:64]!r}",
        )
    return name


class ConsumerTokens:
    """All present tokens of consumers."""

    def __init__(self, paths: Paths) -> None:
        self._file = TokenFile(paths.ilink_tokens)
        self._book = token_book(paths.ilink_tokens)

    @property
    def tokens(self) -> Tokens:
        """The tokens at this moment, also expired ones."""
        return self._book.current()

    def consumer(self, token_id: str) -> TokenHolder | None:
        """Return the consumer that a token is for."""
        token = self.tokens.by_id.get(token_id)
        return None if token is None else _consumer(token)

    def all(self) -> list[TokenHolder]:
        """Return all consumers that have a token, also an expired one."""
        return [_consumer(token) for token in self.tokens.by_id.values()]

    def of_account(self, instance: str) -> dict[str, Token]:
        """Return the tokens of an account's consumers by the consumers' names, also expired ones."""
        return {each.name: each.token for each in self.all() if each.instance == instance}

    def find(self, instance: str, name: str) -> TokenHolder | None:
        """Return the consumer of a valid token."""
        token = self.of_account(instance).get(name)
        return None if token is None or token.expired(time.time()) else TokenHolder(instance, name, token)

    async def issue(self, account: Account, name: str, expires: int | None = None) -> tuple[str, Token]:
        """Create a consumer's token and revoke the previous one; return its text, which is not stored.

        Raises BadName, BadSettings for a file that cannot be used, and OSError.
        """
        own = f"{account.name.instance}.{checked_name(name)}"
        shown, token = minted(own, Scope.ILINK, (account.name.name,), expires)
        await asyncio.to_thread(self._file.put, token)
        return shown, token

    async def end(self, instance: str, name: str | None = None) -> list[str]:
        """Revoke a consumer's token, or those of all consumers of an account; return the consumers. Raises as
        ``issue``."""

        def is_unwanted(token: Token) -> bool:
            found = _consumer(token)
            return found.instance == instance and name in (None, found.name)

        gone = await asyncio.to_thread(self._file.discard, is_unwanted)
        return [_consumer(token).name for token in gone]


def _consumer(token: Token) -> TokenHolder:
    instance, _, name = token.name.partition(".")
    return TokenHolder(instance, name, token)
