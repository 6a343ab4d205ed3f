"""A file opened by FFmpeg, which is shown what was looked at before and nothing else, and its pictures checked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from video_intake.media import fragments, verdicts
from video_intake.media.boxes import free
from video_intake.media.fragments import Fragment
from video_intake.media.isobmff import Layout
from video_intake.media.range_reader import RangeReader
from video_intake.media.virtual_file import BUFFER, VirtualFile

# Everything is asked of the index; FFmpeg must not read and decode frames in order to guess.
# Opening a file of 1 GB takes 7 ms so, and 78 ms without.
OPTIONS: Final = {
    "fpsprobesize": "0",
    "max_ts_probe": "0",
    "probesize": "32",
    "skip_frame": "all",
    "protocol_whitelist": "none",  # whatever a file refers to: FFmpeg is left no way to open it
}
COVER: Final = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(frozen=True)
class Opened:
    """A container, ready to decode key frames of `stream`, one of its `tracks` of moving pictures."""

    container: InputContainer
    stream: VideoStream
    tracks: int
    reader: RangeReader
    file: VirtualFile


@contextmanager
def opened(
    reader: RangeReader, demuxer: str, layout: Layout | None, chosen: Sequence[Fragment], max_pixels: int
) -> Iterator[Opened]:
    """Opens the file by the named `demuxer`: a playlist or another container must never choose its own and open URLs.

    Raises Rejected: audio-only, no-frames, truncated, unsupported-codec, too-large-to-decode, and undecodable for
    whatever FFmpeg says meanwhile; what reading raises comes out as it is.
    """
    file = shown(reader, layout, chosen)
    options = OPTIONS | {"max_pixels": str(max_pixels)}
    if layout and layout.endless_edits():
        options["advanced_editlist"] = "0"
    try:
        file.opening = bool(layout and layout.described())
        with av.open(file, "r", format=demuxer, options=options, buffer_size=BUFFER) as container:
            file.opening = False
            stream, tracks = _pictures(container, layout)
            _check_whole(container, reader)
            _check_size(stream, layout, max_pixels)
            _prepare(container, stream, max_pixels)
            yield Opened(container, stream, tracks, reader, file)
    except MemoryError:
        raise
    except (av.FFmpegError, UnicodeError, OverflowError) as error:
        if file.failure:  # FFmpeg was only told of an error while reading
            raise file.failure from None
        raise verdicts.undecodable(str(error)) from error
    finally:
        file.failure = None  # its traceback leads back here, and would hold what was read


def shown(reader: RangeReader, layout: Layout | None, chosen: Sequence[Fragment]) -> VirtualFile:
    """All of an AVI file; of another `ftyp` and `moov`, so that FFmpeg parses exactly what was scanned.

    Everything else is taken for free space at unchanged offsets, apart from the chosen fragments. Samples are found
    by their offsets all the same.
    """
    file = VirtualFile(reader)
    if layout is None:
        return file
    for box in layout.before:
        file.overlays[box.start + 4] = b"free"
    for start, end in layout.holes:
        file.hide(start, end, free(end - start))
    if chosen:
        fragments.show_only(file, layout, chosen)
        return file
    at = layout.moov.end
    rest = reader.size - at
    if rest >= 8:  # a size of 0 says the same, to the end of the file, but FFmpeg then looks at what is there
        file.hide(at, at + 8, free(rest if rest < 1 << 32 else 0))
    return file


def _pictures(container: InputContainer, layout: Layout | None) -> tuple[VideoStream, int]:
    tracks = [stream for stream in container.streams.video if not stream.disposition & COVER]
    if not tracks:
        raise verdicts.audio_only() if container.streams.audio else verdicts.no_frames()
    stream = next((track for track in tracks if track.disposition & Disposition.default), tracks[0])
    if stream.codec_context is None:
        raise verdicts.unsupported_codec(_codec_name(layout))
    return stream, len(tracks)


def _check_whole(container: InputContainer, reader: RangeReader) -> None:
    """A file cut off may open and play perfectly for a while: the index says where the last sample ends."""
    for stream in container.streams:
        entries = stream.index_entries
        end = entries[-1].pos + entries[-1].size if len(entries) else 0
        if end > reader.size:
            raise verdicts.truncated(reader.size, track=stream.index, lastSampleEnd=end)


def _check_size(stream: VideoStream, layout: Layout | None, max_pixels: int) -> None:
    """Both what FFmpeg understood and what the file claims: FFmpeg forgets sizes it finds absurd."""
    context = stream.codec_context
    claims = [(track.width, track.height) for track in layout.tracks] if layout else []
    for width, height in [(context.width, context.height), *claims]:
        if width * height > max_pixels:
            limit = f"a frame of at most {max_pixels:,} pixels"
            raise verdicts.too_large_to_decode(limit, width=width, height=height)


def _prepare(container: InputContainer, stream: VideoStream, max_pixels: int) -> None:
    """Sets `stream` alone to be read and its decoder to decode key frames alone; once for a container.

    The pictures themselves say how large they are, whatever the container says: the decoder refuses those of
    more than `max_pixels` before it takes memory for them. Raises FFmpegError where the decoder cannot begin.
    """
    for other in container.streams:
        other.discard = Discard.default if other is stream else Discard.all  # sound is never read
    stream.codec_context.thread_count = 1  # one picture is one thread's work; a second only costs memory
    stream.codec_context.skip_frame = "NONKEY"
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    stream.codec_context.open()


def _codec_name(layout: Layout | None) -> str:
    codecs = [code for track in layout.tracks if track.handler == b"vide" for code in track.codecs] if layout else []
    return codecs[0].decode("latin-1").strip() if codecs else "an unknown codec"
