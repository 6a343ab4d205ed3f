"""Converts a decoded frame to an upright JPEG, with FFmpeg's scaler, filters and encoder."""

import math
from fractions import Fraction
from typing import Final

import av
from av.video.frame import VideoFrame

from video_intake.media import display, filters, hdr
from video_intake.media.display import Display, Unshowable
from video_intake.media.facts import Poster
from video_intake.media.orientation import UPRIGHT

QUALITY: Final = 3  # FFmpeg's -q:v, 2 (best) to 31: about 100 KB at 1280 px, without visible blocks
THUMB: Final = (32, 32)  # pixels, for measuring contrast
BLANK_SPREAD: Final = 6.0  # standard deviation of 8-bit luma: noise in a dark room has more, a fade less


def spread(frame: VideoFrame) -> float:
    """The contrast of a picture: the standard deviation of 8-bit luma. Below BLANK_SPREAD it is blank."""
    if _has_alpha(frame):
        frame = _composed(_thumb(frame, "gbrap"))
    return _spread(frame)


def make(frame: VideoFrame, shown: Display, longest: int, time: float | None) -> Poster:
    """The frame as a JPEG: square pixels, upright, SDR, and no edge longer than `longest` pixels.

    Raises ValueError or av.FFmpegError if it cannot be converted.
    """
    picture = upright(frame, shown, longest)
    return Poster(jpeg(picture), picture.width, picture.height, None if time is None else round(max(time, 0.0), 6))


def upright(frame: VideoFrame, shown: Display, longest: int) -> VideoFrame:
    """The frame as it should be displayed, in JPEG's color space: full-range BT.601. Raises Unshowable."""
    if shown.unshowable:
        raise Unshowable(shown.unshowable)
    matrix, primaries = display.matrix(frame, shown.hdr), display.primaries(frame, shown.hdr)
    width, height = shown.shown(frame.width, frame.height)
    scale = min(1.0, longest / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    turn = UPRIGHT[shown.turned.signs]
    picture = _whole(frame, shown.crop)
    if _has_alpha(picture):
        picture = _composed(_scaled(picture, size, "gbrap16le", matrix))
    if primaries:
        small = _scaled(picture, size, "rgb48le", matrix)
        steps = (*turn, ("haldclut", "interp=tetrahedral:clut=first"))
        small = filters.picture([small], steps, hdr.table(shown.hdr, primaries))
        return small.reformat(format="yuvj420p", dst_colorspace="ITU601", threads=1)
    small = _scaled(picture, size, "yuvj420p", matrix, to_jpeg=True)
    return filters.picture([small], turn) if turn else small


def _scaled(
    frame: VideoFrame, size: tuple[int, int], pixel_format: str, matrix: str, *, to_jpeg: bool = False
) -> VideoFrame:
    """Scales by averaging areas, in one pass."""
    return frame.reformat(
        *size,
        pixel_format,
        interpolation="AREA",
        src_colorspace=None if frame.format.is_rgb else matrix,
        dst_colorspace="ITU601" if to_jpeg else None,
        threads=1,
    )


def jpeg(frame: VideoFrame) -> bytes:
    """Encodes a picture in yuvj420p."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.thread_count = 1  # more threads would need stacks of 8 MB
    encoder.time_base = Fraction(1, 25)  # required by the encoder, meaningless for a JPEG
    encoder.qmin = encoder.qmax = QUALITY
    frame.pts = None
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


def _spread(frame: VideoFrame) -> float:
    gray = _thumb(frame, "gray")
    line, luma = gray.planes[0].line_size, bytes(gray.planes[0])
    values = b"".join(luma[row * line : row * line + 32] for row in range(32))
    return math.sqrt(len(values) * math.sumprod(values, values) - sum(values) ** 2) / len(values)


def _thumb(frame: VideoFrame, pixel_format: str) -> VideoFrame:
    """A thumbnail with an arbitrary matrix: the scaler refuses unknown ones, and contrast does not depend on it."""
    matrix = None if frame.format.is_rgb else "ITU709"
    return frame.reformat(*THUMB, pixel_format, interpolation="AREA", src_colorspace=matrix, threads=1)


def _whole(frame: VideoFrame, crop: tuple[int, int, int, int]) -> VideoFrame:
    """Deinterlaces and crops a picture.

    The filter `estdif` needs no other pictures, which would have to be read and decoded.
    """
    steps: list[filters.Step] = []
    if frame.interlaced_frame:
        steps.append(("estdif", "mode=frame:deint=all"))
    if any(crop):
        top, bottom, left, right = crop
        width, height = frame.width - left - right, frame.height - top - bottom
        steps.append(("crop", f"w={width}:h={height}:x={left}:y={top}:exact=1"))
    return filters.picture([frame], steps) if steps else frame


def _has_alpha(frame: VideoFrame) -> bool:
    return any(component.is_alpha for component in frame.format.components)


def _composed(frame: VideoFrame) -> VideoFrame:
    """A small picture (gbrap) with its transparent parts over black, as in players.

    The alpha channel is ignored if it is transparent everywhere, because some programs leave it empty. It stays in the
    picture, without effect: FFmpeg's scaler copies only the left half of each row when it removes it (16 bits).
    """
    seen = filters.picture([frame], [("premultiply", "inplace=1")])
    return seen if _spread(seen) >= BLANK_SPREAD else frame
