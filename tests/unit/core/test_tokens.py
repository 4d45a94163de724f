"""Tokens: storage, permissions, and damaged files, which admit no caller."""

import hmac
import json
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from wxcontroller.core.access import porttokens
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import (
    Token,
    TokenFile,
    Tokens,
    UnknownToken,
    digest,
    minted,
    parse,
    token_book,
)
from wxcontroller.core.errors import BadName, BadSettings
from wxcontroller.core.files.filecache import TOKENS_FILE_BYTES
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import Text

SHAPE = re.compile(r"wxc_[0-9a-f]{8}_[0-9a-f]{64}")


def made(
    name: str = "bot", *accounts: str, scope: Scope = Scope.SEND, expires: int | None = None
) -> tuple[str, Token]:
    return minted(name, scope, accounts, expires)


def test_token_has_256_random_bits_and_only_its_hash_is_stored(tmp_path: Path) -> None:
    texts = {made()[0] for _ in range(50)}
    assert len(texts) == 50
    assert all(SHAPE.fullmatch(text) for text in texts)
    shown, token = made("bot", "alice", "小店", "alice")
    file = TokenFile(tmp_path / "tokens")
    file.add(token)
    content = file.path.read_text()
    assert shown not in content
    assert shown.rpartition("_")[2] not in content
    assert digest(shown) in content
    assert file.read().by_id == {token.id: token}
    assert token.accounts == ("alice", "小店")


def test_token_file_is_private_to_its_group_and_replaced_atomically(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens", group=12345)
    file.add(made("a")[1])
    before = file.path.stat()
    assert (stat.S_IMODE(before.st_mode), before.st_gid) == (0o640, 12345)
    with file.path.open("rb") as reader:
        file.add(made("b")[1])
        assert len(parse(reader.read(), "").by_id) == 1  # a reader sees the old file to its end
    assert file.path.stat().st_ino != before.st_ino
    assert [entry.name for entry in tmp_path.iterdir()] == ["tokens"]


def test_concurrent_writers_lose_no_token(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from wxcontroller.core.access.tokenfile import *; "
        "[TokenFile(Path(sys.argv[1])).add(minted(f'{sys.argv[2]}-{n}', Scope.READ, (), None)[1]) for n in range(10)]"
    )
    path = tmp_path / "tokens"
    runs = [subprocess.Popen([sys.executable, "-c", code, str(path), str(number)]) for number in range(4)]
    assert [run.wait(PATIENCE) for run in runs] == [0] * 4
    assert len(TokenFile(path).read().by_id) == 40


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with an unknown id: the time of a response reveals neither an id nor a secret."""
    compared: list[str] = []

    def compare(one: str, other: str) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    shown, bot = made()
    wrong_secret, wrong_id = shown[:-1] + ("0" if shown[-1] != "0" else "1"), made()[0]
    found = [Tokens({bot.id: bot}).find(each) for each in (shown, wrong_secret, wrong_id, "none")]
    assert found == [bot, None, None, None]
    assert compared == [digest(each) for each in (shown, wrong_secret, wrong_id, "none")]


def test_token_outside_the_ladder_is_bound_as_its_scope_requires_and_leaves_the_api_open(tmp_path: Path) -> None:
    """Only its own endpoints need a token then; programs that call the others without one continue."""
    file = TokenFile(tmp_path / "tokens")
    shown, agent = made("agent", "alice", scope=Scope.ILINK)
    tokens = file.add(agent)
    assert tokens.find(shown) == agent
    assert not tokens.required
    for scope, accounts in (("ilink", ""), ("ilink", "alice bob"), ("notify", "alice"), ("fleet", "alice")):
        with pytest.raises(ValueError, match="must not be bound"):
            made("wrong", *accounts.split(), scope=Scope(scope))
    assert not file.add(made("host", scope=Scope.FLEET)[1]).required
    assert file.add(made("panel")[1]).required


def test_accounts_get_no_scope_that_2_0_0_cannot_read(paths: Paths) -> None:
    shown, agent = made("agent", "alice", scope=Scope.ILINK)
    own, bot = made("bot", "alice")
    porttokens.publish(paths, Tokens({agent.id: agent, bot.id: bot}))
    assert b"ilink" not in paths.port_tokens.read_bytes()
    book = porttokens.port_book(paths).current()
    assert book.find("alice", shown, 0.0) is None
    assert book.find("alice", own, 0.0) is not None


def test_finding_and_revoking(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    shown, bot = made("bot")
    other, _ = made("bot")
    tokens = file.add(bot)
    assert tokens.find(shown) == bot
    changed = shown[:-1] + ("0" if shown[-1] != "0" else "1")
    for wrong in ("", "x", other, shown[:-1], changed, shown.upper(), "\udcff"):
        assert tokens.find(wrong) is None
    with pytest.raises(BadName, match="already"):
        file.add(made("bot")[1])
    with pytest.raises(UnknownToken):
        file.revoke("nobody")
    gone, left = file.revoke("bot")
    assert (gone, left.required, left.find(shown)) == (bot, False, None)
    file.add(bot)
    assert file.revoke(bot.id)[0] == bot


def test_removal_ends_an_accounts_tokens_without_opening_the_api(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    (own, alone), (both, shared), (free, everywhere) = (made("a", "alice"), made("b", "alice", "bob"), made("c"))
    for token in (alone, shared, everywhere):
        file.add(token)
    unbound = file.unbind("alice")
    assert (unbound.ended, unbound.narrowed) == ((alone,), (shared,))
    left = file.read()
    assert left == unbound.tokens
    found = [left.find(shown) for shown in (own, both, free)]
    assert [token is not None and token.expired(time.time()) for token in found] == [True, False, False]
    assert [token and token.accounts for token in found] == [("alice",), ("bob",), ()]
    for token in (shared, everywhere):
        file.revoke(token.id)
    assert file.read().required


def damaged() -> list[bytes]:
    entry = made("bot", "alice")[1].as_json()
    changes: list[dict[str, JsonValue]] = [
        {"scope": "all"},
        {"scope": "notify"},
        {"scope": "ilink", "accounts": []},
        {"accounts": ["../etc"]},
        {"expires": "soon"},
        {"sha256": "00"},
        {"sha256": None},
    ]
    return [
        *(b"", b"{", b"[]", b"\xff", b'{"tokens": {}}', b"[" * 100_000, b'{"tokens": [1]}'),
        *(json.dumps({"tokens": each}).encode() for each in ([entry, entry], *([{**entry, **c}] for c in changes))),
    ]


@pytest.mark.parametrize("content", damaged(), ids=range(len(damaged())))
def test_damaged_token_file_admits_no_caller(tmp_path: Path, content: bytes) -> None:
    file = TokenFile(tmp_path / "tokens")
    shown, token = made("before")
    file.add(token)
    book = token_book(file.path)
    assert book.current().find(shown) == token
    file.path.write_bytes(content)
    tokens = book.current()
    assert tokens.required
    assert tokens.find(shown) is None
    assert "tokens: " in str(tokens.broken)
    with pytest.raises(BadSettings):
        file.add(made("after")[1])
    assert file.path.read_bytes() == content  # the admin may want to look at it
    file.path.unlink()
    file.path.mkdir()
    assert book.current().required
    file.path.rmdir()
    assert not book.current().required


def test_token_file_beyond_its_limit_admits_no_caller(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    shown, token = made("bot")
    file.add(token)
    content = file.path.read_bytes()
    for size, found in ((TOKENS_FILE_BYTES, token), (TOKENS_FILE_BYTES + 1, None)):
        file.path.write_bytes(content.ljust(size))
        tokens = token_book(file.path).current()
        assert (tokens.required, tokens.find(shown)) == (True, found)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.port_tokens.parent.mkdir(parents=True)
    return paths


def test_an_account_recognizes_only_its_own_tokens(paths: Paths) -> None:
    own, alices = made("own", "alice", scope=Scope.SEND, expires=2000)
    wide, everybodys = made("wide", scope=Scope.ADMIN)
    both, two = made("both", "alice", "bob")
    porttokens.publish(paths, Tokens({each.id: each for each in (alices, everybodys, two)}))
    content = paths.port_tokens.read_text()
    for secret in (own, wide, both, alices.sha256, everybodys.sha256, two.sha256, "alice", "bob", "own", "wide"):
        assert secret not in content
    tokens = porttokens.port_book(paths).current()
    assert tokens.closed
    found = tokens.find("alice", own, 1999)
    assert found is not None
    assert found.scope is Scope.SEND
    assert tokens.find("alice", own, 2000) is None
    assert tokens.find("bob", own, 0) is None
    for shown in (wide, both, "", alices.sha256):
        assert tokens.find("alice", shown, 0) is None


def test_a_missing_port_token_file_is_empty_and_a_damaged_one_admits_no_caller(paths: Paths) -> None:
    book = porttokens.port_book(paths)
    assert not book.current().closed
    porttokens.publish(paths, Tokens())
    assert not paths.port_tokens.exists()
    for content in ("", "{", "[]", '{"closed": 1, "tokens": []}', '{"closed": false}'):
        paths.port_tokens.write_text(content)
        assert book.current().closed, content
    porttokens.publish(paths, Tokens())
    assert not book.current().closed
    porttokens.publish(paths, Tokens(broken=Text("x")))
    assert book.current().closed
