import json
from pathlib import Path

import jsonschema
import pytest

from demo.samples import video
from inspector import Inspection, Limits, inspect
from range_reader import RangeReader


class File:
    """A file far away, which remembers the ranges it was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.ranges: list[tuple[int, int]] = []

    def fetch(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.content), "S3 answers such a range with an error"
        self.ranges.append((start, end))
        return self.content[start:end]

    def reader(self, max_bytes: int = 256 << 20, **options) -> RangeReader:
        return RangeReader(self.fetch, len(self.content), max_bytes, **options)


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def inspection() -> Inspection:
    """Of a small playable video."""
    return inspect(File(video(seconds=0.2)).reader(), Limits())


@pytest.fixture(scope="session")
def valid(project):
    schema = json.loads((project / "docs/result.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).validate
