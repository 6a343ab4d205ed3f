"""Reads the samples of a movie fragment: ISO/IEC 14496-12, 8.8 (`moof`, `traf`, `tfhd`, `tfdt`, `trun`)."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from video_intake.media import verdicts
from video_intake.media.boxes import Box, boxes, table, unpack
from video_intake.media.track import Defaults

MAX_SAMPLES: Final = 2_000_000  # in all fragments that are read, about 50 bytes each: a day of video at 23 fps
MAX_BOXES: Final = 50_000  # in a track fragment: one for each chunk
DEPENDS, NON_SYNC = 0x01000000, 0x00010000  # sample_depends_on = 1, sample_is_non_sync_sample

# tfhd
BASE, DESCRIPTION, DURATION, SIZE, FLAGS, BASE_IS_MOOF = 1, 2, 8, 0x10, 0x20, 0x020000
# trun
OFFSET, FIRST_FLAGS, DURATIONS, SIZES, EACH_FLAGS, SHIFTS = 1, 4, 0x100, 0x200, 0x400, 0x800


@dataclass(frozen=True)
class Run:
    """Consecutive samples of one track. Times are in the track's units."""

    track: int
    begin: int | None  # when the first is decoded, if stated
    offset: int  # of the first, in the file
    durations: array[int]
    sizes: array[int]
    shifts: array[int]  # from decoding to presentation
    sync: bytes  # 1 for each sample that claims to be a key frame

    @property
    def lasting(self) -> int:
        """The sum of the durations."""
        return sum(self.durations)

    @property
    def end(self) -> int:
        """The offset at which the last sample ends."""
        return self.offset + sum(self.sizes)


def runs(
    content: memoryview, moof: Box, defaults: Mapping[int, Defaults], room: int, check: Callable[[], None]
) -> Iterator[Run]:
    """The runs of samples in the content of a `moof`, for the tracks in `defaults`.

    Raises Rejected("too-large-to-decode") for more than `room` samples, and whatever `check` raises, which is called
    repeatedly.
    """
    implicit = moof.start  # default offset of a track's data: after those of the previous track
    for traf in boxes(content, 0, len(content)):
        check()
        if traf.type != b"traf":
            continue
        children = list(islice(boxes(content, traf.body, traf.end), MAX_BOXES))
        tfhd = next((content[box.body : box.end] for box in children if box.type == b"tfhd"), None)
        if tfhd is None:
            continue
        flags, track = unpack(">II", tfhd)
        base, default = _header(tfhd, flags & 0xFFFFFF, defaults.get(track, Defaults()))
        if base is None:
            base = moof.start if flags & BASE_IS_MOOF else implicit
        begin = _decode_time(content, children)
        at = base
        for trun in (content[box.body : box.end] for box in children if box.type == b"trun"):
            run = _run(trun, track, begin, base, at, default, room)
            begin, at = None, run.end
            room -= len(run.sizes)
            if track in defaults and run.sizes:
                yield run
            check()
        implicit = at


def _header(tfhd: memoryview, flags: int, default: Defaults) -> tuple[int | None, Defaults]:
    """The base of data offsets, if given, and the defaults for samples."""
    at, base = 8, None
    if flags & BASE:
        (base,), at = unpack(">Q", tfhd[at:]), at + 8
    if flags & DESCRIPTION:
        at += 4
    values = [default.duration, default.size, default.flags]
    for number, flag in enumerate((DURATION, SIZE, FLAGS)):
        if flags & flag:
            (values[number],), at = unpack(">I", tfhd[at:]), at + 4
    return base, Defaults(*values)


def _decode_time(content: memoryview, children: list[Box]) -> int | None:
    tfdt = next((content[box.body : box.end] for box in children if box.type == b"tfdt"), None)
    if tfdt is None or len(tfdt) < 8:
        return None
    return unpack(">Q" if tfdt[0] == 1 else ">I", tfdt[4:])[0]


def _run(trun: memoryview, track: int, begin: int | None, base: int, at: int, default: Defaults, room: int) -> Run:
    flags, count = unpack(">II", trun)
    place, first_flags = 8, None
    if flags & OFFSET:
        (shift,), place = unpack(">i", trun[place:]), place + 4
        at = max(base + shift, 0)
    if flags & FIRST_FLAGS:
        (first_flags,), place = unpack(">I", trun[place:]), place + 4
    fields = [flag for flag in (DURATIONS, SIZES, EACH_FLAGS, SHIFTS) if flags & flag]
    if fields:
        count = min(count, max(len(trun) - place, 0) // (4 * len(fields)))
    verdicts.bound("samples in fragments", count, room)
    rows = table(trun[place : place + 4 * len(fields) * count])

    def column(flag: int, otherwise: int) -> array[int]:
        return rows[fields.index(flag) :: len(fields)] if flag in fields else array("I", [otherwise]) * count

    if EACH_FLAGS in fields:
        marks = bytearray(not each & (DEPENDS | NON_SYNC) for each in column(EACH_FLAGS, 0))
    else:
        marks = bytearray([not default.flags & (DEPENDS | NON_SYNC)]) * count
    if first_flags is not None and count:
        marks[0] = not first_flags & (DEPENDS | NON_SYNC)
    return Run(
        track,
        begin,
        at,
        durations=column(DURATIONS, default.duration),
        sizes=column(SIZES, default.size),
        shifts=array("i", column(SHIFTS, 0).tobytes()),  # signed even in version 0, as most writers intend
        sync=bytes(marks),
    )
