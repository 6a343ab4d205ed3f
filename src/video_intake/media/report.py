"""Assembles the inspection of an opened file: facts, poster, storyboard, warnings."""

from dataclasses import replace

import av
from av.audio.stream import AudioStream

from video_intake.media import display, notes, poster, probe, storyboard, unwritten
from video_intake.media.choices import Choice
from video_intake.media.extent import APART, Extent
from video_intake.media.facts import Inspection
from video_intake.media.isobmff import Layout
from video_intake.media.key_frames import Frames
from video_intake.media.verdicts import Rejected


def of(
    frames: Frames,
    choice: Choice,
    layout: Layout | None,
    extent: Extent,
    stated: tuple[int, int] | None,
    edge: int,
    tiled: bool,
) -> Inspection:
    """The facts about the file, with the chosen poster and, if `tiled`, a storyboard.

    `stated` is the picture size in the index, if any; `edge` the poster's maximum edge.
    """
    video, shot = frames.video, choice.shot
    stream, warnings = video.stream, [choice.warning]
    shown = display.of(stream, shot.frame)
    warnings += extent.warnings
    warnings += _sizes(stated, (shot.frame.width, shot.frame.height))
    if layout:
        elsewhere = layout.movie.elsewhere()
        if any(track.id in elsewhere and track.handler == b"soun" for track in layout.movie.tracks):
            warnings.append(notes.sound_elsewhere())
        own = [each for each in video.container.streams if each.id not in elsewhere]
        if hole := unwritten.hole(video.reader, own):
            warnings.append(notes.unwritten(hole[1] - hole[0]))
    whole = probe.of_container(video.container, video.reader.size, layout, extent.seconds, video.tracks)
    if (extent.bytes or 0) > video.reader.size:  # an index can claim any size
        extent = replace(extent, bytes=None)
    seen = probe.of_video(stream, shot.frame, shown, extent)
    picture, tiles = None, None
    try:
        picture = poster.make(shot.frame, shown, edge, shot.time)
    except (av.FFmpegError, ValueError) as error:
        warnings.append(notes.no_poster(str(error)))
    if tiled:
        try:
            tiles = storyboard.of(frames, shown, whole.duration or 0)
        except (av.FFmpegError, ValueError, Rejected) as error:
            warnings.append(notes.no_storyboard(str(error)))
    return Inspection(
        container=whole,
        video=seen,
        audio=tuple(
            probe.of_audio(track, extent.sound)
            for track in video.container.streams.audio[: probe.MAX_AUDIO]
            if isinstance(track, AudioStream)
        ),
        poster=picture,
        storyboard=tiles,
        warnings=notes.bounded(warnings),
    )


def _sizes(stated: tuple[int, int] | None, found: tuple[int, int]) -> list[str]:
    """A warning if the pictures' size differs from the stated one."""
    if not stated or not all(stated) or all(abs(a / b - 1) <= APART for a, b in zip(stated, found, strict=True)):
        return []
    return [notes.sizes_differ(stated, found)]
