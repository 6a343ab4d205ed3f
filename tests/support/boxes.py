"""Builds MP4, MOV and AVI files box by box, with content that no encoder would write."""

import struct
import zlib
from collections.abc import Iterable


def numbers(*values: int) -> bytes:
    """32-bit numbers, as in boxes."""
    return struct.pack(f">{len(values)}I", *values)


MATRIX = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
REST = numbers(1 << 16) + b"\1\0" + bytes(10) + MATRIX + bytes(24) + numbers(2)  # of mvhd, after the duration
FTYP = b"isom\0\0\2\0isommp42"


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of ISO/IEC 14496-12."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def picture_entry(codec: bytes, width: int, height: int, *extensions: bytes) -> bytes:
    """A sample description of a video track."""
    size = struct.pack(">HH", width, height)
    return box(
        codec,
        bytes(6),
        b"\0\1",
        bytes(16),
        size,
        numbers(72 << 16, 72 << 16, 0),
        b"\0\1",
        bytes(32),
        b"\0\x18\xff\xff",
        *extensions,
    )


def sound_entry(codec: bytes) -> bytes:
    """A sample description of an audio track: 16-bit mono at 48 kHz."""
    return box(codec, bytes(6), b"\0\1", bytes(8), struct.pack(">HHIHH", 1, 16, 0, 48000, 0))


def tables(entry: bytes, sizes: list[int], at: int) -> dict[bytes, bytes]:
    """The sample tables, by name, of a track with consecutive samples at `at`."""
    return {
        b"stsd": full(b"stsd", numbers(1), entry),
        b"stts": full(b"stts", numbers(1, len(sizes), 1000)),
        b"stsc": full(b"stsc", numbers(1, 1, len(sizes), 1)),
        b"stsz": full(b"stsz", numbers(0, len(sizes), *sizes)),
        b"stco": full(b"stco", numbers(1, at)),
    }


def track(
    stbl: Iterable[bytes],
    number: int = 1,
    handler: bytes = b"vide",
    *,
    size: bytes = b"",
    dref: bytes = b"",
    edits: bytes = b"",
    duration: int = 1000,
) -> bytes:
    """A track with these sample tables, whose media is in the same file by default (`dref`)."""
    own = full(b"dref", numbers(1), full(b"url ", flags=1))
    return box(
        b"trak",
        full(b"tkhd", numbers(0, 0, number, 0, duration), bytes(16), MATRIX, size or bytes(8), flags=7),
        box(b"edts", edits) if edits else b"",
        box(
            b"mdia",
            full(b"mdhd", numbers(0, 0, 1000, duration), b"\x55\xc4\0\0"),
            full(b"hdlr", bytes(4), handler, bytes(13)),
            box(b"minf", box(b"dinf", dref or own), box(b"stbl", *stbl)),
        ),
    )


def movie(
    entry: bytes,
    samples: list[bytes],
    *,
    changed: dict[bytes, bytes] | None = None,
    dref: bytes = b"",
    edits: bytes = b"",
    in_moov: bytes = b"",
    before: bytes = b"",
    handler: bytes = b"vide",
    ftyp: bytes = FTYP,
    head: bytes = b"",
    shown: int = 0,
) -> bytes:
    """A file with one track, whose samples last a second each.

    `changed` replaces or adds sample tables; `head` replaces mvhd, and `shown` its duration (milliseconds) if an edit
    list shows only a part.
    """
    lasting = 1000 * len(samples)

    def index(at: int) -> bytes:
        size = numbers(*(side << 16 for side in struct.unpack(">HH", entry[32:36])))
        stbl = tables(entry, [len(sample) for sample in samples], at) | (changed or {})
        header = head or full(b"mvhd", numbers(0, 0, 1000, shown or lasting), REST)
        trak = track(stbl.values(), handler=handler, size=size, dref=dref, edits=edits, duration=lasting)
        return box(b"moov", header, trak, in_moov)

    front = box(b"ftyp", ftyp) + before
    return front + index(len(front) + len(index(0)) + 8) + box(b"mdat", *samples)


def chunk(kind: bytes, *content: bytes) -> bytes:
    """A RIFF chunk."""
    body = b"".join(content)
    return struct.pack("<4sI", kind, len(body)) + body + bytes(len(body) % 2)


def rows(*sizes: bytes) -> bytes:
    """A list of RIFF chunks: its form, then its chunks."""
    return chunk(b"LIST", *sizes)


def png(width: int, height: int) -> bytes:
    """A picture of one color in 16 bits, created without needing 2 GB of memory if it is large."""

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    # All rows are the same, so one compressed row is repeated: RFC 1950 and 1951
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    row = packer.compress(bytes(1 + 8 * width)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = height * (1 + 8 * width) % 65521 << 16 | 1  # Adler-32 of zeros
    rows = b"\x78\x01" + row * height + packer.flush() + struct.pack(">I", checksum)
    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", rows) + part(b"IEND", b"")


def index_of(content: bytes) -> bytes:
    at = content.index(b"moov") - 4
    return content[at:][: struct.unpack_from(">I", content, at)[0]]


def compressed(index: bytes, claimed: int | None = None) -> bytes:
    packed = numbers(len(index) if claimed is None else claimed) + zlib.compress(index)
    return box(b"ftyp", FTYP) + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", packed)))


def padded(content: bytes, to: int = 3 << 20) -> bytes:
    """Inserts free space before the index, so that the file is large enough to be read in parts."""
    at = content.index(b"moov") - 4
    free = to - len(content)
    return content[:at] + free.to_bytes(4) + b"free" + bytes(free - 8) + content[at:]
