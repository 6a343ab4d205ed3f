"""Chooses the picture for the poster: a marked key frame that is not blank, or one found by decoding further."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from video_intake.media import key_frames, notes, onward, poster, verdicts
from video_intake.media.key_frames import Frames, Shot
from video_intake.media.verdicts import Rejected

CLEAR: Final = 2 * poster.BLANK_SPREAD  # at which decoding ends: a fade-in gets clearer


@dataclass(frozen=True)
class Choice:
    """The picture for the poster, and a warning about it, or ""."""

    shot: Shot
    warning: str = ""


@dataclass
class Best:
    """The examined picture with the most contrast."""

    shot: Shot | None = None
    spread: float = -1.0

    def take(self, shot: Shot) -> float:
        """Returns the contrast of a picture, and keeps the picture if that is the highest so far."""
        spread = poster.spread(shot.frame)
        if spread > self.spread:
            self.shot, self.spread = shot, spread
        return spread


def marked(frames: Frames, places: Sequence[float]) -> Choice | None:
    """The first marked key frame near one of the places that is not blank; None if there is none."""
    shot = _marked(frames, places, Best())
    return Choice(shot) if shot else None


def clear(frames: Frames, places: Sequence[float]) -> Choice | None:
    """As any_picture, but None if it is blank or there is none."""
    try:
        found = any_picture(frames, places)
    except Rejected:
        return None
    return None if poster.spread(found.shot.frame) < poster.BLANK_SPREAD else found


def any_picture(frames: Frames, places: Sequence[float]) -> Choice:
    """A picture for the poster.

    Tries marked key frames, then the frames after them, then the frames from the first sample on.
    Raises Rejected if no picture can be decoded: no-frames or undecodable; and whatever reading raises.
    """
    best = Best()
    if shot := _marked(frames, places, best):
        return Choice(shot)
    budget = onward.Budget.of(frames.video.reader)
    if best.shot:  # the marked key frames exist but are blank
        _look_on(frames, places, budget, best)
        return Choice(best.shot)
    for found in _everywhere(frames, places[0], budget):
        _look(found, best)
        if best.shot and best.spread >= poster.BLANK_SPREAD:
            break
    if best.shot:
        return Choice(best.shot)
    if last := next(iter(deque(onward.shots(frames, None, "DEFAULT", budget.part(3), damaged=True), 1)), None):
        return Choice(last, notes.refreshed())
    stated = 0 if frames.video.by_packets else frames.video.stream.frames  # in AVI, what the header claims
    if not frames.packets and not frames.damage and not stated:
        raise verdicts.no_frames(frames=frames.video.stream.frames)
    raise verdicts.undecodable(frames.damage or "the decoder produced no picture")


def _marked(frames: Frames, places: Iterable[float], best: Best) -> Shot | None:
    for shot in frames.near(places):
        if best.take(shot) >= poster.BLANK_SPREAD:
            return shot
    return None


def _look_on(frames: Frames, places: Sequence[float], budget: onward.Budget, best: Best) -> None:
    """Continues decoding from each of the places, to find a picture that is not blank."""
    starts = [place for place, _, _ in key_frames.ranges(frames.video, places)] or places[:1]
    try:
        for place in starts if len(frames.video.stream.index_entries) != 1 else ():
            _look(onward.shots(frames, place, "DEFAULT", budget.part(len(starts))), best)
            if best.spread >= CLEAR:
                break
    except MemoryError:
        pass  # there is a blank picture, and no memory for more of that size


def _everywhere(frames: Frames, place: float, budget: onward.Budget) -> Iterator[Iterator[Shot]]:
    """Ways to find a first picture if no marked key frame has one, the cheapest first."""
    yield onward.shots(frames, place, "DEFAULT", budget, onward.FIELDS)
    yield onward.shots(frames, place, "NONKEY", budget.part(3))
    yield onward.shots(frames, place, "DEFAULT", budget.part(3))
    yield onward.shots(frames, None, "DEFAULT", budget.part(3))


def _look(shots: Iterator[Shot], best: Best) -> None:
    for shot in shots:
        if best.take(shot) >= CLEAR:
            break
