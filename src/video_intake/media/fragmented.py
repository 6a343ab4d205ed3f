"""Fragmented videos: selects the fragments to read, derives the totals, and creates a file for FFmpeg."""

from bisect import bisect_left as bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from video_intake.media import container, splice, timeline, unwritten, verdicts
from video_intake.media.boxes import Box
from video_intake.media.fragments import Fragments
from video_intake.media.isobmff import Layout
from video_intake.media.range_reader import RangeReader
from video_intake.media.timeline import Timeline
from video_intake.media.virtual_file import VirtualFile
from video_intake.media.walk import Fragment

LOOKS: Final = 4  # additional fragments read to find another recording
NEAR: Final = 512  # bytes between adjacent fragments, for other boxes
DOUBTFUL: Final = 1.5  # factor over the bytes that the time between two fragments explains


@dataclass(frozen=True)
class Film:
    """The video according to the selected fragments."""

    timelines: dict[int, Timeline]  # of tracks with samples, by track number
    begins: float  # seconds, on the video's own clock
    seconds: float | None  # duration; None if unknown
    whole: bool  # whether these are all fragments
    stated: float | None  # duration according to an index
    junk: tuple[tuple[int, int], ...]  # ranges between or after fragments that are not boxes


def chosen(reader: RangeReader, layout: Layout, fragments: Fragments, places: Sequence[float]) -> Film:
    """The video according to the fragments near the places, or all of them if the duration requires that.

    Raises Rejected: truncated, too-large-to-decode.
    """
    parts = fragments.choose(places)
    _check_end(reader, layout, fragments, parts)
    film = _film(layout, fragments, parts)
    for _ in range(LOOKS):
        sure = film.whole or film.seconds is None or fragments.led_to_the_end
        between = None if sure else _doubtful(layout, fragments, parts)
        extra = fragments.between(*between) if between else None
        if extra is None:
            break
        parts = sorted([*parts, extra], key=lambda part: part.moof.start)
        film = _film(layout, fragments, parts)
    if film.seconds is None and not film.whole:
        fragments.visit_all()
        if fragments.whole:
            _check_end(reader, layout, fragments, fragments.walk.fragments)
            film = _film(layout, fragments, fragments.walk.fragments)
    return film


def alone(layout: Layout, fragments: Fragments, part: Fragment) -> Film:
    """The video according to one fragment, before the others are known."""
    return _film(layout, fragments, [part])


def shown(reader: RangeReader, layout: Layout, film: Film) -> tuple[VirtualFile, float]:
    """The file for FFmpeg, and the seconds to add to its times."""
    video = {track.id for track in layout.movie.tracks if track.handler == b"vide"}
    lines = {track: line for track, line in film.timelines.items() if track in video and line.placed}
    offset = next((line.offset - film.begins for line in lines.values()), 0.0)
    return container.spliced(reader, layout, splice.index(layout.movie, lines)), offset


def _film(layout: Layout, fragments: Fragments, parts: Sequence[Fragment]) -> Film:
    runs = [fragments.runs(part) for part in parts]
    lines: dict[int, Timeline] = {}
    for track in layout.movie.tracks:
        if track.id not in lines and (line := timeline.of(track, runs, fragments.whole)):
            lines[track.id] = line
    begins = min((line.begins for line in lines.values()), default=0.0)
    ends = _ends(lines, layout, fragments)
    return Film(
        lines,
        begins,
        max(ends) - begins if ends else None,
        fragments.whole,
        fragments.claim.seconds if fragments.claim else None,
        tuple(fragments.ending.junk) if fragments.ending else (),
    )


def _ends(lines: dict[int, Timeline], layout: Layout, fragments: Fragments) -> list[float]:
    """When the tracks end, as far as that is known; empty if it is not known for the video.

    The end of a track that does not appear in the last fragments is not known.
    """
    ending = [] if fragments.whole else fragments.ending.fragments if fragments.ending else []
    present = {run.track for part in ending for run in fragments.runs(part)}
    known = {
        number: line.ends
        for number, line in lines.items()
        if line.ends is not None and (fragments.whole or number in present)
    }
    video = {track.id for track in layout.movie.tracks if track.handler == b"vide"} & lines.keys()
    return list(known.values()) if video <= known.keys() else []


def _doubtful(layout: Layout, fragments: Fragments, parts: Sequence[Fragment]) -> tuple[Fragment, Fragment] | None:
    """Two fragments with more bytes between them than their times explain.

    In joined recordings, timestamps restart, but those of the selected fragments may still be in order, as in a single
    recording. Then only the number of bytes shows that there is more in between.
    """
    rates: dict[int, float] = {}
    begins: dict[int, list[tuple[Fragment, int]]] = {}
    for group in _adjacent(parts):
        runs = [run for part in group for run in fragments.runs(part)]
        whole, every = group[-1].end - group[0].moof.start, sum(sum(run.sizes) for run in runs)
        for number in {run.track for run in runs}:
            lasting = sum(run.lasting for run in runs if run.track == number)
            size = sum(sum(run.sizes) for run in runs if run.track == number)
            if lasting and every:
                rates[number] = max(rates.get(number, 0), whole * size / every / lasting)
    for part in parts:
        for run in {run.track: run for run in reversed(fragments.runs(part))}.values():
            if run.begin is not None:
                begins.setdefault(run.track, []).append((part, run.begin))
    scales = {track.id: track.scale for track in layout.movie.tracks}
    usual = sum(rate * scales[number] for number, rate in rates.items())
    most, found = DOUBTFUL, None
    for number, dated in begins.items():
        for (one, begin), (other, end) in pairwise(dated):
            explained = max(usual * (end - begin) / scales[number], one.end - one.moof.start)
            if (other.moof.start - one.moof.start) / explained > most:
                most, found = (other.moof.start - one.moof.start) / explained, (one, other)
    return found


def _adjacent(parts: Sequence[Fragment]) -> list[list[Fragment]]:
    """The fragments, grouped if they are adjacent."""
    groups: list[list[Fragment]] = []
    for part in parts:
        if groups and part.moof.start - groups[-1][-1].end < NEAR:
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _check_end(reader: RangeReader, layout: Layout, fragments: Fragments, parts: Sequence[Fragment]) -> None:
    """Raises Rejected if the file was cut off, according to its end and the samples, not an index."""
    ending = fragments.ending
    beyond = next((run.end for part in parts for run in fragments.runs(part) if run.end > reader.size), None)
    cut = ending.cut if ending else None
    if cut is None and beyond is None:
        _check_zeros(reader, layout, fragments)
        if fragments.claim and _led_to_the_end(reader, fragments):
            cut = Box(b"sidx", 0, 0, fragments.claim.end)
        else:
            return
    there = [part for part in parts if all(run.end <= reader.size for run in fragments.runs(part))]
    seconds = _film(layout, fragments, there).seconds
    name = cut.type.decode("latin-1") if cut else "moof"
    raise verdicts.truncated(reader.size, seconds, box=name, boxEnd=cut.end if cut else beyond)


def _check_zeros(reader: RangeReader, layout: Layout, fragments: Fragments) -> None:
    """Raises Rejected("truncated") if the last fragment was not completely written."""
    if not fragments.ending:
        return
    last = fragments.ending.fragments[-1]
    marked = {track.id for track in layout.movie.tracks if unwritten.CODES.issuperset(track.codecs)}
    runs = [run for run in fragments.runs(last) if run.track in marked]
    if found := unwritten.at_end(reader, runs, last.end, bare=last.end == last.moof.end):
        raise verdicts.unwritten(*found)


def _led_to_the_end(reader: RangeReader, fragments: Fragments) -> bool:
    """Whether a segment index is correct up to the end of the file but continues: it was cut off between fragments.

    It is correct if its last segment in the file has no more fragments than the earlier ones.
    """
    assert fragments.claim
    inside = [start for start in fragments.claim.starts if start < reader.size]
    if len(inside) == len(fragments.claim.starts):
        return False
    begins = fragments.begins_at(inside[-1]) if len(inside) > 1 else None
    known = [each.moof.start for each in (fragments.ending.fragments if fragments.ending else ())]
    if begins not in known:
        return False
    usual = bisect(known, inside[1]) - bisect(known, inside[0])  # 0 if these fragments are not known
    return len(known) - known.index(begins) <= max(usual, 1)
