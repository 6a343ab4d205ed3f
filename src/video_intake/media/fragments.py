"""Reads fragmented MP4 (live recordings, streaming) without visiting every fragment.

FFmpeg visits every `moof` when it opens such a file: 860 fragments are 860 requests. This module selects a few, near
the wanted places and at the end. They are found through the file's indexes (random_access.py) or by searching, and each
is verified by its own boxes. All are visited if they are few, or if the whole file was fetched anyway.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from video_intake.media import moof, random_access, verdicts, walk
from video_intake.media.boxes import box_at
from video_intake.media.isobmff import Layout
from video_intake.media.moof import Run
from video_intake.media.random_access import Claim
from video_intake.media.range_reader import READ_AHEAD, RangeReader
from video_intake.media.walk import LOOK, Fragment, Walk

FEW: Final = 8  # up to this many fragments are visited one by one: each costs a round trip
MANY: Final = 32  # the same for large fragments
VISIT: Final = 2 << 20  # bytes fetched in the time of one visit
FIRST: Final = 128  # reads to find the first fragment: 8 MB
MAX_WINDOW: Final = 8 << 20  # searched for the beginning of a fragment
CANDIDATES: Final = 1000  # possible fragments in a window
MAX_MOOF: Final = 32  # MB: a million samples
SECONDS: Final = 6.0  # for visiting all, but at most a third of the remaining time


class Fragments:
    """The fragments of a video that were read so far."""

    def __init__(self, reader: RangeReader, layout: Layout) -> None:
        self.walk = Walk(reader, layout.moov.end)
        self.last: Walk | None = None  # the one that reached the end of the file
        self.claim: Claim | None = None
        self._reader, self._layout = reader, layout
        self._defaults = {track.id: track.defaults for track in layout.movie.tracks}
        self._video = {track.id for track in layout.movie.tracks if track.handler == b"vide"}
        self._runs: dict[int, list[Run]] = {}
        self._room = moof.MAX_SAMPLES
        self.first = next((each for each in islice(self.walk.on(FIRST), CANDIDATES) if self._has_video(each)), None)
        if self.first is None and self.walk.fragments:
            self.first = self.walk.fragments[0]
        self.walk.all()
        if self.first:
            self.claim = self._claimed()

    @property
    def whole(self) -> bool:
        """Whether all fragments are known."""
        return self.walk.ended

    @property
    def few(self) -> bool:
        """Whether visiting all of them is worth it, assuming that all are as large as the first.

        Only its predecessor shows where a fragment begins, so nine fragments cost nine round trips. But searching
        windows for two of them takes longer if they are large.
        """
        if self.first is None or self.claim or self.whole:
            return False
        windows = 2 * (self.first.end - self.first.moof.start) * 5 // 4
        return self.estimate <= min(max(FEW, windows / VISIT), MANY)

    @property
    def estimate(self) -> float:
        """The number of fragments, assuming that all are as large as the first."""
        assert self.first
        begin = self.first.moof.start
        return (self._reader.size - begin) / (self.first.end - begin)

    @property
    def ending(self) -> Walk | None:
        """The walk that reached the end of the file, with at least one fragment (if there is any)."""
        return self.walk if self.walk.ended else self.last

    @property
    def led_to_the_end(self) -> bool:
        """Whether the last entry of the file's own index is one of the last fragments."""
        if not self.claim or not self.ending:
            return False
        return self.claim.starts[-1] >= self.ending.fragments[0].moof.start

    def visit_all(self) -> None:
        """Visits all fragments, with a round trip for each, while there is time."""
        least = max(self._reader.remaining - SECONDS, self._reader.remaining * 2 / 3)
        while not self.walk.ended and self._reader.remaining >= least:
            self.walk.all(1)

    def runs(self, fragment: Fragment) -> list[Run]:
        """The samples of a fragment."""
        start, box = fragment.moof.start, fragment.moof
        if start not in self._runs:
            verdicts.bound("MB in the index of a fragment", box.end - box.body >> 20, MAX_MOOF)
            content = memoryview(self._reader.peek(box.body, box.end - box.body))
            found = list(moof.runs(content, box, self._defaults, self._room, self._reader.check_time))
            self._room -= sum(len(run.sizes) for run in found)
            self._runs[start] = found
        return self._runs[start]

    def choose(self, places: Sequence[float]) -> list[Fragment]:
        """All fragments if they are known; otherwise the first, those near `places` (0 to 1) and the last."""
        if self.whole:
            return self.walk.fragments
        found = self._by_claim(places) if self.claim else None
        if found is None:
            found = self._by_looking(places)
        if found and not self.ending:
            self._finish(found[-1].moof.start)
        ending = self.last.fragments if self.last else []
        chosen = {each.moof.start: each for each in (*self.walk.fragments, *found, *ending)}
        return [chosen[start] for start in sorted(chosen)]

    def between(self, one: Fragment, other: Fragment) -> Fragment | None:
        """A fragment with video between two others, preferably in the middle; None if none was found."""
        assert self.first
        largest = max(each.end - each.moof.start for each in (one, other, self.first))
        window = min(max(largest * 5 // 4, READ_AHEAD), MAX_WINDOW // 2)
        for place in (1 / 2, 1 / 4, 3 / 4):
            spot = one.end + int(max(other.moof.start - one.end - window, 0) * place)
            self._reader.load([(spot, spot + window + LOOK)])
            found = self._last_in(spot, min(spot + window, other.moof.start))
            if found and found.moof.start not in (one.moof.start, other.moof.start):
                return found
        return None

    def begins_at(self, start: int) -> int | None:
        """The offset of the `moof` of the fragment or segment at `start`."""
        self._reader.load([(start, start + LOOK)])
        fragment = self._at(start)
        return fragment.moof.start if fragment else None

    def _claimed(self) -> Claim | None:
        """The file's own index, if it reaches the end of the media."""
        assert self.first
        if claim := random_access.from_mfra(self._reader, self._video):
            return claim
        end = random_access.media_end(self._reader)
        for index in self.walk.indexes:
            if index.start < self.first.moof.start and (claim := random_access.from_sidx(self._reader, index)):
                return claim if claim.end >= end else None
        return None

    def _by_claim(self, places: Sequence[float]) -> list[Fragment] | None:
        """The fragments near the places and the last one, according to the index; None if it is wrong."""
        assert self.claim
        starts = self.claim.starts
        wanted = {starts[round(place * (len(starts) - 1))] for place in places}
        if not self._from_end():
            wanted.add(starts[-1])
        self._reader.load((start, start + LOOK) for start in wanted)
        found = [self._at(start) for start in sorted(wanted)]
        if not self.last:
            self._finish(starts[-1])
        return [each for each in found if each] if all(found) and self.last else None

    def _by_looking(self, places: Sequence[float]) -> list[Fragment]:
        """The last fragment with video in a window before each place, a quarter larger than the first fragment."""
        assert self.first
        begin = self.first.moof.start
        window = min(max((self.first.end - begin) * 5 // 4, READ_AHEAD), MAX_WINDOW, self._reader.size - begin)
        ends = [begin + int((self._reader.size - begin) * place) for place in places]
        spots = sorted(
            {max(end - window, begin) for end in (*ends, *([] if self._from_end() else [self._reader.size]))}
        )
        self._reader.load((spot, spot + window) for spot in spots)
        found = [self._last_in(spot, spot + window) for spot in spots]
        self._from_end()
        return [each for each in found if each]

    def _last_in(self, start: int, end: int) -> Fragment | None:
        """The last fragment with video that begins in the range."""
        content = self._reader.peek(start, end - start)
        at = content.rfind(b"moof")
        for _ in range(CANDIDATES):
            if at < 4:
                break
            fragment = self._at(start + at - 4)
            if fragment and self._has_video(fragment):
                return fragment
            at = content.rfind(b"moof", 0, at)
        return None

    def _finish(self, start: int) -> None:
        """Visits the fragments from `start` to the end of the file if they are few."""
        self.last = self.last or walk.to_end(self._reader, start, 2 * FEW)

    def _from_end(self) -> bool:
        """Searches for the last fragments in the fetched end of the file."""
        self.last = self.last or walk.from_end(self._reader, self._has_video)
        return self.last is not None

    def _at(self, start: int) -> Fragment | None:
        """The fragment at `start`, or in the segment that begins there."""
        if box_at(self._reader, start) is None:
            return None
        way = Walk(self._reader, start)
        found = next(way.on(), None)
        return None if way.junk else found

    def _has_video(self, fragment: Fragment) -> bool:
        return any(run.track in self._video for run in self.runs(fragment))
