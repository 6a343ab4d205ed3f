"""Reads the top-level chunks of an AVI file: its headers, the location of its media data, and whether it is complete.

Old cameras and capture programs write zeros between chunks, odd chunks without padding, and sizes that were never
filled in, so anything that is not a chunk is skipped. Layout: Microsoft's AVI RIFF File Reference, and for files with
several RIFFs the OpenDML extensions (1996). All numbers are little-endian.
"""

import re
import struct
from dataclasses import dataclass, replace
from typing import Final

from video_intake.media import avi_streams, verdicts
from video_intake.media.avi_streams import Stream
from video_intake.media.range_reader import RangeReader

UNKNOWN: Final = (0, 0xFFFFFFFF)  # sizes in files that were written to a pipe or not finished
SEARCHED: Final = 8 << 20  # for the media data, if chunks do not lead to them
HEADERS: Final = 1 << 20  # maximum size of headers: each stream has about 5 KB
NAME: Final = re.compile(rb"[\x20-\x7E]{4}")
MOVI: Final = re.compile(rb"LIST....movi", re.DOTALL)
ENTRIES: Final = re.compile(
    rb"[0-9]{2}(?:d[cb]|wb)[\0-\x7F]\0{2}.{9}", re.DOTALL
)  # of an idx1: name, flags, offset, size
INDEX: Final = 16 << 20  # of an idx1: a million entries
CANDIDATES: Final = 1000  # for an index at the end


@dataclass(frozen=True)
class Chunk:
    """`start` and `end` are offsets in bytes; the content begins at `body`. It may extend beyond the file."""

    kind: bytes
    start: int
    size: int

    @property
    def body(self) -> int:
        return self.start + 8

    @property
    def end(self) -> int:
        return self.body + self.size


@dataclass(frozen=True)
class Avi:
    """Where things are in the file."""

    streams: tuple[Stream, ...]
    frame_microseconds: int  # per frame, from the main header
    frames: int  # from the main header; with several RIFFs, those of the first
    headers: tuple[Chunk, ...]  # lists that precede the media data
    movi: Chunk  # the list of media data
    irregular: bool  # whether chunks did not lead to it
    index: Chunk | None  # idx1, if it does not follow the list

    @property
    def data(self) -> int:
        """The offset of the first chunk of media data."""
        return self.movi.start + 12

    def size(self, number: int) -> tuple[int, int] | None:
        """The picture size in the header of stream `number`."""
        return (self.streams[number].width, self.streams[number].height) if number < len(self.streams) else None

    @property
    def codec(self) -> str:
        """The four-character code of the first video stream."""
        codes = (stream.codec for stream in self.streams if stream.kind == b"vids")
        return next(codes, b"").decode("latin-1").strip()


def scan(reader: RangeReader) -> Avi:
    """Reads the headers, and finds the media data.

    Raises Rejected("truncated") if the media data extend beyond the file.
    """
    headers: list[Chunk] = []
    movi, irregular = _movi(reader, headers)
    content = reader.peek(12, min(movi.start - 12, HEADERS))
    streams = tuple(avi_streams.read(content))
    for stream in streams:
        for offset, size in stream.parts:
            if offset + size > reader.size:
                raise verdicts.truncated(reader.size, box="ix", boxEnd=offset + size)
    avih = content.find(b"avih")
    main = content[avih + 8 :][:20] if avih >= 0 else b""
    microseconds, frames = struct.unpack("<I12xI", main.ljust(20, b"\0"))
    index = None
    if movi.end > reader.size or movi.size in UNKNOWN:
        index = index_at_end(reader, movi)
        if index is None and movi.size not in UNKNOWN:
            raise verdicts.truncated(reader.size, box="movi", boxEnd=movi.end)
    return Avi(streams, microseconds, frames, tuple(headers), movi, irregular, index)


def check_end(reader: RangeReader, avi: Avi) -> None:
    """Raises Rejected("truncated") if a chunk after the media data was cut off. Fetches nothing."""
    at = avi.movi.end + avi.movi.size % 2
    while reader.cached(at, 8) and (chunk := chunk_at(reader, at)):
        reader.check_time()
        if chunk.end > reader.size and chunk.kind in (b"idx1", b"RIFF", b"LIST"):
            raise verdicts.truncated(reader.size, box=chunk.kind.decode(), boxEnd=chunk.end)
        at = chunk.end + chunk.size % 2


def chunk_at(reader: RangeReader, at: int) -> Chunk | None:
    """The chunk at `at`; None if there cannot be one."""
    header = reader.peek(at, 8)
    if len(header) < 8 or not NAME.fullmatch(header[:4]):
        return None
    kind, size = struct.unpack("<4sI", header)
    return Chunk(kind, at, size)


def _movi(reader: RangeReader, headers: list[Chunk]) -> tuple[Chunk, bool]:
    """The list of media data, and whether it had to be searched for. Lists before it are added to `headers`."""
    at = 12
    while chunk := chunk_at(reader, at):
        reader.check_time()
        if chunk.kind == b"LIST" and reader.peek(at + 8, 4) == b"movi":
            return chunk, False
        if chunk.kind == b"LIST":
            headers.append(chunk)
        at = chunk.end + chunk.size % 2  # chunks begin at even offsets
        if at > reader.size:
            break
    head = reader.peek(12, SEARCHED)
    found = MOVI.search(head)
    if found and (chunk := chunk_at(reader, 12 + found.start())):
        headers[:] = [replace(each, size=min(each.size, chunk.start - each.body)) for each in headers]
        return chunk, True
    raise verdicts.truncated(reader.size, detail="there is no media data (movi)")


def index_at_end(reader: RangeReader, movi: Chunk) -> Chunk | None:
    """The idx1 at the end of the file, found by its name followed by plausible entries.

    For files whose list of media data does not lead to it. If the fetched end is full of such entries, more is fetched.
    """
    tail = reader.fetched_end()
    while not (found := _named_index(reader, tail, movi)) and len(ENTRIES.findall(tail)) * 32 > len(tail):
        start = max(reader.size - 4 * len(tail), movi.start)
        if len(tail) >= INDEX or start >= reader.size - len(tail):
            break
        reader.load([(start, reader.size)])
        tail = reader.fetched_end()
    return found


def _named_index(reader: RangeReader, tail: bytes, movi: Chunk) -> Chunk | None:
    begin = reader.size - len(tail)
    at = tail.rfind(b"idx1")
    for _ in range(CANDIDATES):
        if at < 0:
            break
        reader.check_time()
        chunk = chunk_at(reader, begin + at)
        if chunk and movi.start < chunk.start and chunk.end <= reader.size and chunk.size >= 16:
            entries = tail[at + 8 : at + 8 + min(chunk.size // 16, 100) * 16]
            if len(ENTRIES.findall(entries)) * 32 > len(entries):
                return chunk
        at = tail.rfind(b"idx1", 0, at)
    return None
