"""From a decoded frame to an upright JPEG, by FFmpeg's own scaler, filters and encoder."""

from fractions import Fraction
from typing import Final

import av
from av.video.frame import VideoFrame

from video_intake.media import filters, hdr
from video_intake.media.facts import Poster
from video_intake.media.orientation import UPRIGHT, Orientation, square

QUALITY: Final = 3  # FFmpeg's -q:v, 2 (best) to 31: at 1280 px about 100 KB, and no blocks to be seen
BLANK_SPREAD: Final = 6.0  # standard deviation of 8-bit luma: noise in a dark room has more, a fade less


def blank(frame: VideoFrame) -> bool:
    """Whether there is nothing to see: black, white, or any one colour."""
    gray = frame.reformat(32, 32, "gray", interpolation="AREA")
    line, luma = gray.planes[0].line_size, bytes(gray.planes[0])
    values = [value for row in range(32) for value in luma[row * line : row * line + 32]]
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values) < BLANK_SPREAD**2


def make(frame: VideoFrame, aspect: Fraction, orientation: Orientation, transfer: str | None, longest: int) -> Poster:
    """The frame as a JPEG: square pixels, upright, SDR, and no edge longer than `longest` pixels."""
    time = frame.time  # before it is filtered or encoded, which gives it another
    picture = upright(frame, aspect, orientation, transfer, longest)
    return Poster(jpeg(picture), picture.width, picture.height, time)


def upright(
    frame: VideoFrame, aspect: Fraction, orientation: Orientation, transfer: str | None, longest: int
) -> VideoFrame:
    """The frame as it is to be seen, in what a JPEG is by definition: BT.601 at full range.

    `transfer` is "PQ" or "HLG" for high dynamic range, else None.
    """
    width, height = square(frame.width, frame.height, aspect)
    scale = min(1.0, longest / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if transfer:
        small = frame.reformat(*size, "rgb48le", interpolation="AREA", src_colorspace="BT2020")
        steps = (*UPRIGHT[orientation.signs], ("haldclut", "interp=tetrahedral:clut=first"))
        small = filters.picture([small], steps, hdr.table(transfer))
        return small.reformat(format="yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG")
    # One pass scales (averaging areas) and converts.
    small = frame.reformat(*size, "yuvj420p", interpolation="AREA", dst_colorspace="ITU601", dst_color_range="JPEG")
    return filters.picture([small], UPRIGHT[orientation.signs]) if UPRIGHT[orientation.signs] else small


def jpeg(frame: VideoFrame) -> bytes:
    """Encodes a picture in yuvj420p."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.thread_count = 1  # one picture; and threads want stacks of 8 MB
    encoder.time_base = Fraction(1, 25)  # a JPEG has no time; the encoder insists on one
    encoder.qmin = encoder.qmax = QUALITY
    frame.pts = None
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
