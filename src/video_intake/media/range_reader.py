"""Fetches and caches ranges of a remote file, and counts requests and bytes.

The fetching function is passed in, so that the same inspection runs on an S3 object, on a local file and in a test.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock

from video_intake.media import verdicts

type Range = tuple[int, int]  # bytes from start to before end
type Fetch = Callable[[Sequence[Range]], Sequence[bytes]]  # ranges -> the bytes of each, never fewer, in one round trip

SMALL_FILE = 2 * 1024 * 1024  # up to this size, one request for everything is better than two for its ends
LEAST_END = 128 * 1024  # minimum size of head and tail of a larger file
READ_AHEAD = 256 * 1024  # on a miss: 3 ms of transfer, compared with 20 ms or more for a second request
PART = 1024 * 1024  # larger ranges are fetched in parallel parts: one connection gives 80 MB/s
CONNECTIONS = 8  # more do not help a Lambda function with 1 GB: its network is the limit, not S3
MAX_REQUESTS = 20_000  # per file: at 2 ms each, they exceed the time limit


def _pieces(start: int, end: int, part: int) -> Iterator[tuple[int, int]]:
    """[start, end) in parts of about the same size, at most one per connection."""
    parts = min(-(-(end - start) // part), CONNECTIONS)
    step = -(-(end - start) // parts)
    for at in range(start, end, step):
        yield at, min(at + step, end)


class RangeReader:
    """A cache of fetched ranges. Several threads may use it at once.

    `requests`, `bytes_read` and `round_trips` (counted separately for each thread) show the cost. Loading raises
    Rejected when more than `max_bytes` would be read or `deadline` (in `clock`'s seconds) has passed.
    """

    def __init__(
        self,
        fetch: Fetch,
        size: int,
        max_bytes: int,
        deadline: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.size = size
        self.requests = self.bytes_read = self.round_trips = 0
        self._fetch, self._max_bytes, self._deadline, self._clock = fetch, max_bytes, deadline, clock
        # Ascending offsets and the bytes at each, without overlaps. Replaced entirely and never modified, so that
        # readers need no lock.
        self._cache: tuple[tuple[int, ...], tuple[bytes, ...]] = (), ()
        self._lock = Lock()

    @property
    def fetched(self) -> Iterator[tuple[int, bytes]]:
        """The cached ranges with their offsets, in file order."""
        return zip(*self._cache, strict=True)

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        return self.remaining < 0

    @property
    def remaining(self) -> float:
        """Seconds to the deadline; infinite if there is none."""
        return self._deadline - self._clock()

    def check_time(self) -> None:
        """Raises Rejected if the deadline has passed."""
        if self.overdue:
            raise verdicts.too_slow(requests=self.requests, bytesRead=self.bytes_read)

    def load_ends(self) -> None:
        """Fetches head and tail in parallel, which contain the indexes in all three formats."""
        if self.size <= SMALL_FILE:
            return self.load([(0, self.size)], part=SMALL_FILE)
        end = min(max(self.size // 900, LEAST_END), 1024 * 1024)  # an index has about 1/1000 of the whole
        # For medium files, reading the first eighth costs less than another round trip for the key frame in it.
        head = self.size // 8 if self.size <= 8 * 1024 * 1024 else end
        self.load([(0, head), (self.size - end, self.size)])

    def load(self, wanted: Iterable[tuple[int, int]], part: int = PART) -> None:
        """Fetches the missing parts of the ranges [start, end) in parallel, in pieces of about `part` bytes."""
        missing = [piece for gap in self._missing(wanted) for piece in _pieces(*gap, part)]
        if not missing:
            return
        self._spend(sum(end - start for start, end in missing), len(missing))
        chunks = self._fetch(missing)
        with self._lock:
            for (start, _), chunk in zip(missing, chunks, strict=True):
                self._keep(start, chunk)

    def peek(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length), fewer only at the end of the file."""
        start, end = max(start, 0), min(start + length, self.size)
        if any(True for _ in self.gaps(start, end)):
            self.load([(start, max(end, min(start + READ_AHEAD, self.size)))])
        pieces, at = [], start
        while at < end:
            piece = self.cached(at, end - at)
            pieces.append(piece)
            at += len(piece)
        return b"".join(pieces)

    def cached(self, start: int, length: int) -> bytes:
        """Up to `length` cached bytes at `start`, from a single fetched range; empty if there are none."""
        starts, chunks = self._cache
        at = bisect_right(starts, start) - 1
        if at < 0:
            return b""
        offset = start - starts[at]
        return chunks[at][offset : offset + length]

    def fetched_end(self) -> bytes:
        """The cached bytes that reach the end of the file without a gap."""
        starts, chunks = self._cache
        pieces: list[bytes] = []
        end = self.size
        for start, chunk in zip(reversed(starts), reversed(chunks), strict=True):
            if start + len(chunk) < end:
                break
            pieces.insert(0, chunk)
            end = start
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _missing(self, wanted: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        merged: list[tuple[int, int]] = []
        for start, end in sorted(wanted):
            if merged and start <= merged[-1][1]:
                start, end = merged[-1][0], max(end, merged.pop()[1])
            merged.append((start, end))
        for start, end in merged:
            yield from self.gaps(max(start, 0), min(end, self.size))  # an index may point anywhere

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of [start, end) that are not cached."""
        starts, chunks = self._cache
        at = max(bisect_right(starts, start) - 1, 0)
        for range_start, data in zip(starts[at:], chunks[at:], strict=True):
            if range_start >= end:
                break
            if start < range_start:
                yield start, range_start
            start = max(start, range_start + len(data))
        if start < end:
            yield start, end

    def forget(self) -> None:
        """Releases the cache, which an error's traceback could otherwise keep in memory."""
        self._cache = (), ()

    def _keep(self, start: int, chunk: bytes) -> None:
        starts, chunks = self._cache
        at = bisect_right(starts, start)
        if at:  # another thread may have fetched some of this in the meantime
            known = max(starts[at - 1] + len(chunks[at - 1]) - start, 0)
            start, chunk = start + known, chunk[known:]
        if at < len(starts):
            chunk = chunk[: starts[at] - start]
        if chunk:
            self._cache = (*starts[:at], start, *starts[at:]), (*chunks[:at], chunk, *chunks[at:])

    def _spend(self, length: int, requests: int) -> None:
        self.check_time()
        with self._lock:
            if self.bytes_read + length > self._max_bytes:
                limit = f"at most {self._max_bytes >> 20} MB read per video"
                raise verdicts.too_large_to_decode(limit, bytesRead=self.bytes_read, bytesWanted=length)
            if self.requests + requests > MAX_REQUESTS:
                raise verdicts.too_large_to_decode(f"at most {MAX_REQUESTS:,} ranges per video", requests=self.requests)
            self.bytes_read += length
            self.requests += requests
            self.round_trips += 1
