"""A video's duration, frames and rates: from its samples, compared with its headers.

The duration is the header's, which players show, if the samples of the longest track agree; otherwise that of the
samples, with a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from video_intake.media import notes
from video_intake.media.fragmented import Film
from video_intake.media.movie import Movie

APART: Final = 0.05  # relative difference of durations without a warning
ROUNDING: Final = 0.1  # seconds that are ignored as well: an audio frame or two


@dataclass(frozen=True)
class Extent:
    """Durations, frames and sizes of a file and its video track, as far as they are known."""

    seconds: float | None
    frames: int | None = None
    rate: Fraction | None = None  # mean frames per second
    bytes: int | None = None  # of the video track
    lasting: float | None = None  # seconds, of the video track
    sound: Mapping[int, int] = field(default_factory=dict)  # bits per second of other tracks, by track number
    warnings: list[str] = field(default_factory=list)


def differ(one: float, other: float) -> bool:
    """Whether two durations contradict each other."""
    return abs(one - other) > max(APART * min(one, other), ROUNDING)


def of_movie(movie: Movie, track: int) -> Extent:
    """The extent of a video with a regular index and its video in track number `track`."""
    stated = movie.duration
    looked_at = [each.seconds for each in movie.tracks if each.lasting is not None]
    longest = max((each.seconds for each in movie.tracks), default=0.0)  # for audio, the header's duration
    lasting = max(looked_at, default=0.0) or longest
    warnings = []
    if stated is not None and lasting and differ(stated, lasting) and differ(stated, longest):
        warnings.append(notes.durations_differ(stated, lasting))
    seconds = lasting if stated is None or warnings else stated
    own = next((each for each in movie.tracks if each.id == track), None)
    if own is None or not own.scale or not own.lasting:
        return Extent(seconds or None, warnings=warnings)
    sound = {
        each.id: int(each.bytes * 8 * each.scale / each.lasting)
        for each in movie.tracks
        if each.bytes and each.lasting and each.scale
    }
    own_seconds = own.lasting / own.scale
    claims = [own.claimed / own.scale, own.presented or 0.0]
    if odd := next((claim for claim in claims if claim and _contradicts(claim, own_seconds, own.seconds)), None):
        warnings.append(notes.durations_differ(odd, own_seconds, "video track"))
    alike = own.usual and abs(own.samples * own.usual / own.lasting - 1) < APART
    rate = Fraction(own.scale, own.usual) if alike else None
    return Extent(seconds or None, own.samples, rate, own.bytes, own_seconds, sound, warnings)


def _contradicts(claim: float, *found: float) -> bool:
    return all(differ(claim, each) for each in found)


def of_fragments(movie: Movie, film: Film, track: int, size: int) -> Extent:
    """The extent of a fragmented video in a file of `size` bytes."""
    lines = film.timelines.values()
    seconds, warnings = film.seconds, []
    if seconds is None:
        seconds = film.stated or movie.duration
        warnings.append(notes.duration_unchecked(seconds))
    else:
        for stated, where in ((movie.duration, "header"), (film.stated, "segment index")):
            if stated and differ(stated, seconds):
                warnings.append(notes.durations_differ(stated, seconds, where))
    if any(line.again for line in lines):
        warnings.append(notes.joined())
    gaps = min((line.gaps for line in lines), default=0.0)
    if film.whole and seconds and gaps > max(APART * seconds, ROUNDING):
        warnings.append(notes.gaps(gaps))
    for at_end in (False, True):
        if junk := sum(end - start for start, end in film.junk if (end == size) is at_end):
            warnings.append(notes.junk(junk, at_end=at_end))
    own = film.timelines.get(track)
    if own is None:
        return Extent(seconds, warnings=warnings)
    if not film.whole:
        return Extent(seconds, rate=own.rate, warnings=warnings)
    sound = {number: int(line.bytes * 8 / line.seconds) for number, line in film.timelines.items() if line.seconds}
    return Extent(seconds, own.samples, own.rate, own.bytes, own.seconds, sound, warnings)
