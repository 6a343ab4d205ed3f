"""Small pictures of the whole film on one sheet, and the WebVTT file by which players show them over the seek bar.

https://www.w3.org/TR/webvtt1/ with media fragments (`#xywh=`), as JW Player, Video.js, Plyr and others read them.
"""

import math
from collections.abc import Iterable
from typing import Final

from av.video.frame import VideoFrame

from video_intake.media import filters, key_frames, poster
from video_intake.media.display import Display
from video_intake.media.facts import Storyboard
from video_intake.media.key_frames import Frames

FRAMES: Final = 25  # at most; five by five
TILE_EDGE: Final = 240  # pixels, of a picture's longer edge
PLACES: Final = tuple((number + 0.5) / FRAMES for number in range(FRAMES))
MAX_BYTES: Final = 24 << 20  # read for all of them: 1 MB each, the key frames of 4K at 60 Mbit/s
IMAGE: Final = "storyboard.jpg"


def of(frames: Frames, shown: Display, duration: float) -> Storyboard | None:
    """Of the key frames near its places in an opened film, fetched at once; None where there are none."""
    video = frames.video
    wanted = key_frames.ranges(video, PLACES)
    while sum(end - start for _, start, end in wanted) > MAX_BYTES:
        wanted = wanted[::2] if len(wanted) > 1 else []
    video.reader.load((start, end) for _, start, end in wanted)  # one round trip
    pictures = []
    for shot in Frames(video).near([place for place, _, _ in wanted]) if wanted else ():
        pictures.append((shot.time or 0.0, poster.upright(shot.frame, shown, TILE_EDGE)))
        if video.reader.overdue:
            break
    return make(pictures, duration)


def make(pictures: Iterable[tuple[float, VideoFrame]], duration: float) -> Storyboard | None:
    """Of pictures (seconds, upright frame of one size) in the order of the film; None where there are none."""
    shown = list(pictures)
    if not shown:
        return None
    width, height = shown[0][1].width, shown[0][1].height
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    sheet = filters.picture([frame for _, frame in shown], [("tile", f"{columns}x{rows}")])
    starts = [0.0, *(time for time, _ in shown[1:])]
    ends = [*starts[1:], max(duration, starts[-1] + 0.001)]
    cues = [
        f"{_clock(start)} --> {_clock(end)}\n"
        f"{IMAGE}#xywh={number % columns * width},{number // columns * height},{width},{height}\n"
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    vtt = "\n".join(["WEBVTT\n", *cues])
    return Storyboard(poster.jpeg(sheet), vtt, columns, rows, width, height, len(shown))


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
