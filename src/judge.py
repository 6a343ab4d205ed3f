"""One video from its ranges to its result: what the function and scripts/inspect_video.py both do."""

import time
from typing import Any

import results
from events import Upload
from inspector import Inspection, Limits, inspect
from range_reader import Fetch, RangeReader
from verdicts import Rejected


def judge(upload: Upload, fetch: Fetch, limits: Limits, seconds: float) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The result document of `upload`, inspected in at most `seconds`, and the pictures it names, by key.

    Raises whatever `fetch` raises, other than Rejected.
    """
    started = time.monotonic()
    reader = RangeReader(fetch, upload.size, limits.max_bytes, started + seconds)
    outcome: Inspection | Rejected
    try:
        outcome = inspect(reader, limits)
    except Rejected as rejected:
        outcome = rejected.with_traceback(None)  # or this frame and it would hold each other, and what was read
    duration = round((time.monotonic() - started) * 1000)
    result = results.document(upload, outcome, results.Cost(duration, reader.requests, reader.waits, reader.bytes_read))
    return result, results.pictures(result, outcome)
