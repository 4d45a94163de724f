"""A form with a file, which is read from disk while it is sent."""

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from wxcontroller.cli.clierrors import BadUsage, file_problems
from wxcontroller.cli.connection.requests import RequestBody
from wxcontroller.core.text.templates import N_

_PIECE = 256 * 1024
_ESCAPED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def file_body(fields: Mapping[str, str], name: str, path: Path) -> RequestBody:
    """Return a form of texts and, under ``name``, a file's content. Raises BadUsage when it cannot be read."""
    boundary = secrets.token_hex(16)
    head = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    )
    shown = path.name.translate(_ESCAPED)
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{shown}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode("utf-8", "replace")
    tail = f"\r\n--{boundary}--\r\n".encode()
    unreadable = N_("{file} cannot be read: {reason}")
    with file_problems(unreadable, N_("name a file that you may read"), file=path), path.open("rb"):
        size = path.stat().st_size
    if not size:
        raise BadUsage(N_("{file} is empty"), N_("nothing was sent; choose a file with content"), file=path)

    def pieces() -> Iterator[bytes]:
        yield head
        left = size
        with path.open("rb") as stream:
            while left and (piece := stream.read(min(_PIECE, left))):
                left -= len(piece)
                yield piece
        if left:
            raise OSError(f"{path} became shorter while it was sent")
        yield tail

    return RequestBody(f"multipart/form-data; boundary={boundary}", len(head) + size + len(tail), pieces)
