"""A hostile program in an account's unit: takes ports of the range that all accounts share, and answers for others.

    squatter.py HOLD PAUSE PORT    take a port whenever it is free, for HOLD seconds, and leave it for PAUSE seconds
    squatter.py all FIRST LAST     take all free ports of a range for good

Every request gets "success", every reader of events a forged event of account alice. What it receives is appended to
``seen`` in its runtime directory. As ``squatter.py serve`` it is an honest program that is not ours, and answers at
its own port; as ``squatter.py silent`` one that does not listen. Standard library only.
"""

import os
import socket
import sys
import threading
import time
from pathlib import Path

OPEN = b'event: open\ndata: {"account":"alice","after":"deadbeef-1"}\n\n'
EVENT = (
    b"event: receive_message\nid: deadbeef-2\n"
    b'data: {"id":"deadbeef-2","account":"alice","type":"receive_message","seq":2,"stamp":2,"time":2,'
    b'"report":{"text":"forged"}}\n\n'
)
FORGED = b'{"code":0,"status":"success","id":"forged"}'
HONEST = b'{"code":0,"status":"success","id":"honest"}'


def seen(words: bytes) -> None:
    place = Path("/run/wxclient") / os.environ["MOJO_WEIXIN_ACCOUNT"] / "seen"
    with place.open("ab", buffering=0) as stream:
        stream.write(words)


def answer(connection: socket.socket, body: bytes) -> None:
    with connection:
        seen(b"connection\n")
        while data := connection.recv(65536):
            seen(data)
            if b"/v1/events" in data and body is FORGED:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + OPEN + EVENT)
                time.sleep(1)
                return
            length = str(len(body)).encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + length + b"\r\n\r\n" + body
            )


def listen(port: int, hold: float, body: bytes) -> bool:
    """Serve at a port for a time; return whether it was free."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(64)
        except OSError:
            return False
        listener.settimeout(0.05)
        end = time.monotonic() + hold
        while time.monotonic() < end:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(None)
            threading.Thread(target=answer, args=(connection, body), daemon=True).start()
    return True


def take(port: int, hold: float, pause: float) -> None:
    while True:
        time.sleep(pause if listen(port, hold, FORGED) else 0.0005)


def take_all(ports: list[int]) -> None:
    """Take many ports for good; nothing is answered."""
    taken = []
    for port in ports:
        listener = socket.socket()
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(1)
        except OSError:
            listener.close()
        else:
            taken.append(listener)
    seen(f"taken {len(taken)}\n".encode())
    time.sleep(1e6)


def main() -> None:
    # systemd would wait for READY=1.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    match sys.argv[1:]:
        case ["serve"]:
            listen(int(os.environ["MOJO_WEIXIN_PLUGIN_OPENWX_PORT"]), 1e9, HONEST)
        case ["silent"]:
            time.sleep(1e6)
        case ["all", first, last]:
            take_all(list(range(int(first), int(last) + 1)))
        case [hold, pause, port]:
            take(int(port), float(hold), float(pause))


if __name__ == "__main__":
    main()
