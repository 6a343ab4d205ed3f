"""A track of an MP4 or MOV file, and the totals of its sample tables.

Tables: ISO/IEC 14496-12, 8.6 (time), 8.7 (place), 8.6.6 (edit list), 8.7.2 (data reference).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from video_intake.media import totals
from video_intake.media.boxes import Box, boxes, table, unpack

MAX_DESCRIPTIONS: Final = 16  # sample descriptions checked for encryption; one or two are usual
MAX_EDITS: Final = 10_000  # entries of an edit list that are added up; an edited video has some hundreds


@dataclass(frozen=True)
class Defaults:
    """Default properties of samples in fragments (`trex`)."""

    duration: int = 0
    size: int = 0
    flags: int = 0


@dataclass(frozen=True)
class Track:
    """The headers and tables of a track. Times are in its own units, `scale` per second."""

    id: int
    handler: bytes  # b"vide", b"soun", ...
    codecs: tuple[bytes, ...]  # the four-character codes of its sample descriptions
    width: int  # pixels, as claimed; 0 for audio
    height: int
    samples: int  # number that FFmpeg would index
    edits: int  # entries of the edit list
    scale: int
    claimed: int  # duration in its media header
    presented: float | None  # seconds, in the track header, with edits
    lasting: int | None  # total duration in its sample tables; None if they were not read
    usual: int  # the duration of all samples except for one or two (writers give the last one any); 0 if more differ
    bytes: int | None  # total size of its samples
    empty: float  # seconds before it begins, from its edit list
    shift: int  # from decoding to presentation of its first sample
    skipped: int  # media before the first shown sample, from its edit list
    shown: float | None  # seconds of existing media in the edit list; None without an edit list
    last_chunk: int  # the largest offset of its chunks
    external: bool  # whether its media data are in another file
    defaults: Defaults
    box: Box  # in the movie's content

    @property
    def seconds(self) -> float:
        """How long it is shown, limited to its samples; 0 if it has none."""
        if self.shown is not None:
            return self.shown
        lasting = self.claimed if self.lasting is None else self.lasting
        return self.empty + lasting / self.scale if self.scale else 0.0


def parse(moov: memoryview, trak: Box, inside: Sequence[Box], movie_scale: int, defaults: dict[int, Defaults]) -> Track:
    """Parses the track `trak` in the content of a `moov`, with the boxes `inside` it."""
    tables: dict[bytes, list[memoryview]] = defaultdict(list)
    for box in inside:
        tables[box.type].append(moov[box.body : box.end])

    def first(kind: bytes) -> memoryview:
        return next(iter(tables[kind]), memoryview(b""))

    stsd = first(b"stsd")
    number, presented = _track_header(first(b"tkhd"))
    handlers = [bytes(hdlr[8:12]) for hdlr in tables[b"hdlr"]]  # QuickTime has a second one, for the data reference
    handler = next((each for each in handlers if each in (b"vide", b"soun")), next(iter(handlers), b""))
    width, height = unpack(">HH", stsd[40:44]) if handler == b"vide" else (0, 0)
    samples = max((unpack(">I", stsz[8:12])[0] for stsz in tables[b"stsz"] + tables[b"stz2"]), default=0)
    if handler == b"soun" and [unpack(">I4xI", stts[4:16]) for stts in tables[b"stts"]] == [(1, 1)]:
        samples = 0  # uncompressed audio: FFmpeg indexes its chunks, not its samples
    scale, claimed = _media_header(first(b"mdhd"))
    lasting = totals.lasting(first(b"stts")) if tables[b"stts"] else None
    shift = unpack(">I4xi", first(b"ctts")[4:])[1]
    until = totals.until(lasting, first(b"stts"), first(b"ctts")) if lasting else None
    empty, skipped, shown = _edits(first(b"elst"), movie_scale, scale, until)
    return Track(
        number,
        handler,
        codecs=tuple(box.type for box in islice(boxes(stsd, 8, len(stsd)), MAX_DESCRIPTIONS)),
        width=width,
        height=height,
        samples=samples,
        edits=sum(len(elst) // 12 for elst in tables[b"elst"]),
        scale=scale,
        claimed=claimed,
        presented=presented / movie_scale if presented and movie_scale else None,
        lasting=lasting,
        usual=totals.usual(first(b"stts")),
        bytes=totals.size(first(b"stsz")) if tables[b"stsz"] else None,
        empty=empty,
        shift=shift,
        skipped=skipped,
        shown=shown,
        last_chunk=max((max(chunks) for chunks in map(chunk_offsets, _both(tables)) if chunks), default=0),
        external=_is_external(first(b"dref")),
        defaults=defaults.get(number, Defaults()),
        box=trak,
    )


def _both(tables: dict[bytes, list[memoryview]]) -> list[tuple[bytes, memoryview]]:
    return [(kind, content) for kind in (b"stco", b"co64") for content in tables[kind]]


def chunk_offsets(chunks: tuple[bytes, memoryview]) -> Sequence[int]:
    """The offsets in a `stco` or `co64`, given with its type."""
    kind, content = chunks
    width = 8 if kind == b"co64" else 4
    (count,) = unpack(">I", content[4:8])
    return table(content[8 : 8 + width * count], "Q" if width == 8 else "I")


def _track_header(tkhd: memoryview) -> tuple[int, int]:
    """The track's number, and its duration in the movie's units; 0 if unknown."""
    wide = bytes(tkhd[:1]) == b"\1"
    number, duration = unpack(">I4xQ" if wide else ">I4xI", tkhd[20:] if wide else tkhd[12:])
    return number, 0 if duration == (1 << 64 if wide else 1 << 32) - 1 else duration


def _media_header(mdhd: memoryview) -> tuple[int, int]:
    """The time units per second, and the duration in them; 0 if unknown."""
    wide = bytes(mdhd[:1]) == b"\1"
    scale, duration = unpack(">IQ" if wide else ">II", mdhd[20:32] if wide else mdhd[12:20])
    return scale, 0 if duration == (1 << 64 if wide else 1 << 32) - 1 else duration


def _edits(elst: memoryview, movie_scale: int, scale: int, until: int | None) -> tuple[float, int, float | None]:
    """Seconds before the track begins, skipped media, and seconds shown (14496-12, 8.6.6)."""
    if not movie_scale or not scale or len(elst) < 20:
        return 0.0, 0, None
    wide = bytes(elst[:1]) == b"\1"
    size = 20 if wide else 12
    count = min(unpack(">I", elst[4:8])[0], (len(elst) - 8) // size, MAX_EDITS)
    empty, skipped, shown = 0.0, None, 0.0
    for at in range(8, 8 + size * count, size):
        duration, begin, rate = unpack(">QqI" if wide else ">IiI", elst[at : at + size])
        seconds = duration / movie_scale
        if begin < 0:  # an empty edit
            empty += seconds if skipped is None else 0
            shown += seconds
            continue
        skipped = begin if skipped is None else skipped
        if until and rate:  # limited to existing media; a rate of 0 holds one picture
            there = max(until - begin, 0) / scale
            seconds = min(seconds, there) if seconds else there
        shown += seconds
    return empty, skipped or 0, shown if until and skipped is not None else None


def _is_external(dref: memoryview) -> bool:
    """Whether media data are in another file: a `url ` or `alis` with a name that is not marked as this file."""
    entries = list(islice(boxes(dref, 8, len(dref)), 4))
    return bool(entries) and all(_names_a_file(dref, entry) for entry in entries)


def _names_a_file(dref: memoryview, entry: Box) -> bool:
    flags, name = unpack(">I", dref[entry.body :])[0], bytes(dref[entry.body + 4 : entry.end])
    return not flags & 1 and bool(name.strip(b"\0"))
