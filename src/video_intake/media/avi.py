"""AVI files: selects the index for FFmpeg, and derives duration and frames from its chunks."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Final

import av
from av.stream import Stream as Track

from video_intake.media import avi_index, notes, riff, signatures, verdicts
from video_intake.media.avi_index import Media
from video_intake.media.avi_streams import Stream
from video_intake.media.container import Opened, opened
from video_intake.media.extent import APART, Extent, differ
from video_intake.media.range_reader import RangeReader
from video_intake.media.riff import Avi
from video_intake.media.timeline import standard
from video_intake.media.virtual_file import VirtualFile

MICROSECONDS: Final = 1_000_000
PLAUSIBLE: Final = (1_000, 10 * MICROSECONDS)  # for a frame: other values are meaningless


def scan(reader: RangeReader, max_pixels: int) -> Avi:
    """Reads the headers. Raises Rejected: truncated, too-large-to-decode."""
    avi = riff.scan(reader)
    for stream in avi.streams:
        if stream.width * stream.height > max_pixels:
            limit = f"a frame of at most {max_pixels:,} pixels"
            raise verdicts.too_large_to_decode(limit, width=stream.width, height=stream.height)
    return avi


@contextmanager
def video(reader: RangeReader, avi: Avi, max_pixels: int) -> Iterator[tuple[Opened, bool]]:
    """Opens the file with its own index or one built from its chunks; also returns whether it has an index at all.

    Raises as `opened`, and Rejected("truncated") if its media data were cut off.
    """
    media = avi_index.scan(reader, avi)
    if media and media.cut and not avi.index:
        raise verdicts.truncated(reader.size, box=media.cut.kind.decode(), boxEnd=media.cut.end)
    if found := avi_index.unwritten(reader, avi, media):
        raise verdicts.unwritten(*found)
    file = avi_index.rebuilt(reader, avi, media) if avi.irregular or avi.index else None
    if file is None:
        proven = media is not None or avi.movi.size not in riff.UNKNOWN
        reader.load(avi_index.beginning(reader, avi))
        with _opened(VirtualFile(reader), reader, avi, max_pixels, proven) as plain:
            riff.check_end(reader, avi)
            right = _is_right(plain, avi, media)
            file = None if right else _mended(reader, avi, media)
            if file is None:
                yield plain, right
                return
    with _opened(file, reader, avi, max_pixels, True) as mended:
        yield mended, True


def _opened(
    file: VirtualFile, reader: RangeReader, avi: Avi, max_pixels: int, proven: bool
) -> AbstractContextManager[Opened]:
    return opened(file, reader, signatures.AVI, None, max_pixels, proven=proven, codec=avi.codec)


def _is_right(plain: Opened, avi: Avi, media: Media | None) -> bool:
    """Whether FFmpeg found an index, and it matches the chunks.

    Without an index, FFmpeg creates entries for the few chunks that it reads.
    """
    entries, number = plain.stream.index_entries, plain.stream.index
    if media is None:
        length = avi.streams[number].length if number < len(avi.streams) else 0
        steps = entries[-1].timestamp + 1 if len(entries) > 1 else 0
        return len(entries) > 1 and (not length or abs(steps - length) <= APART * length)
    chunks = [chunk for chunk in media.of(number) if chunk.size]  # an empty one repeats the previous picture
    if len(entries) != len(chunks) or not chunks:
        return False
    return all(entries[at].pos == chunks[at].start for at in (0, len(chunks) // 2, -1))


def _mended(reader: RangeReader, avi: Avi, media: Media | None) -> VirtualFile | None:
    if media is None and not avi.index:
        avi = replace(avi, index=riff.index_at_end(reader, avi.movi))
    return avi_index.rebuilt(reader, avi, media)


def extent(opened: Opened, avi: Avi, indexed: bool) -> tuple[Opened, Extent]:
    """The extent of the video, and the file with times that fit the frame rate.

    `indexed`: whether its index is reliable.
    """
    stream = avi.streams[opened.stream.index] if opened.stream.index < len(avi.streams) else None
    entries = opened.stream.index_entries
    frames = len(entries) if indexed else opened.stream.frames
    if not stream or not frames:
        return opened, Extent(None, frames or None)
    steps = max(entries[-1].timestamp + 1, frames) if indexed else frames  # some repeat the previous picture
    if frames < steps < stream.length <= steps * (1 + APART):  # repeats at the end
        steps = stream.length
    tracks = [track for track in opened.container.streams.audio if track.index < len(avi.streams)]
    sound = max((_seconds(track, avi.streams[track.index]) for track in tracks), default=0.0)
    mean, warnings = _rate(stream, avi, steps, sound)
    if mean is None:
        return opened, Extent(None, frames)
    base = opened.stream.time_base
    timed = replace(opened, pace=float(1 / (mean * base))) if base else opened
    seconds = float(steps / mean)
    if not indexed:
        warnings.append(notes.no_index())
    for claim, where in ((stream.length, "header"), (0 if len(stream.parts) > 1 else avi.frames, "main header")):
        if indexed and claim and differ(claim / float(mean), seconds):
            warnings.append(notes.durations_differ(claim / float(mean), seconds, where))
    size = sum(abs(entries[number].size) for number in range(len(entries))) if indexed else None
    longest, stated = max(seconds, sound), (opened.container.duration or 0) / av.time_base
    rate = mean * frames / steps if steps > frames * (1 + APART) else mean
    return timed, Extent(longest if differ(stated, longest) else stated, frames, rate, size, seconds, warnings=warnings)


def _rate(stream: Stream, avi: Avi, steps: int, sound: float) -> tuple[Fraction | None, list[str]]:
    """Frames per second, and a warning if the file states two rates.

    The stream's rate is used unless it is absurd, or main header and audio agree on another.
    """
    of_stream = Fraction(stream.rate, stream.scale) if stream.rate and stream.scale else None
    if not PLAUSIBLE[0] < avi.frame_microseconds < PLAUSIBLE[1]:
        return of_stream, []
    of_file = standard(Fraction(MICROSECONDS, avi.frame_microseconds), 1, MICROSECONDS).limit_denominator(1001)
    if of_stream is None:
        return of_file, []
    if abs(of_stream / of_file - 1) <= APART:
        return of_stream, []
    absurd = not PLAUSIBLE[0] < MICROSECONDS / of_stream < PLAUSIBLE[1]
    fits = sound and differ(steps / float(of_stream), sound) and not differ(steps / float(of_file), sound)
    return of_file if absurd or fits else of_stream, [notes.rates_differ(float(of_stream), float(of_file))]


def _seconds(track: Track, stream: Stream) -> float:
    """The duration of an audio track if its index and header agree; otherwise 0.

    If all samples have the same size (PCM), FFmpeg knows no duration, and its index counts bytes.
    """
    entries = track.index_entries
    if len(entries) < 2 or not stream.rate:
        return 0.0
    indexed = (2 * entries[-1].timestamp - entries[-2].timestamp) / (stream.sample_bytes or 1)
    found, stated = (samples * stream.scale / stream.rate for samples in (indexed, stream.length))
    return 0.0 if differ(found, stated) else found
