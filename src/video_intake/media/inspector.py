"""What a file is and what it looks like: technical facts and a poster, or the reason why there is none."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

import av
from av.audio.stream import AudioStream

from video_intake.media import (
    fragments,
    isobmff,
    key_frames,
    orientation,
    poster,
    probe,
    riff,
    signatures,
    storyboard,
    verdicts,
)
from video_intake.media.container import Opened, opened
from video_intake.media.facts import Inspection, Storyboard
from video_intake.media.fragments import Fragment
from video_intake.media.isobmff import Layout
from video_intake.media.limits import Limits
from video_intake.media.orientation import Orientation
from video_intake.media.range_reader import RangeReader
from video_intake.media.verdicts import Rejected

STORYBOARD_AT: Final = tuple((number + 0.5) / storyboard.FRAMES for number in range(storyboard.FRAMES))
POSTER_AT: Final = (0.10, 0.25, 0.40, 0.02)  # of the duration; the next is tried where a frame is blank
MAX_MEMORY: Final = 580 << 20  # of data; with libraries and the next read less than 700 of 1,024. 8K takes 330


# Started before there is a ceiling on memory: a thread that finds no memory to begin with leaves others waiting for it.
WALKER: Final = ThreadPoolExecutor(1)
WALKER.submit(int).result()


def inspect(reader: RangeReader, limits: Limits) -> Inspection:
    """Inspects the file that `reader` reads.

    Raises Rejected where it is not a playable video, and whatever reading raises.
    """
    try:
        return _inspect(reader, limits)
    except MemoryError:
        pass  # and let go of the error, whose traceback holds what took the memory
    finally:
        reader.forget()
    raise verdicts.too_large_to_decode(f"{MAX_MEMORY >> 20} MB of memory")


def _inspect(reader: RangeReader, limits: Limits) -> Inspection:
    if reader.size == 0:
        raise verdicts.empty()
    reader.load_ends()
    head = reader.peek(0, 4096)
    demuxer = signatures.container(head)
    if demuxer is None:
        raise verdicts.not_a_video(signatures.describe(head), firstBytes=head[:16].hex(" "))
    layout = None
    if demuxer == signatures.AVI:
        riff.check(reader)
    else:
        layout = isobmff.scan(reader)
        if fourcc := layout.encrypted():
            raise verdicts.encrypted(fourcc.decode("latin-1"))
        if layout.fragmented and (first := fragments.first(reader, layout)):
            return _fragmented(reader, layout, first, limits)
    return _indexed(reader, demuxer, layout, limits)


def _indexed(reader: RangeReader, demuxer: str, layout: Layout | None, limits: Limits) -> Inspection:
    """A file with one index, which says where every key frame is."""
    with opened(reader, demuxer, layout, [], limits.max_pixels) as video:
        return _look(video, layout, _best_frame(video, POSTER_AT), limits)


def _fragmented(reader: RangeReader, layout: Layout, first: Fragment, limits: Limits) -> Inspection:
    """A file in fragments: FFmpeg is shown few of them, and more only where these have no picture to show."""
    starts, early = fragments.indexed(reader, layout, first), None
    if not starts and fragments.estimate(reader, first) <= fragments.WALKED:
        starts, early = _walk(reader, layout, first, limits)

    def chosen(places: Sequence[float]) -> list[Fragment]:
        wanted = (*places, *STORYBOARD_AT) if limits.storyboard else places
        return fragments.choose(reader, layout, first, starts, wanted)

    with opened(reader, signatures.ISOBMFF, layout, chosen(POSTER_AT[:1]), limits.max_pixels) as video:
        frame = early or _first_frame(video)
        if frame:
            return _look(video, layout, frame, limits)
    with opened(reader, signatures.ISOBMFF, layout, chosen(POSTER_AT), limits.max_pixels) as video:
        return _look(video, layout, _best_frame(video, POSTER_AT), limits)


def _walk(
    reader: RangeReader, layout: Layout, first: Fragment, limits: Limits
) -> tuple[list[int], av.VideoFrame | None]:
    """Where the few fragments begin, and a frame for the poster: of the first one, while the others are looked for."""
    walk = WALKER.submit(fragments.walk, reader, first)
    frame = _early_frame(reader, layout, first, limits)
    wait([walk])
    # Decoding may have left too little memory for it, or taken the blame for it: alone it fails for reasons of its own.
    return fragments.walk(reader, first) if walk.exception() else walk.result(), frame


def _early_frame(reader: RangeReader, layout: Layout, first: Fragment, limits: Limits) -> av.VideoFrame | None:
    place = POSTER_AT[0] * fragments.estimate(reader, first)
    if place > 1 or first[1].end > reader.size:
        return None
    try:
        with opened(reader, signatures.ISOBMFF, layout, [first], limits.max_pixels) as video:
            frame = next(key_frames.near(video, [place]))
    except Rejected:
        return None  # if it is the file's fault, all of it will show that
    return None if poster.blank(frame) else frame


def _first_frame(video: Opened) -> av.VideoFrame | None:
    """The frame at the first place of all; None where that is blank or damaged."""
    try:
        frame = next(key_frames.near(video, POSTER_AT[:1]))
    except Rejected:
        return None
    return None if poster.blank(frame) else frame


def _best_frame(video: Opened, places: Sequence[float]) -> av.VideoFrame:
    """The first frame near `places` with something to see, or the first of all where there is none."""
    best = None
    for frame in key_frames.near(video, places):
        if not poster.blank(frame):
            return frame
        best = best or frame
    assert best is not None  # near() yields a frame or raises
    return best


def _look(video: Opened, layout: Layout | None, frame: av.VideoFrame, limits: Limits) -> Inspection:
    """All that is reported of one opened file, of which `frame` becomes the poster."""
    container, stream = video.container, video.stream
    turned = orientation.read(stream.codec_context.coded_side_data.get("display_matrix"))
    seen = probe.of_video(stream, frame, turned, bool(layout and layout.fragmented))
    picture, sheet, warnings = None, None, []
    try:
        picture = poster.make(frame, probe.pixel_aspect(stream), turned, seen.hdr, limits.poster_edge)
    except (av.FFmpegError, ValueError) as error:
        warnings.append(f"No poster could be made: {error}")
    whole = probe.of_container(container, video.reader.size, layout, video.tracks)
    if limits.storyboard:
        try:
            sheet = _storyboard(video, turned, seen.hdr, whole.duration or 0)
        except (av.FFmpegError, ValueError, Rejected) as error:
            warnings.append(f"No storyboard could be made: {error}")
    return Inspection(
        container=whole,
        video=seen,
        audio=tuple(probe.of_audio(track) for track in container.streams.audio if isinstance(track, AudioStream)),
        poster=picture,
        storyboard=sheet,
        warnings=tuple(warnings),
    )


def _storyboard(video: Opened, turned: Orientation, hdr: str | None, duration: float) -> Storyboard | None:
    wanted = key_frames.ranges(video, STORYBOARD_AT)
    while sum(end - start for _, start, end in wanted) > storyboard.MAX_BYTES:
        wanted = wanted[::2] if len(wanted) > 1 else []
    video.reader.load((start, end) for _, start, end in wanted)  # all at once: one round trip
    aspect = probe.pixel_aspect(video.stream)
    pictures = []
    for frame in key_frames.near(video, [place for place, _, _ in wanted]) if wanted else ():
        pictures.append((frame.time or 0.0, poster.upright(frame, aspect, turned, hdr, storyboard.TILE_EDGE)))
        if video.reader.overdue:
            break
    return storyboard.make(pictures, duration)
