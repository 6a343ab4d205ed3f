"""How much a film is: duration, frames and rates, of what its samples are, held against what its headers state.

The duration is the one that the film's header states, which players show, where the samples of the longest track
agree; else theirs, with a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from video_intake.media import notes
from video_intake.media.fragmented import Film
from video_intake.media.movie import Movie

APART: Final = 0.05  # of a duration, by which statements may differ without a warning
ROUNDING: Final = 0.1  # seconds, that do not count either: a frame of sound or two


@dataclass(frozen=True)
class Extent:
    """Of a film and its track of pictures, as far as that is known."""

    seconds: float | None
    frames: int | None = None
    rate: Fraction | None = None  # frames a second, the mean
    bytes: int | None = None  # of the pictures alone
    lasting: float | None = None  # seconds, of the pictures alone
    sound: Mapping[int, int] = field(default_factory=dict)  # bits per second of other tracks, by their numbers
    warnings: list[str] = field(default_factory=list)


def differ(one: float, other: float) -> bool:
    """Whether two durations contradict each other."""
    return abs(one - other) > max(APART * min(one, other), ROUNDING)


def of_movie(movie: Movie, track: int) -> Extent:
    """Of a film with one index, whose pictures are in the track of that number."""
    stated = movie.duration
    looked_at = [each.seconds for each in movie.tracks if each.lasting is not None]
    longest = max((each.seconds for each in movie.tracks), default=0.0)  # of sound, what its header states
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
    """Of a film in fragments, in a file of `size` bytes."""
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
