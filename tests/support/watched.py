"""The inspector in a child process that is watched: what would kill a Lambda is told here with its cause.

The child is `python -m tests.support.watched`: it is told of files, one after another, and answers each with a line of
JSON. It reads them by ranges, as the Lambda does, so that their size does not count as its memory.
"""

import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, Self

from cfn_flip import to_json

PROJECT = Path(__file__).parents[2]
MAX_SECONDS = 30  # no file takes more
MAX_MB = 700  # of the 1024 that the Lambda has
DEADLINE = 20  # seconds, as the handler gives one: what the reader enforces by itself
LOOK = 0.02  # seconds between two looks at the child's memory


@dataclass(frozen=True)
class Answer:
    """What the inspector said of a file, and what that took."""

    result: dict[str, Any]  # the result document
    seconds: float
    peak: float  # MB
    pictures: dict[str, int]  # sizes of poster and storyboard, by their keys
    left: dict[str, int]  # what the process still has afterwards: see _left

    @property
    def verdict(self) -> str:
        """ "success", or the reason of the rejection."""
        return str(self.result.get("failure", {}).get("reason", "success"))


class Fell(AssertionError):
    """The inspector crashed, hung, took too much memory or raised what is no verdict."""


class Watched:
    """A child that inspects files. After it fell, the next file gets a new one."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory()
        self._file = Path(self._folder.name, "file")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    def inspect(self, content: bytes, key: str = "video.mp4", storyboard: bool = False) -> Answer:
        """Raises Fell."""
        self._file.write_bytes(content)
        child = self._child = self._child or self._start()
        assert child.stdin
        try:
            asked = {"path": str(self._file), "key": key, "storyboard": storyboard}
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            child.stdin.flush()
            line = self._line(child)
        except Fell:
            self._end()
            raise
        answer = json.loads(line)
        if "fault" in answer:
            raise Fell(f"raised what is no verdict:\n{answer['fault']}")
        return Answer(**answer)

    def _start(self) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join([str(PROJECT / "src"), str(PROJECT)])
        command = [sys.executable, "-m", "tests.support.watched"]
        scratch = Path(self._folder.name, "tmp")
        scratch.mkdir(exist_ok=True)
        environment = {**os.environ, **_allocator(), "PYTHONPATH": paths, "TMPDIR": str(scratch)}
        return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _line(self, child: subprocess.Popen[bytes]) -> bytes:
        assert child.stdout
        deadline, line = time.monotonic() + MAX_SECONDS, b""
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if selector.select(LOOK):
                    part = os.read(child.stdout.fileno(), 1 << 20)
                    if not part:
                        raise Fell(f"the interpreter died: {_ending(child.wait())}")
                    line += part
                if time.monotonic() > deadline:
                    raise Fell(f"no answer within {MAX_SECONDS} s")
                if (now := _memory(child.pid, "VmRSS")) > MAX_MB:
                    raise Fell(f"took {now:.0f} MB")
        return line

    def _end(self) -> None:
        if self._child:
            self._child.kill()
            self._child.communicate()
            self._child = None


@cache
def _allocator() -> dict[str, str]:
    """What the template tells the C library of the function."""
    function = json.loads(to_json((PROJECT / "template.yaml").read_text()))["Resources"]["ProcessorFunction"]
    variables = function["Properties"]["Environment"]["Variables"]
    return {name: value for name, value in variables.items() if name.startswith("MALLOC_")}


def _ending(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _memory(process: int | str, field: str) -> float:
    """MB, of a process; 0 where there is no /proc (macOS), or no longer a process."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(field)), 0)


def _forget_peak() -> None:
    if os.path.exists("/proc/self/clear_refs"):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM


def _peak() -> float:
    # Not getrusage where it can be helped: its peak is inherited from the process before exec.
    return _memory("self", "VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    for line in requests:
        asked = json.loads(line)
        try:
            with Path(asked["path"]).open("rb", buffering=0) as file:
                answer = _inspected(file, asked)
        except Exception:  # noqa: BLE001 - told to the parent, which fails the case
            answer = {"fault": traceback.format_exc()}
        answers.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
        answers.flush()


def _inspected(file: FileIO, asked: dict[str, Any]) -> dict[str, Any]:
    from video_intake.inspection import judge
    from video_intake.media.inspector import Limits
    from video_intake.uploads import Upload

    size = os.fstat(file.fileno()).st_size
    upload = Upload("bucket", asked["key"], "version", size, "etag", "0", "2026-01-01T00:00:00Z")
    limits = Limits(storyboard=asked["storyboard"])
    _forget_peak()
    started = time.monotonic()
    result, pictures = judge(upload, lambda start, end: os.pread(file.fileno(), end - start, start), limits, DEADLINE)
    seconds, sizes = time.monotonic() - started, {key: len(picture) for key, picture in pictures.items()}
    return {"result": result, "seconds": seconds, "peak": _peak(), "pictures": sizes, "left": _left()}


def _left() -> dict[str, int]:
    """What accumulates where something is not given back."""
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "temporary files": len(os.listdir(tempfile.gettempdir())),
        "MB": round(_memory("self", "VmRSS")),
    }


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
