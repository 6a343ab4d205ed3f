"""The inspector in a process of its own: whatever a file does to it, there is an outcome.

One process is started with the function's environment and reused. It is given byte ranges and returns facts and
pictures; video_intake.media.worker is its side. When it exceeds its time, crashes or answers nonsense, it is ended and
replaced, and the file gets a verdict.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from video_intake.media import answer, verdicts, wire
from video_intake.media.facts import Inspection
from video_intake.media.limits import Limits
from video_intake.media.verdicts import Rejected

type Fetch = Callable[[int, int], bytes]  # (start, end) -> the bytes of [start, end), never fewer

WORKER: Final = "video_intake.media.worker"
CONNECTIONS: Final = 8  # beyond this a Lambda of 1 GB gains nothing: its network, not S3, is the bound
LANES: Final = 2  # threads of the worker that may ask for bytes at the same time
START_SECONDS: Final = 20  # a worker is ready in a tenth of one; a cold, throttled core takes longer
GRACE_SECONDS: Final = 0.5  # the worker watches its time too, and answers with what it knows
SLOW_SECONDS: Final = 1.0  # for a round trip, on average: S3 takes a fiftieth of it
MAX_REQUESTS: Final = 20_000  # of one job
MAX_PICTURES: Final = 16 << 20  # bytes
MAX_KEPT_MB: Final = 200  # of memory between jobs
PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")  # of the environment: nothing of AWS's


class Unavailable(Exception):
    """No worker could be started: an infrastructure failure."""


@dataclass(frozen=True)
class Spent:
    """What a job took."""

    requests: int = 0
    round_trips: int = 0
    bytes_read: int = 0


class _Died(Exception):
    """The worker is gone, or makes no sense. Says how."""


class _Overdue(Exception):
    """The job took longer than it may."""


class _Abandoned(Exception):
    """The worker was told that there are no bytes, and waits for its next job."""


@dataclass
class _Job:
    """One file, as the worker may see it."""

    fetch: Fetch
    size: int
    max_bytes: int
    deadline: float
    requests: int = 0
    round_trips: int = 0
    bytes_read: int = 0
    waited: float = 0.0  # seconds, for bytes that came
    asked: dict[socket.socket, float] = field(default_factory=dict)  # lanes that wait for bytes, and since when
    failure: BaseException | None = None  # what kept the bytes from the worker

    def take(self, ranges: Any) -> list[tuple[int, int]]:
        """The ranges that the worker asks for, counted. Raises _Died where it may not have them."""
        if not isinstance(ranges, list) or not 0 < len(ranges) <= MAX_REQUESTS - self.requests:
            raise _Died("it asked for too many ranges")
        for each in ranges:
            if not (
                isinstance(each, list)
                and len(each) == 2
                and all(type(edge) is int for edge in each)
                and 0 <= each[0] < each[1] <= self.size
            ):
                raise _Died("it asked for bytes that are not there")
        self.bytes_read += sum(end - start for start, end in ranges)
        if self.bytes_read > self.max_bytes:
            raise _Died("it asked for more bytes than it may")
        self.requests += len(ranges)
        self.round_trips += 1
        return [(start, end) for start, end in ranges]

    @property
    def spent(self) -> Spent:
        """What it took so far."""
        return Spent(self.requests, self.round_trips, self.bytes_read)

    @property
    def starved(self) -> bool:
        """Whether the time went into waiting for S3, and not into a file that asks for too much."""
        waiting = sum(time.monotonic() - since for since in tuple(self.asked.values()))
        return self.waited + waiting > SLOW_SECONDS * max(self.round_trips, 1)


class _Worker:
    """A process and the sockets to it."""

    def __init__(self, command: Sequence[str]) -> None:
        pairs = [socket.socketpair() for _ in range(1 + LANES)]
        ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")}
        self.process = subprocess.Popen(
            [*command, *(str(each.fileno()) for each in theirs)],
            env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[each.fileno() for each in theirs],
        )
        for each in theirs:
            each.close()
        self.control, *self.lanes = ours
        self._ready = False

    def wait_until_ready(self) -> None:
        """Raises _Died."""
        if self._ready:
            return
        self.control.settimeout(START_SECONDS)
        try:
            message, _ = wire.receive(self.control, 0)
        except (wire.Broken, TimeoutError) as error:
            raise _Died(f"it did not start: {error}") from error
        if message != {"ready": True}:
            raise _Died("it did not start")
        self._ready = True

    @property
    def usable(self) -> bool:
        """Whether the process is there and has given its memory back."""
        return self.process.poll() is None and _status(self.process.pid).get("VmRSS", 0) >> 10 <= MAX_KEPT_MB

    def end(self) -> str:
        """Ends it, and returns how it came to its end."""
        for each in (self.control, *self.lanes):
            each.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.05)  # who crashed is about to be gone, with a status that says how
        self.process.kill()
        status = self.process.wait()
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"


@dataclass
class Decoder:
    """A worker, and another whenever that one is lost. Does one job at a time."""

    command: Sequence[str] = (sys.executable, "-S", "-P", "-m", WORKER)
    on_fault: Callable[[str], None] = lambda _text: None  # hears of faults of ours, which the verdict cannot tell
    _worker: _Worker | None = field(default=None, init=False)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(CONNECTIONS + LANES), init=False, repr=False
    )

    def start(self) -> None:
        """Starts a worker where there is none, and does not wait for it."""
        if self._worker is None:
            self._worker = _Worker(self.command)

    def inspect(self, fetch: Fetch, size: int, limits: Limits, seconds: float) -> tuple[Inspection | Rejected, Spent]:
        """The outcome for a file of `size` bytes, in at most `seconds`, and what that took.

        Raises whatever `fetch` raises, and Unavailable.
        """
        job = _Job(fetch, size, limits.max_bytes, time.monotonic() + seconds)
        how = ""
        for _ in range(2):  # a worker may have died of something before: not every crash is this file's fault
            worker = self._started()
            try:
                return self._work(worker, job, limits), job.spent
            except _Abandoned:
                if isinstance(job.failure, Rejected):  # in an archive, for one
                    return job.failure.with_traceback(None), job.spent
                raise job.failure or Unavailable("the worker gave up") from None
            except _Overdue:
                self._lose(worker)
                if job.failure or job.starved:
                    raise job.failure or Unavailable("the file could not be read in time") from None
                return verdicts.too_slow(requests=job.requests, bytesRead=job.bytes_read), job.spent
            except _Died as died:
                how = f"{died}; {self._lose(worker)}"
        self.on_fault(f"The decoder was lost twice: {how}")
        return verdicts.decoder_crashed(how), job.spent

    def footprint(self) -> dict[str, Any]:
        """Threads of this process and of the worker, and the most memory that each has taken, together, in MB."""
        both = [_status("self"), *([_status(self._worker.process.pid)] if self._worker else [])]
        return {
            "threads": sum(each.get("Threads", 0) for each in both),
            "peakMemoryMB": sum(each.get("VmHWM", 0) for each in both) >> 10,
        }

    def close(self) -> None:
        """Ends the worker."""
        if self._worker:
            self._worker.end()
            self._worker = None
        self._pool.shutdown()

    def _started(self) -> _Worker:
        """A worker that is ready. Raises Unavailable."""
        if self._worker and not self._worker.usable:
            self._lose(self._worker)
        for _ in range(2):
            self.start()
            worker = self._worker
            assert worker is not None
            try:
                worker.wait_until_ready()
            except _Died as died:
                how = f"{died}; {self._lose(worker)}"
            else:
                return worker
        raise Unavailable(how)

    def _lose(self, worker: _Worker) -> str:
        """Ends a worker and starts the next one; returns how the first one ended."""
        how = worker.end()
        self._worker = None
        self.start()
        return how

    def _work(self, worker: _Worker, job: _Job, limits: Limits) -> Inspection | Rejected:
        """One job on one worker. Raises _Died, _Overdue, or what fetching raises."""
        patience = job.deadline + GRACE_SECONDS
        with selectors.DefaultSelector() as selector:
            for each in (worker.control, *worker.lanes):
                each.settimeout(max(patience - time.monotonic(), GRACE_SECONDS))
                selector.register(each, selectors.EVENT_READ)
            try:
                seconds = job.deadline - time.monotonic()
                wire.send(worker.control, {"size": job.size, "seconds": seconds, "limits": asdict(limits)})
                while True:
                    left = patience - time.monotonic()
                    ready = selector.select(left) if left > 0 else []
                    if not ready:
                        raise _Overdue
                    for key, _ in ready:
                        if key.fileobj is worker.control:
                            return self._outcome(worker.control, job)
                        lane = next(each for each in worker.lanes if each is key.fileobj)
                        message, _ = wire.receive(lane, 0)
                        ranges = job.take(message.get("ranges"))
                        if lane in job.asked:
                            raise _Died("it did not wait for its bytes")
                        job.asked[lane] = time.monotonic()
                        self._pool.submit(self._give, lane, job, ranges)
            except wire.Broken as broken:
                raise _Died(str(broken)) from broken
            except TimeoutError as error:
                raise _Overdue from error

    def _give(self, lane: socket.socket, job: _Job, ranges: list[tuple[int, int]]) -> None:
        """The bytes that the worker asked for, or word that there are none."""
        began = time.monotonic()
        try:
            chunks = (
                [job.fetch(*ranges[0])]
                if len(ranges) == 1
                else list(self._pool.map(lambda each: job.fetch(*each), ranges))
            )
        except BaseException as error:  # noqa: BLE001 - raised again where the bytes were wanted
            job.failure = job.failure or error
            chunks = []
        job.waited += time.monotonic() - job.asked.pop(lane)
        with contextlib.suppress(wire.Broken, OSError):  # it is gone, and whoever waits for its answer sees that
            wire.send(lane, {} if chunks else {"failed": True}, chunks)

    def _outcome(self, control: socket.socket, job: _Job) -> Inspection | Rejected:
        message, follow = wire.receive(control, MAX_PICTURES)
        lengths = message.get("lengths")
        if not isinstance(lengths, list) or not all(type(each) is int and each >= 0 for each in lengths):
            raise _Died("its answer made no sense")
        if sum(lengths) != follow:
            raise _Died("its answer made no sense")
        pictures = wire.pieces(control, lengths)
        if job.failure:
            raise _Abandoned
        if "fault" in message:
            self.on_fault(str(message["fault"])[:4000])
            return verdicts.decoder_crashed("an error in the inspector")
        try:
            return answer.read(message, pictures)
        except answer.Malformed as malformed:
            raise _Died(f"its answer made no sense: {malformed}") from malformed


def _status(process: int | str) -> dict[str, int]:
    """Figures of a process (proc(5)): sizes in KB, and its threads. Nothing where there is no /proc."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        pairs = (line.split(":") for line in lines if line.startswith(("VmRSS", "VmHWM", "Threads")))
        return {name: int(value.split()[0]) for name, value in pairs}
    return {}
