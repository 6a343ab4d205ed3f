"""Starts and ends the decoder process, which runs video_intake.media.worker, and holds its sockets."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from video_intake.media import wire

COMMAND: Final = (sys.executable, "-S", "-P", "-m", "video_intake.media.worker")
LANES: Final = 2  # threads of the worker that may request bytes at the same time
START_SECONDS: Final = 20  # usually 0.1 s; a cold, throttled core takes longer
MAX_KEPT_MB: Final = 200  # of memory between jobs
PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")  # environment variables; none of AWS's


class Died(Exception):
    """The worker ended or sent something invalid; see the message."""


class WorkerProcess:
    """A process and the sockets to it: `control` for jobs and answers, `lanes` for bytes.

    Raises OSError if it cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            pairs = [socket.socketpair() for _ in range(1 + LANES)]
            self.control, *self.lanes = (ours.enter_context(one) for one, _ in pairs)
            ends = [theirs.enter_context(other) for _, other in pairs]
            environment = {
                name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("MALLOC_")
            }
            self.process = subprocess.Popen(
                [*command, *(str(each.fileno()) for each in ends)],
                env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # stderr stays open: errors at startup belong in the log
                pass_fds=[each.fileno() for each in ends],
            )
            ours.pop_all()
        self._ready = False

    def wait_until_ready(self) -> None:
        """Waits for the worker's first message. Raises Died."""
        if self._ready:
            return
        try:
            message, _ = wire.receive(self.control, 0, time.monotonic() + START_SECONDS)
        except (wire.Broken, TimeoutError) as error:
            raise Died(f"it did not start: {error}") from error
        if message != {"ready": True}:
            raise Died("it did not start")
        self._ready = True

    @property
    def usable(self) -> bool:
        """Whether the process is alive and has released its memory."""
        return self.process.poll() is None and figures(self.process.pid).get("VmRSS", 0) >> 10 <= MAX_KEPT_MB

    def end(self) -> str:
        """Ends the process, and returns how it ended."""
        for each in (self.control, *self.lanes):
            each.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.05)  # a crashed process ends soon, with a status that shows how
        self.process.kill()
        status = self.process.wait()
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def figures(process: int | str) -> dict[str, int]:
    """Memory sizes of a process in KB, and its number of threads (proc(5)). Empty without /proc."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        pairs = (line.split(":") for line in lines if line.startswith(("VmRSS", "VmHWM", "Threads")))
        return {name: int(value.split()[0]) for name, value in pairs}
    return {}
