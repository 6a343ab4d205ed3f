"""Decodes marked key frames near given places of a video, each with one exact range of the file.

Marks are hints: if a marked frame has no picture, onward.py continues from there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import av
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from video_intake.media import damage
from video_intake.media.container import Opened

MAX_PACKETS: Final = 250  # searched for a key frame without an index: ten seconds of video
LOOKED_AT: Final = 50  # index entries: if all of them are key frames, the marks are meaningless
MAX_BEFORE: Final = 4 << 20  # bytes between the audio of a time and its picture: seconds of video
TRIMMED: Final = 0.001  # seconds before the beginning that may be rounding
# Color range is FFmpeg's number, the others are those of ITU-T H.273, in which 0 is reserved, or RGB as a matrix
UNSPECIFIED: Final = {"color_range": (0,), "color_primaries": (0, 2), "color_trc": (0, 2), "colorspace": (2,)}
INTRA: Final = frozenset({"cfhd"})  # codecs with only key frames that FFmpeg does not mark as such


@dataclass(frozen=True)
class Shot:
    """A decoded picture."""

    frame: VideoFrame
    time: float | None  # seconds into the video


class Frames:
    """The pictures of an opened file.

    `damage` is the decoder's last error, and `packets` the number of samples found.
    """

    def __init__(self, video: Opened) -> None:
        self.video = video
        self.context = video.stream.codec_context
        self.context.copy_opaque = True  # so that a picture refers to its packet: see `time`
        self.damage = ""
        self.packets = 0
        self._seen: set[int | None] = set()

    def near(self, places: Iterable[float]) -> Iterator[Shot]:
        """Yields one shot for each of `places` (0 to 1 of the track) that has a separate marked key frame.

        Skips damaged frames and marked frames that are not key frames. Raises whatever reading raises.
        """
        for place in places:
            packet = self.packet(place)
            if packet is None or packet.pos in self._seen:
                continue
            self._seen.add(packet.pos)
            if damage.is_torn(packet, self.video):
                continue
            if self.is_trimmed(self._seconds(self.video.stamp(packet))):
                continue  # before what is shown first, in the same group; with a regular index, the decoder drops it
            frames = [*self.decoded(packet), *self.decoded(None)]
            self.context.flush_buffers()
            for frame in islice(frames, 1):
                if self.is_whole(frame) and not damage.is_refused(packet, self.context):
                    yield Shot(frame, self.time(frame))

    def packet(self, place: float) -> "Packet[VideoStream] | None":
        """The packet of the key frame near a place; None if none is found. Raises whatever reading raises."""
        try:
            packet = self._packet(place)
        except MemoryError:  # FFmpeg's is a subclass of this too
            raise
        except av.FFmpegError as error:
            packet, self.damage = None, str(error)
        self.video.check()
        self.packets += packet is not None
        return packet

    def decoded(self, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
        """The decoder's frames for a packet, or the last ones for None. Raises whatever reading raises."""
        if packet:
            packet.opaque = self.video.stamp(packet)
        try:
            frames = self.context.decode(packet)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            frames, self.damage = [], str(error)
        self.video.check()
        for frame in frames:
            self._color(frame)
        return frames

    def _color(self, frame: VideoFrame) -> None:
        """Marks colors that the bit stream does not specify as the container does, because some decoders drop those."""
        for name, stated in self.video.colors.items():
            if getattr(frame, name) in UNSPECIFIED[name]:
                setattr(frame, name, stated)

    def is_whole(self, frame: VideoFrame) -> bool:
        """Whether the picture was decoded from a key frame, according to the decoder or the index."""
        if frame.is_corrupt:
            return False
        return is_key(frame) or self.context.codec.name in INTRA or not self._all_marked()

    def time(self, frame: VideoFrame, stamp: object = None) -> float | None:
        """Seconds into the video, from the picture's packet, because decoders that start in the middle guess.

        `stamp` replaces the packet's time, in the stream's units.
        """
        return self._seconds(frame.opaque if stamp is None else stamp)

    def is_trimmed(self, time: float | None) -> bool:
        """Whether a picture at that time is before the beginning of a fragmented video, according to its edit list."""
        return time is not None and self.video.offset < 0 and time < -TRIMMED

    def _seconds(self, stamp: object) -> float | None:
        base = self.video.stream.time_base
        return float(stamp * base) * self.video.pace + self.video.offset if base and isinstance(stamp, int) else None

    def _all_marked(self) -> bool:
        entries = self.video.stream.index_entries
        return all(entries[number].is_keyframe for number in range(min(len(entries), LOOKED_AT)))

    def _packet(self, place: float) -> "Packet[VideoStream] | None":
        video = self.video
        indexed = len(video.stream.index_entries) > 0
        if indexed:
            video.reader.load((start, end) for _, start, end in ranges(video, [place]))  # exactly these
            self.seek(_inside_group(video.stream, place))
        for count, packet in enumerate(video.container.demux(video.stream)):
            if packet.size and (packet.is_keyframe or indexed):  # with an index, even if the picture is damaged
                return packet
            if count >= MAX_PACKETS:
                break
        return None

    def seek(self, timestamp: int) -> None:
        """Seeks to the key frame at or before a timestamp, or to any frame if none is marked."""
        try:
            self.video.container.seek(timestamp, stream=self.video.stream)
        except av.FFmpegError:
            self.video.check()
            self.video.container.seek(timestamp, stream=self.video.stream, any_frame=True)


def is_key(frame: VideoFrame) -> bool:
    """Whether the decoder marks it as a key frame or an I-frame."""
    return frame.key_frame or frame.pict_type == PictureType.I


def ranges(video: Opened, places: Iterable[float]) -> list[tuple[float, int, int]]:
    """The ranges of the key frames near `places`: (place, start, end), without duplicates."""
    entries = video.stream.index_entries
    found: dict[int, tuple[float, int, int]] = {}
    for place in places if len(entries) else ():
        entry = entries[_group(video.stream, place)[0]]
        start = video.in_file(entry.pos)
        begin = _read_from(video, place, start) if video.by_packets else start
        found.setdefault(start, (place, begin, min(start + entry.size + 8, video.reader.size)))
    return list(found.values())


def _read_from(video: Opened, place: float, start: int) -> int:
    """The offset at which FFmpeg starts reading for the picture at `start` in an AVI file, which may be earlier audio.

    Seeking shows it without reading.
    """
    try:
        video.container.seek(_inside_group(video.stream, place), stream=video.stream)
    except MemoryError:
        raise
    except av.FFmpegError:
        return start
    begin = video.in_file(video.file.tell())
    return begin if start - MAX_BEFORE <= begin < start else start


def _inside_group(stream: VideoStream, place: float) -> int:
    """A timestamp in the middle of the group of pictures at `place`.

    With B-frames, the index has decoding times but seeking compares presentation times, so the key frame's time would
    find the previous group.
    """
    key, following = _group(stream, place)
    begin, end = stream.index_entries[key].timestamp, stream.index_entries[following].timestamp
    return begin + (end - begin) // 2


def _group(stream: VideoStream, place: float) -> tuple[int, int]:
    """The index entries of the key frame near `place`, and of the next one (or the last entry).

    It is the one before, unless the one after is much nearer, as with selected fragments.
    """
    entries = stream.index_entries
    first, last = entries[0].timestamp, entries[-1].timestamp
    target = first + round((last - first) * place)
    key, after = (entries.search_timestamp(target, backward=backward) for backward in (True, False))
    if key < 0 or (after >= 0 and 2 * (entries[after].timestamp - target) < target - entries[key].timestamp):
        key = max(after, 0)
    following = entries.search_timestamp(entries[key].timestamp + 1, backward=False)
    return key, following  # -1, the last entry, if there is no other key frame
