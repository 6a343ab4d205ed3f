"""Opens a file with FFmpeg, showing it only what was scanned before, and checks the pictures' sizes."""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from video_intake.media import unwritten, verdicts
from video_intake.media.boxes import free
from video_intake.media.isobmff import Layout
from video_intake.media.movie import Movie
from video_intake.media.range_reader import RangeReader
from video_intake.media.virtual_file import BUFFER, VirtualFile

# Everything comes from the index; FFmpeg must not read and decode frames to guess. This way, opening a 1 GB file takes
# 7 ms instead of 78.
OPTIONS: Final = {
    "fpsprobesize": "0",
    "max_ts_probe": "0",
    "probesize": "32",
    "skip_frame": "all",
    "protocol_whitelist": "none",  # FFmpeg cannot open anything that a file refers to
}
CHUNK_HEADER: Final = 8  # in AVI: index entries point to its start, packets to its end
COLORS: Final = ("color_range", "color_primaries", "color_trc", "colorspace")


@dataclass(frozen=True)
class Opened:
    """A container, ready to decode key frames of `stream`, one of its `tracks` of moving pictures."""

    container: InputContainer
    stream: VideoStream
    tracks: int
    reader: RangeReader
    file: VirtualFile
    colors: dict[str, int]  # that the container states: opening and using the decoder replaces the context's
    offset: float = 0.0  # seconds, added to FFmpeg's times
    pace: float = 1.0  # factor that FFmpeg's times are multiplied by first

    @property
    def by_packets(self) -> bool:
        """Whether only packets have a time, as in AVI."""
        return self.container.format.name == "avi"

    def stamp(self, packet: "Packet[VideoStream]") -> int | None:
        """When a packet is shown, in the stream's units; in AVI, which does not state that, when it is decoded.

        There, FFmpeg's guess is wrong if frames repeat the previous picture.
        """
        if not self.by_packets:
            return packet.pts
        entries = self.stream.index_entries
        at = (packet.pos or 0) - CHUNK_HEADER
        number = bisect_left(range(len(entries)), at, key=lambda each: entries[each].pos)
        return entries[number].timestamp if number < len(entries) and entries[number].pos == at else packet.dts

    def in_file(self, position: int) -> int:
        """The offset in the file of FFmpeg's `position`."""
        return position - self.file.shift

    def check(self) -> None:
        """Raises the exception from reading, of which FFmpeg only reports an error."""
        if self.file.failure:
            raise self.file.failure


@contextmanager
def opened(
    file: VirtualFile,
    reader: RangeReader,
    demuxer: str,
    movie: Movie | None,
    max_pixels: int,
    *,
    offset: float = 0.0,
    proven: bool = False,
    codec: str = "",
) -> Iterator[Opened]:
    """Opens the file with the given `demuxer`, so that FFmpeg never chooses another one, such as a playlist's.

    `proven`: the file is known to be complete, so its index need not be checked. `codec`: the codec, if not in `movie`.
    Raises Rejected: audio-only, no-frames, truncated, unsupported-codec, too-large-to-decode, and undecodable for any
    error of FFmpeg; and whatever reading raises.
    """
    options = OPTIONS | {"max_pixels": str(max_pixels)}
    if movie and (movie.endless_edits() or movie.shows_no_frame()):
        options["advanced_editlist"] = "0"
    try:
        file.opening = bool(movie and movie.described())
        with av.open(file, "r", format=demuxer, options=options, buffer_size=BUFFER) as container:
            file.opening = False
            stream, tracks = _pictures(container, movie, codec)
            if not proven:
                _check_whole(container, reader, movie)
            _check_size(stream, movie, max_pixels)
            if movie:
                unwritten.check(reader, [each for each in container.streams if each.id not in movie.elsewhere()])
            colors = {name: int(getattr(stream.codec_context, name)) for name in COLORS}
            _prepare(container, stream, max_pixels)
            yield Opened(container, stream, tracks, reader, file, colors, offset)
    except MemoryError:
        raise
    except (av.FFmpegError, UnicodeError, OverflowError) as error:
        if file.failure:  # the cause of FFmpeg's error
            raise file.failure from None
        raise verdicts.undecodable(str(error)) from error
    finally:
        file.failure = None  # its traceback refers to this frame, and would keep the data in memory


def indexed(reader: RangeReader, layout: Layout) -> VirtualFile:
    """A file with `ftyp` and `moov`, so that FFmpeg parses exactly what was scanned.

    Everything else appears as free space at unchanged offsets, where FFmpeg still finds the samples.
    """
    file = VirtualFile(reader)
    _free(file, _after_brand(file, layout), layout.moov.start)
    for start, end in layout.holes:
        file.hide(start, end, free(end - start))
    _free(file, layout.moov.end, reader.size)
    return file


def spliced(reader: RangeReader, layout: Layout, index: bytes) -> VirtualFile:
    """A file with `ftyp` and, at its end, a generated index."""
    file = VirtualFile(reader, back=index)
    _free(file, _after_brand(file, layout), reader.size)
    return file


def _after_brand(file: VirtualFile, layout: Layout) -> int:
    """The end of `ftyp`, before which FFmpeg sees the file."""
    if layout.ftyp is None or layout.ftyp.end > layout.moov.start:
        return 0
    _free(file, 0, layout.ftyp.start)
    return layout.ftyp.end


def _free(file: VirtualFile, start: int, end: int) -> None:
    """Makes FFmpeg skip this part."""
    if end - start >= 8:
        header = free(end - start)
        file.hide(start, start + len(header), header)


def _pictures(container: InputContainer, movie: Movie | None, codec: str) -> tuple[VideoStream, int]:
    tracks = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not tracks:
        if container.streams.audio:
            raise verdicts.audio_only()
        kinds = [track.handler.decode("latin-1").strip() for track in movie.tracks] if movie else []
        raise verdicts.no_video_track(", ".join(kinds))
    stream = next((track for track in tracks if track.disposition & Disposition.default), tracks[0])
    if stream.codec_context is None:
        raise verdicts.unsupported_codec(_codec_name(movie) or codec or "an unknown format")
    return stream, len(tracks)


def _check_whole(container: InputContainer, reader: RangeReader, movie: Movie | None) -> None:
    """Raises Rejected if the last sample ends after the file: a truncated file may open and play for a while."""
    elsewhere = movie.elsewhere() if movie else frozenset()
    for stream in container.streams:
        entries = stream.index_entries
        end = entries[-1].pos + entries[-1].size if len(entries) else 0
        if end > reader.size and stream.id not in elsewhere:
            raise verdicts.truncated(reader.size, track=stream.id if movie else stream.index, lastSampleEnd=end)
    for track in movie.tracks if movie else ():
        if track.last_chunk >= reader.size and not track.external and track.samples:
            raise verdicts.truncated(reader.size, track=track.id, lastSampleEnd=track.last_chunk)


def _check_size(stream: VideoStream, movie: Movie | None, max_pixels: int) -> None:
    """Checks FFmpeg's size and the file's claims, because FFmpeg drops sizes that it finds absurd."""
    context = stream.codec_context
    claims = [(track.width, track.height) for track in movie.tracks] if movie else []
    for width, height in [(context.width, context.height), *claims]:
        if width * height > max_pixels:
            limit = f"a frame of at most {max_pixels:,} pixels"
            raise verdicts.too_large_to_decode(limit, width=width, height=height)


def _prepare(container: InputContainer, stream: VideoStream, max_pixels: int) -> None:
    """Reads only `stream`, and decodes only its key frames; called once per container.

    Pictures state their own size: the decoder refuses those of more than `max_pixels` before it allocates memory.
    Raises FFmpegError if the decoder cannot be opened.
    """
    for other in container.streams:
        other.discard = Discard.default if other is stream else Discard.all  # audio is never read
    stream.codec_context.thread_count = 1  # more threads only cost memory
    stream.codec_context.skip_frame = "NONKEY"
    stream.codec_context.flags |= Flags.unaligned  # or it would show what the bit stream crops on the left
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    stream.codec_context.open()


def _codec_name(movie: Movie | None) -> str:
    codecs = [code for track in movie.tracks if track.handler == b"vide" for code in track.codecs] if movie else []
    return codecs[0].decode("latin-1").strip() if codecs else ""
