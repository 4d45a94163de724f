"""Small real pictures, sounds and videos, the default content of messages."""

import struct
import zlib

from wxcontroller.sandbox.media import jpeg

_FRAME_BYTES, _FRAME_MS = 417, 26  # of MP3 at 128 kbit/s and 44.1 kHz
_EDGE = 48  # pixels of a picture
_FILM_EDGE, _FILM_STEP, _FILM_SCALE = 48, 500, 1000


def png(seed: str) -> bytes:
    """Return a square PNG of two colours that depend on ``seed``."""
    shade = zlib.crc32(seed.encode())
    first, other = shade.to_bytes(4, "big")[:3], (~shade & 0xFFFFFFFF).to_bytes(4, "big")[:3]
    rows = b"".join(
        b"\0" + b"".join(first if (x // 8 + y // 8) & 1 else other for x in range(_EDGE)) for y in range(_EDGE)
    )
    header = struct.pack(">IIBBBBB", _EDGE, _EDGE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def gif(seed: str) -> bytes:
    """Return an animated GIF, 8×8 pixels, two pictures of one colour each; the colours depend on ``seed``."""
    shade = zlib.crc32(seed.encode()).to_bytes(4, "big")
    palette = shade[:3] + shade[1:4] + bytes(6)
    out = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x81, 0, 0) + palette
    out += b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    for colour in (0, 1):
        out += b"\x21\xf9\x04" + struct.pack("<BHB", 0, 25, 0) + b"\0"
        out += b"\x2c" + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\x02" + lzw(colour, 64)
    return out + b"\x3b"


def lzw(colour: int, pixels: int) -> bytes:
    """Return GIF image data of one colour: a clear code before every two pixels keeps all codes three bits long."""
    codes = []
    for index in range(pixels):
        if index % 2 == 0:
            codes.append(4)
        codes.append(colour)
    codes.append(5)
    bits = sum(code << (3 * index) for index, code in enumerate(codes))
    data = bits.to_bytes((3 * len(codes) + 7) // 8, "little")
    return bytes([len(data)]) + data + b"\0"


def picture(seed: str) -> bytes:
    """Return a JPEG."""
    return jpeg.avatar(seed)


def mp3(milliseconds: int) -> bytes:
    """Return an MP3 of silence."""
    frame = b"\xff\xfb\x90\x64" + bytes(_FRAME_BYTES - 4)
    return frame * max(1, milliseconds // _FRAME_MS)


def silk() -> bytes:
    """Return the frame of a SILK voice as WeChat sends it, with frames that no decoder understands."""
    return b"\x02#!SILK_V3" + (struct.pack("<H", 16) + bytes(16)) * 20 + b"\xff\xff"


def mp4(seed: str, seconds: int = 2) -> bytes:
    """Return an MP4 with a film of H.264, two pictures of one colour a second."""
    shades = [16 + zlib.crc32(f"{seed}{index}".encode()) % 200 for index in range(max(1, seconds * 2))]
    frames = [length_first(picture_of(shade, index)) for index, shade in enumerate(shades)]
    ftyp = box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41")
    mdat = box(b"mdat", b"".join(frames))
    return ftyp + mdat + moov(frames, len(ftyp) + 8)


def unsigned(number: int) -> str:
    """Return an Exp-Golomb code as bits."""
    bits = f"{number + 1:b}"
    return "0" * (len(bits) - 1) + bits


def _bytes(bits: str) -> bytes:
    """Return bits as bytes, filled up with zeros."""
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def parameters() -> tuple[bytes, bytes]:
    """Return the sequence and the picture parameter set: baseline, no reference frames, no deblocking."""
    edge = unsigned(_FILM_EDGE // 16 - 1)
    sequence = unsigned(0) * 2 + unsigned(2) + unsigned(0) + "0" + edge * 2 + "1100" + "1"
    picture = unsigned(0) * 2 + "00" + unsigned(0) * 3 + "000" + unsigned(0) * 3 + "100" + "1"
    return b"\x67\x42\xc0\x0a" + _bytes(sequence), b"\x68" + _bytes(picture)


def picture_of(shade: int, index: int) -> bytes:
    """Return a picture whose blocks are written uncompressed (I_PCM), which needs no transform and no tables."""
    head = unsigned(0) + unsigned(7) + unsigned(0) + "0000" + unsigned(index & 1) + "00" + "1" + unsigned(1)
    block = bytes([shade]) * 256 + bytes([64 + shade // 2]) * 128
    out = b"\x65" + _bytes(head + unsigned(25)) + block
    out += (_bytes(unsigned(25)) + block) * ((_FILM_EDGE // 16) ** 2 - 1) + b"\x80"
    if any(bytes([0, 0, low]) in out for low in range(4)):
        raise ValueError("the picture would need escapes")
    return out


def length_first(unit: bytes) -> bytes:
    return struct.pack(">I", len(unit)) + unit


def moov(frames: list[bytes], offset: int) -> bytes:
    length = len(frames) * _FILM_STEP
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    mvhd = struct.pack(">5IIH10x", 0, 0, 0, _FILM_SCALE, length, 0x10000, 0x100) + matrix + bytes(24)
    mvhd += struct.pack(">I", 2)
    tkhd = struct.pack(">6I8xHHHH", 7, 0, 0, 1, 0, length, 0, 0, 0, 0) + matrix
    tkhd += struct.pack(">II", _FILM_EDGE << 16, _FILM_EDGE << 16)
    mdhd = struct.pack(">5IHH", 0, 0, 0, _FILM_SCALE, length, 0x55C4, 0)
    hdlr = struct.pack(">II4s12x", 0, 0, b"vide") + b"film\0"
    sequence, picture = parameters()
    config = b"\x01" + sequence[1:4] + b"\xff\xe1" + struct.pack(">H", len(sequence)) + sequence
    config += b"\x01" + struct.pack(">H", len(picture)) + picture
    entry = struct.pack(">6xH16xHHIIIH32sHh", 1, _FILM_EDGE, _FILM_EDGE, 0x480000, 0x480000, 0, 1, b"", 24, -1)
    stsd = struct.pack(">II", 0, 1) + box(b"avc1", entry + box(b"avcC", config))
    stbl = (
        box(b"stsd", stsd)
        + box(b"stts", struct.pack(">4I", 0, 1, len(frames), _FILM_STEP))
        + box(b"stsc", struct.pack(">5I", 0, 1, 1, len(frames), 1))
        + box(b"stsz", struct.pack(f">3I{len(frames)}I", 0, 0, len(frames), *map(len, frames)))
        + box(b"stco", struct.pack(">3I", 0, 1, offset))
    )
    dinf = box(b"dinf", box(b"dref", struct.pack(">II", 0, 1) + box(b"url ", struct.pack(">I", 1))))
    minf = box(b"minf", box(b"vmhd", struct.pack(">I8x", 1)) + dinf + box(b"stbl", stbl))
    mdia = box(b"mdia", box(b"mdhd", mdhd) + box(b"hdlr", hdlr) + minf)
    return box(b"moov", box(b"mvhd", mvhd) + box(b"trak", box(b"tkhd", tkhd) + mdia))


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content
