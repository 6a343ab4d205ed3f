"""Reads the index of an MP4 or MOV file: the tracks in `moov`.

Box layouts: ISO/IEC 14496-12 (ISO base media file format) and Apple's QuickTime File Format.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from video_intake.media import track, verdicts
from video_intake.media.boxes import Box, boxes, unpack
from video_intake.media.track import Defaults, Track

MAX_SAMPLES: Final = 10_000_000  # FFmpeg keeps about 36 bytes for each: 360 MB; a day at 60 fps is 5 million
MAX_DEPTH: Final = 8  # moov/trak/mdia/minf/stbl/stsd is 6
MAX_BOXES: Final = 50_000  # in `moov`; a track has thirty. A million would take seconds

ENCRYPTED: Final = frozenset({b"encv", b"enca", b"enct", b"drmi", b"drms"})  # 14496-12 8.12, FairPlay
CONFIGURED: Final = frozenset({b"avc1", b"hvc1", b"hev1", b"dvh1", b"dvhe", b"av01", b"vp09"})  # avcC, hvcC, av1C, vpcC
CONTAINERS: Final = frozenset({b"trak", b"edts", b"mdia", b"minf", b"stbl", b"dinf", b"mvex"})


@dataclass(frozen=True)
class Movie:
    """An index, which may have been compressed in the file."""

    content: memoryview  # of `moov`
    boxes: tuple[Box, ...]  # in it, in order, each before those in it
    tracks: tuple[Track, ...]
    fragmented: bool
    duration: float | None  # seconds, as the header claims; in `mehd`, if at all, for fragmented files

    def encrypted(self) -> bytes | None:
        """The four-character code that marks the first video track as encrypted, even in part."""
        video = [each.codecs for each in self.tracks if each.handler == b"vide"]
        return next((codec for codec in video[0] if codec in ENCRYPTED), None) if video else None

    def described(self) -> bool:
        """Whether the index has the complete codec configuration of the video."""
        codecs = [code for each in self.tracks if each.handler == b"vide" for code in each.codecs]
        return bool(codecs) and CONFIGURED.issuperset(codecs)

    def samples_of_video(self) -> int | None:
        """The number of samples in its video tracks; None if there are none."""
        counts = [each.samples for each in self.tracks if each.handler == b"vide"]
        return sum(counts) if counts else None

    def size(self, number: int) -> tuple[int, int] | None:
        """The picture size in the description of track `number`, if it has a single one."""
        sizes = [(each.width, each.height) for each in self.tracks if each.id == number and len(each.codecs) == 1]
        return sizes[0] if sizes else None

    def endless_edits(self) -> bool:
        """Whether the edit lists could repeat samples too often, because each edit may include all of them."""
        return sum(each.samples * each.edits for each in self.tracks) > MAX_SAMPLES

    def shows_no_frame(self) -> bool:
        """Whether an edit list leaves less than one frame of video, as in a copy of the end of a file."""
        video = [each for each in self.tracks if each.handler == b"vide" and each.usual and each.shown is not None]
        return any((each.shown or 0) * each.scale < each.usual for each in video)

    def elsewhere(self) -> frozenset[int]:
        """The numbers of the tracks whose media data are in other files."""
        return frozenset(each.id for each in self.tracks if each.external)

    def refers_elsewhere(self) -> bool:
        """Whether it is a QuickTime reference movie (`rmra`), or all of its video is in other files."""
        video = [each.external for each in self.tracks if each.handler == b"vide"]
        return all(video) if video else any(box.type == b"rmra" for box in self.boxes)


def parse(content: memoryview) -> Movie:
    """Reads the content of a `moov`. Raises Rejected("too-large-to-decode") for absurd counts."""
    found = []
    for box in _descend(content, Box(b"moov", 0, 0, len(content))):
        found.append(box)
        verdicts.bound("boxes in the index", len(found), MAX_BOXES)
    scale, duration = _header(content, found)
    traks = [box for box in found if box.type == b"trak"]
    defaults = dict(_defaults(content[box.body : box.end]) for box in found if box.type == b"trex")
    tracks = tuple(track.parse(content, box, _inside(box, found), scale, defaults) for box in traks)
    verdicts.bound("frames and audio samples", sum(each.samples for each in tracks), MAX_SAMPLES)
    fragmented = any(box.type == b"mvex" for box in found)
    if fragmented and scale:
        mehd = next((content[box.body : box.end] for box in found if box.type == b"mehd"), memoryview(b""))
        duration = unpack(">Q" if bytes(mehd[:1]) == b"\1" else ">I", mehd[4:12])[0] / scale or None
    return Movie(content, tuple(found), tracks, fragmented, duration)


def _header(moov: memoryview, found: Sequence[Box]) -> tuple[int, float | None]:
    """The time units per second, and the duration in seconds."""
    mvhd = next((moov[box.body : box.end] for box in found if box.type == b"mvhd"), memoryview(b""))
    wide = bytes(mvhd[:1]) == b"\1"
    scale, duration = unpack(">IQ" if wide else ">II", mvhd[20:32] if wide else mvhd[12:20])
    unknown = (1 << 64 if wide else 1 << 32) - 1
    return scale, duration / scale if scale and duration not in (0, unknown) else None


def _defaults(trex: memoryview) -> tuple[int, Defaults]:
    track, duration, size, flags = unpack(">I4xIII", trex[4:24])
    return track, Defaults(duration, size, flags)


def _inside(parent: Box, found: Sequence[Box]) -> Sequence[Box]:
    """The boxes of `found`, which are in file order, that begin inside `parent`."""
    first, after = (bisect_right(found, at, key=lambda box: box.start) for at in (parent.start, parent.end - 1))
    return found[first:after]


def _descend(data: memoryview, parent: Box, depth: int = 0) -> Iterator[Box]:
    """All boxes in `parent`, each before those in it."""
    for box in boxes(data, parent.body, parent.end):
        yield box
        if box.type in CONTAINERS and depth < MAX_DEPTH:
            yield from _descend(data, box, depth + 1)
