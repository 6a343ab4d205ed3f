"""The decoder's requests for the bytes of one file: their ranges, limits and times."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from video_intake.media.range_reader import MAX_REQUESTS
from video_intake.media.wire import MAX_AT_ONCE
from video_intake.worker_process import Died

type Fetch = Callable[[int, int], bytes]  # (start, end) -> the bytes of [start, end), never fewer

# If S3 is slower than this, S3 is to blame for a timeout; otherwise the file, which requested too much. Real values are
# a fiftieth of the first and a tenth of the second, so no file alone can cause this.
SLOW_ROUND_TRIP: Final = 1.0  # seconds
SLOW_SECOND: Final = 8 << 20  # bytes per second


@dataclass(frozen=True)
class Spent:
    """The cost of a job."""

    requests: int = 0
    round_trips: int = 0
    bytes_read: int = 0


@dataclass
class Job:
    """The bytes of one file, and the requests so far. `deadline` is on the clock of time.monotonic."""

    fetch: Fetch
    size: int
    max_bytes: int
    deadline: float
    requests: int = 0
    round_trips: int = 0
    bytes_read: int = 0
    waited: float = 0.0  # seconds, for bytes that arrived
    asked: dict[Any, float] = field(default_factory=dict)  # lanes that are waiting for bytes, and since when
    failure: BaseException | None = None  # why bytes could not be fetched

    def take(self, ranges: Any) -> list[tuple[int, int]]:
        """Counts the ranges that the worker requests. Raises Died if they are not allowed."""
        if not isinstance(ranges, list) or not 0 < len(ranges) <= MAX_REQUESTS - self.requests:
            raise Died("it requested too many ranges")
        if not all(self._inside(each) for each in ranges):
            raise Died("it requested bytes that do not exist")
        length = sum(end - start for start, end in ranges)
        if length > self.max_bytes - self.bytes_read or (len(ranges) > 1 and length > MAX_AT_ONCE):
            raise Died("it requested too many bytes")
        self.bytes_read += length
        self.requests += len(ranges)
        self.round_trips += 1
        return [(start, end) for start, end in ranges]

    def _inside(self, asked: Any) -> bool:
        if not (isinstance(asked, list) and len(asked) == 2 and all(type(edge) is int for edge in asked)):
            return False
        start, end = asked
        return bool(0 <= start < end <= self.size)

    @property
    def spent(self) -> Spent:
        """The cost so far."""
        return Spent(self.requests, self.round_trips, self.bytes_read)

    @property
    def starved(self) -> bool:
        """Whether S3 used up the time, rather than a file that requires too many reads."""
        waiting = sum(time.monotonic() - since for since in tuple(self.asked.values()))
        return self.waited + waiting > SLOW_ROUND_TRIP * max(self.round_trips, 1) + self.bytes_read / SLOW_SECOND
