"""What stands in the boxes of an MP4 or MOV file, found before FFmpeg sees any of it.

Box layouts: ISO/IEC 14496-12 (ISO base media file format) and Apple's QuickTime File Format.
A file is hostile until proven otherwise, so sizes are checked against the file and counts against bounds.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from range_reader import RangeReader
from verdicts import Rejected

MAX_INDEX_BYTES: Final = 96 << 20  # a film has 1 KB of `moov` a second: this is a day, and fits in memory
MAX_SAMPLES: Final = 10_000_000  # FFmpeg keeps some 36 bytes for each: 360 MB; a day at 60 frames is 5 million
MAX_TOP_LEVEL_BOXES: Final = 64  # before `moov`; each may cost a request
MAX_DEPTH: Final = 8  # moov/trak/mdia/minf/stbl/stsd is 6

ENCRYPTED: Final = frozenset({b"encv", b"enca", b"enct", b"drmi", b"drms"})  # 14496-12 8.12, FairPlay
CONTAINERS: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex"})


@dataclass(frozen=True)
class Box:
    """`start` and `end` are offsets in bytes; the content begins at `body`."""

    type: bytes
    start: int
    body: int
    end: int


@dataclass(frozen=True)
class Track:
    """What the first sample description of a track says."""

    id: int
    handler: bytes  # b"vide", b"soun", ...
    codec: bytes  # the sample entry's four-character code, b"" where there is none
    samples: int
    width: int  # pixels, as claimed; 0 for sound
    height: int


@dataclass(frozen=True)
class Layout:
    """Where things lie in the file."""

    ftyp: Box | None
    moov: Box
    before: tuple[Box, ...]  # what stands before `moov`, apart from `ftyp`
    fast_start: bool  # the index stands before the media data
    fragmented: bool
    tracks: tuple[Track, ...]

    def encrypted(self) -> bytes | None:
        """The four-character code of the first video track when it is an encrypted one."""
        video = [track.codec for track in self.tracks if track.handler == b"vide"]
        return video[0] if video and video[0] in ENCRYPTED else None


def scan(reader: RangeReader) -> Layout:
    """Finds `moov`, loads it, and reads from it what must be known before decoding.

    Raises Rejected: truncated, not-a-video, too-large-to-decode.
    """
    ftyp = moov = None
    before: list[Box] = []
    for box in _top_level(reader):
        if box.type == b"moov":
            moov = box
            break
        if box.type == b"ftyp" and not ftyp:
            ftyp = box
        else:
            before.append(box)
    if moov is None or moov.end > reader.size:
        raise _without_index(reader, ftyp, moov or (before[-1] if before else None))
    _bound("MB of index", moov.end - moov.start >> 20, MAX_INDEX_BYTES >> 20)
    reader.load([(moov.start, moov.end)])
    content = _decompressed(memoryview(reader.peek(moov.body, moov.end - moov.body)))
    tracks = tuple(_track(content, box) for box in boxes(content, 0, len(content)) if box.type == b"trak")
    _bound("frames and sound samples", sum(track.samples for track in tracks), MAX_SAMPLES)
    fragmented = any(box.type == b"mvex" for box in boxes(content, 0, len(content)))
    fast_start = not any(box.type in (b"mdat", b"moof") for box in before)
    return Layout(ftyp, moov, tuple(before), fast_start, fragmented, tracks)


def show_only_index(reader: RangeReader, layout: Layout) -> None:
    """Lets FFmpeg see `ftyp` and `moov`, and takes all other boxes for `free` space at unchanged offsets.

    So FFmpeg parses exactly what was scanned. Samples are found by their offsets all the same.
    """
    for box in layout.before:
        reader.overlays[box.start + 4] = b"free"
    reader.overlays[layout.moov.end] = struct.pack(">I4s", 0, b"free")  # size 0: to the end of the file


def box_at(reader: RangeReader, at: int) -> Box | None:
    """The box that begins at `at`, None where there can be none; it may end behind the end of the file."""
    return _box(reader.peek(at, 16), 0, at, reader.size) if 0 <= at <= reader.size - 8 else None


def _top_level(reader: RangeReader) -> Iterator[Box]:
    at = 0
    for _ in range(MAX_TOP_LEVEL_BOXES):
        box = box_at(reader, at)
        if box is None:
            return
        yield box
        at = box.end


def boxes(data: memoryview, start: int, end: int) -> Iterator[Box]:
    """The boxes one after another in data[start:end], as far as they are whole."""
    while start + 8 <= end and (box := _box(data[start : start + 16], 0, start, end)) and box.end <= end:
        yield box
        start = box.end


def _box(header: bytes | memoryview, at: int, start: int, end: int) -> Box | None:
    size, kind = struct.unpack_from(">I4s", header, at)
    body = start + 8
    if size == 1 and len(header) >= 16:  # the size is in 64 bits behind the type
        size, body = struct.unpack_from(">Q", header, at + 8)[0], start + 16
    elif size == 0:  # to the end of the file
        size = end - start
    if size < body - start:
        return None
    return Box(bytes(kind), start, body, start + size)


def _track(moov: memoryview, trak: Box) -> Track:
    found = {box.type: moov[box.body : box.end] for box in _descend(moov, trak)}
    tkhd = found.get(b"tkhd", b"")
    (number,) = _unpack(">I", tkhd[20:24] if tkhd[:1] == b"\1" else tkhd[12:16])
    handler = bytes(found.get(b"hdlr", b"")[8:12])
    entry = found.get(b"stsd", b"")[8:]
    width, height = _unpack(">HH", entry[32:36]) if handler == b"vide" else (0, 0)
    constant, samples = _unpack(">II", found.get(b"stsz", b"")[4:12])
    runs, _, duration = _unpack(">III", found.get(b"stts", b"")[4:16])
    if handler == b"soun" and constant and runs == 1 and duration == 1:
        samples = 0  # uncompressed sound: FFmpeg indexes its chunks, not its samples
    return Track(number, handler, bytes(entry[4:8]), samples, width, height)


def _descend(data: memoryview, parent: Box, depth: int = 0) -> Iterator[Box]:
    for box in boxes(data, parent.body, parent.end):
        if box.type in CONTAINERS and depth < MAX_DEPTH:
            yield from _descend(data, box, depth + 1)
        else:
            yield box


def _unpack(layout: str, data: memoryview | bytes) -> tuple[int, ...]:
    size = struct.calcsize(layout)
    return struct.unpack(layout, bytes(data[:size]).ljust(size, b"\0"))


def _decompressed(moov: memoryview) -> memoryview:
    """QuickTime's compressed movie: moov/cmov/cmvd holds zlib data. Anything else is returned as it is."""
    cmov = next(boxes(moov, 0, len(moov)), None)
    if cmov is None or cmov.type != b"cmov":
        return moov
    packed = next((box for box in boxes(moov, cmov.body, cmov.end) if box.type == b"cmvd"), None)
    if packed is None:
        return moov
    (claimed,) = _unpack(">I", moov[packed.body : packed.end])
    _bound("MB of index", claimed >> 20, MAX_INDEX_BYTES >> 20)
    try:
        movie = memoryview(zlib.decompressobj().decompress(moov[packed.body + 4 : packed.end], MAX_INDEX_BYTES))
    except zlib.error as error:
        raise Rejected("undecodable", detail=f"the compressed index is damaged: {error}") from error
    inner = _box(movie[:16], 0, 0, len(movie)) if len(movie) >= 8 else None
    return movie[inner.body : inner.end] if inner else movie


def _bound(what: str, number: int, most: int) -> None:
    if number > most:
        raise Rejected("too-large-to-decode", limit=f"at most {most:,} {what}", found=number)


def _without_index(reader: RangeReader, ftyp: Box | None, last: Box | None) -> Rejected:
    if last and last.end > reader.size:
        name = last.type.decode("latin-1")
        return Rejected("truncated", box=name, boxEnd=last.end, fileEnd=reader.size)
    brand = reader.peek(ftyp.body, 4).decode("latin-1") if ftyp and ftyp.end <= reader.size else ""
    if brand in ("avif", "avis", "mif1", "msf1", "heic", "heix", "hevc", "hevx", "crx "):
        return Rejected("not-a-video", found=f"a still picture ({brand.strip()})")
    return Rejected("truncated", detail="the index (moov) is missing", fileEnd=reader.size)
