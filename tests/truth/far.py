"""Treats small files as if they were large: ends of two kilobytes, and little read-ahead.

So thousands of small files with known content test the code for files of gigabytes, of which the inspector reads very
little.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from video_intake.media import container, fragments, range_reader, virtual_file, walk

BOUNDS: Final = (
    (range_reader, "SMALL_FILE", 0),
    (range_reader, "LEAST_END", 2048),
    (range_reader, "READ_AHEAD", 512),
    (virtual_file, "READ_AHEAD", 512),
    (virtual_file, "BUFFER", 512),
    (container, "BUFFER", 512),
    (fragments, "READ_AHEAD", 512),
    (fragments, "LOOK", 600),
    (walk, "LOOK", 600),
)


@contextmanager
def far() -> Iterator[None]:
    """A context in which files are treated as large."""
    patches = [patch.object(module, name, value) for module, name, value in BOUNDS]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
