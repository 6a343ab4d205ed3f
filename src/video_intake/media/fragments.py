"""Fragmented MP4 (recorded live, or cut for streaming) without walking its fragments.

FFmpeg visits every `moof` when it opens such a file: 860 fragments are 860 requests. Here a few of them are
chosen, near the wanted places and at the end, and the rest is hidden from it. Where they lie is told by one of
the file's own indexes (`mfra` at the end, `sidx` behind `moov`), or else found by looking there.

Boxes: ISO/IEC 14496-12, 8.8 (movie fragments) and 8.16.3 (segment index).
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from video_intake.media import verdicts
from video_intake.media.boxes import Box, box_at, boxes, free
from video_intake.media.isobmff import Layout
from video_intake.media.range_reader import READ_AHEAD, RangeReader
from video_intake.media.virtual_file import VirtualFile

WALKED: Final = 8  # so few fragments are visited one by one: each costs a round trip
LOOK: Final = 64 << 10  # at the beginning of a fragment: its `moof`, of some 16 bytes a frame
MAX_WINDOW: Final = 8 << 20  # looked through for the beginning of a fragment

type Fragment = tuple[Box, Box]  # moof, mdat


def first(reader: RangeReader, layout: Layout) -> Fragment | None:
    """The first fragment with pictures, or the first of all where none has any; None where there are none."""
    at, found = layout.moov.end, None
    for _ in range(2 * WALKED):  # past styp, sidx, free, and fragments of sound alone
        box = box_at(reader, at)
        fragment = _fragment(reader, at)
        found = found or fragment
        if box is None or (fragment and _has_video(reader, layout, box)):
            return fragment or found
        at = box.end
    return found


def indexed(reader: RangeReader, layout: Layout, first: Fragment) -> list[int]:
    """Where the fragments begin, by an index of the file's own; empty where there is none."""
    return _from_mfra(reader, layout) or _from_sidx(reader, layout.moov.end, first[0].start)


def estimate(reader: RangeReader, first: Fragment) -> float:
    """How many fragments there are, if all are as large as the first."""
    moof, mdat = first
    return (reader.size - moof.start) / (mdat.end - moof.start)


def walk(reader: RangeReader, first: Fragment) -> list[int]:
    """Where the fragments begin, each of which says where the next one does: a round trip for each."""
    starts = [first[0].start]
    at = first[1].end
    for _ in range(2 * WALKED):
        reader.load([(at, at + LOOK)])
        fragment = _fragment(reader, at)
        if fragment is None:
            break
        starts.append(at)
        at = fragment[1].end
    return starts


def choose(
    reader: RangeReader, layout: Layout, first: Fragment, starts: Sequence[int], places: Sequence[float]
) -> list[Fragment]:
    """The first fragment, those near `places` (0 to 1 of the film) and the last, in file order.

    Where `starts` is empty they are looked for. Raises Rejected("truncated") where the last one is cut off.
    """
    if starts:
        wanted = {starts[round(place * (len(starts) - 1))] for place in places} | {starts[-1]}
    else:
        wanted, at_end = _look(reader, layout, first, places)
        if not at_end:  # the first one is no measure of the others: a black beginning, say
            wanted.update(walk(reader, first), walk(reader, _fragment(reader, max(wanted, default=0)) or first))
    wanted.add(first[0].start)  # if any fragment begins with a key frame, it is this one
    reader.load((start, start + LOOK) for start in wanted)
    chosen = [fragment for start in sorted(wanted) if (fragment := _fragment(reader, start))] or [first]
    end = chosen[-1][1].end
    if end > reader.size:
        raise verdicts.truncated(reader.size, box="mdat", boxEnd=end)
    return chosen


def show_only(file: VirtualFile, layout: Layout, chosen: Iterable[Fragment]) -> None:
    """Lets FFmpeg see the chosen fragments too, as if the file ended behind the last of them."""
    at = layout.moov.end
    for moof, mdat in chosen:
        gap = moof.start - at
        if gap < 0 or 0 < gap < 8:
            continue  # in another's media data, or too near behind it for a header between: damage
        if gap:
            file.hide(at, moof.start, free(gap))
        at = mdat.end
    file.end = at


def _has_video(reader: RangeReader, layout: Layout, moof: Box) -> bool:
    content = memoryview(reader.peek(moof.body, moof.end - moof.body))
    trafs = [traf for traf in boxes(content, 0, len(content)) if traf.type == b"traf"]
    tfhds = [box for traf in trafs for box in boxes(content, traf.body, traf.end) if box.type == b"tfhd"]
    tracks = {int.from_bytes(content[tfhd.body + 4 : tfhd.body + 8]) for tfhd in tfhds}
    return not tracks.isdisjoint(track.id for track in layout.tracks if track.handler == b"vide")


def _fragment(reader: RangeReader, at: int) -> Fragment | None:
    """The fragment that begins at `at`; its media data may end behind the end of the file."""
    moof = box_at(reader, at)
    if moof is None or moof.type != b"moof" or reader.peek(moof.body + 4, 4) != b"mfhd":
        return None
    mdat = box_at(reader, moof.end)
    return (moof, mdat) if mdat and mdat.type == b"mdat" else None


def _from_mfra(reader: RangeReader, layout: Layout) -> list[int]:
    """Where the fragments of the video track begin, by the random access index at the end of the file."""
    tail = reader.peek(max(reader.size - 16, 0), 16)
    if tail[4:8] != b"mfro":
        return []
    size = struct.unpack(">I", tail[12:])[0]
    mfra = box_at(reader, reader.size - size) if 16 < size <= reader.size - layout.moov.end else None
    if mfra is None or mfra.type != b"mfra" or mfra.end != reader.size or size > MAX_WINDOW:
        return []
    content = memoryview(reader.peek(mfra.body, mfra.end - mfra.body))
    tables = [_tfra(content[box.body : box.end]) for box in boxes(content, 0, len(content)) if box.type == b"tfra"]
    video = {track.id for track in layout.tracks if track.handler == b"vide"}
    starts = max((starts for track, starts in tables if track in video), key=len, default=[])
    return starts if starts == sorted(starts) else []


def _tfra(table: memoryview) -> tuple[int, list[int]]:
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


def _from_sidx(reader: RangeReader, start: int, first: int) -> list[int]:
    """Where the fragments begin, by one segment index in front of them; none for an index of indexes."""
    for box in _between(reader, start, first):
        if box.type != b"sidx" or box.end - box.start > MAX_WINDOW:
            continue
        content = reader.peek(box.body, box.end - box.body)
        wide = content[:1] == b"\1"
        table = 32 if wide else 24
        if len(content) < table:
            return []
        offset, count = struct.unpack_from(">Q2xH" if wide else ">I2xH", content, 20 if wide else 16)
        entries = content[table:][: 12 * count]
        sizes = [size for (size,) in struct.iter_unpack(">I8x", entries[: len(entries) // 12 * 12])]
        if not sizes or any(size >> 31 for size in sizes):
            return []
        starts = [box.end + offset]
        for size in sizes[:-1]:
            starts.append(starts[-1] + size)
        return starts
    return []


def _between(reader: RangeReader, start: int, end: int) -> Iterable[Box]:
    while start < end and (box := box_at(reader, start)):
        yield box
        start = box.end


def _look(reader: RangeReader, layout: Layout, first: Fragment, places: Sequence[float]) -> tuple[set[int], bool]:
    """Fragments with pictures: the last that begin in windows, a quarter larger than the first, before each place.

    And whether there was one in the window at the end.
    """
    begin = first[0].start
    window = min(max((first[1].end - begin) * 5 // 4, READ_AHEAD), MAX_WINDOW, reader.size - begin)
    ends = [begin + int((reader.size - begin) * place) for place in (*places, 1)]
    spots = sorted({max(end - window, begin) for end in ends})
    reader.load((spot, spot + window) for spot in spots)
    found, at = set(), -1
    for spot in spots:
        content = reader.peek(spot, window)
        at = content.rfind(b"moof")
        while at >= 0:
            fragment = _fragment(reader, spot + at - 4) if at >= 4 else None
            if fragment and _has_video(reader, layout, fragment[0]):
                found.add(spot + at - 4)
                break
            at = content.rfind(b"moof", 0, at)
    return found, at >= 0
