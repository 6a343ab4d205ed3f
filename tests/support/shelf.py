"""A cache of generated videos between runs, because encoding them takes a quarter of the unit tests' time."""

import hashlib
import inspect
import shutil
from pathlib import Path

import av

from tools import videos

SHELVES = Path(__file__).parents[2] / "build/videos"


def folder() -> Path:
    """The cache for the current code and encoders; others are removed."""
    made_by = inspect.getsource(videos) + repr(av.library_versions)
    current = SHELVES / hashlib.sha256(made_by.encode()).hexdigest()[:16]
    if not current.exists():
        shutil.rmtree(SHELVES, ignore_errors=True)
        current.mkdir(parents=True, exist_ok=True)
    return current
