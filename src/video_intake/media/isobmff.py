"""What stands in the boxes of an MP4 or MOV file, found before FFmpeg sees any of it.

Box layouts: ISO/IEC 14496-12 (ISO base media file format) and Apple's QuickTime File Format.
A file is hostile until proven otherwise, so sizes are checked against the file and counts against bounds.
"""

import zlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from video_intake.media import large_index, verdicts
from video_intake.media.boxes import Box, box_at, boxes, parse, unpack
from video_intake.media.range_reader import RangeReader
from video_intake.media.verdicts import Rejected

MAX_INDEX_BYTES: Final = 96 << 20  # a film has 1 KB of `moov` a second: this is a day, and fits in memory
MAX_SAMPLES: Final = 10_000_000  # FFmpeg keeps some 36 bytes for each: 360 MB; a day at 60 frames is 5 million
MAX_TOP_LEVEL_BOXES: Final = 64  # before `moov`; each may cost a request
MAX_DEPTH: Final = 8  # moov/trak/mdia/minf/stbl/stsd is 6
MAX_BOXES: Final = 50_000  # in `moov`; a track has thirty. A million would take seconds
MAX_DESCRIPTIONS: Final = 16  # of a track's samples, looked at for encryption; one or two are usual

ENCRYPTED: Final = frozenset({b"encv", b"enca", b"enct", b"drmi", b"drms"})  # 14496-12 8.12, FairPlay
CONFIGURED: Final = frozenset({b"avc1", b"hvc1", b"hev1", b"dvh1", b"dvhe", b"av01", b"vp09"})  # avcC, hvcC, av1C, vpcC
CONTAINERS: Final = frozenset({b"trak", b"edts", b"mdia", b"minf", b"stbl"})


@dataclass(frozen=True)
class Track:
    """What the first sample description of a track says."""

    id: int
    handler: bytes  # b"vide", b"soun", ...
    codecs: tuple[bytes, ...]  # the four-character codes of its sample descriptions
    samples: int  # that FFmpeg would index
    edits: int  # parts of the edit list
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
    duration: float | None  # seconds, of the whole film as its header says; a fragmented one has none there
    tracks: tuple[Track, ...]
    holes: tuple[large_index.Hole, ...]  # in a large index: what was not looked at, and FFmpeg need not either

    def encrypted(self) -> bytes | None:
        """The four-character code by which the first video track is, or becomes, an encrypted one."""
        video = [track.codecs for track in self.tracks if track.handler == b"vide"]
        return next((codec for codec in video[0] if codec in ENCRYPTED), None) if video else None

    def described(self) -> bool:
        """Whether the index alone says how the pictures are coded."""
        codecs = [code for track in self.tracks if track.handler == b"vide" for code in track.codecs]
        return bool(codecs) and CONFIGURED.issuperset(codecs)

    def endless_edits(self) -> bool:
        """Whether the edit lists could repeat samples without bound: each edit may name all of them."""
        return sum(track.samples * track.edits for track in self.tracks) > MAX_SAMPLES


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
    holes = large_index.sound_tables(reader, moov)
    content = _decompressed(large_index.without(reader, moov.body, moov.end, holes))
    found = []
    for box in _descend(content, Box(b"moov", 0, 0, len(content))):
        found.append(box)
        _bound("boxes in the index", len(found), MAX_BOXES)
    tracks = tuple(_track(content, box, found) for box in found if box.type == b"trak")
    _bound("frames and sound samples", sum(track.samples for track in tracks), MAX_SAMPLES)
    fragmented = any(box.type == b"mvex" for box in found)
    fast_start = not any(box.type in (b"mdat", b"moof") for box in before)
    duration = None if fragmented else _duration(content, found)
    return Layout(ftyp, moov, tuple(before), fast_start, fragmented, duration, tracks, holes)


def _top_level(reader: RangeReader) -> Iterator[Box]:
    at = 0
    for _ in range(MAX_TOP_LEVEL_BOXES):
        box = box_at(reader, at)
        if box is None:
            return
        yield box
        at = box.end


def _duration(moov: memoryview, found: Iterable[Box]) -> float | None:
    mvhd = next((moov[box.body : box.end] for box in found if box.type == b"mvhd"), memoryview(b""))
    wide = bytes(mvhd[:1]) == b"\1"
    scale, duration = unpack(">IQ" if wide else ">II", mvhd[20:32] if wide else mvhd[12:20])
    unknown = (1 << 64 if wide else 1 << 32) - 1
    return duration / scale if scale and duration not in (0, unknown) else None


def _track(moov: memoryview, trak: Box, found: Sequence[Box]) -> Track:
    tables: dict[bytes, list[memoryview]] = defaultdict(list)
    for box in _inside(trak, found):
        tables[box.type].append(moov[box.body : box.end])
    tkhd = next(iter(tables[b"tkhd"]), b"")
    (number,) = unpack(">I", tkhd[20:24] if tkhd[:1] == b"\1" else tkhd[12:16])
    handlers = [bytes(hdlr[8:12]) for hdlr in tables[b"hdlr"]]  # QuickTime has a second one, for where data lie
    handler = b"vide" if b"vide" in handlers else next(iter(handlers), b"")
    stsd = next(iter(tables[b"stsd"]), memoryview(b""))
    width, height = unpack(">HH", stsd[40:44]) if handler == b"vide" else (0, 0)
    samples = max((unpack(">I", stsz[8:12])[0] for stsz in tables[b"stsz"] + tables[b"stz2"]), default=0)
    if handler == b"soun" and [unpack(">I4xI", stts[4:16]) for stts in tables[b"stts"]] == [(1, 1)]:
        samples = 0  # uncompressed sound: FFmpeg indexes its chunks, not its samples
    return Track(
        number,
        handler,
        codecs=tuple(box.type for box in islice(boxes(stsd, 8, len(stsd)), MAX_DESCRIPTIONS)),
        samples=samples,
        edits=sum(len(elst) // 12 for elst in tables[b"elst"]),
        width=width,
        height=height,
    )


def _inside(parent: Box, found: Sequence[Box]) -> Sequence[Box]:
    """Those of `found`, which are in the order of the file, that begin inside of `parent`."""
    first, behind = (bisect_right(found, at, key=lambda box: box.start) for at in (parent.start, parent.end - 1))
    return found[first:behind]


def _descend(data: memoryview, parent: Box, depth: int = 0) -> Iterator[Box]:
    """All boxes in `parent`, each before those in it."""
    for box in boxes(data, parent.body, parent.end):
        yield box
        if box.type in CONTAINERS and depth < MAX_DEPTH:
            yield from _descend(data, box, depth + 1)


def _decompressed(moov: memoryview) -> memoryview:
    """QuickTime's compressed movie: moov/cmov/cmvd holds zlib data. Anything else is returned as it is."""
    cmov = next(boxes(moov, 0, len(moov)), None)
    if cmov is None or cmov.type != b"cmov":
        return moov
    packed = next((box for box in boxes(moov, cmov.body, cmov.end) if box.type == b"cmvd"), None)
    if packed is None:
        return moov
    (claimed,) = unpack(">I", moov[packed.body : packed.end])
    _bound("MB of index", claimed >> 20, MAX_INDEX_BYTES >> 20)
    try:
        movie = memoryview(zlib.decompressobj().decompress(moov[packed.body + 4 : packed.end], MAX_INDEX_BYTES))
    except zlib.error as error:
        raise verdicts.undecodable(f"the compressed index is damaged: {error}") from error
    inner = parse(movie[:16], 0, len(movie)) if len(movie) >= 8 else None
    return movie[inner.body : inner.end] if inner else movie


def _bound(what: str, number: int, most: int) -> None:
    if number > most:
        raise verdicts.too_large_to_decode(f"at most {most:,} {what}", found=number)


def _without_index(reader: RangeReader, ftyp: Box | None, last: Box | None) -> Rejected:
    if last and last.end > reader.size:
        name = last.type.decode("latin-1")
        return verdicts.truncated(reader.size, box=name, boxEnd=last.end)
    brand = reader.peek(ftyp.body, 4).decode("latin-1") if ftyp and ftyp.end <= reader.size else ""
    if brand in ("avif", "avis", "mif1", "msf1", "heic", "heix", "hevc", "hevx", "crx "):
        return verdicts.not_a_video(f"a still picture ({brand.strip()})")
    return verdicts.truncated(reader.size, detail="the index (moov) is missing")
