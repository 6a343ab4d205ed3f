"""Creates one index for FFmpeg of the samples in `moov` and in selected fragments.

FFmpeg would visit each `moof` separately, and treat missing fragments as gaps in time. With one index of all known
samples, a fragmented file looks like a regular one. The samples stay in place.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final

from video_intake.media.boxes import Box, box
from video_intake.media.movie import Movie
from video_intake.media.samples import Samples
from video_intake.media.timeline import Timeline

MOST: Final = (1 << 31) - 1  # FFmpeg's limit for the time units between two samples, applied to all of them
REBUILT: Final = frozenset({b"trak", b"mdia", b"minf", b"stbl"})


def index(movie: Movie, timelines: Mapping[int, Timeline]) -> bytes:
    """A copy of the movie's `moov` whose tracks have the samples of their `timelines` (by track number).

    Times begin at 0, and edit lists are omitted: see Timeline.offset.
    """
    outermost = _children(movie, Box(b"moov", 0, 0, len(movie.content)))
    return box(b"moov", *(_copied(movie, each, timelines) for each in outermost))


def _children(movie: Movie, parent: Box) -> Iterator[Box]:
    at = parent.body
    for each in movie.boxes:
        if at <= each.start < parent.end:
            yield each
            at = each.end


def _copied(movie: Movie, each: Box, timelines: Mapping[int, Timeline]) -> bytes:
    tracks = {track.box.start: track.id for track in movie.tracks}
    timeline = timelines.get(tracks.get(each.start, 0))
    if each.type == b"mvex":
        return b""
    if timeline is None:
        return bytes(movie.content[each.start : each.end])
    return box(each.type, *(_of_track(movie, child, timeline) for child in _children(movie, each)))


def _of_track(movie: Movie, each: Box, timeline: Timeline) -> bytes:
    if each.type == b"edts":
        return b""
    scale = _scale(timeline)
    if each.type == b"mdhd":
        return box(b"mdhd", struct.pack(">B19xIQ4x", 1, scale, 0))
    if each.type == b"stbl":
        return _sample_tables(movie, each, timeline, scale)
    if each.type in REBUILT:
        return box(each.type, *(_of_track(movie, child, timeline) for child in _children(movie, each)))
    return bytes(movie.content[each.start : each.end])


def _scale(timeline: Timeline) -> int:
    """The time units per second: the track's own, or fewer if its total duration would exceed MOST units."""
    last = timeline.placed[-1]
    total = last.begin + last.run.lasting
    return timeline.track.scale if total <= MOST else max(timeline.track.scale * MOST // total, 1)


def _sample_tables(movie: Movie, stbl: Box, timeline: Timeline, scale: int) -> bytes:
    tables = {each.type: movie.content[each.body : each.end] for each in _children(movie, stbl)}
    samples = Samples()
    if timeline.track.samples:
        samples.add_indexed(tables, timeline.track.samples)
    for each in timeline.placed:
        samples.add_run(each)
    description = box(b"stsd", tables.get(b"stsd", b""))
    return box(b"stbl", description, *samples.tables(timeline.track.scale, scale))
