"""What a file is and what it looks like: technical facts and a poster, or the reason why there is none."""

import gc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import av
from av.audio.stream import AudioStream

import facts
import fragments
import isobmff
import key_frames
import memory
import poster
import riff
import signatures
import storyboard
from fragments import Fragment
from opening import Opened, opened
from range_reader import RangeReader
from storyboard import Storyboard
from verdicts import Rejected

STORYBOARD_AT: Final = tuple((number + 0.5) / storyboard.FRAMES for number in range(storyboard.FRAMES))
POSTER_AT: Final = (0.10, 0.25, 0.40, 0.02)  # of the duration; the next is tried where a frame is blank
MAX_MEMORY: Final = 580 << 20  # of data; with libraries and the next read less than 700 of 1,024. 8K takes 330


@dataclass(frozen=True)
class Limits:
    """What one inspection may take."""

    max_pixels: int = 8192 * 4352  # of a frame: 8K, in both film and television sizes
    max_bytes: int = 256 << 20  # read of one file: its index (96 MB at most) and a few key frames
    poster_edge: int = 1280  # pixels
    storyboard: bool = False  # whether to make one


@dataclass(frozen=True)
class Inspection:
    """All that was found out about a playable video."""

    container: facts.Container
    video: facts.Video
    audio: tuple[facts.Audio, ...]
    poster: poster.Poster | None
    storyboard: Storyboard | None = None
    warnings: tuple[str, ...] = ()


def inspect(reader: RangeReader, limits: Limits) -> Inspection:
    """Inspects the file behind `reader`.

    Raises Rejected where it is no playable video, and whatever reading raises.
    """
    try:
        with memory.ceiling(MAX_MEMORY):
            return _inspect(reader, limits)
    except MemoryError:
        pass  # and let go of the error, whose traceback holds what took the memory
    finally:
        reader.forget()
        gc.collect()  # filter graphs refer to themselves (see filters.py), and stay until somebody looks
    raise Rejected("too-large-to-decode", limit=f"{MAX_MEMORY >> 20} MB of memory")


def _inspect(reader: RangeReader, limits: Limits) -> Inspection:
    if reader.size == 0:
        raise Rejected("empty")
    reader.load_ends()
    head = reader.peek(0, 4096)
    demuxer = signatures.container(head)
    if demuxer is None:
        raise Rejected("not-a-video", found=signatures.describe(head), firstBytes=head[:16].hex(" "))
    layout, first, starts, early = None, None, [], None
    if demuxer == signatures.AVI:
        riff.check(reader)
    else:
        layout = isobmff.scan(reader)
        if fourcc := layout.encrypted():
            raise Rejected("encrypted", codec=fourcc.decode("latin-1"))
        first = fragments.first(reader, layout) if layout.fragmented else None
    if layout and first:
        starts = fragments.indexed(reader, layout, first)
        if not starts and fragments.estimate(reader, first) <= fragments.WALKED:
            starts, early = _walk(reader, layout, first, limits)
    # Of fragments the other places are read only where the first one is blank or damaged
    for places in (POSTER_AT[:1], POSTER_AT) if first else (POSTER_AT,):
        chosen = []
        if layout and first:
            wanted = places + STORYBOARD_AT if limits.storyboard else places
            chosen = fragments.choose(reader, layout, first, starts, wanted)
        with opened(reader, demuxer, layout, chosen, limits.max_pixels) as video:
            try:
                frame = early or _best_frame(video, places)
            except Rejected:
                if places is POSTER_AT:
                    raise
                continue
            if places is POSTER_AT or not poster.blank(frame):
                return _look(video, layout, frame, limits)
    raise AssertionError("not reached: with all places the loop returns")


def _walk(
    reader: RangeReader, layout: isobmff.Layout, first: Fragment, limits: Limits
) -> tuple[list[int], av.VideoFrame | None]:
    """Where the few fragments begin, and a frame for the poster: of the first one, while the others are looked for."""
    with ThreadPoolExecutor(1) as pool:
        with memory.lifted():  # while the thread is started
            walk = pool.submit(fragments.walk, reader, first)
        frame = _early_frame(reader, layout, first, limits)
    # Decoding may have left too little memory for it, or taken the blame for it: alone it fails for reasons of its own.
    return fragments.walk(reader, first) if walk.exception() else walk.result(), frame


def _early_frame(reader: RangeReader, layout: isobmff.Layout, first: Fragment, limits: Limits) -> av.VideoFrame | None:
    place = POSTER_AT[0] * fragments.estimate(reader, first)
    if place > 1 or first[1].end > reader.size:
        return None
    try:
        with opened(reader, signatures.ISOBMFF, layout, [first], limits.max_pixels) as video:
            frame = next(key_frames.near(video, [place]))
    except Rejected:
        return None  # if it is the file's fault, all of it will show that
    return None if poster.blank(frame) else frame


def _look(video: Opened, layout: isobmff.Layout | None, frame: av.VideoFrame, limits: Limits) -> Inspection:
    container, stream = video.container, video.stream
    turn = poster.orientation(stream.codec_context.coded_side_data.get("display_matrix"))
    seen = facts.of_video(stream, frame, turn, bool(layout and layout.fragmented))
    picture, warnings = None, []
    try:
        picture = poster.make(frame, facts.pixel_aspect(stream), turn, seen.hdr, limits.poster_edge)
    except (av.FFmpegError, ValueError) as error:
        warnings.append(f"No poster could be made: {error}")
    whole = facts.of_container(container, video.reader.size, layout, video.tracks)
    sheet = None
    if limits.storyboard:
        try:
            sheet = _storyboard(video, turn, seen.hdr, whole.duration or 0)
        except (av.FFmpegError, ValueError, Rejected) as error:
            warnings.append(f"No storyboard could be made: {error}")
    return Inspection(
        container=whole,
        video=seen,
        audio=tuple(facts.of_audio(track) for track in container.streams.audio if isinstance(track, AudioStream)),
        poster=picture,
        storyboard=sheet,
        warnings=tuple(warnings),
    )


def _best_frame(video: Opened, places: Sequence[float]) -> av.VideoFrame:
    """The first frame near `places` with something to see, or the first of all where there is none."""
    best = None
    for frame in key_frames.near(video, places):
        if not poster.blank(frame):
            return frame
        best = best or frame
    assert best is not None  # near() yields a frame or raises
    return best


def _storyboard(video: Opened, turn: poster.Orientation, hdr: str | None, duration: float) -> Storyboard | None:
    wanted = key_frames.ranges(video, STORYBOARD_AT)
    while sum(end - start for _, start, end in wanted) > storyboard.MAX_BYTES:
        wanted = wanted[::2] if len(wanted) > 1 else []
    video.reader.load((start, end) for _, start, end in wanted)  # all at once: one wait
    aspect = facts.pixel_aspect(video.stream)
    pictures = []
    for frame in key_frames.near(video, [place for place, _, _ in wanted]) if wanted else ():
        pictures.append((frame.time or 0.0, poster.upright(frame, aspect, turn, hdr, storyboard.TILE_EDGE)))
        if video.reader.overdue:
            break
    return storyboard.make(pictures, duration)
