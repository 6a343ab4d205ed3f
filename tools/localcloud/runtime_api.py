"""One execution environment of Lambda: a child process with AWS's runtime client, and the runtime API it talks to.

The child sees what a function sees on Lambda and nothing else: its package as the working directory, the
environment that Lambda sets, and of this machine's Python only what Lambda's runtime carries (boto3 and the
runtime client). A module that the package forgot is missing here too.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

INIT_SECONDS = 60.0  # Lambda allows 10; a laptop that compiles a package for the first time needs longer
LINUX = os.path.exists("/proc/self/statm")
WATCH_SECONDS = 0.02 if LINUX else 0.25  # how often a running child is looked at: dead? too large? (elsewhere by `ps`)
CARRIED_BY_LAMBDA = ("boto3", "awslambdaric")


@dataclass(frozen=True)
class Outcome:
    """How one invocation ended. `error` is empty when the handler returned."""

    payload: bytes
    error: str = ""  # "Unhandled", as Lambda's X-Amz-Function-Error
    seconds: float = 0.0
    init_seconds: float | None = None
    peak_bytes: int = 0


@dataclass(frozen=True)
class Invocation:
    request_id: str
    payload: bytes
    function_arn: str
    timeout: float
    attempt: int = 1


def runtime_folder(folder: Path) -> Path:
    """A folder with links to exactly the modules that Lambda's Python runtime brings along."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for distribution in _with_dependencies(CARRIED_BY_LAMBDA):
        for file in distribution.files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__", "bin") and not (folder / top).exists():
                (folder / top).symlink_to(str(distribution.locate_file(top)))
    return folder


def _with_dependencies(names: tuple[str, ...]) -> Iterator[metadata.Distribution]:
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop().lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # wanted by another Python or platform only
            continue
        yield distribution
        for requirement in distribution.requires or []:
            if "extra ==" not in requirement:
                waiting.append(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])


class Worker:
    """A child process, kept warm between invocations; one invocation at a time."""

    def __init__(
        self,
        handler: str,
        environ: dict[str, str],
        memory_bytes: int,
        on_line: Callable[[str], None],
    ):
        self.memory_bytes = memory_bytes
        self.token = environ.get("AWS_SESSION_TOKEN", "")
        self.invocation: Invocation | None = None  # that it works on
        self._on_line = on_line
        self._invocations: queue.Queue[Invocation | None] = queue.Queue()
        self._answers: queue.Queue[tuple[str, bytes, str]] = queue.Queue()  # request id, body, error type
        self._asked_for_work = threading.Event()
        self._draining = threading.Lock()
        self._unfinished = b""
        self._started = time.monotonic()
        self.init_seconds: float | None = None
        self._api = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._api.daemon_threads = True
        threading.Thread(target=self._api.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.process = subprocess.Popen(
            # -S: no site-packages of this machine; what the function may import stands in PYTHONPATH.
            [sys.executable, "-S", "-m", "awslambdaric", handler],
            cwd=environ["LAMBDA_TASK_ROOT"],
            env=environ | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is the server's to handle
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def invoke(self, invocation: Invocation) -> Outcome:
        """Run one event to its end, whatever that is. A worker that is not `alive` afterwards is done for."""
        self.invocation = invocation
        try:
            return self._invoke(invocation)
        finally:
            self.invocation = None

    def _invoke(self, invocation: Invocation) -> Outcome:
        if self.init_seconds is None:
            failed = self._initialise(invocation)
            if failed is not None:
                return failed
        began = time.monotonic()
        deadline = began + invocation.timeout
        self._invocations.put(invocation)
        peak = 0
        while True:
            try:
                answer = self._answers.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                answer = None
            peak = max(peak, memory_of(self.process.pid))
            seconds = time.monotonic() - began
            if answer is not None and answer[0] == invocation.request_id:
                _, body, error = answer
                return self._outcome(body, "Unhandled" if error else "", seconds, peak)
            if peak > self.memory_bytes:
                self.kill()
                return self._killed(invocation, "Runtime.OutOfMemory", "signal: killed", seconds, self.memory_bytes)
            if self.process.poll() is not None:
                return self._killed(invocation, "Runtime.ExitError", _exit_text(self.process.returncode), seconds, peak)
            if time.monotonic() > deadline:
                self.kill()
                message = f"Task timed out after {invocation.timeout:.2f} seconds"
                self._on_line(f"{_now()} {invocation.request_id} {message}")
                told = {"errorType": "Sandbox.Timedout",
                        "errorMessage": f"RequestId: {invocation.request_id} Error: {message}"}  # fmt: skip
                return self._outcome(json.dumps(told).encode(), "Unhandled", invocation.timeout, peak)

    def _initialise(self, invocation: Invocation) -> Outcome | None:
        """Wait until the child asks for its first event; None when it did."""
        deadline = self._started + INIT_SECONDS
        while not self._asked_for_work.wait(WATCH_SECONDS):
            if not self._answers.empty():
                _, body, _ = self._answers.get()
                self.kill()
                return self._outcome(body, "Unhandled", time.monotonic() - self._started, 0)
            if self.process.poll() is not None and self._answers.empty():
                return self._killed(invocation, "Runtime.ExitError", _exit_text(self.process.returncode), 0.0, 0)
            if time.monotonic() > deadline:
                self.kill()
                return self._killed(invocation, "Sandbox.Timedout", f"no start in {INIT_SECONDS:.0f} s", 0.0, 0)
        self.init_seconds = time.monotonic() - self._started
        return None

    def _killed(self, invocation: Invocation, kind: str, how: str, seconds: float, peak: int) -> Outcome:
        message = f"RequestId: {invocation.request_id} Error: Runtime exited with error: {how}"
        self.drain()
        self._on_line(message)
        body = json.dumps({"errorType": kind, "errorMessage": message}).encode()
        return self._outcome(body, "Unhandled", seconds, peak)

    def _outcome(self, body: bytes, error: str, seconds: float, peak: int) -> Outcome:
        self.drain()
        peak = max(peak, memory_of(self.process.pid))
        return Outcome(body, error, seconds, self.init_seconds, peak)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """End the child and its API; safe to repeat."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._invocations.put(None)
        threading.Thread(target=self._close_api, daemon=True).start()

    def _close_api(self) -> None:
        self._api.shutdown()
        self._api.server_close()

    def _listen(self) -> None:
        """Read what the child writes as it writes it: a full pipe would stop it."""
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        while select.select([pipe], [], []):
            if not self.drain():
                return

    def drain(self) -> bool:
        """Take every line that has been written so far; False when there will never be another."""
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


def _handler(worker: Worker) -> type[BaseHTTPRequestHandler]:
    """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""

    class RuntimeApi(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            worker._asked_for_work.set()
            invocation = worker._invocations.get()
            if invocation is None:
                self.close_connection = True
                return
            self._answer(
                200,
                invocation.payload,
                {
                    "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.timeout) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                    "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{invocation.request_id[-12:]:0>24}",
                },
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            *_, request_id, verb = self.path.split("/")
            error = self.headers.get("Lambda-Runtime-Function-Error-Type", "Unhandled") if verb == "error" else ""
            worker._answers.put((request_id, body, error))  # the request id of an init error is "init"
            self._answer(202, b'{"status":"OK"}', {})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            log.debug(format, *args)

    return RuntimeApi


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
