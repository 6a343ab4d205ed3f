"""One video from its ranges to its result: what the function and scripts/inspect_video.py both do."""

import time

from video_intake import results
from video_intake.document import Cost, Result
from video_intake.media.facts import Inspection
from video_intake.media.inspector import Limits, inspect
from video_intake.media.range_reader import Fetch, RangeReader
from video_intake.media.verdicts import Rejected
from video_intake.uploads import Upload


def judge(
    upload: Upload, fetch: Fetch, limits: Limits, seconds: float, home: str = ""
) -> tuple[Result, dict[str, bytes]]:
    """The result document of `upload`, inspected in at most `seconds`, and the pictures it names, by key.

    Both are meant for the bucket `home` ("": the upload's own).

    Raises whatever `fetch` raises, other than Rejected.
    """
    started = time.monotonic()
    reader = RangeReader(fetch, upload.size, limits.max_bytes, started + seconds)
    outcome: Inspection | Rejected
    try:
        outcome = inspect(reader, limits)
    except Rejected as rejected:
        outcome = rejected.with_traceback(None)  # or this frame and it would hold each other, and what was read
    cost: Cost = {
        "durationMs": round((time.monotonic() - started) * 1000),
        "requests": reader.requests,
        "roundTrips": reader.round_trips,
        "bytesRead": reader.bytes_read,
    }
    result = results.result(upload, outcome, cost, home)
    return result, results.pictures(result, outcome)
