"""Monitors the decoder from outside: a failure of its worker fails the test.

It is the function's decoder, a process with its own limits. It reads files by ranges, so that their size does not count
as its memory.
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from cfn_flip import to_json

from video_intake.decoder import Decoder
from video_intake.inspection import judge
from video_intake.media.limits import Limits
from video_intake.uploads import Upload
from video_intake.worker_process import COMMAND

PROJECT = Path(__file__).parents[2]
MAX_MB = 700  # of the function's 1,024
DEADLINE = 90  # seconds: three times the handler's limit, for busy machines


@dataclass(frozen=True)
class Answer:
    """The inspector's answer for a file, and its cost."""

    result: dict[str, Any]  # the result document
    seconds: float
    peak: float  # MB
    pictures: dict[str, int]  # sizes of poster and storyboard, by their keys
    left: dict[str, int]  # resources that the process still has afterwards: see _left

    @property
    def verdict(self) -> str:
        """ "success", or the reason for the rejection."""
        return str(self.result.get("failure", {}).get("reason", "success"))


class Fell(AssertionError):
    """The inspector crashed, hung, took too much memory or raised something that is not a verdict."""


class Watched:
    """A decoder that inspects files. After a failure, the next file gets a new one, as in the function."""

    def __init__(self) -> None:
        self._faults: list[str] = []
        self._decoder = Decoder(_command(), self._faults.append)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.close()

    def inspect(self, content: bytes, key: str = "video.mp4", storyboard: bool = False) -> Answer:
        """Raises Fell."""
        upload = Upload("bucket", key, "version", len(content), "etag", "0", "2026-01-01T00:00:00Z")
        limits = Limits(storyboard=storyboard)
        self._faults.clear()
        self._decoder.start()
        _forget_peak(self._decoder.process_id)
        started = time.monotonic()
        result, pictures = judge(self._decoder, upload, lambda start, end: content[start:end], limits, DEADLINE)
        seconds = time.monotonic() - started
        if self._faults:
            raise Fell("\n".join(self._faults))
        worker = self._decoder.process_id
        assert worker
        if (peak := _memory(worker, "VmHWM")) > MAX_MB:
            raise Fell(f"took {peak:.0f} MB")
        sizes = {key: len(picture) for key, picture in pictures.items()}
        return Answer(dict(result), seconds, peak, sizes, _left(worker))


@cache
def _command() -> Sequence[str]:
    """The worker with the C library settings from the template."""
    function = json.loads(to_json((PROJECT / "template.yaml").read_text()))["Resources"]["ProcessorFunction"]
    variables = function["Properties"]["Environment"]["Variables"]
    allocator = (f"{name}={value}" for name, value in variables.items() if name.startswith("MALLOC_"))
    return ("env", *allocator, *COMMAND)


def _memory(process: int, field: str) -> float:
    """Memory of a process in MB; 0 without /proc (macOS)."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(field)), 0)


def _forget_peak(process: int | None) -> None:
    if os.path.exists(f"/proc/{process}/clear_refs"):
        Path(f"/proc/{process}/clear_refs").write_text("5")  # proc(5): resets VmHWM


def _left(process: int) -> dict[str, int]:
    """Numbers that grow if something leaks; empty without /proc."""
    if not os.path.exists(f"/proc/{process}"):
        return {"threads": 0, "descriptors": 0, "MB": 0}
    return {
        "threads": len(os.listdir(f"/proc/{process}/task")),
        "descriptors": len(os.listdir(f"/proc/{process}/fd")),
        "MB": round(_memory(process, "VmRSS")),
    }
