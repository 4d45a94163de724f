"""The encryption of exported accounts: content is restored, and changes are rejected."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wxcontroller.cli.transfer.copy.seal import MAGIC, Locked, Opener, Sealer

PIECE = 64 * 1024
HEADER = len(MAGIC) + 1 + 16 + 7
# scrypt's cost is another test's: here many files are made.
CHEAP = 4


def sealed(content: bytes, passphrase: bytes = b"secret", step: int = 10_000) -> bytes:
    out = io.BytesIO()
    sealer = Sealer(out, passphrase, cost=CHEAP)
    for start in range(0, len(content), step):
        sealer.write(content[start : start + step])
    sealer.close()
    assert sealer.written == len(out.getvalue())
    return out.getvalue()


def opened(content: bytes, passphrase: bytes = b"secret", step: int = 7000) -> bytes:
    opener = Opener(io.BytesIO(content), lambda: passphrase)
    found = b""
    while piece := opener.read(step):
        found += piece
    opener.finish()
    return found


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE + 17])
def test_sealed_content_is_restored(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    made = sealed(content)
    assert opened(made) == content
    assert opened(made, step=1_000_000) == content
    assert size < 16 or content[:200] not in made  # a byte or two may come up by chance


def test_sealing_twice_gives_different_bytes() -> None:
    assert sealed(b"x" * 100)[HEADER:] != sealed(b"x" * 100)[HEADER:]


def test_wrong_passphrase_is_refused() -> None:
    with pytest.raises(Locked, match="passphrase is wrong"):
        opened(sealed(b"content"), b"Secret")


@settings(max_examples=60)
@given(st.data())
def test_modified_archives_are_rejected(data: st.DataObject) -> None:
    content = data.draw(st.binary(min_size=1, max_size=200)) * data.draw(st.sampled_from([1, 700]))
    made = bytearray(sealed(content))
    at = data.draw(st.integers(0, len(made) - 1))
    if at == len(MAGIC):
        return  # the cost: another one may take its time
    made[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Locked):
        opened(bytes(made))


@settings(max_examples=60)
@given(st.data())
def test_truncated_or_extended_archives_are_rejected(data: st.DataObject) -> None:
    made = sealed(b"y" * (2 * PIECE + 10))
    with pytest.raises(Locked):
        opened(made[: data.draw(st.integers(0, len(made) - 1))])
    with pytest.raises(Locked):
        opened(made + data.draw(st.binary(min_size=1, max_size=50)))


def test_pieces_keep_their_places() -> None:
    made = sealed(bytes(4 * PIECE))
    sealed_piece = PIECE + 16
    head, pieces = made[:HEADER], [made[at : at + sealed_piece] for at in range(HEADER, len(made), sealed_piece)]
    assert len(pieces) == 4
    for order in ([1, 0, 2, 3], [0, 0, 1, 2, 3], [0, 2, 3], [0, 1, 2], [3]):
        with pytest.raises(Locked):
            opened(head + b"".join(pieces[index] for index in order))


def test_file_cannot_demand_excessive_memory() -> None:
    made = bytearray(sealed(b"x"))
    made[len(MAGIC)] = 30
    with pytest.raises(Locked, match="more memory"):
        opened(bytes(made))


def test_the_key_is_not_cheap() -> None:
    """Guessing passphrases takes memory and time: 128 MiB for each."""
    out = io.BytesIO()
    Sealer(out, b"secret").close()
    assert out.getvalue()[len(MAGIC)] == 17
    assert opened(out.getvalue()) == b""
