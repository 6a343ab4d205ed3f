"""A ceiling on memory while a stranger's file is being decoded.

Counts and sizes are checked where a file claims them. What the three hundred decoders in FFmpeg take besides
(JPEG 2000 five times its picture, for one) is nothing that a table of ours could keep up with: the kernel counts.
"""

import os
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any


@contextmanager
def ceiling(most: int) -> Iterator[None]:
    """Within it, whoever would bring the process to more than `most` bytes of data gets a MemoryError instead.

    That holds for Python and for FFmpeg, which passes the error on. Only Linux counts so; elsewhere nothing is
    bounded.
    """
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = [most, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(allowed), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextmanager
def lifted() -> Iterator[None]:
    """Within it there is no ceiling, for the whole process: as short as it takes to start threads.

    A thread that finds no memory to begin with leaves others waiting for it, for ever. Several threads may be within
    it at once; the last one to leave brings the ceiling back.
    """
    global _lifts, _soft
    with _lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if not _lifts:
            _soft = soft
            resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
        _lifts += 1
    try:
        yield
    finally:
        with _lock:
            _lifts -= 1
            if not _lifts:
                resource.setrlimit(resource.RLIMIT_DATA, (_soft, hard))


def footprint() -> dict[str, Any]:
    """What this process has: its threads, FFmpeg's among them, and the most memory that it ever took, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KB on Linux, bytes on macOS
    if sys.platform != "linux":
        return {"threads": threading.active_count(), "peakMemoryMB": peak >> 20}
    return {"threads": len(os.listdir("/proc/self/task")), "peakMemoryMB": peak >> 10}


_lock = Lock()
_lifts, _soft = 0, resource.RLIM_INFINITY  # how many are within lifted(), and what was in force before the first
