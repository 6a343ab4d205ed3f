"""Builds an AVI index from the file's chunks if its own is missing, damaged or misplaced.

This requires that all media data have been fetched, so that every chunk can be examined.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from video_intake.media.avi_streams import Stream
from video_intake.media.range_reader import RangeReader
from video_intake.media.riff import UNKNOWN, Avi, Chunk, chunk_at
from video_intake.media.unwritten import NOT_ZERO, SECTOR
from video_intake.media.virtual_file import VirtualFile

MEDIA: Final = re.compile(rb"[0-9]{2}(?:d[cb]|wb|pc|tx|__)")  # "__": DV with its audio, a separate type of AVI
FOUND: Final = re.compile(rb"(?:[0-9]{2}(?:d[cb]|wb|pc|tx|__)|ix[0-9]{2}|JUNK|LIST|idx1|RIFF)")
KEY: Final = 0x10  # of an entry's flags
COVERED: Final = 0.95  # share of the media data in a complete index; the rest is padding
MAX_OFFSET: Final = 0xFFFFFFFF
FIRST: Final = 1000  # entries of an index that include the first one of each stream
MAX_FIRST: Final = 8 << 20  # bytes: a larger first chunk is not fetched in advance


@dataclass(frozen=True)
class Media:
    """The chunks of media data, and the one that is cut off by the end of the file."""

    chunks: tuple[Chunk, ...]
    cut: Chunk | None

    def of(self, stream: int) -> list[Chunk]:
        """The chunks of a stream."""
        name = b"%02d" % stream
        return [chunk for chunk in self.chunks if chunk.kind[:2] == name]


def scan(reader: RangeReader, avi: Avi) -> Media | None:
    """All chunks of media data; None if not all were fetched."""
    if next(reader.gaps(avi.data, reader.size), None):
        return None
    data = reader.peek(avi.data, reader.size - avi.data)
    chunks: list[Chunk] = []
    inside = True  # media data end at an index, and may continue in another RIFF
    for chunk in _walk(reader, data, avi.data):
        if chunk.kind in (b"idx1", b"RIFF"):
            inside = chunk.kind == b"RIFF"
        elif inside and MEDIA.fullmatch(chunk.kind):
            if chunk.end > reader.size:
                return Media(tuple(chunks), chunk)
            chunks.append(chunk)
    return Media(tuple(chunks), None)


def _walk(reader: RangeReader, data: bytes, begin: int) -> Iterator[Chunk]:
    """Yields each chunk, including those in lists, and skips anything else."""
    at = 0
    while found := FOUND.search(data, at):
        reader.check_time()
        at = found.start()
        kind, size = struct.unpack("<4sI", data[at : at + 8].ljust(8, b"\xff"))
        yield Chunk(kind, begin + at, size)
        if kind in (b"LIST", b"RIFF"):
            at += 12
            continue
        end = at + 8 + size
        padded = size % 2 and (FOUND.match(data, end + 1) or not FOUND.match(data, end))
        at = end + 1 if padded else end  # the format requires a padding byte, which some programs omit


def listed(reader: RangeReader, avi: Avi) -> tuple[list[Chunk], dict[int, int]]:
    """The chunks of media data in the file's own index, and their flags by offset.

    Offsets are relative to the list or to the file, as the fetched chunks show; entries that do not match those are
    dropped.
    """
    chunks: list[Chunk] = []
    known: dict[int, int] = {}
    index = avi.index or _following(reader, avi)
    if index is None:
        return chunks, known
    entries = [entry for entry in _entries(reader, index) if MEDIA.fullmatch(entry[0])]
    right = {base: sum(_is_right(reader, base, entry) is True for entry in entries) for base in (avi.data - 4, 0)}
    base = max(right, key=right.__getitem__)
    for number, entry in enumerate(entries):
        if number % 1000 == 0:
            reader.check_time()
        kind, flag, offset, size = entry
        if _is_right(reader, base, entry) is not False:
            chunks.append(Chunk(kind, base + offset, size))
            known[base + offset] = flag
    return chunks, known


def beginning(reader: RangeReader, avi: Avi) -> list[tuple[int, int]]:
    """The media data that FFmpeg reads to open a file: the first chunk, and the header of each stream's first one."""
    index = _following(reader, avi)
    first: dict[bytes, int] = {}
    for kind, _, offset, _ in _entries(reader, index, FIRST) if index else ():
        first.setdefault(kind[:2], offset)
    before = avi.data - min(first.values(), default=0)  # offsets are from the list or from the beginning of the file
    headers = [(before + offset, before + offset + 8) for offset in first.values()]
    chunk = chunk_at(reader, avi.data)
    return [*headers, (chunk.start, chunk.end)] if chunk and headers and chunk.size < MAX_FIRST else []


def unwritten(reader: RangeReader, avi: Avi, media: Media | None) -> tuple[int, int] | None:
    """The range of zeros up to the end of the file that replaces the last chunks and the index; None if there is none.

    If no frame is missing according to the header, the zeros may be space that a camera reserved.
    """
    if avi.movi.size in UNKNOWN or avi.index or any(reader.fetched_end()[-SECTOR:]):
        return None
    end = min(avi.movi.end, reader.size)
    begin = media.chunks[-1].end if media and media.chunks else max(end - SECTOR, avi.data)
    if end - begin < SECTOR or any(len(media.of(at)) >= each.length for at, each in _pictures(avi) if media):
        return None
    begin += 1 + 8  # padding, and possibly the header of another chunk
    return None if NOT_ZERO.search(reader.peek(begin, end - begin)) else (begin, reader.size)


def _pictures(avi: Avi) -> Iterator[tuple[int, Stream]]:
    return ((number, stream) for number, stream in enumerate(avi.streams) if stream.kind == b"vids")


def _entries(reader: RangeReader, index: Chunk, most: int | None = None) -> Iterator[tuple[bytes, int, int, int]]:
    """The first `most` entries of an idx1 (name, flags, offset, size); fewer if the file ends in it."""
    content = reader.peek(index.body, index.size if most is None else min(index.size, most * 16))
    return struct.iter_unpack("<4sIII", content[: len(content) // 16 * 16])


def _following(reader: RangeReader, avi: Avi) -> Chunk | None:
    at = avi.movi.end + avi.movi.size % 2
    chunk = chunk_at(reader, at) if avi.movi.size not in UNKNOWN else None
    return chunk if chunk and chunk.kind == b"idx1" else None


def _is_right(reader: RangeReader, base: int, entry: tuple[bytes, int, int, int]) -> bool | None:
    """Whether an entry matches its chunk; None if the chunk was not fetched."""
    kind, _, offset, size = entry
    there = reader.cached(base + offset, 8)
    if len(there) == 8:
        return there == struct.pack("<4sI", kind, size)
    return None if base + offset + size <= reader.size else False


def rebuilt(reader: RangeReader, avi: Avi, media: Media | None) -> VirtualFile | None:
    """The file with its headers, one list of media data, and an index of its chunks.

    The chunks are those of `media`, or those in the file's own index if they are most of the media data.
    """
    chunks, known = listed(reader, avi)
    if media:
        chunks = list(media.chunks)
    size = reader.size - avi.data
    ends = min(avi.index.start if avi.index else avi.movi.end, reader.size)
    covered = sum(8 + chunk.size for chunk in chunks)
    if not chunks or reader.size > MAX_OFFSET or (media is None and covered < COVERED * (ends - avi.data)):
        return None
    otherwise = 0 if known else KEY
    entries = b"".join(
        struct.pack("<4sIII", chunk.kind, known.get(chunk.start, otherwise), chunk.start - avi.data + 4, chunk.size)
        for chunk in chunks
    )
    # The offsets in an index of indexes do not apply to this file
    headers = b"".join(reader.peek(each.start, each.size + 8) for each in avi.headers).replace(b"indx", b"JUNK")
    movi = struct.pack("<4sI4s", b"LIST", size + 4, b"movi")
    back = bytes(size % 2) + struct.pack("<4sI", b"idx1", len(entries)) + entries
    whole = 4 + len(headers) + len(movi) + size + len(back)
    front = struct.pack("<4sI4s", b"RIFF", min(whole, MAX_OFFSET), b"AVI ") + headers + movi
    return VirtualFile(reader, front, avi.data, back)
