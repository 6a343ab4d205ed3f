"""Ranges of something far away, cached, with a count of what they cost.

Knows nothing of S3: it is given a function that fetches ranges, so that the same inspection runs
on an object, on a local file and in a test.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock

from video_intake.media import verdicts

type Range = tuple[int, int]  # bytes from start to before end
type Fetch = Callable[[Sequence[Range]], Sequence[bytes]]  # ranges -> the bytes of each, never fewer, in one round trip

SMALL_FILE = 2 * 1024 * 1024  # up to here one request for everything beats two for its ends
LEAST_END = 128 * 1024  # of head and tail of a larger one
READ_AHEAD = 256 * 1024  # on a miss: 3 ms of transfer, where a second request costs 20 ms or more
PART = 1024 * 1024  # larger ranges are fetched in parallel parts: one connection gives 80 MB/s
CONNECTIONS = 8  # more do not help a Lambda function of 1 GB: its network is the limit, not S3
MAX_REQUESTS = 20_000  # for one file: at 2 ms each, more than there is time for


def _pieces(start: int, end: int, part: int) -> Iterator[tuple[int, int]]:
    """[start, end) in parts of about the same size, as many as there are connections at most."""
    parts = min(-(-(end - start) // part), CONNECTIONS)
    step = -(-(end - start) // parts)
    for at in range(start, end, step):
        yield at, min(at + step, end)


class RangeReader:
    """A cache of fetched ranges. Several threads may use it at once.

    `requests`, `bytes_read` and `round_trips` (parallel ones in several threads are counted separately) show
    what was fetched. Loading raises Rejected when more than `max_bytes` would be read or `deadline` (in
    `clock`'s seconds) has passed.
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
        # Ascending starts and the bytes that begin there; none overlaps another. Replaced as a whole, never changed,
        # so that who reads it needs no lock.
        self._cache: tuple[tuple[int, ...], tuple[bytes, ...]] = (), ()
        self._lock = Lock()

    @property
    def fetched(self) -> Iterator[tuple[int, bytes]]:
        """The ranges that are cached, each with where it begins, in the order of the file."""
        return zip(*self._cache, strict=True)

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        return self.remaining < 0

    @property
    def remaining(self) -> float:
        """Seconds to the deadline; infinite where there is none."""
        return self._deadline - self._clock()

    def check_time(self) -> None:
        """Raises Rejected where the deadline has passed."""
        if self.overdue:
            raise verdicts.too_slow(requests=self.requests, bytesRead=self.bytes_read)

    def load_ends(self) -> None:
        """Fetches head and tail at once, for that is where the indexes of all three containers lie."""
        if self.size <= SMALL_FILE:
            return self.load([(0, self.size)], part=SMALL_FILE)
        end = min(max(self.size // 900, LEAST_END), 1024 * 1024)  # an index has about 1/1000 of the whole
        # Of a file that is not large the first eighth costs less than another round trip for the key frame in it.
        head = self.size // 8 if self.size <= 8 * 1024 * 1024 else end
        self.load([(0, head), (self.size - end, self.size)])

    def load(self, wanted: Iterable[tuple[int, int]], part: int = PART) -> None:
        """Fetches what is missing of the ranges [start, end) in parallel, in parts of up to `part`: one round trip."""
        missing = [piece for gap in self._missing(wanted) for piece in _pieces(*gap, part)]
        if not missing:
            return
        self._spend(sum(end - start for start, end in missing), len(missing))
        chunks = self._fetch(missing)
        with self._lock:
            for (start, _), chunk in zip(missing, chunks, strict=True):
                self._keep(start, chunk)

    def peek(self, start: int, length: int) -> bytes:
        """The bytes of [start, start + length), fewer only at the end of the file."""
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
        """What is cached at `start`: up to `length` bytes, of one range that was fetched; empty where nothing is."""
        starts, chunks = self._cache
        at = bisect_right(starts, start) - 1
        if at < 0:
            return b""
        offset = start - starts[at]
        return chunks[at][offset : offset + length]

    def fetched_end(self) -> bytes:
        """What is cached without a gap to the end of the file."""
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
        for start, end in wanted:
            yield from self.gaps(max(start, 0), min(end, self.size))  # an index may point anywhere

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """What is not cached of [start, end)."""
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
        """Lets go of what was read: an error with its traceback can outlive its use, and this with it."""
        self._cache = (), ()

    def _keep(self, start: int, chunk: bytes) -> None:
        starts, chunks = self._cache
        at = bisect_right(starts, start)
        if at:  # another thread may have fetched some of the same meanwhile
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
                limit = f"{self._max_bytes >> 20} MB may be read of one video"
                raise verdicts.too_large_to_decode(limit, bytesRead=self.bytes_read, bytesWanted=length)
            if self.requests + requests > MAX_REQUESTS:
                raise verdicts.too_large_to_decode(
                    f"at most {MAX_REQUESTS:,} ranges of one video", requests=self.requests
                )
            self.bytes_read += length
            self.requests += requests
            self.round_trips += 1
