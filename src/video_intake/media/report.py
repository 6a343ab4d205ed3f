"""All that is reported of one opened file: facts, poster, storyboard, warnings."""

from collections.abc import Iterable

import av
from av.audio.stream import AudioStream

from video_intake.media import display, notes, poster, probe, sheet
from video_intake.media.extent import Extent
from video_intake.media.facts import Inspection
from video_intake.media.isobmff import Layout
from video_intake.media.key_frames import Frames, Shot
from video_intake.media.verdicts import Rejected


def of(
    frames: Frames,
    shot: Shot,
    layout: Layout | None,
    extent: Extent,
    edge: int,
    storyboard: bool,
    said: Iterable[str],
) -> Inspection:
    """The facts of the file, `shot` being the poster. `said` are warnings (or "") that were noticed on the way."""
    video = frames.video
    stream, warnings = video.stream, [warning for warning in said if warning]
    shown = display.of(stream, shot.frame)
    warnings += extent.warnings
    if layout and any(track.external and track.handler == b"soun" for track in layout.movie.tracks):
        warnings.append(notes.sound_elsewhere())
    whole = probe.of_container(video.container, video.reader.size, layout, extent.seconds, video.tracks)
    seen = probe.of_video(stream, shot.frame, shown, extent)
    picture, tiles = None, None
    try:
        picture = poster.make(shot.frame, shown, edge, shot.time)
    except (av.FFmpegError, ValueError) as error:
        warnings.append(notes.no_poster(str(error)))
    if storyboard:
        try:
            tiles = sheet.of(frames, shown, whole.duration or 0)
        except (av.FFmpegError, ValueError, Rejected) as error:
            warnings.append(notes.no_storyboard(str(error)))
    return Inspection(
        container=whole,
        video=seen,
        audio=tuple(probe.of_audio(track) for track in video.container.streams.audio if isinstance(track, AudioStream)),
        poster=picture,
        storyboard=tiles,
        warnings=notes.bounded(warnings),
    )
