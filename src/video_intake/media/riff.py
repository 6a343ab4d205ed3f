"""The outermost chunks of an AVI file, to tell a whole one from one cut off.

Layout: Microsoft's AVI RIFF File Reference. All numbers are little-endian.
"""

import struct
from typing import Final

from video_intake.media import verdicts
from video_intake.media.range_reader import RangeReader

UNKNOWN: Final = 0xFFFFFFFF  # the size of what was written to a pipe; some write 0
MAX_CHUNKS: Final = 16  # before `movi`: hdrl, INFO, JUNK and a camera's own are usual


def check(reader: RangeReader) -> None:
    """Raises Rejected("truncated") where the file ends before its own media data does."""
    at = 12
    for _ in range(MAX_CHUNKS):
        header = reader.peek(at, 12)
        if len(header) < 12:
            raise verdicts.truncated(reader.size, detail="there is no media data (movi)")
        kind, size, form = struct.unpack("<4sI4s", header)
        end = at + 8 + size
        if kind == b"LIST" and form == b"movi":
            if end > reader.size and size != UNKNOWN:
                raise verdicts.truncated(reader.size, box="movi", boxEnd=end)
            return
        at = end + size % 2  # chunks begin at even offsets
