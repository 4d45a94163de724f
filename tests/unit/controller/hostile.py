"""An account's program that sends bytes which cost its reader much, without end."""

import os
import socket
import sys
import threading

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n%b\r\n"
_STREAM = _HEAD % (b"text/event-stream", b"")
_OPEN = b'event: open\ndata: {"account":"mallory","log":"0badcafe","after":"0badcafe-0"}\n\n'
# By name: what an answer begins with, and what follows again and again.
ANSWERS = {
    "interim": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunks": (_HEAD % (b"application/json", b"Transfer-Encoding: chunked\r\n"), b"1\r\n \r\n"),
    "lines": (_STREAM, b"\n"),
    "fields": (_STREAM, b"id: 1\n"),
    "events": (_STREAM, b"event: x\n\n"),
    "openings": (_STREAM, _OPEN),
}


def _serve(connection: socket.socket, answers: str) -> None:
    begin, repeated = ANSWERS[answers]
    block = repeated * ((1 << 18) // len(repeated))
    with connection:
        try:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(begin)
            while True:
                connection.sendall(block)
        except OSError:
            pass


def main(path: str, answers: str) -> None:
    directory, name = os.path.split(path)
    os.chdir(directory)  # a socket's path must be short
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen(64)
    print("listens", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, answers), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
