"""Decoding on from a place, frame after frame, where marked key frames give no picture or nothing to see.

What an index calls a key frame may be none, and what it does not call one may be: then decoder and pictures decide.
All of it together is bounded in bytes and time.
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

from video_intake.media.key_frames import Frames, Shot, is_key
from video_intake.media.range_reader import RangeReader

BYTES: Final = 48 << 20  # of samples that are decoded or passed over: 20 s of film at 20 Mbit/s
SECONDS: Final = 5.0  # but no more than a third of what is left
FIELDS: Final = 8  # packets: a picture may be in two, one for each field, and come out some later


@dataclass
class Budget:
    """What decoding on may take; its parts share the time."""

    reader: RangeReader
    bytes: int
    until: float  # of the reader's remaining seconds

    @classmethod
    def of(cls, reader: RangeReader) -> Self:
        """All that one video may take."""
        return cls(reader, BYTES, max(reader.remaining - SECONDS, reader.remaining * 2 / 3))

    def part(self, parts: int) -> Self:
        """An equal part of the bytes."""
        return type(self)(self.reader, self.bytes // parts, self.until)

    def take(self, size: int) -> bool:
        """Whether there is room for a packet of that size."""
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
    """Yields whole pictures from the key frame near `place` on; from the first sample of all where that is None.

    `skip` is what the decoder passes over ("NONKEY", or "DEFAULT": nothing) and `most` the number of packets that are
    looked at. With `damaged` the pictures may be incomplete. Raises what reading raises.
    """
    video, context = frames.video, frames.context
    packet = _first(frames) if place is None else frames.packet(place)
    if packet is None:
        return
    context.skip_frame = skip
    video.file.onward = most is None
    context.flags |= Flags.output_corrupt if damaged else 0
    begun = packet.is_discard or damaged  # else there is no picture before one that needs no other
    beginning, shown = place is None, 0
    decoded: list[int] = []  # when the packets since the first shown picture are decoded: AVI has no other times
    try:
        for each in _packets(frames, packet, budget, most):
            if each and (stamp := video.stamp(each)) is not None:
                decoded.append(stamp)
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
    """The first sample of all, whatever it is."""
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
    """Packets from the first on, as far as there is room for them, and None at the end: the decoder may hold some."""
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
