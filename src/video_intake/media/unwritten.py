"""Detects zeros instead of video or audio: space was reserved for a download or a copy, but not all of it was filled.

Such a file has its full size and may have a complete index. Only fetched bytes are examined.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from av.stream import Stream

from video_intake.media import verdicts
from video_intake.media.moof import Run
from video_intake.media.range_reader import Range, RangeReader

SECTOR: Final = 512  # bytes: file systems leave nothing smaller unwritten
LEAST: Final = 8  # bytes: a smaller sample could be zeros
MOST: Final = 100  # runs of zeros, the longest first, and last samples that are examined
ZEROS: Final = bytes(SECTOR)
NOT_ZERO: Final = re.compile(rb"[^\0]")
# Codecs whose samples begin with a size, a start code or a marker, so they are never all zeros (silence in PCM is)
PICTURES: Final = "h264 hevc vvc av1 vp8 vp9 mpeg1video mpeg2video mpeg4 h263 mjpeg prores dnxhd dvvideo png cfhd"
MARKED: Final = frozenset([*PICTURES.split(), "jpeg2000", "aac", "mp2", "mp3", "ac3", "eac3", "flac"])
# The same in MP4
CODES: Final = frozenset(b"avc1 avc3 hvc1 hev1 dvh1 dvhe av01 vp09 mp4v mp4a ac-3 ec-3 fLaC".split())
BEFORE: Final = frozenset({b"styp", b"sidx", b"prft", b"emsg"})  # boxes that precede another fragment
END: Final = 8  # bytes at the end of a sample


def check(reader: RangeReader, streams: Iterable[Stream]) -> None:
    """Raises Rejected("truncated") if the last sample of one of the streams, except for tiny ones, has only zeros.

    It is fetched only if the file ends in zeros.
    """
    suspicious = not any(reader.fetched_end()[-SECTOR:])
    for stream in streams:
        entries = stream.index_entries
        last_ones = (entries[number] for number in range(len(entries) - 1, max(len(entries) - MOST, 0) - 1, -1))
        last = next((entry for entry in last_ones if entry.size >= LEAST), None)
        if last and _is_marked(stream) and (suspicious or stream.type == "video"):  # audio may end in a blank frame
            content = reader.cached(last.pos, last.size) or (suspicious and reader.peek(last.pos, LEAST))
            if content and _is_blank(content):
                raise verdicts.unwritten(last.pos, last.pos + last.size)


def hole(reader: RangeReader, streams: Iterable[Stream]) -> Range | None:
    """A fetched range of zeros that covers a whole sample of the streams; None if there is none."""
    runs = sorted(_zeros(reader), key=lambda run: run[0] - run[1])[:MOST]
    marked = [stream for stream in streams if _is_marked(stream)] if runs else []
    return next((run for run in runs if any(_holds_a_sample(reader, stream, run) for stream in marked)), None)


def _is_marked(stream: Stream) -> bool:
    """Whether its samples are never all zeros."""
    return stream.codec_context is not None and stream.codec_context.codec.canonical_name in MARKED


def _is_blank(sample: bytes | memoryview) -> bool:
    """Whether a sample of such a codec was never written."""
    return len(sample) >= LEAST and not any(sample[:LEAST]) and not NOT_ZERO.search(sample)


def _zeros(reader: RangeReader) -> Iterator[Range]:
    """The runs of zeros in each fetched range, in file order."""
    for start, chunk in reader.fetched:
        at = chunk.find(ZEROS)
        while at >= 0:
            reader.check_time()
            found = NOT_ZERO.search(chunk, at)
            end = found.start() if found else len(chunk)
            yield start + at, start + end
            at = chunk.find(ZEROS, end)


def at_end(reader: RangeReader, runs: Iterable[Run], ends: int, *, bare: bool) -> Range | None:
    """The zeros at the end of a fragmented video, if they begin in its last fragment or replace the next one.

    `runs` are the fragment's runs whose samples are never all zeros, `ends` is its end, and `bare` whether it has no
    media data. Zeros after a complete fragment may be space that a camera reserved.
    """
    if any(reader.peek(reader.size - END, END)):
        return None
    begin = reader.size - len(reader.fetched_end()) + len(reader.fetched_end().rstrip(b"\0"))
    following = reader.peek(ends, END)
    if any(following):
        return (begin, reader.size) if following[4:] in BEFORE else None
    if bare and following:
        return begin, reader.size
    for run in runs:
        last = reader.peek(run.end - run.sizes[-1], run.sizes[-1])
        if _is_blank(last) or (following and last and not any(last[-END:])):
            return begin, reader.size
    return None


def _holds_a_sample(reader: RangeReader, stream: Stream, run: Range) -> bool:
    reader.check_time()
    entries = stream.index_entries
    number = bisect_left(range(len(entries)), run[0], key=lambda each: entries[each].pos)
    return number < len(entries) and LEAST <= entries[number].size <= run[1] - entries[number].pos
