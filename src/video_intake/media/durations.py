"""How long a film is: what its samples last, held against what its headers state."""

from collections.abc import Iterable
from typing import Final

from video_intake.media import notes
from video_intake.media.fragmented import Film
from video_intake.media.movie import Movie

APART: Final = 0.05  # of a duration, by which statements may differ without a warning
ROUNDING: Final = 0.1  # seconds, that do not count either: a frame of sound or two


def differ(one: float, other: float) -> bool:
    """Whether two durations contradict each other."""
    return abs(one - other) > max(APART * min(one, other), ROUNDING)


def of_movie(movie: Movie) -> tuple[float | None, list[str]]:
    """Seconds of a film with one index, and warnings.

    It is the duration that the film's header states, which players show, where the samples of the longest track agree.
    """
    stated = movie.duration
    looked_at = [track.seconds for track in movie.tracks if track.lasting is not None]
    longest = max((track.seconds for track in movie.tracks), default=0.0)  # of sound, what its header states
    lasting = max(looked_at, default=0.0) or longest
    if not lasting:
        return stated, []
    warnings = [
        notes.durations_differ(track.claimed / track.scale, track.lasting / track.scale, f"track {track.id}")
        for track in movie.tracks
        if track.handler == b"vide" and track.scale and track.claimed and track.lasting
        if differ(track.claimed / track.scale, track.lasting / track.scale)
    ]
    if stated is None or (differ(stated, lasting) and differ(stated, longest)):
        if stated is not None:
            warnings.insert(0, notes.durations_differ(stated, lasting))
        return lasting, warnings
    return stated, warnings


def of_fragments(movie: Movie, film: Film) -> tuple[float | None, list[str]]:
    """Seconds of a film in fragments, and warnings."""
    stated = film.stated or movie.duration
    if film.seconds is None:
        return stated, [notes.duration_unchecked(stated)]
    warnings = []
    if movie.duration and differ(movie.duration, film.seconds):
        warnings.append(notes.durations_differ(movie.duration, film.seconds))
    lines = film.timelines.values()
    if any(line.again for line in lines):
        warnings.append(notes.joined())
    if film.whole and (gaps := _gaps(line.gaps for line in lines)) > max(APART * film.seconds, ROUNDING):
        warnings.append(notes.gaps(gaps))
    return film.seconds, warnings


def _gaps(of_tracks: Iterable[float]) -> float:
    return min(of_tracks, default=0.0)
