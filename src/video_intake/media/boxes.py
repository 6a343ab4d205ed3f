"""The boxes of MP4 and MOV files: ISO/IEC 14496-12, 4.2 (atoms in Apple's QuickTime File Format)."""

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace

from video_intake.media.range_reader import RangeReader


@dataclass(frozen=True)
class Box:
    """`start` and `end` are offsets in bytes; the content begins at `body`."""

    type: bytes
    start: int
    body: int
    end: int


def box_at(reader: RangeReader, at: int) -> Box | None:
    """The box at `at`, or None if there cannot be one; it may extend beyond the end of the file."""
    return parse(reader.peek(at, 16), at, reader.size) if 0 <= at <= reader.size - 8 else None


def boxes(data: memoryview, start: int, end: int) -> Iterator[Box]:
    """The consecutive boxes in data[start:end]; like FFmpeg, limits a box that claims more to `end`.

    `end` may be beyond `data`, if not everything was fetched.
    """
    while start + 8 <= min(end, len(data)) and (box := parse(data[start : start + 16], start, end)):
        yield replace(box, end=min(box.end, end))
        start = box.end


def parse(header: bytes | memoryview, start: int, end: int) -> Box | None:
    """The box at `start` with the 8 to 16 bytes `header`, in a parent that ends at `end`; None if it is impossible."""
    size, kind = struct.unpack_from(">I4s", header)
    body = start + 8
    if size == 1 and len(header) >= 16:  # a 64-bit size follows the type
        size, body = struct.unpack_from(">Q", header, 8)[0], start + 16
    elif size == 0:  # to the end of the file
        size = end - start
    if size < body - start:
        return None
    return Box(bytes(kind), start, body, start + size)


def free(size: int) -> bytes:
    """The header of a `free` box of `size` bytes, at least eight."""
    return struct.pack(">I4s", size, b"free") if size < 1 << 32 else struct.pack(">I4sQ", 1, b"free", size)


def unpack(layout: str, data: memoryview | bytes) -> tuple[int, ...]:
    """The numbers of `layout` (as for struct) at the beginning of `data`, padded with zeros if it is too short."""
    size = struct.calcsize(layout)
    return struct.unpack(layout, bytes(data[:size]).ljust(size, b"\0"))


def table(data: memoryview | bytes, kind: str = "I") -> array[int]:
    """The 32-bit numbers in `data`: unsigned ("I") or signed ("i"); 64-bit ones with "Q"."""
    numbers = array(kind)
    numbers.frombytes(data[: len(data) // numbers.itemsize * numbers.itemsize])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def packed(numbers: array[int]) -> bytes:
    """The inverse of `table`."""
    if sys.byteorder == "little":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def box(kind: bytes, *content: bytes | memoryview) -> bytes:
    """A box of less than 4 GB."""
    size = 8 + sum(map(len, content))
    return b"".join((struct.pack(">I4s", size, kind), *content))
