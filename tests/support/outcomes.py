"""An upload, and the cost of its inspection."""

import inspect

from video_intake.document import Cost
from video_intake.media import verdicts
from video_intake.media.verdicts import Rejected
from video_intake.uploads import Upload

UPLOAD = Upload("videos", "Été 2026 (1) 🎬.mp4", "3HL4kqtJlcpXrof3", 1234, "e1", "0A", "2026-07-01T10:00:00.000Z")
COST: Cost = {"durationMs": 12, "requests": 3, "roundTrips": 2, "bytesRead": 524288}


def _rejections() -> list[Rejected]:
    """One of each verdict in `verdicts`, with the required evidence."""
    made = []
    for function in vars(verdicts).values():
        if inspect.isfunction(function) and inspect.signature(function).return_annotation is Rejected:
            wanted = inspect.signature(function).parameters.values()
            named = [each for each in wanted if each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty]
            made.append(
                function(**{each.name: 4711 if each.annotation is int else f"some {each.name}" for each in named})
            )
    return made


REJECTIONS = _rejections()
