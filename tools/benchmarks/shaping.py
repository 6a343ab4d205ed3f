"""The pace at which bytes arrive, and what was asked for."""

import threading
import time
from typing import Final

CREDIT: Final = 0.002  # seconds that a late wake-up may catch up


class Pace:
    """Lets `rate` bytes a second pass, for one connection or for all."""

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
    """Requests, their bytes, and how often whoever asked had to wait: for requests one after another."""

    def __init__(self) -> None:
        self._requests = self._bytes = self._waits = 0
        self._answered = 0.0
        self._lock = threading.Lock()

    def request(self, begun: float, answered: float) -> None:
        """A request that came and is answered now; in the order of the answers."""
        with self._lock:
            self._requests += 1
            if begun >= self._answered:  # not at the same time as the one that was counted last
                self._waits, self._answered = self._waits + 1, answered

    def sent(self, length: int) -> None:
        """Bytes of objects."""
        with self._lock:
            self._bytes += length

    def take(self) -> tuple[int, int, int]:
        """Requests, bytes, and waits since the last time."""
        with self._lock:
            counts = self._requests, self._bytes, self._waits
            self._requests = self._bytes = self._waits = 0
        return counts
