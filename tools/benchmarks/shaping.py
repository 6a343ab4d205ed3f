"""Bandwidth limits, and statistics of requests."""

import threading
import time
from typing import Final

CREDIT: Final = 0.002  # seconds of delay that are made up for


class Pace:
    """Limits one connection, or all, to `rate` bytes per second."""

    def __init__(self, rate: float) -> None:
        self._rate, self._due, self._lock = rate, 0.0, threading.Lock()

    def wait(self, length: int) -> None:
        """Returns when `length` more bytes would have arrived."""
        now = time.monotonic()
        with self._lock:
            self._due = due = max(self._due, now - CREDIT) + length / self._rate
        if due > now:
            time.sleep(due - now)


class Stats:
    """Counts requests, their bytes, and round trips (sequential requests or groups of parallel ones)."""

    def __init__(self) -> None:
        self._requests = self._bytes = self._waits = 0
        self._answered = 0.0
        self._lock = threading.Lock()

    def request(self, begun: float, answered: float) -> None:
        """Records a request when it is answered."""
        with self._lock:
            self._requests += 1
            if begun >= self._answered:  # not in parallel with the last counted one
                self._waits, self._answered = self._waits + 1, answered

    def sent(self, length: int) -> None:
        """Records bytes of objects."""
        with self._lock:
            self._bytes += length

    def take(self) -> tuple[int, int, int]:
        """Requests, bytes, and round trips since the last call."""
        with self._lock:
            counts = self._requests, self._bytes, self._waits
            self._requests = self._bytes = self._waits = 0
        return counts
