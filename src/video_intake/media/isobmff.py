"""Finds the index (`moov`) of an MP4 or MOV file before FFmpeg reads it.

Files may be hostile, so sizes are checked against the file, and bytes and time are limited. ISO/IEC 14496-12 and
Apple's QuickTime File Format.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from video_intake.media import large_index, movie, verdicts
from video_intake.media.boxes import Box, box_at, boxes, parse, unpack
from video_intake.media.movie import Movie
from video_intake.media.range_reader import RangeReader
from video_intake.media.verdicts import Rejected

MAX_INDEX_BYTES: Final = 96 << 20  # a video has 1 KB of `moov` per second: this is a day, and fits in memory
CANDIDATES: Final = 1000  # for an index at the end, whose signature may also appear by chance or on purpose
# Types of top-level boxes (https://mp4ra.org): if one of these extends beyond the file, the file was cut off; anything
# else is not a box at all.
OUTERMOST: Final = frozenset(
    b"ftyp styp moov moof mdat mfra sidx ssix prft emsg free skip uuid meta wide pdin imda udta pnot".split()
)
PARTS_OF_STREAMS: Final = frozenset({b"styp", b"moof", b"sidx", b"prft", b"emsg"})
# Brands of still pictures
STILL: Final = frozenset({"avif", "avis", "mif1", "msf1", "heic", "heix", "hevc", "hevx", "crx"})


@dataclass(frozen=True)
class Layout:
    """Where things are in the file."""

    ftyp: Box | None
    moov: Box
    fast_start: bool  # the index precedes the media data
    brand: str | None  # the major brand
    movie: Movie
    holes: tuple[large_index.Hole, ...]  # parts of a large index that were not read, and are hidden from FFmpeg


def scan(reader: RangeReader) -> Layout:
    """Finds `moov`, loads it, and reads what is needed before decoding.

    Raises Rejected: truncated, not-a-video, no-frames, too-large-to-decode.
    """
    before: list[Box] = []
    moov = _first_index(reader, before) or _index_at_end(reader)
    ftyp = next((box for box in before if box.type == b"ftyp"), None)
    brand = reader.peek(ftyp.body, 4).decode("latin-1").strip() if ftyp else None
    if moov is None or moov.end > reader.size:
        raise _without_index(reader, brand, before, moov)
    layout = _read(reader, ftyp, moov, before, brand)
    if not layout.movie.fragmented and not any(track.samples for track in layout.movie.tracks):
        later = _later_index(reader, moov.end, before)
        return _read(reader, ftyp, later, before, brand) if later else layout
    return layout


def _read(reader: RangeReader, ftyp: Box | None, moov: Box, before: Sequence[Box], brand: str | None) -> Layout:
    verdicts.bound("MB of index", moov.end - moov.start >> 20, MAX_INDEX_BYTES >> 20)
    holes = large_index.sound_tables(reader, moov)
    content = _decompressed(large_index.without(reader, moov.body, moov.end, holes))
    fast_start = not any(box.type == b"mdat" for box in before)
    return Layout(ftyp, moov, fast_start, brand, movie.parse(content), holes)


def _first_index(reader: RangeReader, before: list[Box]) -> Box | None:
    """The first top-level `moov`; the boxes before it are added to `before`.

    None if finding it requires more reads, but there is one in the fetched end of the file.
    """
    for box in _top_level(reader, 0):
        if box.type == b"moov":
            return box
        before.append(box)
        unseen = box.end < reader.size and not reader.cached(box.end, 8)
        if unseen and len(before) > 2 and _index_at_end(reader):
            return None
    return None


def _later_index(reader: RangeReader, at: int, before: list[Box]) -> Box | None:
    """The next `moov` from `at` on; the boxes before it are added to `before`."""
    for box in _top_level(reader, at):
        if box.type == b"moov" and box.end <= reader.size:
            return box
        before.append(box)
    return None


def _top_level(reader: RangeReader, at: int) -> Iterator[Box]:
    while box := box_at(reader, at):
        reader.check_time()
        yield box
        at = box.end


def _index_at_end(reader: RangeReader) -> Box | None:
    """A `moov` in the fetched end of the file, found by its signature.

    For files whose top-level boxes do not lead to it. It is verified by its own boxes, which must end where it does.
    """
    tail = reader.fetched_end()
    at = tail.rfind(b"moov")
    for _ in range(CANDIDATES):
        if at < 4:
            break
        reader.check_time()
        start = reader.size - len(tail) + at - 4
        box = box_at(reader, start)
        if box and box.body == start + 8 and box.end <= reader.size and _is_whole(reader, box):
            return box
        at = tail.rfind(b"moov", 0, at)
    return None


def _is_whole(reader: RangeReader, moov: Box) -> bool:
    at = moov.body
    kinds: set[bytes] = set()
    while at < moov.end and len(kinds) < movie.MAX_BOXES and (box := box_at(reader, at)) and box.end <= moov.end:
        reader.check_time()
        kinds.add(box.type)
        at = box.end
    return at == moov.end and b"mvhd" in kinds


def _decompressed(moov: memoryview) -> memoryview:
    """Decompresses QuickTime's compressed movie (zlib data in moov/cmov/cmvd). Returns anything else unchanged."""
    cmov = next(boxes(moov, 0, len(moov)), None)
    if cmov is None or cmov.type != b"cmov":
        return moov
    packed = next((box for box in boxes(moov, cmov.body, cmov.end) if box.type == b"cmvd"), None)
    if packed is None:
        return moov
    (claimed,) = unpack(">I", moov[packed.body : packed.end])
    verdicts.bound("MB of index", claimed >> 20, MAX_INDEX_BYTES >> 20)
    try:
        content = memoryview(zlib.decompressobj().decompress(moov[packed.body + 4 : packed.end], MAX_INDEX_BYTES))
    except zlib.error as error:
        raise verdicts.undecodable(f"the compressed index is damaged: {error}") from error
    inner = parse(content[:16], 0, len(content)) if len(content) >= 8 else None
    return content[inner.body : inner.end] if inner else content


def _without_index(reader: RangeReader, brand: str | None, before: list[Box], moov: Box | None) -> Rejected:
    last = moov or (before[-1] if before else None)
    if brand in STILL:
        return verdicts.not_a_video(f"a still picture ({brand})")
    if before and (before[0].type in PARTS_OF_STREAMS or any(box.type == b"moof" for box in before)):
        return verdicts.segment(before[0].type.decode("latin-1"))
    if last and last.end > reader.size and last.type in OUTERMOST:
        return verdicts.truncated(reader.size, box=last.type.decode("latin-1"), boxEnd=last.end)
    understood = last.start if last and last.end > reader.size else last.end if last else 0
    return verdicts.without_index(reader.size, understood)
