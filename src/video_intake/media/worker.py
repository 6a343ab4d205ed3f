"""The process that decodes untrusted files. It has access to bytes only: no key, no AWS, no network.

A decode cannot be interrupted, and a decoder may crash, hang or use up all memory. That affects only this process;
video_intake.decoder ends it, starts another, and still has a verdict for the uploader.

    python -m video_intake.media.worker CONTROL LANE LANE

The arguments are descriptors of connected sockets: one for jobs and answers, and one for each thread that may request
bytes at the same time.
"""

import gc

gc.disable()  # until everything is imported, none of which is garbage

import contextlib
import os
import queue
import resource
import socket
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import av.audio.stream  # PyAV imports these when a file has such a track, and then files can no longer be opened
import av.subtitles.codeccontext
import av.subtitles.stream
import av.subtitles.subtitle
import av.video.stream  # noqa: F401

from video_intake.media import answer, wire
from video_intake.media.inspector import MAX_MEMORY, inspect
from video_intake.media.limits import Limits
from video_intake.media.range_reader import Range, RangeReader
from video_intake.media.verdicts import Rejected

time.strptime("2026", "%Y")  # its imports on first use would fail too
gc.enable()

MAX_CPU_SECONDS: Final = 60  # per job, in case the function no longer exists to end this process


class Abandoned(Exception):
    """The bytes could not be fetched. The function knows why."""


class Lanes:
    """The connections for requesting bytes: each thread uses a free one."""

    def __init__(self, connections: Iterable[socket.socket]) -> None:
        self._free: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        for connection in connections:
            self._free.put(connection)

    def fetch(self, ranges: Sequence[Range]) -> list[bytes]:
        """Requests the bytes of each range. Raises Abandoned."""
        lane = self._free.get()
        try:
            return [chunk for batch in _batches(ranges) for chunk in _asked(lane, batch)]
        finally:
            self._free.put(lane)


def _batches(ranges: Sequence[Range]) -> Iterator[list[Range]]:
    """Splits ranges so that each batch is within the limit of a message."""
    batch: list[Range] = []
    for start, end in ranges:
        if batch and sum(b - a for a, b in batch) + end - start > wire.MAX_AT_ONCE:
            yield batch
            batch = []
        batch.append((start, end))
    yield batch


def _asked(lane: socket.socket, ranges: Sequence[Range]) -> list[bytes]:
    lengths = [end - start for start, end in ranges]
    wire.send(lane, {"ranges": ranges})
    message, _ = wire.receive(lane, sum(lengths))
    if "failed" in message:
        raise Abandoned
    return wire.pieces(lane, lengths)


def serve(control: socket.socket, lanes: Lanes) -> None:
    """Does one job after another until the connection is closed."""
    wire.send(control, {"ready": True})
    while True:
        job, _ = wire.receive(control, 0)
        limit_cpu()
        found, pictures = work(job, lanes)
        wire.send(control, found | {"lengths": list(map(len, pictures))}, pictures)
        del found, pictures
        gc.collect()  # after the answer, so that it does not delay it


def work(job: dict[str, Any], lanes: Lanes) -> tuple[dict[str, Any], list[bytes]]:
    """The answer to a job, and the pictures that go with it."""
    try:
        limits = Limits(**job["limits"])
        reader = RangeReader(lanes.fetch, job["size"], limits.max_bytes, time.monotonic() + job["seconds"])
        return answer.of_inspection(inspect(reader, limits))
    except Rejected as rejected:
        return answer.of_rejection(rejected), []
    except Abandoned:
        return {"abandoned": True}, []
    except wire.Broken:
        raise
    except Exception:  # noqa: BLE001 - a bug is reported, and the file still gets a verdict
        return {"fault": traceback.format_exc()[-4000:]}, []


def confine() -> None:
    """Forbids new files and sockets, limits memory, and makes this the first process to be killed without memory.

    These limits exist only on Linux. If one cannot be set, the others still apply.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)  # its number is now the lowest free one, and the limit below forbids it
    for what, most in (
        (resource.RLIMIT_NOFILE, nowhere),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, MAX_MEMORY),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def limit_cpu() -> None:
    """Limits the CPU time of the next job."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(OSError, ValueError):  # if a lower limit exists
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + MAX_CPU_SECONDS, hard))


def main() -> None:
    """Serves the sockets given on the command line."""
    control, *lanes = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    confine()
    gc.freeze()  # so that collecting after a job ignores the imported modules
    with contextlib.suppress(wire.Broken):  # the function has ended
        serve(control, Lanes(lanes))


if __name__ == "__main__":
    main()
