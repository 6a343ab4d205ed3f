"""An execution environment of Lambda: a child process with AWS's runtime client, with Lambda's limits."""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tools.localcloud.lambdas.runtime_api import Invocation, RuntimeApi

INIT_SECONDS = 60.0  # Lambda allows 10; compiling a package for the first time on a laptop takes longer
LINUX = os.path.exists("/proc/self/statm")
WATCH_SECONDS = (
    0.02 if LINUX else 0.25
)  # how often a running child is checked for its end and size (outside Linux with `ps`)


@dataclass(frozen=True)
class Outcome:
    """How one invocation ended. `error` is empty when the handler returned."""

    payload: bytes
    error: str = ""  # "Unhandled", as Lambda's X-Amz-Function-Error
    seconds: float = 0.0
    init_seconds: float | None = None
    peak_bytes: int = 0


class Worker:
    """A child process, kept warm between invocations; one invocation at a time."""

    def __init__(self, handler: str, environ: dict[str, str], memory_bytes: int, on_line: Callable[[str], None]):
        self.memory_bytes = memory_bytes
        self.token = environ.get("AWS_SESSION_TOKEN", "")
        self.invocation: Invocation | None = None  # the current one
        self.init_seconds: float | None = None
        self._on_line = on_line
        self._draining = threading.Lock()
        self._unfinished = b""
        self._started = time.monotonic()
        self._api = RuntimeApi()
        self.process = subprocess.Popen(
            # -S: without this machine's site-packages; the function's modules are in PYTHONPATH.
            [sys.executable, "-S", "-m", "awslambdaric", handler],
            cwd=environ["LAMBDA_TASK_ROOT"],
            env=environ | {"AWS_LAMBDA_RUNTIME_API": self._api.address},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the server handles Ctrl-C
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def invoke(self, invocation: Invocation) -> Outcome:
        """Runs one event and returns its outcome. A worker that is not `alive` afterwards cannot be reused."""
        self.invocation = invocation
        try:
            return self._initialize(invocation) or self._run(invocation)
        finally:
            self.invocation = None

    def _initialize(self, invocation: Invocation) -> Outcome | None:
        """Waits until the child requests its first event; returns the outcome if it never does."""
        deadline = self._started + INIT_SECONDS
        while self.init_seconds is None and not self._api.asked_for_work.wait(WATCH_SECONDS):
            if not self._api.answers.empty():
                self.kill()
                return self._outcome(self._api.answers.get().body, "Unhandled", time.monotonic() - self._started)
            if not self.alive and self._api.answers.empty():
                return self._killed(invocation, "Runtime.ExitError", _exit_text(self.process.returncode), 0.0)
            if time.monotonic() > deadline:
                self.kill()
                return self._killed(invocation, "Sandbox.Timedout", f"no start in {INIT_SECONDS:.0f} s", 0.0)
        self.init_seconds = self.init_seconds or time.monotonic() - self._started
        return None

    def _run(self, invocation: Invocation) -> Outcome:
        began = time.monotonic()
        self._api.give(invocation)
        peak = 0
        while True:
            try:
                answer = self._api.answers.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                answer = None
            peak = max(peak, memory_of(self.process.pid))
            seconds = time.monotonic() - began
            if answer is not None and answer.request_id == invocation.request_id:
                return self._outcome(answer.body, "Unhandled" if answer.failed else "", seconds, peak)
            if peak > self.memory_bytes:
                self.kill()
                return self._killed(invocation, "Runtime.OutOfMemory", "signal: killed", seconds, self.memory_bytes)
            if not self.alive:
                return self._killed(invocation, "Runtime.ExitError", _exit_text(self.process.returncode), seconds, peak)
            if seconds > invocation.timeout:
                self.kill()
                return self._timed_out(invocation, peak)

    def _timed_out(self, invocation: Invocation, peak: int) -> Outcome:
        message = f"Task timed out after {invocation.timeout:.2f} seconds"
        self._on_line(f"{_now()} {invocation.request_id} {message}")
        told = {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {invocation.request_id} Error: {message}"}
        return self._outcome(json.dumps(told).encode(), "Unhandled", invocation.timeout, peak)

    def _killed(self, invocation: Invocation, kind: str, how: str, seconds: float, peak: int = 0) -> Outcome:
        message = f"RequestId: {invocation.request_id} Error: Runtime exited with error: {how}"
        self.drain()
        self._on_line(message)
        body = json.dumps({"errorType": kind, "errorMessage": message}).encode()
        return self._outcome(body, "Unhandled", seconds, peak)

    def _outcome(self, body: bytes, error: str, seconds: float, peak: int = 0) -> Outcome:
        self.drain()
        return Outcome(body, error, seconds, self.init_seconds, max(peak, memory_of(self.process.pid)))

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """Ends the child and its API. Safe to repeat."""
        if self.alive:
            self.process.kill()
        self.process.wait()
        self._api.close()

    def _listen(self) -> None:
        """Reads the child's output continuously, because a full pipe would block it."""
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        while select.select([pipe], [], []):
            if not self.drain():
                return

    def drain(self) -> bool:
        """Takes every complete line so far; returns False at the end of the output."""
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        with self._draining:
            while select.select([pipe], [], [], 0)[0]:
                written = os.read(pipe, 1 << 16)
                if not written:
                    return False
                *lines, self._unfinished = (self._unfinished + written).split(b"\n")
                for line in lines:
                    if line.strip():
                        self._on_line(line.decode(errors="replace"))
        return True


def memory_of(pid: int) -> int:
    """Resident bytes of a process; 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        if LINUX:
            return 0
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(shown.stdout.strip() or 0) * 1024


def _exit_text(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal: {signal.strsignal(-status) or -status}".lower()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000_000 % 1000:03d}Z"
