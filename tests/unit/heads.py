"""Requests that both ports refuse by their head, with the status and words of the response."""

LONG = b"x" * 9000
HOST = b"Host: localhost\r\n"
REFUSED: dict[str, tuple[bytes, int, bytes]] = {
    "no host": (b"GET /openwx/x HTTP/1.1\r\n\r\n", 400, b"Host"),
    "two hosts": (b"GET /openwx/x HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, b"Host"),
    "connect": (b"CONNECT / HTTP/1.1\r\n" + HOST + b"\r\n", 501, b"CONNECT"),
    "gzip, chunked": (
        b"POST /openwx/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
        b"Transfer-Encoding",
    ),
    "gzip and chunked": (
        b"POST /openwx/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        501,
        b"Transfer-Encoding",
    ),
    "chunked in 1.0": (
        b"POST /openwx/x HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        b"Transfer-Encoding",
    ),
    "two lengths": (
        b"POST /openwx/x HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        400,
        b"",
    ),
    "length and chunked": (
        b"POST /openwx/x HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        b"",
    ),
    "signed length": (b"POST /openwx/x HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\nx", 400, b""),
    "space before the colon": (b"POST /openwx/x HTTP/1.1\r\n" + HOST + b"Content-Length : 1\r\n\r\nx", 400, b""),
    "folded": (b"GET /openwx/x HTTP/1.1\r\n" + HOST + b"X: y\r\n z\r\n\r\n", 400, b""),
    "bare line feeds": (b"GET /openwx/x HTTP/1.1\n" + HOST + b"\n", 400, b""),
    "bare carriage return": (b"GET /openwx/x HTTP/1.1\r\n" + HOST + b"X: y\rContent-Length: 5\r\n\r\n", 400, b""),
    "long target": (b"GET /openwx/x?content=" + LONG + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, b"POST"),
    "endless target": (b"GET /openwx/x?content=" + LONG, 414, b"POST"),
    "long header": (b"GET /openwx/x HTTP/1.1\r\n" + HOST + b"X: " + LONG + b"\r\n\r\n", 431, b""),
    "another expectation": (
        b"GET /openwx/x HTTP/1.1\r\n" + HOST + b"Expect: \xd0\xb6\xff\r\n\r\n",
        417,
        b"100-continue",
    ),
    "another version": (b"GET /openwx/x HTTP/2.0\r\n" + HOST + b"\r\n", 505, b"1.1"),
}
# Each is one request, however it is split.
BODIES: dict[str, bytes] = {
    "length": b"Content-Length: 9\r\n\r\nclient=no",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n3\r\ncli\r\n006;x=y\r\nent=no\r\n0\r\n\r\n",
    "trailers": b"Transfer-Encoding: Chunked\r\n\r\n9\r\nclient=no\r\n0\r\nX-Sum: 1\r\n\r\n",
    "no body": b"\r\n",
    "no expectation": b"Expect: \r\n\r\n",
}
