"""The CPU time of each part of the inspector, without waiting for objects.

`python -m tools.benchmarks.split FILE ...` prints one JSON object: for each file the milliseconds of each part.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final

SRC: Final = Path(__file__).resolve().parents[2] / "src"
MEDIA: Final = SRC / "video_intake/media"
PARTS: Final = {"key_frames": "decode", "poster": "poster"}  # by module; all others open the file and read facts
ROUNDS: Final = 7  # the fastest counts, because noise only adds time


class Clock:
    """CPU time by part, attributed to the last called function in src/, including libraries it calls."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {"facts": 0.0, "decode": 0.0, "poster": 0.0}
        self._owner, self._since = "facts", time.process_time()
        self._known: dict[str, str | None] = {}  # by file of the code

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event not in ("call", "return"):
            return
        now = time.process_time()
        self.spent[self._owner] += now - self._since
        self._since = now
        running = frame if event == "call" else frame.f_back
        while running and not (owner := self._part(running.f_code.co_filename)):
            running = running.f_back
        self._owner = owner if running and owner else "facts"

    def _part(self, file: str) -> str | None:
        if file not in self._known:
            path = Path(file)
            self._known[file] = PARTS.get(path.stem, "facts") if path.parent == MEDIA else None
        return self._known[file]


def inspect(file: Path, *, watch: bool) -> tuple[float, dict[str, float]]:
    """CPU milliseconds of one inspection, and seconds by part if profiled (which slows it down)."""
    inspector = importlib.import_module("video_intake.media.inspector")
    range_reader = importlib.import_module("video_intake.media.range_reader")
    limits = importlib.import_module("video_intake.media.limits").Limits()
    descriptor = os.open(file, os.O_RDONLY)
    try:
        reader = range_reader.RangeReader(
            lambda ranges: [os.pread(descriptor, end - start, start) for start, end in ranges],
            file.stat().st_size,
            limits.max_bytes,
        )
        started, clock = time.process_time(), Clock()
        sys.setprofile(clock if watch else None)
        inspector.inspect(reader, limits)
        sys.setprofile(None)
        return (time.process_time() - started) * 1000, clock.spent
    finally:
        os.close(descriptor)


def split(file: Path) -> dict[str, float]:
    """Milliseconds of each part, scaled to the time of an inspection without profiling."""
    whole = min(inspect(file, watch=False)[0] for _ in range(ROUNDS))
    _, parts = min((inspect(file, watch=True) for _ in range(ROUNDS)), key=lambda watched: watched[0])
    return {part: seconds / sum(parts.values()) * whole for part, seconds in parts.items()}


if __name__ == "__main__":
    sys.path.insert(0, str(SRC))
    print(json.dumps({name: split(Path(name)) for name in sys.argv[1:]}))
