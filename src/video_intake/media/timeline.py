"""Computes when the samples of a fragmented track are decoded, and from that duration, frames and rate.

Timestamps may begin anywhere (in a recording that had been running for days), be missing, or restart at 0 if
recordings were joined; and the first samples may be in `moov`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from video_intake.media.moof import Run
from video_intake.media.track import Track

SAME: Final = Fraction(1, 20)  # relative difference between the mean and the rate of nearly all frames
WHOLE, NTSC = Fraction(1), Fraction(1000, 1001)


@dataclass(frozen=True)
class Placed:
    """A run, and when its first sample is decoded, in the track's units since the first sample."""

    run: Run
    begin: int


@dataclass(frozen=True)
class Timeline:
    """The known samples of one track."""

    track: Track
    placed: tuple[Placed, ...]
    first: int  # when the first sample is decoded, on the file's clock
    end: int | None  # when the last one ends, since the first; None if unknown
    again: bool  # whether timestamps restart: recordings were joined
    skipped: int  # media before the first shown sample, from the edit list

    @property
    def offset(self) -> float:
        """Seconds on the video's clock at which the first sample is decoded."""
        return self.track.empty + (self.first - self.skipped) / self.track.scale

    @property
    def begins(self) -> float:
        """Seconds on the video's clock at which the first sample is shown."""
        return max(self._unskipped, self.track.empty)

    @property
    def ends(self) -> float | None:
        """Seconds on the video's clock at which the last sample ends; None if unknown."""
        return None if self.seconds is None else self._unskipped + self.seconds

    @property
    def _unskipped(self) -> float:
        shift = self.track.shift if self.track.samples else self.placed[0].run.shifts[0]
        return self.offset + shift / self.track.scale

    @property
    def seconds(self) -> float | None:
        """Seconds from the first sample to the end of the last; None if unknown."""
        return None if self.end is None else self.end / self.track.scale

    @property
    def samples(self) -> int:
        """The number of known samples."""
        return self.track.samples + sum(len(each.run.sizes) for each in self.placed)

    @property
    def bytes(self) -> int:
        """The size of the known samples."""
        return (self.track.bytes or 0) + sum(sum(each.run.sizes) for each in self.placed)

    @property
    def rate(self) -> Fraction | None:
        """Frames per second: the mean of the known samples.

        If nearly all of them have the same duration, that one counts, because writers often change the first or last
        of a fragment.
        """
        count, total = self.track.samples, self.track.lasting or 0
        durations: dict[int, int] = {}
        for each, after in zip(self.placed, (*self.placed[1:], None), strict=False):
            lasting = each.run.lasting
            until = after.begin - each.begin if after else lasting
            count += len(each.run.sizes)
            total += until if 0 < 2 * until <= 3 * lasting else lasting
            for duration in each.run.durations:
                durations[duration] = durations.get(duration, 0) + 1
        if not count or not total:
            return None
        mean = Fraction(count * self.track.scale, total)
        usual = max(durations, key=durations.__getitem__, default=0)
        odd = sum(durations.values()) - durations.get(usual, 0)
        if usual and odd <= 2 * len(self.placed) and abs(mean * usual / self.track.scale - 1) < SAME:
            return Fraction(self.track.scale, usual)
        return standard(mean, count, self.track.scale)

    @property
    def gaps(self) -> float:
        """Total seconds of gaps between consecutive fragments."""
        after = zip(self.placed, self.placed[1:], strict=False)
        gaps = (following.begin - each.begin - each.run.lasting for each, following in after)
        return sum(gap for gap in gaps if gap > 0) / self.track.scale


def standard(rate: Fraction, count: int, scale: int) -> Fraction:
    """The integer frame rate, or 1000/1001 of it, that `rate` equals except for rounding to time units."""
    usual = min((round(rate / factor) * factor for factor in (WHOLE, NTSC)), key=lambda each: abs(rate - each))
    return usual if usual and abs(count / rate - count / usual) * scale < 2 else rate


def of(track: Track, fragments: Iterable[Sequence[Run]], whole: bool) -> Timeline | None:
    """The timeline of a track, from fragments in file order; None if it has no samples.

    `whole`: whether these are all fragments, which is required to derive times that are not stated.
    """
    placed: list[Placed] = []
    cursor = track.lasting or 0 if track.samples else None
    first, shift, known, again = 0, 0, True, False
    for runs in fragments:
        alone = True  # no run of this fragment was placed yet
        for run in (run for run in runs if run.track == track.id):
            begin = run.begin
            if begin is None:
                known = known and (whole or not alone or not placed)
                begin = cursor or 0
            elif cursor is None:
                first, shift, begin = begin, -begin, 0
            else:
                begin += shift
                lasting = run.lasting
                if begin + max(2 * lasting // len(run.sizes), lasting // 4) <= cursor:  # more than rounding
                    again, shift, begin = True, shift + cursor - begin, cursor
            placed.append(Placed(run, begin))
            cursor, alone = begin + run.lasting, False
    if cursor is None or not track.scale:
        return None
    # An edit list that leaves nothing is wrong
    skipped = 0 if whole and first + cursor <= track.skipped else track.skipped
    end = cursor if known and (whole or not again) else None
    return Timeline(track, tuple(placed), first, end, again, skipped)
