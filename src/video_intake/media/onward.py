"""Decodes frame by frame from a given place, if marked key frames have no picture or are blank.

Key-frame marks in an index may be wrong, so the decoder and the pictures decide. Total bytes and time are limited.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, Self

import av
from av.codec.context import Flags
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from video_intake.media import damage
from video_intake.media.key_frames import Frames, Shot, is_key
from video_intake.media.range_reader import RangeReader

BYTES: Final = 48 << 20  # of samples that are decoded or skipped: 20 s of video at 20 Mbit/s
SECONDS: Final = 5.0  # but at most a third of the remaining time
FIELDS: Final = 8  # packets: a picture may consist of two, one per field, and be output a few packets later


@dataclass
class Budget:
    """The bytes and time for decoding; parts of it share the time."""

    reader: RangeReader
    bytes: int
    until: float  # limit on the reader's remaining seconds

    @classmethod
    def of(cls, reader: RangeReader) -> Self:
        """The budget for one video."""
        return cls(reader, BYTES, max(reader.remaining - SECONDS, reader.remaining * 2 / 3))

    def part(self, parts: int) -> Self:
        """An equal part of the bytes."""
        return type(self)(self.reader, self.bytes // parts, self.until)

    def take(self, size: int) -> bool:
        """Counts a packet of that size, and returns whether it is within the budget."""
        self.bytes -= size
        return self.bytes >= 0 and self.reader.remaining >= self.until


def shots(
    frames: Frames,
    place: float | None,
    skip: Literal["NONKEY", "DEFAULT"],
    budget: Budget,
    most: int | None = None,
    *,
    damaged: bool = False,
) -> Iterator[Shot]:
    """Yields complete pictures from the key frame near `place` on, or from the first sample if that is None.

    `skip` is what the decoder skips ("NONKEY", or "DEFAULT" for nothing) and `most` the maximum number of packets. With
    `damaged`, pictures may be incomplete. Raises whatever reading raises.
    """
    video, context = frames.video, frames.context
    packet = _first(frames) if place is None else frames.packet(place)
    if packet is None:
        return
    context.skip_frame = skip
    video.file.onward = most is None
    context.flags |= Flags.output_corrupt if damaged else 0
    begun = packet.is_discard or damaged  # otherwise pictures before the first I-frame are incomplete
    beginning, shown = place is None, 0
    decoded: list[int] = []  # decoding times of the packets since the first shown picture: AVI has no others
    try:
        for each in _packets(frames, packet, budget, most):
            if each and (stamp := video.stamp(each)) is not None:
                decoded.append(stamp)
            if each and not damaged and damage.is_torn(each, video):
                continue  # the decoder reports those that refer to it
            for frame in frames.decoded(each):
                begun = begun or is_key(frame) or (beginning and frame.pict_type == PictureType.NONE)
                if not begun or (frame.is_corrupt and not damaged):
                    continue
                if not shown and frame.opaque in decoded:
                    del decoded[: decoded.index(frame.opaque)]
                time = decoded[shown] if video.by_packets and shown < len(decoded) else frame.opaque
                shown += 1
                shot = Shot(frame, frames.time(frame, time))
                if damaged or not frames.is_trimmed(shot.time):
                    yield shot
    finally:
        context.flags &= ~Flags.output_corrupt
        video.file.onward = False
        context.skip_frame = "NONKEY"
        context.flush_buffers()


def _first(frames: Frames) -> "Packet[VideoStream] | None":
    """The first sample of the stream."""
    video = frames.video
    entries = video.stream.index_entries
    try:
        frames.seek(entries[0].timestamp if len(entries) else 0)
    except MemoryError:
        raise
    except av.FFmpegError as error:
        frames.damage = str(error) if len(entries) else ""
    packet = next(_demuxed(frames), None)
    frames.packets += packet is not None
    return packet


def _packets(
    frames: Frames, first: "Packet[VideoStream]", budget: Budget, most: int | None
) -> Iterator["Packet[VideoStream] | None"]:
    """Packets from the first on, within the budget, then None, so that the decoder outputs delayed frames."""
    for number, packet in enumerate(chain([first], _demuxed(frames))):
        if number == most or not budget.take(packet.size):
            break
        yield packet
    yield None


def _demuxed(frames: Frames) -> Iterator["Packet[VideoStream]"]:
    try:
        for packet in frames.video.container.demux(frames.video.stream):
            if packet.size:
                yield packet
    except MemoryError:
        raise
    except av.FFmpegError as error:
        frames.damage = str(error)
    frames.video.check()
