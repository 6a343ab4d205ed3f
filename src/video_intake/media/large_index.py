"""Reads a large index without its audio part, which is four fifths of the megabytes of a long video's index.

The sample tables of audio tracks (ISO/IEC 14496-12, 8.6 and 8.7) are not needed. If it saves time, they are not even
fetched: their location follows from the track headers.
"""

from collections.abc import Sequence
from itertools import islice
from mmap import mmap
from typing import Final

from video_intake.media.boxes import Box, box_at, boxes, free, unpack
from video_intake.media.range_reader import RangeReader

LARGE: Final = 1 << 20  # half an hour of video
SLOW: Final = 2 << 20  # takes as long as one or two more round trips
LOOK: Final = 64 << 10  # around a place where a track should begin
HEAD: Final = 16 << 10  # of a track: its type, and the start of its tables
MAX_LOOKS: Final = 2  # round trips to find the tracks; then the rest is fetched
MAX_TRACKS: Final = 100
MAX_BOXES: Final = 4  # after `moov`, and between its tracks: `free` and the media data, `mvhd`, `udta`, `iods`
SAMPLE_TABLES: Final = frozenset({b"stts", b"ctts", b"stsc", b"stsz", b"stz2", b"stco", b"co64"})

type Hole = tuple[int, int]  # (start, end) in the file, at least as large as a box's header


def sound_tables(reader: RangeReader, moov: Box) -> tuple[Hole, ...]:
    """The location of the audio tracks' sample tables in a large index, in file order.

    Empty if the file may have been cut off, because then they are needed to check that.
    """
    if moov.end - moov.start <= LARGE:
        return ()
    wanted = [(moov.end - LOOK, moov.end + LOOK)]  # the end of `moov`, and the media data's header
    if sum(end - start for start, end in reader.gaps(moov.start, moov.end)) <= SLOW:
        wanted = [(moov.start, moov.end + LOOK)]
    holes: list[Hole] = []
    at, left, looks = moov.body, _stated_tracks(reader, moov), 0
    for _ in range(MAX_TRACKS):
        track = _next_track(reader, at, moov.end)
        if track is None:
            break
        hole = _sound_table(reader, track)
        holes += [hole] if hole else []
        wanted.append((hole[1] if hole else track.start, track.end))
        at, left = track.end, left - 1
        if any(True for _ in reader.gaps(at, min(at + HEAD, moov.end))):
            looks += 1
            wanted += _looks(at, moov.end, left, track if hole else None) if looks <= MAX_LOOKS else [(at, moov.end)]
            reader.load(wanted)
    reader.load(wanted)
    return tuple(holes) if _is_whole(reader, moov.end) else ()


def _stated_tracks(reader: RangeReader, moov: Box) -> int:
    """The number of tracks if they are numbered from 1, by `mvhd`, which ends with the next free number."""
    box = box_at(reader, moov.body)
    is_header = box is not None and box.type == b"mvhd" and box.end <= moov.end
    return unpack(">I", reader.peek(box.end - 4, 4))[0] - 1 if box and is_header else 0


def _looks(at: int, end: int, left: int, sound: Box | None) -> list[tuple[int, int]]:
    """The ranges in which the remaining `left` tracks in [at, end) probably begin, the first of them at `at`.

    Audio tracks often have the same size, that of `sound` or an equal share. Guessing saves a round trip for each.
    """
    size = sound.end - sound.start if sound else (end - at) // max(left, 1)
    spots = range(at, end, max(size, LOOK))[: max(min(left, MAX_TRACKS), 1)]
    return [(spot - LOOK // 2, min(spot + LOOK // 2, end)) for spot in spots]


def without(reader: RangeReader, start: int, end: int, holes: Sequence[Hole]) -> memoryview:
    """The bytes [start, end) with each hole as a `free` box; everything else is fetched in one round trip."""
    places = [start, *(place for hole in holes for place in hole), end]
    kept = list(zip(places[::2], places[1::2], strict=True))
    reader.load(kept)
    if not holes:
        return memoryview(reader.peek(start, end - start))
    content = memoryview(mmap(-1, end - start))  # zeros that take no memory until they are touched
    for first, last in kept:
        content[first - start : last - start] = reader.peek(first, last - first)
    for first, last in holes:
        header = free(last - first)
        content[first - start :][: len(header)] = header
    return content


def _is_whole(reader: RangeReader, at: int) -> bool:
    """Whether the boxes from `at` on, including the media data, end exactly at the end of the file."""
    for _ in range(MAX_BOXES):
        if at == reader.size:
            return True
        box = box_at(reader, at)
        if box is None or reader.peek(at, 4) == bytes(4):  # size 0 means to the end of the file, which proves nothing
            return False
        at = box.end
    return at == reader.size


def _next_track(reader: RangeReader, at: int, end: int) -> Box | None:
    for _ in range(MAX_BOXES):
        box = box_at(reader, at) if at < end else None
        if box is None or box.end > end:
            return None
        if box.type == b"trak":
            return box
        at = box.end
    return None


def _sound_table(reader: RangeReader, trak: Box) -> Hole | None:
    """The range of the track's sample tables; None if it is not an audio track or is unusual."""
    head = memoryview(reader.peek(trak.start, min(HEAD, trak.end - trak.start)))
    box = Box(trak.type, 0, trak.body - trak.start, trak.end - trak.start)
    for kind in (b"mdia", b"minf", b"stbl"):
        inside = {child.type: child for child in reversed(_children(head, box))}
        if kind == b"minf" and bytes(head[inside[b"hdlr"].body :][8:12] if b"hdlr" in inside else b"") != b"soun":
            return None
        if kind not in inside:
            return None
        box = inside[kind]
    tables = _children(head, box)
    first = next((number for number, table in enumerate(tables) if table.type in SAMPLE_TABLES), 0)
    if b"stsd" not in [table.type for table in tables[:first]]:
        return None
    return trak.start + tables[first].start, trak.start + box.end


def _children(head: memoryview, parent: Box) -> list[Box]:
    return list(islice(boxes(head, parent.body, parent.end), 16))
