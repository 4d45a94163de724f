"""What root takes from the reader of an account's files, which may have been taken over: limits and refusals."""

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial

import pytest

from wxcontroller.cli.transfer.copy import receivedfiles
from wxcontroller.cli.transfer.copy.accountreader import END, FAILED, FILE, HEADER, LEFT_OUT, RESTARTED, WITHOUT_MEDIA
from wxcontroller.cli.transfer.copy.receivedfiles import CopiedFile, ReceivedFiles
from wxcontroller.core.errors import WxError
from wxcontroller.core.names import parse_name

MOST = 1 << 20


def record(kind: bytes, name: bytes | str = b"", body: bytes = b"", number: int = -1) -> bytes:
    encoded = name.encode() if isinstance(name, str) else name
    return HEADER.pack(kind, len(encoded), len(body) if number < 0 else number, 1_700_000_000) + encoded + body


def content(file: CopiedFile) -> bytes:
    return b"".join(iter(partial(file.read, 7), b""))


def read(*pieces: bytes, ends: bool = True, endless: Iterable[bytes] = ()) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of an answer, and what was left out. ``ends``: the reader ends after it."""
    ours, theirs = socket.socketpair()

    def answer() -> Iterator[bytes]:
        yield from pieces
        yield from endless

    def send() -> None:
        try:
            for piece in answer():
                theirs.sendall(piece)
            if ends:
                theirs.shutdown(socket.SHUT_WR)
        except OSError:
            return

    sending = threading.Thread(target=send)
    with ours, theirs:
        sending.start()
        try:
            files = ReceivedFiles(parse_name("alice"), ours, MOST)
            found = {file.name: content(file) for file in files.requested(media=False)}
            assert theirs.recv(2) == WITHOUT_MEDIA
            return found, files.left_out
        finally:
            ours.close()
            theirs.shutdown(socket.SHUT_RDWR)
            sending.join()


def test_files_of_an_account_are_read() -> None:
    answer = record(FILE, "a/b", b"12345678"), record(LEFT_OUT, "x\ny"), record(FILE, "a/图"), record(END)
    assert read(b"".join(answer)) == ({"a/b": b"12345678", "a/图": b""}, ["x y"])


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "/etc/passwd", "..", "../x", "a/../b", "a//b", "a/", "./a", "a/.", "d/" * 8 + "x"),
        *("two\nlines", "\x1b[2J", "a\x00b", "\x9b", b"no\xffname", "x" * 5000),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str | bytes) -> None:
    with pytest.raises(WxError, match="invalid data"):
        read(record(FILE, "good", b"1"), record(FILE, name, b"2"), record(END))


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b")])
def test_directory_has_each_name_once(names: tuple[str, str]) -> None:
    with pytest.raises(WxError, match="invalid data"):
        read(*(record(FILE, name) for name in names), record(END))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "has failed"),
        (record(FILE, "a", b"1"), "has failed"),
        (record(FILE, "a", number=10) + b"12345", "has failed"),
        (record(END)[:-1], "has failed"),
        (b"x" * 100, "invalid data"),
        (record(b"?") + record(END), "invalid data"),
        (record(FAILED, number=RESTARTED), "log of its database was restarted"),
        (record(FAILED, number=99), "invalid data"),
        (record(FILE, "a", number=1 << 60), "more than 1048576 bytes"),
    ],
)
def test_incomplete_and_invalid_answers_are_refused(answer: bytes, words: str) -> None:
    with pytest.raises(WxError, match=words):
        read(answer)


def test_bytes_and_files_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    many = (record(FILE, str(number), bytes(1 << 18)) for number in range(1 << 20))
    with pytest.raises(WxError, match="more than 1048576 bytes"):
        read(endless=many)
    monkeypatch.setattr(receivedfiles, "MOST_FILES", 50)
    with pytest.raises(WxError, match="more than 50 files"):
        read(endless=(record(LEFT_OUT, "x") for _ in range(1 << 20)))


def test_memory_for_names_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivedfiles, "_NAMES_LENGTH", 50_000)
    # 7,500 characters each, with those of the directories above it.
    many = [record(FILE, f"{number:04}" + "/".join("d" * 200 for _ in range(8))) for number in range(10)]
    with pytest.raises(WxError, match="invalid data"):
        read(*many, record(END))
    # Directories count once.
    assert len(read(*(record(FILE, f"{'d' * 200}/{number}") for number in range(200)), record(END))[0]) == 200


def drip() -> Iterator[bytes]:
    yield record(FILE, "a", number=1 << 19)
    while True:
        time.sleep(0.05)
        yield b"x"


@pytest.mark.parametrize("endless", [(), drip()], ids=["silent", "dripping"])
def test_slow_reader_is_given_up(monkeypatch: pytest.MonkeyPatch, endless: Iterable[bytes]) -> None:
    monkeypatch.setattr(receivedfiles, "_WAIT_SECONDS", 0.5)
    with pytest.raises(WxError, match="takes too long"):
        read(endless=endless, ends=False)
