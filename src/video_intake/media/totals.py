"""Sums of a track's sample tables: ISO/IEC 14496-12, 8.6.1 (times) and 8.7.3 (sizes)."""

from itertools import islice
from operator import mul
from typing import Final

from video_intake.media.boxes import table, unpack

ODD: Final = 2  # samples whose duration may differ from that of all others
REORDERED: Final = 32  # samples that may be decoded before and shown after another; H.264 and HEVC allow 16 frames


def lasting(stts: memoryview) -> int:
    """The sum of all durations."""
    count = unpack(">I", stts[4:8])[0]
    entries = table(stts[8 : 8 + 8 * count])
    return sum(map(mul, entries[::2], (delta if delta < 1 << 31 else 0 for delta in entries[1::2])))


def usual(stts: memoryview) -> int:
    """The duration of all samples except for one or two; 0 if more differ."""
    count = unpack(">I", stts[4:8])[0]
    entries = table(stts[8 : 8 + 8 * min(count, ODD + 1)])
    most, commonest = max(zip(entries[::2], entries[1::2], strict=False), default=(0, 0))
    return commonest if count <= ODD + 1 and sum(entries[::2]) - most <= ODD else 0


def until(total: int, stts: memoryview, ctts: memoryview) -> int:
    """The end of the sample that is shown last, which in a cut video may not be the one that is decoded last."""
    ends, end = [], total
    for duration, shift in zip(_last(stts), _last(ctts), strict=False):
        ends.append(end + shift)
        end -= duration
    return max(ends, default=total)


def _last(runs: memoryview) -> list[int]:
    """The last values of a run-length table, in reverse order."""
    count = min(unpack(">I", runs[4:8])[0], (len(runs) - 8) // 8 if len(runs) > 8 else 0)
    rows = table(runs[8 : 8 + 8 * count][-8 * REORDERED :], "i")
    values = (
        value for times, value in zip(rows[-2::-2], rows[::-2], strict=False) for _ in range(min(times, REORDERED))
    )
    return list(islice(values, REORDERED))


def size(stsz: memoryview) -> int:
    """The total size of all samples."""
    same, count = unpack(">II", stsz[4:12])
    return same * count if same else sum(table(stsz[12 : 12 + 4 * count]))
