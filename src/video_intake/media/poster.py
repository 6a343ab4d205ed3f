"""From a decoded frame to an upright JPEG, by FFmpeg's own scaler, filters and encoder."""

import math
from fractions import Fraction
from typing import Final

import av
from av.video.frame import VideoFrame

from video_intake.media import display, filters, hdr
from video_intake.media.display import Display, Unshowable
from video_intake.media.facts import Poster
from video_intake.media.orientation import UPRIGHT

QUALITY: Final = 3  # FFmpeg's -q:v, 2 (best) to 31: at 1280 px about 100 KB, and no blocks to be seen
THUMB: Final = (32, 32)  # pixels, at which a picture is looked at
BLANK_SPREAD: Final = 6.0  # standard deviation of 8-bit luma: noise in a dark room has more, a fade less


def spread(frame: VideoFrame) -> float:
    """How much there is to see: the standard deviation of 8-bit luma. Next to nothing is below BLANK_SPREAD."""
    if _has_alpha(frame):
        frame = _composed(_thumb(frame, "gbrap"))
    return _spread(frame)


def make(frame: VideoFrame, shown: Display, longest: int, time: float | None) -> Poster:
    """The frame as a JPEG: square pixels, upright, SDR, and no edge longer than `longest` pixels.

    Raises ValueError or av.FFmpegError where there is none.
    """
    picture = upright(frame, shown, longest)
    return Poster(jpeg(picture), picture.width, picture.height, None if time is None else round(max(time, 0.0), 6))


def upright(frame: VideoFrame, shown: Display, longest: int) -> VideoFrame:
    """The frame as it is to be seen, in what a JPEG is by definition: BT.601 at full range. Raises Unshowable."""
    if shown.unshowable:
        raise Unshowable(shown.unshowable)
    matrix, primaries = display.matrix(frame, shown.hdr), display.primaries(frame, shown.hdr)
    width, height = shown.shown(frame.width, frame.height)
    scale = min(1.0, longest / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    turn = UPRIGHT[shown.turned.signs]
    colors = frame.color_range  # the filters below may lose it
    picture = _whole(frame, shown.crop)
    if _has_alpha(picture):
        deep = max(component.bits for component in picture.format.components) > 8
        picture = _composed(_scaled(picture, size, "gbrap16le" if deep else "gbrap", matrix, colors))
    if primaries:
        small = _scaled(picture, size, "rgb48le", matrix, colors)
        steps = (*turn, ("haldclut", "interp=tetrahedral:clut=first"))
        small = filters.picture([small], steps, hdr.table(shown.hdr, primaries))
        return small.reformat(format="yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG", threads=1)
    small = _scaled(picture, size, "yuvj420p", matrix, colors, to_jpeg=True)
    return filters.picture([small], turn) if turn else small


def _scaled(
    frame: VideoFrame, size: tuple[int, int], pixel_format: str, matrix: str, colors: int, *, to_jpeg: bool = False
) -> VideoFrame:
    """In one pass of the scaler, which averages areas; `colors` is the range of the frame's."""
    return frame.reformat(
        *size,
        pixel_format,
        interpolation="AREA",
        src_colorspace=None if frame.format.is_rgb else matrix,
        src_color_range=None if frame.format.is_rgb else colors,
        dst_colorspace="ITU601" if to_jpeg else None,
        dst_color_range="JPEG" if to_jpeg else None,
        threads=1,
    )


def jpeg(frame: VideoFrame) -> bytes:
    """Encodes a picture in yuvj420p."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.thread_count = 1  # one picture; and threads want stacks of 8 MB
    encoder.time_base = Fraction(1, 25)  # a JPEG has no time; the encoder insists on one
    encoder.qmin = encoder.qmax = QUALITY
    frame.pts = None
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


def _spread(frame: VideoFrame) -> float:
    gray = _thumb(frame, "gray")
    line, luma = gray.planes[0].line_size, bytes(gray.planes[0])
    values = [value for row in range(32) for value in luma[row * line : row * line + 32]]
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _thumb(frame: VideoFrame, pixel_format: str) -> VideoFrame:
    """Small, and of any matrix: the scaler refuses those that it does not know, and here it does not matter."""
    matrix = None if frame.format.is_rgb else "ITU709"
    return frame.reformat(*THUMB, pixel_format, interpolation="AREA", src_colorspace=matrix, threads=1)


def _whole(frame: VideoFrame, crop: tuple[int, int, int, int]) -> VideoFrame:
    """What is shown of a picture, its two fields made one: from every second line the one between is drawn.

    `estdif` needs no other picture for it, which would have to be read and decoded.
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
    """A small picture (gbrap) with its transparent parts over black, as players show it.

    One that is transparent everywhere is shown as if it were not: some programs leave that channel empty.
    """
    opaque = frame.format.name.replace("gbrap", "gbrp")
    seen = filters.picture([frame], [("premultiply", "inplace=1")]).reformat(format=opaque, threads=1)
    return seen if _spread(seen) >= BLANK_SPREAD else frame.reformat(format=opaque, threads=1)
