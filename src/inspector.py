"""What a file is and what it looks like: technical facts and a poster, or the reason why there is none."""

from dataclasses import dataclass
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

import facts
import fragments
import isobmff
import key_frames
import memory
import poster
import riff
import signatures
import storyboard
from range_reader import RangeReader
from storyboard import Storyboard
from verdicts import Rejected

# Everything is asked of the index; FFmpeg must not read and decode frames in order to guess.
# Opening a file of 1 GB takes 7 ms so, and 78 ms without.
OPTIONS: Final = {
    "fpsprobesize": "0",
    "max_ts_probe": "0",
    "probesize": "32",
    "skip_frame": "all",
    "protocol_whitelist": "none",  # whatever a file refers to: FFmpeg is left no way to open it
}
STORYBOARD_AT: Final = tuple((number + 0.5) / storyboard.FRAMES for number in range(storyboard.FRAMES))
POSTER_AT: Final = (0.10, 0.25, 0.40, 0.02)  # of the duration; the next is tried where a frame is blank
MAX_MEMORY: Final = 580 << 20  # of data; with libraries and the next read less than 700 of 1,024. 8K takes 330
COVER: Final = Disposition.attached_pic | Disposition.timed_thumbnails


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
    raise Rejected("too-large-to-decode", limit=f"{MAX_MEMORY >> 20} MB of memory")


def _inspect(reader: RangeReader, limits: Limits) -> Inspection:
    if reader.size == 0:
        raise Rejected("empty")
    reader.load_ends()
    head = reader.peek(0, 4096)
    demuxer = signatures.container(head)
    if demuxer is None:
        raise Rejected("not-a-video", found=signatures.describe(head), firstBytes=head[:16].hex(" "))
    layout = None
    if demuxer == signatures.AVI:
        riff.check(reader)
    else:
        layout = isobmff.scan(reader)
        if fourcc := layout.encrypted():
            raise Rejected("encrypted", codec=fourcc.decode("latin-1"))
        places = POSTER_AT + STORYBOARD_AT if limits.storyboard else POSTER_AT
        chosen = fragments.choose(reader, layout, places) if layout.fragmented else []
        isobmff.show_only_index(reader, layout)
        if chosen:
            fragments.show_only(reader, layout, chosen)
        else:
            isobmff.hide_rest(reader, layout)
    options = OPTIONS | {"max_pixels": str(limits.max_pixels)}
    if layout and layout.endless_edits():
        options["advanced_editlist"] = "0"
    try:
        # The demuxer is named: a playlist or another container must never choose its own and open URLs.
        reader.opening = bool(layout and layout.described())
        with av.open(reader, "r", format=demuxer, options=options) as container:
            reader.opening = False
            return _opened(container, reader, layout, limits)
    except MemoryError:
        raise
    except (av.FFmpegError, UnicodeError, OverflowError) as error:
        if reader.failure:  # FFmpeg was only told of an error while reading
            raise reader.failure from None
        raise Rejected("undecodable", detail=str(error)) from error


def _opened(
    container: InputContainer, reader: RangeReader, layout: isobmff.Layout | None, limits: Limits
) -> Inspection:
    tracks = [stream for stream in container.streams.video if not stream.disposition & COVER]
    if not tracks:
        raise Rejected("audio-only") if container.streams.audio else Rejected("no-frames")
    stream = next((track for track in tracks if track.disposition & Disposition.default), tracks[0])
    if stream.codec_context is None:
        raise Rejected("unsupported-codec", codec=_codec_name(layout))
    _check_whole(container, reader)
    _check_size(stream, layout, limits)
    turn = poster.orientation(stream.codec_context.coded_side_data.get("display_matrix"))
    key_frames.prepare(container, stream, limits.max_pixels)
    frame = _best_frame(container, stream, reader)
    video = facts.of_video(stream, frame, turn, bool(layout and layout.fragmented))
    picture, warnings = None, []
    try:
        picture = poster.make(frame, facts.pixel_aspect(stream), turn, video.hdr, limits.poster_edge)
    except (av.FFmpegError, ValueError) as error:
        warnings.append(f"No poster could be made: {error}")
    whole = facts.of_container(container, reader.size, layout, len(tracks))
    sheet = None
    if limits.storyboard:
        try:
            sheet = _storyboard(container, stream, reader, turn, video.hdr, whole.duration or 0)
        except (av.FFmpegError, ValueError, Rejected) as error:
            warnings.append(f"No storyboard could be made: {error}")
    return Inspection(
        container=whole,
        video=video,
        audio=tuple(facts.of_audio(track) for track in container.streams.audio if isinstance(track, AudioStream)),
        poster=picture,
        storyboard=sheet,
        warnings=tuple(warnings),
    )


def _best_frame(container: InputContainer, stream: VideoStream, reader: RangeReader) -> av.VideoFrame:
    """The first frame with something to see, or the first of all where there is none."""
    best = None
    for frame in key_frames.near(container, stream, POSTER_AT, reader):
        if not poster.blank(frame):
            return frame
        best = best or frame
    assert best is not None  # near() yields a frame or raises
    return best


def _storyboard(
    container: InputContainer,
    stream: VideoStream,
    reader: RangeReader,
    turn: poster.Orientation,
    hdr: str | None,
    duration: float,
) -> Storyboard | None:
    wanted = key_frames.ranges(stream, STORYBOARD_AT, reader)
    while sum(end - start for _, start, end in wanted) > storyboard.MAX_BYTES:
        wanted = wanted[::2] if len(wanted) > 1 else []
    reader.load((start, end) for _, start, end in wanted)  # all at once: one wait
    aspect = facts.pixel_aspect(stream)
    pictures = []
    for frame in key_frames.near(container, stream, [place for place, _, _ in wanted], reader) if wanted else ():
        pictures.append((frame.time or 0.0, poster.upright(frame, aspect, turn, hdr, storyboard.TILE_EDGE)))
        if reader.overdue:
            break
    return storyboard.make(pictures, duration)


def _check_whole(container: InputContainer, reader: RangeReader) -> None:
    """A file cut off may open and play perfectly for a while: the index says where the last sample ends."""
    for stream in container.streams:
        entries = stream.index_entries
        end = entries[-1].pos + entries[-1].size if len(entries) else 0
        if end > reader.size:
            raise Rejected("truncated", track=stream.index, lastSampleEnd=end, fileEnd=reader.size)


def _check_size(stream: VideoStream, layout: isobmff.Layout | None, limits: Limits) -> None:
    """Both what FFmpeg understood and what the file claims: FFmpeg forgets sizes it finds absurd."""
    context = stream.codec_context
    claims = [(track.width, track.height) for track in layout.tracks] if layout else []
    for width, height in [(context.width, context.height), *claims]:
        if width * height > limits.max_pixels:
            limit = f"a frame of at most {limits.max_pixels:,} pixels"
            raise Rejected("too-large-to-decode", limit=limit, width=width, height=height)


def _codec_name(layout: isobmff.Layout | None) -> str:
    codecs = [code for track in layout.tracks if track.handler == b"vide" for code in track.codecs] if layout else []
    return codecs[0].decode("latin-1").strip() if codecs else "an unknown codec"
