"""Files to inspect, read by ranges like objects in S3."""

import pytest

from video_intake.media.inspector import inspect
from video_intake.media.limits import Limits
from video_intake.media.range_reader import RangeReader
from video_intake.media.verdicts import Rejected


class File:
    """A remote file that records the requested ranges."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.ranges: list[tuple[int, int]] = []

    def fetch(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.content), "S3 refuses such a range"
        self.ranges.append((start, end))
        return self.content[start:end]

    def reader(self, max_bytes: int = 256 << 20, **options) -> RangeReader:
        return RangeReader(
            lambda ranges: [self.fetch(*each) for each in ranges], len(self.content), max_bytes, **options
        )


def verdict(content: bytes, limits: Limits | None = None) -> Rejected:
    with pytest.raises(Rejected) as caught:
        inspect(File(content).reader(), limits or Limits())
    return caught.value
