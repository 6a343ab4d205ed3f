"""Decoded key frames near chosen places of a video, for one exact range of the file each."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from video_intake.media import verdicts
from video_intake.media.container import Opened

MAX_PACKETS: Final = 250  # looked through for a key frame where there is no index: ten seconds of film


def near(video: Opened, places: Iterable[float]) -> Iterator[VideoFrame]:
    """Yields one frame for each of `places` (0 to 1 of the track) that has a key frame of its own.

    Damaged frames are passed over. Raises Rejected where not a single frame comes out: no-frames or
    undecodable; and whatever reading raises.
    """
    context = video.stream.codec_context
    seen: set[int | None] = set()
    decoded, damage = False, ""
    for place in places:
        frames = []
        try:
            packet = _packet(video, place)
            if packet is None or packet.pos in seen:
                continue
            seen.add(packet.pos)
            frames = _shown(video, packet) if packet.is_discard else context.decode(packet)
            frames += context.decode(None)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            damage = str(error)
        if video.file.failure:
            raise video.file.failure
        context.flush_buffers()
        for frame in frames[:1]:
            decoded = True
            yield frame
    if not seen and not damage:
        raise verdicts.no_frames(frames=video.stream.frames)
    if not decoded:
        raise verdicts.undecodable(damage or "no picture came out of the decoder")


def _shown(video: Opened, packet: "Packet[VideoStream]") -> list[VideoFrame]:
    """Of a film trimmed between two key frames, the first frame that is left: behind `packet`, which is not shown."""
    context, packets = video.stream.codec_context, islice(video.container.demux(video.stream), MAX_PACKETS)
    context.skip_frame = "DEFAULT"
    try:
        return next(filter(None, map(context.decode, chain([packet], packets))), [])
    finally:
        context.skip_frame = "NONKEY"


def ranges(video: Opened, places: Iterable[float]) -> list[tuple[float, int, int]]:
    """Where the key frames near `places` lie: (place, start, end), one for each that has one of its own."""
    entries = video.stream.index_entries
    found: dict[int, tuple[float, int, int]] = {}
    for place in places if len(entries) else ():
        entry = entries[_group(video.stream, place)[0]]
        found.setdefault(entry.pos, (place, entry.pos, min(entry.pos + entry.size + 8, video.reader.size)))
    return list(found.values())


def _packet(video: Opened, place: float) -> "Packet[VideoStream] | None":
    indexed = len(video.stream.index_entries) > 0
    if indexed:
        video.reader.load((start, end) for _, start, end in ranges(video, [place]))  # that and no more
        video.container.seek(_inside_group(video.stream, place), stream=video.stream)
    for count, packet in enumerate(video.container.demux(video.stream)):
        if packet.size and (packet.is_keyframe or indexed):  # the index knows, even where the picture is damaged
            return packet
        if count >= MAX_PACKETS:
            break
    return None


def _inside_group(stream: VideoStream, place: float) -> int:
    """A timestamp in the middle of the group of pictures at `place`.

    Where there are B-frames the index holds decoding times while seeking compares presentation times, so
    that the time of the key frame itself would find the group before.
    """
    key, following = _group(stream, place)
    begin, end = stream.index_entries[key].timestamp, stream.index_entries[following].timestamp
    return begin + (end - begin) // 2


def _group(stream: VideoStream, place: float) -> tuple[int, int]:
    """The index entries of the key frame near `place`, and of the next one (or the last of all).

    It is the one before, unless the one behind is much nearer: of fragments not all are there.
    """
    entries = stream.index_entries
    first, last = entries[0].timestamp, entries[-1].timestamp
    target = first + round((last - first) * place)
    key, behind = (entries.search_timestamp(target, backward=backward) for backward in (True, False))
    if key < 0 or (behind >= 0 and 2 * (entries[behind].timestamp - target) < target - entries[key].timestamp):
        key = max(behind, 0)
    following = entries.search_timestamp(entries[key].timestamp + 1, backward=False)
    return key, following if following >= 0 else len(entries) - 1
