"""JPEG pictures of flat 8×8 squares: QR codes and plain avatars.

A square of one grey is a JPEG block with only a DC coefficient, so a baseline encoder for such pictures needs neither
a cosine transform nor the usual Huffman tables. The sandbox thus needs no image library.
"""

import hashlib
import struct
from collections.abc import Sequence

import segno

BLOCK = 8  # pixels
_QUIET_ZONE = 4  # modules around a QR code


def squares(rows: Sequence[Sequence[int]]) -> bytes:
    """Return a baseline greyscale JPEG in which each value of ``rows`` (0 black … 255 white) is an 8×8 square."""
    height, width = len(rows) * BLOCK, len(rows[0]) * BLOCK
    out = bytearray(b"\xff\xd8")
    out += segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    # quantiser 8: the DC of a flat block, 8·(value-128), becomes value-128 exactly
    out += segment(0xDB, b"\0" + bytes([8] * 64))
    out += segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0")
    # DC table: the twelve size classes, all with codes of four bits; AC table: end-of-block as the bit 0
    out += segment(0xC4, b"\x00" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12)))
    out += segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
    out += segment(0xDA, b"\x01\x01\0\0\x3f\0")
    bits, length, previous = 0, 0, 0
    for row in rows:
        for value in row:
            difference = (value - 128) - previous
            previous = value - 128
            size = abs(difference).bit_length()
            amplitude = difference if difference >= 0 else difference + (1 << size) - 1
            bits = ((((bits << 4) | size) << size) | amplitude) << 1  # the last bit is the end-of-block
            length += 4 + size + 1
            if length > 512:
                full, length = length // 8, length % 8
                out += (bits >> length).to_bytes(full, "big").replace(b"\xff", b"\xff\0")
                bits &= (1 << length) - 1
    padding = -length % 8
    tail = ((bits << padding) | ((1 << padding) - 1)).to_bytes((length + padding) // 8, "big")
    return bytes(out + tail.replace(b"\xff", b"\xff\0") + b"\xff\xd9")


def qr_code(text: str) -> bytes:
    """Return the JPEG of a QR code of ``text``, with the quiet zone that readers need."""
    matrix = segno.make(text, error="m", micro=False).matrix
    margin = [255] * _QUIET_ZONE
    blank = [255] * (len(matrix) + 2 * _QUIET_ZONE)
    rows = [[*margin, *(0 if dark else 255 for dark in line), *margin] for line in matrix]
    return squares([blank] * _QUIET_ZONE + rows + [blank] * _QUIET_ZONE)


def avatar(seed: str, scale: int = 1) -> bytes:
    """Return a symmetric picture that is always the same for the same ``seed``, of 56 pixels times ``scale``."""
    digest = hashlib.blake2b(seed.encode(), digest_size=16).digest()
    ink = 32 + digest[15] % 128
    rows = []
    for y in range(5):
        half = [ink if digest[y * 3 + x] & 1 else 236 for x in range(3)]
        rows.append([236, *half, half[1], half[0], 236])
    blank = [236] * 7
    return squares([[v for v in row for _ in range(scale)] for row in (blank, *rows, blank) for _ in range(scale)])


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
