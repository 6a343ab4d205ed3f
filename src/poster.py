"""From a decoded frame to an upright JPEG, by FFmpeg's own scaler, filters and encoder."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.video.frame import VideoFrame

import filters
import hdr

QUALITY: Final = 3  # FFmpeg's -q:v, 2 (best) to 31: at 1280 px about 100 KB, and no blocks to be seen
BLANK_SPREAD: Final = 6.0  # standard deviation of 8-bit luma: noise in a dark room has more, a fade less
STRETCH: Final = 4  # pixel aspects beyond 4:1 are damage, not anamorphic film (2:1 at most)

# The display matrix [a b; c d] of the file (ISO/IEC 14496-12 6.2.2) by its signs, and the filters that do
# what it says. FFmpeg's own rotation angle cannot tell a mirrored picture from one upside down.
UPRIGHT: Final[dict[tuple[int, int, int, int], tuple[tuple[str, str], ...]]] = {
    (1, 0, 0, 1): (),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}


@dataclass(frozen=True)
class Orientation:
    """How the stored picture is turned for display."""

    rotation: int = 0  # degrees, counter-clockwise as ffprobe prints it: a portrait phone video has -90
    mirrored: bool = False
    signs: tuple[int, int, int, int] = (1, 0, 0, 1)

    @property
    def swaps_sides(self) -> bool:
        """Whether displayed width and height are stored height and width."""
        return self.signs[0] == 0


@dataclass(frozen=True)
class Poster:
    """A JPEG picture."""

    jpeg: bytes
    width: int
    height: int
    time: float | None  # seconds into the video


def orientation(display_matrix: bytes | None) -> Orientation:
    """Reads FFmpeg's display matrix (nine 32-bit integers, native order); upright where it says nothing."""
    if not display_matrix or len(display_matrix) < 36:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", display_matrix[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):  # nearest right angle: nothing else can be shown without corners
        signs = (1 if a >= 0 else -1, 0, 0, 1 if d >= 0 else -1)
    else:
        signs = (0, 1 if b >= 0 else -1, 1 if c >= 0 else -1, 0)
    rotation = {(1, 0): 0, (0, 1): -90, (-1, 0): -180, (0, -1): 90}[signs[:2]]
    return Orientation(rotation, signs[0] * signs[3] - signs[1] * signs[2] < 0, signs)


def square(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size in square pixels; an absurd pixel aspect is passed over."""
    if not Fraction(1, STRETCH) <= aspect <= STRETCH:
        return width, height
    return max(1, round(width * aspect)), height


def blank(frame: VideoFrame) -> bool:
    """Whether there is nothing to see: black, white, or any one colour."""
    gray = frame.reformat(32, 32, "gray", interpolation="AREA")
    line, luma = gray.planes[0].line_size, bytes(gray.planes[0])
    values = [value for row in range(32) for value in luma[row * line : row * line + 32]]
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values) < BLANK_SPREAD**2


def make(frame: VideoFrame, aspect: Fraction, turn: Orientation, transfer: str | None, longest: int) -> Poster:
    """The frame as a JPEG: square pixels, upright, SDR, and no edge longer than `longest` pixels."""
    time = frame.time  # before it is filtered or encoded, which gives it another
    picture = upright(frame, aspect, turn, transfer, longest)
    return Poster(jpeg(picture), picture.width, picture.height, time)


def upright(frame: VideoFrame, aspect: Fraction, turn: Orientation, transfer: str | None, longest: int) -> VideoFrame:
    """The frame as it is to be seen, in what a JPEG is by definition: BT.601 at full range.

    `transfer` is "PQ" or "HLG" for high dynamic range, else None.
    """
    width, height = square(frame.width, frame.height, aspect)
    scale = min(1.0, longest / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if transfer:
        small = frame.reformat(*size, "rgb48le", interpolation="AREA", src_colorspace="BT2020")
        steps = (*UPRIGHT[turn.signs], ("haldclut", "interp=tetrahedral:clut=first"))
        small = filters.picture([small], steps, hdr.table(transfer))
        return small.reformat(format="yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG")
    # One pass scales (averaging areas) and converts.
    small = frame.reformat(*size, "yuvj420p", interpolation="AREA", dst_colorspace="ITU601", dst_color_range="JPEG")
    return filters.picture([small], UPRIGHT[turn.signs]) if UPRIGHT[turn.signs] else small


def jpeg(frame: VideoFrame) -> bytes:
    """Encodes a picture in yuvj420p."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.thread_count = 1  # one picture; and threads want stacks of 8 MB
    encoder.time_base = Fraction(1, 25)  # a JPEG has no time; the encoder insists on one
    encoder.qmin = encoder.qmax = QUALITY
    frame.pts = None
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
