"""The pictures of a storyboard: key frames near its places, fetched at once."""

from video_intake.media import key_frames, poster, storyboard
from video_intake.media.display import Display
from video_intake.media.facts import Storyboard
from video_intake.media.key_frames import Frames


def of(frames: Frames, shown: Display, duration: float) -> Storyboard | None:
    """A storyboard of an opened film; None where it has no pictures for one."""
    video = frames.video
    wanted = key_frames.ranges(video, storyboard.PLACES)
    while sum(end - start for _, start, end in wanted) > storyboard.MAX_BYTES:
        wanted = wanted[::2] if len(wanted) > 1 else []
    video.reader.load((start, end) for _, start, end in wanted)  # all at once: one round trip
    pictures = []
    for shot in Frames(video).near([place for place, _, _ in wanted]) if wanted else ():
        pictures.append((shot.time or 0.0, poster.upright(shot.frame, shown, storyboard.TILE_EDGE)))
        if video.reader.overdue:
            break
    return storyboard.make(pictures, duration)
