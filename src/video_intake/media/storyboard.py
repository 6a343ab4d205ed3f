"""Creates a sheet of thumbnails from the whole video, and the WebVTT file that players need to show them.

https://www.w3.org/TR/webvtt1/ with media fragments (`#xywh=`), supported by JW Player, Video.js, Plyr and others.
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
MAX_BYTES: Final = 24 << 20  # read in total: 1 MB each, as in 4K at 60 Mbit/s
IMAGE: Final = "storyboard.jpg"


def of(frames: Frames, shown: Display, duration: float) -> Storyboard | None:
    """The storyboard of an opened video, from key frames fetched in parallel; None if there are none."""
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
    """Creates a storyboard from pictures (seconds, upright frame of the same size) in order; None if empty."""
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
