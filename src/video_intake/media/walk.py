"""Walks the top-level boxes of a fragmented file: fragments, and anything between and after them.

The end of the boxes shows whether the file was cut off, regardless of any index. Between fragments there may be any
box: `styp`, `sidx`, `prft`, `emsg`, `free`, `uuid`, a second `moov`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from video_intake.media import verdicts
from video_intake.media.boxes import Box, box_at
from video_intake.media.isobmff import OUTERMOST
from video_intake.media.range_reader import RangeReader

LOOK: Final = 64 << 10  # read at the beginning of a fragment: its `moof`, about 16 bytes per frame
SEARCHED: Final = 8 << 20  # for the next fragment, if what follows is not a box
CANDIDATES: Final = 10_000  # for the next fragment, and fragments without media data: real files have a few


@dataclass(frozen=True)
class Fragment:
    """A `moof`, and the end of the media data that follow it."""

    moof: Box
    end: int


class Walk:
    """Walks from box to box until `ended`.

    `cut` is then the box that extends beyond the file, and `junk` has the ranges (start, end) that are not boxes.
    """

    def __init__(self, reader: RangeReader, at: int) -> None:
        self.at = at
        self.ended = False
        self.cut: Box | None = None
        self.junk: list[tuple[int, int]] = []
        self.fragments: list[Fragment] = []
        self.indexes: list[Box] = []  # sidx
        self._reader = reader
        self._moof: Box | None = None
        self._bare = 0  # fragments without media data

    def on(self, hops: float = 0) -> Iterator[Fragment]:
        """Continues through fetched bytes, fetching up to `hops` times; yields the fragments."""
        while not self.ended:
            self._reader.check_time()
            if self.at < self._reader.size and not self._reader.cached(self.at, 16):
                if hops <= 0:
                    return
                hops -= 1
                self._reader.load([(self.at, self.at + LOOK)])
            known = len(self.fragments)
            self._step()
            yield from self.fragments[known:]

    def all(self, hops: float = 0) -> None:
        """As `on`, without yielding the fragments."""
        for _ in self.on(hops):
            pass

    def _step(self) -> None:
        rest = self._reader.size - self.at
        box = box_at(self._reader, self.at)
        if box is None and rest < 8:
            self._end(rest)
        elif box is None or (box.end > self._reader.size and box.type not in OUTERMOST) or not _is_name(box.type):
            self._search()
        elif box.end > self._reader.size:
            self.cut, self.ended = box, True
            self._whole()
        else:
            self._box(box)
            self.at = box.end

    def _box(self, box: Box) -> None:
        if box.type == b"mdat" and self._moof:
            self.fragments.append(Fragment(self._moof, box.end))
            self._moof = None
        elif box.type == b"moof":
            self._whole()
            self._moof = box if self._reader.peek(box.body + 4, 4) == b"mfhd" else None
        elif box.type == b"sidx":
            self.indexes.append(box)
        elif box.type == b"moov":
            self._whole()

    def _whole(self) -> None:
        """Adds a `moof` without media data after it, which may be elsewhere."""
        if self._moof:
            self._bare += 1
            verdicts.bound("fragments without media data", self._bare, CANDIDATES)
            self.fragments.append(Fragment(self._moof, self._moof.end))
        self._moof = None

    def _end(self, rest: int) -> None:
        """Handles fewer bytes than a box has: the beginning of one, if they can be its size, or junk."""
        left = self._reader.peek(self.at, rest)
        if left[:1] == b"\0" and (rest < 4 or any(left[:4])):
            self.cut = Box(b"", self.at, self.at + 8, self.at + 8)
        elif left:
            self.junk.append((self.at, self._reader.size))
        self._whole()
        self.ended = True

    def _search(self) -> None:
        """Skips bytes that are not a box, up to the next fragment if there is one."""
        end = min(self.at + SEARCHED, self._reader.size)
        seen = self._reader.peek(self.at, end - self.at)
        at = seen.find(b"moof", 4)
        for number in count(1):
            if at < 0:
                break
            self._reader.check_time()
            verdicts.bound("places that could be a fragment", number, CANDIDATES)
            box = box_at(self._reader, self.at + at - 4)
            if box and box.end <= self._reader.size and seen[at + 8 : at + 12] == b"mfhd":
                self.junk.append((self.at, box.start))
                self.at = box.start
                return
            at = seen.find(b"moof", at + 1)
        self.junk.append((self.at, self._reader.size))
        self._whole()
        self.ended = True


def to_end(reader: RangeReader, start: int, hops: int) -> Walk | None:
    """The walk from a fragment at `start` to the end of the file; None if that is too far or there is no fragment."""
    walk = Walk(reader, start)
    walk.all(hops)
    there = walk.ended and walk.fragments and (start, walk.fragments[0].moof.start) not in walk.junk
    return walk if there else None


def from_end(reader: RangeReader, wanted: Callable[[Fragment], bool]) -> Walk | None:
    """A walk through the last fragments, at least one of them `wanted`, in the fetched end of the file.

    It begins at a signature that is verified by the boxes from there to the end of the file.
    """
    tail = reader.fetched_end()
    begin = reader.size - len(tail)
    passed: set[int] = set()
    at = tail.find(b"moof", 4)
    for _ in range(CANDIDATES):
        if at < 0:
            break
        reader.check_time()
        start = begin + at - 4
        if start not in passed and tail[at + 8 : at + 12] == b"mfhd":
            walk = Walk(reader, start)
            walk.all()
            passed.update(each.moof.start for each in walk.fragments)
            if walk.ended and any(wanted(each) for each in walk.fragments):
                return walk
        at = tail.find(b"moof", at + 1)
    return None


def _is_name(kind: bytes) -> bool:
    return all(0x20 <= letter < 0x7F or letter == 0xA9 for letter in kind)
