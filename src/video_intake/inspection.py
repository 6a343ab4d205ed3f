"""One video from its ranges to its result: what the function and scripts/inspect_video.py both do."""

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
    """The result document of `upload`, inspected in at most `seconds`, and the pictures it names, by key.

    Both are meant for the bucket `home` ("": the upload's own).

    Raises whatever `fetch` raises, other than Rejected, and decoder.Unavailable.
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
