"""Which picture becomes the poster: a marked key frame with something to see, or one found by decoding on."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from video_intake.media import key_frames, notes, onward, poster, verdicts
from video_intake.media.key_frames import Frames, Shot
from video_intake.media.verdicts import Rejected

CLEAR: Final = 2 * poster.BLANK_SPREAD  # of a picture at which decoding on ends: a fade-in goes on to more


@dataclass(frozen=True)
class Choice:
    """The picture for the poster, and a warning about it, or none: ""."""

    shot: Shot
    warning: str = ""


@dataclass
class Best:
    """The picture with the most to see, of those that were looked at."""

    shot: Shot | None = None
    spread: float = -1.0

    def take(self, shot: Shot) -> float:
        """How much is to be seen in a picture, which is kept if that is the most so far."""
        spread = poster.spread(shot.frame)
        if spread > self.spread:
            self.shot, self.spread = shot, spread
        return spread


def marked(frames: Frames, places: Sequence[float]) -> Choice | None:
    """The first marked key frame near one of the places with something to see; None where there is none."""
    shot = _marked(frames, places, Best())
    return Choice(shot) if shot else None


def clear(frames: Frames, places: Sequence[float]) -> Choice | None:
    """As any_picture, but None where it shows nothing, or there is none."""
    try:
        found = any_picture(frames, places)
    except Rejected:
        return None
    return None if poster.spread(found.shot.frame) < poster.BLANK_SPREAD else found


def any_picture(frames: Frames, places: Sequence[float]) -> Choice:
    """A picture for the poster.

    Marked key frames come first; then what follows them, then what follows the first sample of all.
    Raises Rejected where not a single picture comes out: no-frames or undecodable; and what reading raises.
    """
    best = Best()
    if shot := _marked(frames, places, best):
        return Choice(shot)
    budget = onward.Budget.of(frames.video.reader)
    if best.shot:  # key frames are where they are said to be, and blank
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
    """Decodes on from each of the places, for something to see."""
    starts = [place for place, _, _ in key_frames.ranges(frames.video, places)] or places[:1]
    try:
        for place in starts if len(frames.video.stream.index_entries) != 1 else ():
            _look(onward.shots(frames, place, "DEFAULT", budget.part(len(starts))), best)
            if best.spread >= CLEAR:
                break
    except MemoryError:
        pass  # there is a picture, if a blank one, and for more of that size no room


def _everywhere(frames: Frames, place: float, budget: onward.Budget) -> Iterator[Iterator[Shot]]:
    """Ways to a first picture, where no marked key frame gives one: the cheapest first."""
    yield onward.shots(frames, place, "DEFAULT", budget, onward.FIELDS)
    yield onward.shots(frames, place, "NONKEY", budget.part(3))
    yield onward.shots(frames, place, "DEFAULT", budget.part(3))
    yield onward.shots(frames, None, "DEFAULT", budget.part(3))


def _look(shots: Iterator[Shot], best: Best) -> None:
    for shot in shots:
        if best.take(shot) >= CLEAR:
            break
