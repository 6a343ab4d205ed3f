"""Runs the inspector in a separate process, so that every file gets an outcome, even if it crashes the process.

One process is started per environment and reused. It receives byte ranges and returns facts and pictures. If it exceeds
its time, crashes or returns nonsense, it is ended and replaced, and the file gets a verdict.
"""

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from video_intake import worker_process
from video_intake.decoding_job import Fetch, Job, Spent
from video_intake.media import answer, verdicts, wire
from video_intake.media.facts import Inspection
from video_intake.media.limits import Limits
from video_intake.media.verdicts import Reason, Rejected
from video_intake.worker_process import Died, WorkerProcess

CONNECTIONS: Final = 8  # more do not help a Lambda function with 1 GB: its network is the limit, not S3
GRACE_SECONDS: Final = 0.5  # the worker also checks the time, and reports its verdict
MAX_PICTURES: Final = 16 << 20  # bytes
MAX_FAULT: Final = 4000  # characters


class Unavailable(Exception):
    """No worker could be started, or bytes did not arrive in time: an infrastructure failure."""


class _Overdue(Exception):
    """The job exceeded its time."""

    def __str__(self) -> str:
        return "it did not respond in time"


class _Abandoned(Exception):
    """The worker's bytes could not be fetched, and it is waiting for the next job."""


@dataclass
class Decoder:
    """A worker that is replaced when it is lost, and does one job at a time."""

    command: Sequence[str] = worker_process.COMMAND
    # Receives how a worker was lost, which the verdict does not show
    on_fault: Callable[[str], None] = lambda _text: None
    _worker: WorkerProcess | None = field(default=None, init=False)
    _why: str = field(default="", init=False)  # there is no worker
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(CONNECTIONS + worker_process.LANES), init=False, repr=False
    )

    def start(self) -> None:
        """Starts a worker if there is none, without waiting for it."""
        if self._worker is None:
            try:
                self._worker = WorkerProcess(self.command)
            except OSError as error:  # no process or socket available: retried with the next job
                self._why = f"it could not be started: {error}"

    def inspect(self, fetch: Fetch, size: int, limits: Limits, seconds: float) -> tuple[Inspection | Rejected, Spent]:
        """The outcome for a file of `size` bytes, and its cost. Takes at most `seconds` with a worker.

        Raises Unavailable, and whatever `fetch` raises except Rejected, which is an outcome.
        """
        if seconds <= 0:
            return verdicts.too_slow(requests=0, bytesRead=0), Spent()
        job, how = Job(fetch, size, limits.max_bytes, time.monotonic() + seconds), ""
        for _ in range(2):  # the first crash may be caused by an earlier file
            began = time.monotonic()
            worker = self._started()
            job.deadline += time.monotonic() - began  # its start does not count
            try:
                return self._work(worker, job, limits), job.spent
            except (_Abandoned, _Overdue, Died) as end:
                if not isinstance(end, _Abandoned):
                    how = f"{end}; {self._lose(worker)}"
                if isinstance(job.failure, Rejected):  # for example, archived
                    return job.failure.with_traceback(None), job.spent
                if job.failure:
                    raise job.failure from None
                if isinstance(end, _Overdue):
                    if job.starved:
                        raise Unavailable("the file could not be read in time") from None
                    self.on_fault(f"The decoder was lost: {how}")
                    return verdicts.too_slow(requests=job.requests, bytesRead=job.bytes_read), job.spent
        self.on_fault(f"The decoder was lost twice: {how}")
        return verdicts.decoder_crashed(how), job.spent

    @property
    def process_id(self) -> int | None:
        """The worker's process ID, if there is one."""
        return self._worker.process.pid if self._worker else None

    def footprint(self) -> dict[str, Any]:
        """Threads of this process and the worker, and the sum of their peak memory in MB."""
        both = [worker_process.figures(each) for each in ("self", self.process_id) if each]
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

    def _started(self) -> WorkerProcess:
        """Returns a worker that is ready. Raises Unavailable."""
        if self._worker and not self._worker.usable:
            self._lose(self._worker)
        for _ in range(2):
            self.start()
            if worker := self._worker:
                try:
                    worker.wait_until_ready()
                except Died as died:
                    self._why = f"{died}; {self._lose(worker)}"
                else:
                    return worker
        raise Unavailable(self._why)

    def _lose(self, worker: WorkerProcess) -> str:
        """Ends a worker and starts the next one; returns how the first one ended."""
        how = worker.end()
        self._worker = None
        self.start()
        return how

    def _work(self, worker: WorkerProcess, job: Job, limits: Limits) -> Inspection | Rejected:
        """Runs a job on a worker. Raises Died, _Overdue or _Abandoned."""
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
                    ready = {key.fileobj for key, _ in selector.select(left)} if left > 0 else ()
                    if not ready:
                        raise _Overdue
                    if worker.control in ready:
                        return self._outcome(worker.control, job, patience)
                    for lane in worker.lanes:
                        if lane in ready:
                            self._ask(lane, job, patience)
            except wire.Broken as broken:
                raise Died(str(broken)) from broken
            except TimeoutError as error:
                raise _Overdue from error

    def _ask(self, lane: socket.socket, job: Job, patience: float) -> None:
        """Starts fetching the bytes that the worker requests."""
        message, _ = wire.receive(lane, 0, patience)
        ranges = job.take(message.get("ranges"))
        if lane in job.asked:
            raise Died("it did not wait for its bytes")
        job.asked[lane] = time.monotonic()
        self._pool.submit(self._give, lane, job, ranges)

    def _give(self, lane: socket.socket, job: Job, ranges: list[tuple[int, int]]) -> None:
        """Sends the requested bytes to the worker, or reports that there are none."""
        chunks: list[bytes] = []
        try:
            if job.failure is None and len(ranges) == 1:
                chunks = [job.fetch(*ranges[0])]
            elif job.failure is None:
                chunks = list(self._pool.map(lambda each: job.fetch(*each), ranges))
            if chunks and [len(chunk) for chunk in chunks] != [end - start for start, end in ranges]:
                raise Unavailable("fewer bytes arrived than were requested")
        except BaseException as error:  # noqa: BLE001 - raised again by inspect
            job.failure = job.failure or error
        if job.failure:
            chunks = []
        job.waited += time.monotonic() - job.asked.pop(lane)
        with contextlib.suppress(wire.Broken, OSError):  # the process is gone, which the main thread notices
            wire.send(lane, {} if chunks else {"failed": True}, chunks)

    def _outcome(self, control: socket.socket, job: Job, patience: float) -> Inspection | Rejected:
        message, follow = wire.receive(control, MAX_PICTURES, patience)
        lengths = message.get("lengths")
        if not isinstance(lengths, list) or not all(type(each) is int and each >= 0 for each in lengths):
            raise Died("its answer was invalid")
        if sum(lengths) != follow or job.asked:
            raise Died("its answer was invalid")
        pictures = wire.pieces(control, lengths, patience)
        if job.failure:
            raise _Abandoned
        if "fault" in message:
            self.on_fault(str(message["fault"])[:MAX_FAULT])
            return verdicts.decoder_crashed("an error in the inspector")
        try:
            outcome = answer.read(message, pictures)
        except answer.Malformed as malformed:
            raise Died(f"its answer was invalid: {malformed}") from malformed
        if isinstance(outcome, Rejected) and outcome.reason == Reason.TOO_SLOW and job.starved:
            raise Unavailable("the file could not be read in time")
        return outcome
