"""Reads the indexes of a fragmented file: `mfra` at its end, `sidx` before its fragments.

Each is a claim, and complete only if it reaches the end of the media: a `sidx` before each segment describes only that
segment, and a `mfra` may list only key frames. ISO/IEC 14496-12, 8.8.9 and 8.16.3.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from video_intake.media.boxes import Box, box_at, boxes
from video_intake.media.range_reader import RangeReader

MAX_TABLE: Final = 8 << 20  # bytes: 700,000 entries
MAX_DEPTH: Final = 3  # of indexes of indexes


@dataclass(frozen=True)
class Claim:
    """The offsets of fragments or segments, in file order, and the end of the last one."""

    starts: tuple[int, ...]
    end: int
    seconds: float | None = None  # their duration


def media_end(reader: RangeReader) -> int:
    """The end of the media: the start of the `mfra`, or the end of the file."""
    mfra = _mfra(reader)
    return mfra.start if mfra else reader.size


def from_mfra(reader: RangeReader, video: Iterable[int]) -> Claim | None:
    """The fragments of one of the tracks `video`, from the table at the end of the file."""
    mfra = _mfra(reader)
    if mfra is None:
        return None
    content = memoryview(reader.peek(mfra.body, mfra.end - mfra.body))
    tables = [_tfra(content[box.body : box.end]) for box in boxes(content, 0, len(content)) if box.type == b"tfra"]
    wanted = set(video)
    starts = max((starts for track, starts in tables if track in wanted), key=len, default=[])
    rising = starts == sorted(starts) and bool(starts) and starts[-1] < mfra.start
    return Claim(tuple(starts), mfra.start) if rising else None


def from_sidx(reader: RangeReader, index: Box, depth: int = 0) -> Claim | None:
    """The segments of a segment index, including nested indexes."""
    if index.end - index.start > MAX_TABLE or depth > MAX_DEPTH:
        return None
    reader.check_time()
    content = reader.peek(index.body, index.end - index.body)
    wide = content[:1] == b"\1"
    table = 32 if wide else 24
    if len(content) < table:
        return None
    (scale,) = struct.unpack_from(">I", content, 8)
    offset, count = struct.unpack_from(">Q2xH" if wide else ">I2xH", content, 20 if wide else 16)
    if not count or len(content) < table + 12 * count:
        return None
    entries = struct.iter_unpack(">II4x", content[table : table + 12 * count])
    at, lasting = index.end + offset, 0
    starts: list[int] = []
    for size, duration in entries:
        size, nested = size & 0x7FFFFFFF, size >> 31
        inner = box_at(reader, at) if nested and reader.cached(at, 16) else None
        # Beyond its own range, it could refer to itself forever
        within = inner and inner.type == b"sidx" and inner.end <= at + size
        claim = from_sidx(reader, inner, depth + 1) if inner and within else None
        starts += claim.starts if claim else [at]
        at += size
        lasting += duration
    return Claim(tuple(starts), at, lasting / scale if scale else None)


def _mfra(reader: RangeReader) -> Box | None:
    tail = reader.peek(max(reader.size - 16, 0), 16)
    if tail[4:8] != b"mfro":
        return None
    (size,) = struct.unpack(">I", tail[12:])
    mfra = box_at(reader, reader.size - size) if 16 < size <= min(reader.size, MAX_TABLE) else None
    return mfra if mfra and mfra.type == b"mfra" and mfra.end == reader.size else None


def _tfra(table: memoryview) -> tuple[int, list[int]]:
    """The track of a table, and the offsets of its fragments."""
    if len(table) < 16:
        return 0, []
    version, track, lengths, entries = struct.unpack(">B3xIII", table[:16])
    wide = version == 1
    numbers = sum((lengths >> shift & 3) + 1 for shift in (0, 2, 4))  # of traf, trun and sample
    entry = (16 if wide else 8) + numbers
    entries = min(entries, (len(table) - 16) // entry)
    layout = ">8xQ" if wide else ">4xI"
    found = (struct.unpack_from(layout, table, 16 + number * entry)[0] for number in range(entries))
    return track, list(dict.fromkeys(found))
