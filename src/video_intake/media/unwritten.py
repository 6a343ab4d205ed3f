"""Zeros where pictures or sound should be: the room of a download or a copy was reserved, and not all of it was filled.

Such a file has its full size, and an index that reaches its end. Only what was fetched is looked at.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from av.container import InputContainer
from av.stream import Stream

from video_intake.media import verdicts
from video_intake.media.moof import Run
from video_intake.media.range_reader import Range, RangeReader

SECTOR: Final = 512  # bytes: nothing smaller is left unwritten
LEAST: Final = 8  # bytes of a sample: one of fewer could be zeros
MOST: Final = 100  # runs of zeros that are looked at, the longest first; and the last samples
ZEROS: Final = bytes(SECTOR)
NOT_ZERO: Final = re.compile(rb"[^\0]")
# Codecs whose samples begin with a size, a start code or a mark: never are they all zeros, as silence is in PCM
PICTURES: Final = "h264 hevc vvc av1 vp8 vp9 mpeg1video mpeg2video mpeg4 h263 mjpeg prores dnxhd dvvideo png cfhd"
MARKED: Final = frozenset([*PICTURES.split(), "jpeg2000", "aac", "mp2", "mp3", "ac3", "eac3", "flac"])
CODES: Final = frozenset(b"avc1 avc3 hvc1 hev1 dvh1 dvhe av01 vp09 mp4v mp4a ac-3 ec-3 fLaC".split())  # of such, in MP4
BEFORE: Final = frozenset({b"styp", b"sidx", b"prft", b"emsg"})  # boxes that another fragment follows
END: Final = 8  # bytes, at the end of a sample


def check(reader: RangeReader, container: InputContainer) -> None:
    """Raises Rejected("truncated") where the last sample of a stream that is not tiny is nothing but zeros.

    That sample is fetched only where the file ends in zeros.
    """
    suspicious = not any(reader.fetched_end()[-SECTOR:])
    for stream in container.streams:
        entries = stream.index_entries
        last_ones = (entries[number] for number in range(len(entries) - 1, max(len(entries) - MOST, 0) - 1, -1))
        last = next((entry for entry in last_ones if entry.size >= LEAST), None)
        if last and _is_marked(stream) and (suspicious or stream.type == "video"):  # sound may end in a blank frame
            content = reader.cached(last.pos, last.size) or (suspicious and reader.peek(last.pos, LEAST))
            if content and _is_blank(content):
                raise verdicts.unwritten(last.pos, last.pos + last.size)


def hole(reader: RangeReader, container: InputContainer) -> Range | None:
    """Zeros that cover whole samples; None where nothing that was fetched has any."""
    runs = sorted(_zeros(reader), key=lambda run: run[0] - run[1])[:MOST]
    streams = [stream for stream in container.streams if _is_marked(stream)] if runs else []
    return next((run for run in runs if any(_holds_a_sample(reader, stream, run) for stream in streams)), None)


def _is_marked(stream: Stream) -> bool:
    """Whether its samples are never all zeros."""
    return stream.codec_context is not None and stream.codec_context.codec.canonical_name in MARKED


def _is_blank(sample: bytes | memoryview) -> bool:
    """Whether a sample of such a codec was never written."""
    return len(sample) >= LEAST and not any(sample[:LEAST]) and not NOT_ZERO.search(sample)


def _zeros(reader: RangeReader) -> Iterator[Range]:
    """The runs of zeros in what was fetched, in the order of the file; one begins anew where a range begins."""
    for start, chunk in reader.fetched:
        at = chunk.find(ZEROS)
        while at >= 0:
            reader.check_time()
            found = NOT_ZERO.search(chunk, at)
            end = found.start() if found else len(chunk)
            yield start + at, start + end
            at = chunk.find(ZEROS, end)


def at_end(reader: RangeReader, runs: Iterable[Run], ends: int, *, bare: bool) -> Range | None:
    """The zeros at the end of a film in fragments, if these continue its last fragment or are in it.

    `runs` are those of the fragment whose samples are never all zeros, `ends` is where it ends, and `bare` says
    whether it has no media data. Zeros that follow a whole fragment may be room that a camera reserved.
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
