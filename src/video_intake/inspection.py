"""Inspects one video and creates its result, for the function and scripts/inspect_video.py."""

import time

from video_intake import results
from video_intake.decoder import Decoder
from video_intake.decoding_job import Fetch
from video_intake.document import Cost, Result
from video_intake.media.limits import Limits
from video_intake.uploads import Upload


def judge(
    decoder: Decoder, upload: Upload, fetch: Fetch, limits: Limits, seconds: float, home: str = ""
) -> tuple[Result, dict[str, bytes]]:
    """Inspects `upload` in at most `seconds`; returns its result document and pictures by key.

    Both are for the bucket `home` ("": the upload's own).

    Raises decoder.Unavailable, and whatever `fetch` raises except Rejected.
    """
    started = time.monotonic()
    outcome, spent = decoder.inspect(fetch, upload.size, limits, seconds)
    cost: Cost = {
        "durationMs": round((time.monotonic() - started) * 1000),
        "requests": spent.requests,
        "roundTrips": spent.round_trips,
        "bytesRead": spent.bytes_read,
    }
    result = results.result(upload, outcome, cost, home)
    return result, results.pictures(result, outcome)
