"""Reads the stream headers of an AVI file: `strh`, `strf`, and OpenDML's `indx`."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HEADER: Final = 56  # bytes of `strh` up to the size of a sample
MAX_STREAMS: Final = 100  # chunk names have two digits
CODE: Final = re.compile(rb"[\x20-\x7E]{4}")


@dataclass(frozen=True)
class Stream:
    """The headers of a stream."""

    kind: bytes  # b"vids", b"auds", ...
    codec: bytes  # the four-character code of its format or handler
    rate: int  # samples in `scale` seconds
    scale: int
    length: int  # samples
    sample_bytes: int  # 0 if the samples differ in size
    width: int  # pixels, as claimed; 0 for audio
    height: int
    parts: tuple[tuple[int, int], ...]  # offsets and sizes of indexes in an OpenDML index


def read(content: bytes) -> Iterator[Stream]:
    """The streams in a list of headers."""
    at = content.find(b"strh")
    for _ in range(MAX_STREAMS):
        following = content.find(b"strh", at + 4)
        if at < 0 or at + 64 > len(content):
            return
        # Even a header that is too short counts, because chunks refer to streams by number
        part = content[at : following if following >= 0 else len(content)].ljust(HEADER, b"\0")
        kind, handler = part[8:12], part[12:16]
        scale, rate, length, sample_bytes = struct.unpack_from("<II4xI8xI", part, 28)
        strf = part.find(b"strf")
        codec, width, height = handler, 0, 0
        if kind == b"vids" and 0 <= strf <= len(part) - 28:
            width, height, code = struct.unpack_from("<ii4x4s", part, strf + 12)
            codec = code if CODE.fullmatch(code) else handler
        yield Stream(
            kind,
            codec,
            rate,
            scale,
            length,
            sample_bytes,
            abs(width),
            abs(height),
            tuple(_parts(part, part.find(b"indx"))),
        )
        at = following


def _parts(part: bytes, indx: int) -> Iterator[tuple[int, int]]:
    """The indexes in an index of indexes (OpenDML, `indx`)."""
    if not 0 <= indx <= len(part) - 32:
        return
    size, width, kind, count = struct.unpack_from("<IHxBI", part, indx + 4)
    if width == 4 and kind == 0:
        count = min(count, (min(indx + 8 + size, len(part)) - indx - 32) // 16)
        yield from (struct.unpack_from("<QI", part, indx + 32 + 16 * number) for number in range(count))
