"""Damage that a decoder does not report: it returns a picture, of which a part is wrong."""

from typing import Final

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from video_intake.media.container import Opened
from video_intake.media.unwritten import ZEROS

# Codecs that never have three zero bytes in a row within a unit (ITU-T H.265 and H.266, 7.4.2). H.264's decoder does
# report them; in others, an encoder may have added zeros to reach a bit rate.
ESCAPED: Final = frozenset({"hevc", "vvc"})
LEAST: Final = bytes(16)  # more zeros than the size of the next sample begins with


def is_torn(packet: "Packet[VideoStream]", video: Opened) -> bool:
    """Whether a sector of the sample was never written.

    Zeros at the end may be padding, unless they continue after the sample.
    """
    if video.stream.codec_context.codec.canonical_name not in ESCAPED:
        return False
    sample = bytes(packet)
    if ZEROS in sample.rstrip(b"\0"):
        return True
    following = video.reader.cached(video.in_file(packet.pos) + packet.size, 8) if packet.pos is not None else b""
    return sample.endswith(LEAST) and len(following) == 8 and not any(following)


def is_refused(packet: "Packet[VideoStream]", context: VideoCodecContext) -> bool:
    """Whether a decoder that stops at the first error refuses a Motion JPEG picture, which the other one repairs.

    The size of the picture must be known to be permitted. Raises MemoryError.
    """
    if context.codec.canonical_name != "mjpeg":
        return False
    strict = av.CodecContext.create(context.codec, "r")
    assert isinstance(strict, VideoCodecContext)
    strict.width, strict.height, strict.thread_count = context.width, context.height, 1  # for two fields
    strict.options = {"err_detect": "explode"}
    try:
        strict.decode(packet)
    except MemoryError:
        raise
    except av.FFmpegError:
        return True
    return False
