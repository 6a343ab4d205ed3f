"""Combines a track's sample tables from its index and from the runs of fragments."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, compress, groupby, pairwise
from typing import Final

from video_intake.media import moof, verdicts
from video_intake.media.boxes import box, packed, table, unpack
from video_intake.media.timeline import Placed
from video_intake.media.track import chunk_offsets

NOTHING: Final = memoryview(b"")


class Samples:
    """Samples in decoding order; all lists except `chunks` have one entry per sample."""

    def __init__(self) -> None:
        # Unlimited: there may be hours between two fragments, in units of 100 nanoseconds
        self.durations: list[int] = []
        self.sizes = array("I")
        self.shifts = array("i")  # from decoding to presentation
        self.sync = bytearray()  # 1 for a key frame, as claimed
        self.chunks: list[tuple[int, int]] = []  # offset and number of samples
        self._lasting = 0

    def add_indexed(self, tables: Mapping[bytes, memoryview], count: int) -> None:
        """Adds the samples of a `moov`, given its sample tables (ISO/IEC 14496-12, 8.6 and 8.7)."""
        verdicts.bound("frames in the index of a fragmented video", count, moof.MAX_SAMPLES)
        for counts, offset in _chunks(tables):
            counts = min(counts, count - len(self.sizes))
            if counts <= 0:
                break
            self.chunks.append((offset, counts))
            self.sizes.extend([0] * counts)
        count = len(self.sizes)
        stsz = tables.get(b"stsz", NOTHING)
        (same,) = unpack(">I", stsz[4:8])
        listed = table(stsz[12 : 12 + 4 * count])
        self.sizes = array("I", [same]) * count if same else _filled(listed, count)
        self.durations = _filled(array("I", _run_lengths(tables.get(b"stts", NOTHING), "I", count)), count).tolist()
        self.shifts = _filled(array("i", _run_lengths(tables.get(b"ctts", NOTHING), "i", count)), count)
        self.sync = bytearray([b"stss" not in tables]) * count
        for number in table(tables[b"stss"][8:]) if b"stss" in tables else ():
            if 0 < number <= count:
                self.sync[number - 1] = 1
        self._lasting = sum(self.durations)

    def add_run(self, placed: Placed) -> None:
        """Adds the samples of a fragment; the previous sample is extended until they begin."""
        run = placed.run
        if self.durations:
            last = max(self.durations[-1] + placed.begin - self._lasting, 1)
            self._lasting += last - self.durations[-1]
            self.durations[-1] = last
        self.chunks.append((run.offset, len(run.sizes)))
        self.durations += run.durations
        self.sizes += run.sizes
        self.shifts += run.shifts
        self.sync += run.sync
        self._lasting += run.lasting

    def tables(self, scale: int, wanted: int) -> Iterator[bytes]:
        """The boxes of a `stbl` except `stsd`; converts times from `scale` to `wanted` units per second."""
        yield _full(b"stts", _runs(_scaled(self.durations, scale, wanted)))
        if any(self.shifts):
            yield _full(b"ctts", _runs(shift * wanted // scale for shift in self.shifts), version=1)
        sync = self.sync if any(self.sync) else self._beginnings()
        if not all(sync):
            yield _full(b"stss", array("I", compress(range(1, len(sync) + 1), sync)))
        firsts = array("I")
        number = 1
        for count, same in groupby(count for _, count in self.chunks):
            firsts.extend((number, count, 1))
            number += sum(1 for _ in same)
        yield _full(b"stsc", firsts, count=len(firsts) // 3)
        yield box(b"stsz", bytes(8), packed(array("I", [len(self.sizes)])), packed(self.sizes))
        yield _full(b"co64", array("Q", (offset for offset, _ in self.chunks)))

    def _beginnings(self) -> bytearray:
        """The first sample of each chunk, which is the likeliest key frame if none is marked."""
        sync = bytearray(len(self.sizes))
        for start in accumulate((count for _, count in self.chunks[:-1]), initial=0):
            sync[start : start + 1] = b"\1"
        return sync


def _chunks(tables: Mapping[bytes, memoryview]) -> Iterator[tuple[int, int]]:
    """The number of samples and the offset of each chunk."""
    kind = b"co64" if b"co64" in tables else b"stco"
    offsets = chunk_offsets((kind, tables.get(kind, NOTHING)))
    rows = table(tables.get(b"stsc", NOTHING)[8:])
    starts, counts = rows[::3], rows[1::3]
    row = 0
    for number, offset in enumerate(offsets, 1):
        while row + 1 < min(len(starts), len(counts)) and starts[row + 1] <= number:
            row += 1
        if counts:
            yield counts[row], offset


def _run_lengths(content: memoryview, kind: str, count: int) -> Iterator[int]:
    """The first `count` values of a run-length table."""
    entries = table(content[8:])
    values = array(kind, entries[1::2].tobytes())
    for times, value in zip(entries[::2], values, strict=False):
        for _ in range(min(times, count)):
            yield value
        count -= min(times, count)


def _filled(values: array[int], count: int) -> array[int]:
    """Exactly `count` values; the last one is repeated if needed."""
    missing = count - len(values)
    return values + array(values.typecode, [values[-1] if values else 0]) * missing if missing > 0 else values[:count]


def _scaled(durations: list[int], scale: int, wanted: int) -> Iterable[int]:
    if scale == wanted:
        return durations
    times = [time * wanted // scale for time in accumulate(durations, initial=0)]
    return (after - before for before, after in pairwise(times))


def _runs(values: Iterable[int]) -> array[int]:
    """A run-length table of the values."""
    rows = array("I")
    for value, same in groupby(values):
        rows.extend((sum(1 for _ in same), value & 0xFFFFFFFF))
    return rows


def _full(kind: bytes, rows: array[int], version: int = 0, count: int | None = None) -> bytes:
    entries = len(rows) // 2 if kind in (b"stts", b"ctts") else len(rows)
    head = array("I", [version << 24, entries if count is None else count])
    return box(kind, packed(head), packed(rows))
