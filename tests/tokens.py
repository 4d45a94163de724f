"""Tokens of the controller's file, as wxctl makes them."""

from typing import Protocol

from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile, minted
from wxcontroller.core.paths import Paths


class HasPaths(Protocol):
    @property
    def paths(self) -> Paths: ...


def token(host: HasPaths, scope: Scope, *accounts: str, name: str = "", expires: int | None = None) -> str:
    """Make a token and return its text. From then on, each call needs a token."""
    file = TokenFile(host.paths.tokens_file)
    shown, made = minted(name or f"{scope}-{len(file.read().by_id)}", scope, accounts, expires)
    file.add(made)
    return shown


def bearer(shown: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shown}"}
