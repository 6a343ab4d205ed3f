"""A seekable file over ranges of something far away, which counts what it costs.

Knows nothing of S3: it is given a function that fetches one range, so that the same inspection runs
on an object, on a local file and in a test.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import memory
from verdicts import Rejected

type Fetch = Callable[[int, int], bytes]  # (start, end) -> the bytes of [start, end), never fewer

SMALL_FILE = 2 * 1024 * 1024  # up to here one request for everything beats two for its ends
READ_AHEAD = 256 * 1024  # on a miss: 3 ms of transfer, where a second request costs 20 ms or more
MAX_AHEAD = 8 * 1024 * 1024  # doubled up to here while one miss follows another: a long index, read from its beginning
PART = 2 * 1024 * 1024  # larger ranges are fetched in parallel parts, at least so large: one connection gives 80 MB/s
FFMPEG_BUFFER = 32 * 1024  # what it reads at a time, unless it wants more at once
CONNECTIONS = 8  # beyond this a Lambda of 1 GB gains nothing: its network, not S3, is the bound


class RangeReader:
    """What FFmpeg reads from: `read`, `seek`, `tell`, over a cache of fetched ranges.

    `requests`, `bytes_read` and `waits` (round trips one after another) count what was fetched.
    `read` raises Rejected when more than `max_bytes` would be read or `deadline` (in `clock`'s seconds)
    has passed. FFmpeg asks again after an error, so the first failure is kept and later reads find an
    end of file; whoever sees FFmpeg fail looks at `failure` first.
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
        self.end = size  # where `read` finds the end of the file
        self.requests = self.bytes_read = self.waits = 0
        self.failure: BaseException | None = None
        self._hidden: list[tuple[int, int, bytes]] = []
        self.opening = False  # while true, packets that are not cached are zeros: see read()
        self.overlays: dict[int, bytes] = {}  # what `read` gives in place of the object's own bytes
        self._fetch, self._max_bytes, self._deadline, self._clock = fetch, max_bytes, deadline, clock
        self._starts: list[int] = []  # of the cached ranges, ascending; none overlaps another
        self._ranges: list[bytes] = []
        self._position = 0
        self._ahead, self._read_until = READ_AHEAD, -1

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        return self._clock() > self._deadline

    def load_ends(self) -> None:
        """Fetches head and tail at once, for that is where the indexes of all three containers lie."""
        if self.size <= SMALL_FILE:
            return self.load([(0, self.size)])
        end = min(max(self.size // 768, 128 * 1024), 1024 * 1024)  # an index has about 1/1000 of the whole
        # Of a file that is not large the first eighth costs less than another round trip for the key frame in it.
        head = self.size // 8 if self.size <= 8 * 1024 * 1024 else end
        self.load([(0, head), (self.size - end, self.size)])

    def load(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Fetches what is missing of the ranges [start, end), in parallel: one wait."""
        missing = [
            (at, min(at + part, gap_end))
            for start, end in wanted
            for gap_start, gap_end in self._gaps(max(start, 0), min(end, self.size))  # an index may point anywhere
            for part in (max(PART, -(-(gap_end - gap_start) // CONNECTIONS)),)
            for at in range(gap_start, gap_end, part)
        ]
        if not missing:
            return
        self._spend(sum(end - start for start, end in missing), len(missing))
        with memory.lifted():  # `max_bytes` is the bound here
            if len(missing) == 1:
                chunks = [self._fetch(*missing[0])]
            else:
                with ThreadPoolExecutor(min(len(missing), CONNECTIONS)) as pool:
                    chunks = list(pool.map(lambda part: self._fetch(*part), missing))
        for (start, _), chunk in zip(missing, chunks, strict=True):
            at = bisect_right(self._starts, start)
            self._starts.insert(at, start)
            self._ranges.insert(at, chunk)

    def forget(self) -> None:
        """Lets go of what was read: an error with its traceback can outlive its use, and this with it."""
        self._starts, self._ranges, self.failure = [], [], None

    def hide(self, start: int, end: int, header: bytes) -> None:
        """Lets `read` find `header` and then zeros in [start, end), which is never fetched."""
        self._hidden.append((start, end, header))

    def peek(self, start: int, length: int) -> bytes:
        """The bytes of [start, start + length), fewer only at the end of the file."""
        start, end = max(start, 0), min(start + length, self.size)
        if any(True for _ in self._gaps(start, end)):
            self.load([(start, max(end, min(start + READ_AHEAD, self.size)))])
        pieces, at = [], start
        while at < end:
            piece = self._cached(at, end - at)
            pieces.append(piece)
            at += len(piece)
        return b"".join(pieces)

    def read(self, length: int) -> bytes:
        """Up to `length` bytes, never more: PyAV copies whatever it is given into FFmpeg's buffer.

        What FFmpeg wants at once and does not fit into its buffer is a packet. On opening it wants the first one of
        a track only to guess from what we know from the index, so that a round trip can be saved.
        """
        if self.failure or self._position >= self.end:
            return b""
        try:
            self._check_time()  # of what is cached too: an index can send FFmpeg in circles
            ends = (self.end, *(start for start, _, _ in self._hidden if start > self._position))
            length = min(length, min(ends) - self._position)
            piece = self._hidden_bytes(length) or self._cached(self._position, length)
            if not piece and self.opening and length > FFMPEG_BUFFER:
                piece = bytes(next(end - start for start, end in self._gaps(self._position, self._position + length)))
            if not piece:
                self._ahead = min(2 * self._ahead, MAX_AHEAD) if self._position == self._read_until else READ_AHEAD
                self._read_until = self._position + (length if length > FFMPEG_BUFFER else self._ahead)
                self.load([(self._position, self._read_until)])
                piece = self._cached(self._position, length)
        except BaseException as failure:
            self.failure = failure
            raise
        start = self._position
        self._position += len(piece)
        return self._overlaid(start, piece)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As io.IOBase.seek."""
        self._position = offset + (0, self._position, self.end)[whence]
        return self._position

    def tell(self) -> int:
        """The position of the next read."""
        return self._position

    def _cached(self, start: int, length: int) -> bytes:
        at = bisect_right(self._starts, start) - 1
        if at < 0:
            return b""
        offset = start - self._starts[at]
        return self._ranges[at][offset : offset + length]

    def _hidden_bytes(self, length: int) -> bytes:
        for start, end, header in self._hidden:
            if start <= self._position < end:
                length = min(length, end - self._position, 4096)
                return header[self._position - start :][:length].ljust(length, b"\0")
        return b""

    def _overlaid(self, start: int, piece: bytes) -> bytes:
        for at, patch in self.overlays.items():
            if start < at + len(patch) and at < start + len(piece):
                first, last = max(at, start), min(at + len(patch), start + len(piece))
                piece = piece[: first - start] + patch[first - at : last - at] + piece[last - start :]
        return piece

    def _gaps(self, start: int, end: int) -> Iterable[tuple[int, int]]:
        at = bisect_right(self._starts, start) - 1
        for range_start, data in zip(self._starts[max(at, 0) :], self._ranges[max(at, 0) :], strict=True):
            if range_start >= end:
                break
            if start < range_start:
                yield start, range_start
            start = max(start, range_start + len(data))
        if start < end:
            yield start, end

    def _check_time(self) -> None:
        if self.overdue:
            raise Rejected("too-slow", requests=self.requests, bytesRead=self.bytes_read)

    def _spend(self, length: int, requests: int) -> None:
        self._check_time()
        if self.bytes_read + length > self._max_bytes:
            limit = f"{self._max_bytes >> 20} MB may be read of one video"
            raise Rejected("too-large-to-decode", limit=limit, bytesRead=self.bytes_read, bytesWanted=length)
        self.bytes_read += length
        self.requests += requests
        self.waits += 1
