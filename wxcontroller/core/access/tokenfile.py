"""API tokens: their format, and the file that stores their hashes.

A token is 256 random bits behind its id, ``wxc_ID_SECRET``; only its SHA-256 is stored. It cannot be guessed or
derived from the hash, so no slow password hash is needed.

Tokens of scopes outside the ladder (core/access/rights.py) do not close the API: they open endpoints that are closed
without them. Those of scope ilink, each bound to one account, are in a file of the controller's
(controller/callers/agenttokens.py).
"""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from wxcontroller.core.access.rights import LADDER, Scope
from wxcontroller.core.errors import BadName, BadSettings, WxError, reason_of
from wxcontroller.core.files.atomic import read_foreign, replace_file
from wxcontroller.core.files.filecache import ANY_SIZE, Watched
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, read_json, text
from wxcontroller.core.jsontypes import field as member
from wxcontroller.core.names import parse_name
from wxcontroller.core.text.templates import N_, NOTHING, Text, in_file

_SHAPE = re.compile(r"wxc_([0-9a-f]{8})_[0-9a-f]{64}")
_NAME = re.compile(r"[\w.@-][\w.@ -]{0,62}[\w.@-]|[\w.@-]")
# For unknown ids: the comparison takes as long as for an existing one, so timing does not reveal ids.
_NOTHING = hashlib.sha256().hexdigest()
_MODE = 0o640
KEPT_SCOPES = (*LADDER, Scope.ILINK, Scope.FLEET)
# The id reserved for the token that the controller makes for root (controller/callers/authentication.py).
_ROOTS = "00000000"


class UnknownToken(WxError, LookupError, exit_code=4):
    """No token has this id or name."""


@dataclass(frozen=True, slots=True)
class Token:
    """A stored token. ``accounts`` are names, none for all; times are seconds since 1970."""

    id: str
    name: str
    sha256: str
    scope: Scope
    accounts: tuple[str, ...]
    created: int
    expires: int | None = None

    def expired(self, now: float) -> bool:
        return self.expires is not None and now >= self.expires

    @property
    def instances(self) -> frozenset[str] | None:
        """The ids of the accounts it is bound to, None when it is bound to none."""
        return frozenset(parse_name(name).instance for name in self.accounts) or None

    def as_json(self) -> JsonObject:
        """Return it in the file's format."""
        accounts: list[JsonValue] = list(self.accounts)
        return {
            "id": self.id,
            "name": self.name,
            "sha256": self.sha256,
            "scope": self.scope.value,
            "accounts": accounts,
            "created": moment(self.created),
            "expires": None if self.expires is None else moment(self.expires),
        }


@dataclass(frozen=True, slots=True)
class Tokens:
    """All tokens at one moment. ``broken`` says why the file cannot be used; then no caller is admitted."""

    by_id: Mapping[str, Token] = field(default_factory=dict[str, Token])
    broken: Text = NOTHING

    @property
    def required(self) -> bool:
        """Whether callers need a token. Expired ones count: time must never remove authentication."""
        return any(token.scope.in_ladder for token in self.by_id.values()) or bool(self.broken)

    def find(self, presented: str) -> Token | None:
        """Return the token that was presented, also an expired one."""
        return holder_of(presented, self.by_id)

    def bound_to(self, account: str) -> list[Token]:
        """Return those that are bound to an account, by its name, and have not expired."""
        now = time.time()
        return [token for token in self.by_id.values() if account in token.accounts and not token.expired(now)]

    def named(self, name_or_id: str) -> Token:
        """Return a token by its id or name. Raises UnknownToken."""
        for token in self.by_id.values():
            if name_or_id in (token.id, token.name):
                return token
        raise UnknownToken(N_("there is no token {token}"), N_("wxctl token list shows them"), token=name_or_id)


class HasDigest(Protocol):
    """The record of a token; ``sha256`` is its digest."""

    @property
    def sha256(self) -> str: ...


_Holder = TypeVar("_Holder", bound=HasDigest)


@dataclass(frozen=True, slots=True)
class Unbound:
    """Changes to an account's tokens: those that expired, and those that are now for other accounts only, as they
    were before.
    """

    tokens: Tokens
    ended: tuple[Token, ...] = ()
    narrowed: tuple[Token, ...] = ()


def holder_of(presented: str, by_id: Mapping[str, _Holder]) -> _Holder | None:
    """Return the holder of the presented token, in the same time for a wrong token as for a valid one."""
    token = by_id.get(token_id(presented))
    same = hmac.compare_digest(digest(presented), token.sha256 if token else _NOTHING)
    return token if same else None


def token_id(token: str) -> str:
    """Return the id in a token's text, "" for other texts."""
    shape = _SHAPE.fullmatch(token)
    return shape[1] if shape else ""


def digest(token: str) -> str:
    """Return the stored hash of a token's text. No token contains a lone surrogate, which JSON allows."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def minted(name: str, scope: Scope, accounts: tuple[str, ...], expires: int | None) -> tuple[str, Token]:
    """Create a token; return its text, which is not stored, and its record.

    Raises BadName, and ValueError for a scope that the file does not hold or that does not go with the accounts.
    """
    if not _NAME.fullmatch(name):
        raise BadName(
            N_("invalid token name: {token}"),
            N_("use 1 to 64 letters, digits, '_', '.', '@', '-', inner spaces"),
            token=f"{name[:64]!r}",
        )
    bound = tuple(dict.fromkeys(parse_name(account).name for account in accounts))
    if scope not in KEPT_SCOPES or not may_bind(scope, len(bound)):
        raise ValueError(
            Text("a token of scope {scope} must not be bound to {count} accounts", scope=scope, count=len(bound))
        )
    identity, shown = fresh_token()
    return shown, Token(identity, name, digest(shown), scope, bound, int(time.time()), expires)


def may_bind(scope: Scope, accounts: int) -> bool:
    """Return whether a token of a scope may be bound to this many accounts."""
    if scope is Scope.FLEET:  # the accounts are in each call
        return accounts == 0
    return scope.in_ladder or accounts == 1


def fresh_token() -> tuple[str, str]:
    """Make the id and the text of a new token."""
    identity = _ROOTS
    while identity == _ROOTS:
        identity = secrets.token_hex(4)
    return identity, _text(identity)


def minted_for_root() -> str:
    """Create the text of root's token, which is in no token file."""
    return _text(_ROOTS)


def _text(identity: str) -> str:
    return f"wxc_{identity}_{secrets.token_hex(32)}"


def parse(content: bytes, origin: str) -> Tokens:
    """Read the file's content. Raises BadSettings with the problem.

    An empty file is damaged: we write a list even without tokens, and a file that lost its content, as after a crash
    or a bad restore, must not open the API.
    """
    if not content.strip():
        raise BadSettings(
            in_file(origin, Text(N_("the file is empty"))),
            N_("restore it, or start over: rm {file}; wxctl token create NAME --scope admin"),
            file=origin,
        )
    try:
        listed = member(read_json(content), "tokens")
        if not isinstance(listed, list):
            raise ValueError(Text("has no list of tokens"))
        found = [_token(entry) for entry in items(listed)]
        by_id = {token.id: token for token in found}
        if len(by_id) != len(found):
            raise ValueError(Text("contains two tokens with the same id"))
    except (ValueError, BadName) as problem:
        raise BadSettings(
            in_file(origin, reason_of(problem)), N_("restore the file, or remove it and create new tokens")
        ) from None
    return Tokens(by_id)


def rendered(tokens: Tokens) -> bytes:
    """Return the content of the file."""
    listed: list[JsonValue] = [token.as_json() for token in tokens.by_id.values()]
    content: JsonObject = {"tokens": listed}
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def token_book(path: Path) -> Watched[Tokens]:
    """Return a view of the file that is always up to date. An unusable file yields broken tokens, never older
    ones."""
    return Watched(path, lambda content: parse(content, str(path)), Tokens(), lambda why: Tokens(broken=why))


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The file, for programs that may write it. ``group`` is the number of its group; None leaves it. ``follow``: a
    link in its place is followed, because its directory belongs to whoever reads it.
    """

    path: Path
    group: int | None = None
    follow: bool = True

    def read(self) -> Tokens:
        """Raises BadSettings or OSError."""
        try:
            return parse(read_foreign(self.path, ANY_SIZE, self.follow), str(self.path))
        except FileNotFoundError:
            return Tokens()

    def add(self, token: Token) -> Tokens:
        """Add a token; return all. Raises BadName when its name is taken, BadSettings or OSError."""
        with self._locked():
            tokens = self.read()
            if any(other.name == token.name for other in tokens.by_id.values()):
                raise BadName(
                    N_("there is a token {token} already"),
                    N_("revoke it first, or choose another name"),
                    token=token.name,
                )
            return self._write(Tokens({**tokens.by_id, token.id: token}))

    def put(self, token: Token) -> Tokens:
        """Add a token in place of another one of its name, if there is one; return all. Raises as ``add``."""
        with self._locked():
            kept = {key: each for key, each in self.read().by_id.items() if each.name != token.name}
            return self._write(Tokens({**kept, token.id: token}))

    def discard(self, unwanted: Callable[[Token], bool]) -> list[Token]:
        """Take tokens out; return them. Raises as ``add``."""
        with self._locked():
            tokens = self.read()
            gone = [token for token in tokens.by_id.values() if unwanted(token)]
            if gone:
                self._write(Tokens({key: each for key, each in tokens.by_id.items() if each not in gone}))
            return gone

    def revoke(self, name_or_id: str) -> tuple[Token, Tokens]:
        """Remove a token by id or name; return it and the remaining ones. Raises as ``add``, and UnknownToken."""
        with self._locked():
            tokens = self.read()
            gone = tokens.named(name_or_id)
            left = {identity: token for identity, token in tokens.by_id.items() if identity != gone.id}
            return gone, self._write(Tokens(left))

    def unbind(self, account: str) -> "Unbound":
        """Remove an account that is deleted from all tokens. Raises BadSettings or OSError.

        One for it alone ends now, and stays: without any token the API would be open.
        """
        now = int(time.time())
        with self._locked():
            tokens = self.read()
            ended = {token.id: token for token in tokens.bound_to(account) if token.accounts == (account,)}
            narrowed = {token.id: token for token in tokens.bound_to(account) if token.id not in ended}
            if not ended and not narrowed:
                return Unbound(tokens)
            changed = {identity: replace(token, expires=now) for identity, token in ended.items()} | {
                identity: replace(token, accounts=tuple(each for each in token.accounts if each != account))
                for identity, token in narrowed.items()
            }
            left = self._write(Tokens({**tokens.by_id, **changed}))
            return Unbound(left, tuple(ended.values()), tuple(narrowed.values()))

    def _write(self, tokens: Tokens) -> Tokens:
        # Durable: a token that was revoked must not be back after a power cut.
        replace_file(self.path, rendered(tokens), _MODE, durable=True, group=self.group)
        return tokens

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # The lock is on the directory, because each write replaces the file. Closing releases it.
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _token(entry: JsonValue) -> Token:
    identity, sha256, name = (text(member(entry, key)) for key in ("id", "sha256", "name"))
    if not re.fullmatch(r"[0-9a-f]{8}", identity) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(Text("contains a token without id or sha256"))
    if not _NAME.fullmatch(name):
        raise ValueError(Text("token {identity} has an invalid name", identity=identity))
    word = text(member(entry, "scope"))
    if word not in KEPT_SCOPES:
        raise ValueError(Text("token {identity} has an unknown scope", identity=identity))
    scope = Scope(word)
    listed = member(entry, "accounts")
    # Absent, it would be valid for all accounts: a misspelt key must not widen access.
    if not isinstance(listed, list) or not all(isinstance(account, str) for account in listed):
        raise ValueError(Text("token {identity} has no list of accounts", identity=identity))
    for account in listed:
        parse_name(text(account))
    if not may_bind(scope, len(listed)):
        raise ValueError(
            Text("token {identity} must not be bound to {count} accounts", identity=identity, count=len(listed))
        )
    if not isinstance(entry, dict) or "expires" not in entry:
        raise ValueError(Text("token {identity} does not say when it expires; null for never", identity=identity))
    expires = None if entry["expires"] is None else seconds_of(entry["expires"])
    created = seconds_of(member(entry, "created"))
    return Token(identity, name, sha256, scope, tuple(map(text, listed)), created, expires)


def moment(seconds: int) -> str:
    """Return a time in the format of files."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(value: JsonValue) -> int:
    """Read a time as ``moment`` writes it. Raises ValueError."""
    try:
        found = datetime.fromisoformat(text(value))
    except ValueError:
        raise ValueError(
            Text("{moment} is not a time like 2030-01-31T12:00:00Z", moment=f"{text(value)[:40]!r}")
        ) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
