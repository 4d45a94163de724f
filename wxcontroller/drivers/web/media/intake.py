"""Incoming content: held back until it is recognized as content, and joined from several answers."""

import re

from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.base import Fetched, Sink
from wxcontroller.drivers.connection.failures import NoAnswer, TooLong, UnreadableResponse
from wxcontroller.drivers.connection.transport import ReceivedFile

# Beginnings of content, for its declared type is often wrong: every picture is a JPEG to WeChat.
_SIGNS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"#!SILK", "audio/silk"),
    (b"\x02#!SILK", "audio/silk"),
)
# The longest signature of content, and enough to distinguish it from WeChat's JSON or HTML.
_HEAD = 16
_REFUSAL = re.compile(rb'\s*(?:\{\s*"BaseResponse"|<!DOCTYPE html|<html)', re.IGNORECASE)


class Intake:
    """Passes content on to a sink, with as many answers as necessary.

    A truncated answer is not lost: the next request asks for the rest (``got`` bytes exist), and if
    the server still sends it from the start, the existing part is skipped.
    """

    def __init__(self, sink: Sink, call: str, limit: int, anything: bool = False, announced: int = 0) -> None:
        """At most ``limit`` bytes are accepted. ``anything``: an answer that looks like a refusal is content, too.
        ``announced``: size of the whole, 0: unknown."""
        self._sink = sink
        self._call = call
        self._limit = limit
        self._anything = anything
        self._head = b""
        self._passing = False
        self._skip = 0
        self._declared = ""
        self._promised = 0  # total bytes according to the first answer
        self._total = announced
        self.got = 0

    @property
    def whole(self) -> bool:
        """Whether the content is complete, as far as its size is known. Empty content is complete, too: WeChat no
        longer has it."""
        if not self.got:
            return not self._promised
        return self.got >= max(self._total, self._promised) and not self._skip

    @property
    def resume_at(self) -> int:
        """The offset at which the next answer should begin."""
        return self.got if self._passing else 0

    def broken(self, why: Text) -> NoAnswer:
        """Return the error for content that ended early."""
        total = max(self._total, self._promised)
        if total:
            return NoAnswer(
                self._call, Text("{why}; {got} of {total} bytes came", why=why, got=self.got, total=total)
            )
        return NoAnswer(self._call, Text("{why}; {got} bytes came", why=why, got=self.got))

    def begin(self, answer: ReceivedFile) -> None:
        """Check the headers of the next answer. Raises UnreadableResponse if it does not fit."""
        # Otherwise bytes between the parts would be missing without notice.
        if answer.start > self.got:
            raise UnreadableResponse(
                self._call, Text("the server returned a later part of the content than requested")
            )
        if not self._passing:
            self._head, self.got = b"", 0  # too short to have been passed on; it is sent again
            if answer.start:
                raise UnreadableResponse(
                    self._call, Text("the server returned a later part of the content than requested")
                )
        promised = answer.total or (answer.start + answer.size if answer.size else 0)
        # An answer of the announced length that is still too short may be followed by a longer one.
        longer = promised > self._promised and self.got >= self._promised
        if self._passing and self._promised and promised not in (0, self._promised) and not longer:
            raise UnreadableResponse(self._call, Text("the content changed meanwhile"))
        self._promised = promised or self._promised
        self._total = max(self._total, answer.total)
        self._skip = self.got - answer.start  # the server began again
        self._declared = self._declared or answer.mime

    def take(self, piece: bytes) -> None:
        """Take a piece of the answer. Raises TooLong beyond ``limit`` bytes, UnreadableResponse for words."""
        if self._skip:
            left_out = min(self._skip, len(piece))
            self._skip -= left_out
            piece = piece[left_out:]
        if self.got + len(piece) > self._limit:
            raise TooLong(self._call, self._limit)
        self.got += len(piece)
        if self._passing:
            self._sink.write(piece)
            return
        self._head += piece
        if len(self._head) >= _HEAD:
            self._pass()

    def end(self) -> Fetched:
        """Finish after the last part."""
        if not self._passing and self._head:
            self._pass()
        return Fetched(self.got, self._mime())

    def _pass(self) -> None:
        if not self._anything and _REFUSAL.match(self._head):
            raise UnreadableResponse(self._call, Text("received text instead of content"))
        self._passing = True
        self._sink.write(self._head)

    def _mime(self) -> str:
        head, declared = self._head, self._declared
        for sign, mime in _SIGNS:
            if head.startswith(sign):
                return mime
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return "image/webp"
        if head[4:8] == b"ftyp":
            return "video/mp4"
        if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
            return "audio/mpeg"
        if declared == "audio/mp3":
            return "audio/mpeg"
        return "" if declared == "application/octet-stream" else declared
