"""Reads the facts about an opened file through PyAV."""

import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from fractions import Fraction
from typing import Final

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.rational import AVRational
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc
from av.video.stream import VideoStream

from video_intake.media import filters, tags
from video_intake.media.display import Display
from video_intake.media.extent import Extent
from video_intake.media.facts import Audio, Container, Video
from video_intake.media.isobmff import Layout

MAX_AUDIO: Final = 32  # tracks that are described; enough for a movie in all languages

# ffprobe's names for PyAV's numbers and bytes (AVColorSpace, AVStereo3D, AVSphericalMapping)
MATRICES: Final = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
    10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp", 15: "ipt-c2",
    16: "ycgco-re", 17: "ycgco-ro",
}  # fmt: skip
# The same for transfer curves and primaries to which PyAV gives other names
RENAMED: Final = {
    "GAMMA22": "bt470m", "GAMMA28": "bt470bg", "LOG": "log100", "LOG_SQRT": "log316", "BT1361_ECG": "bt1361e",
    "V_LOG": "vlog", "V_GAMUT": "vgamut",
}  # fmt: skip
RANGES: Final = {1: "tv", 2: "pc"}
FIELDS: Final = {2: "tt", 3: "bb", 4: "tb", 5: "bt"}
FIRST: Final = {"TOPFIRST": "tt", "BOTTOMFIRST": "bb"}  # the first field, by its name in the filter `select`
STEREO: Final = (
    None, "side by side", "top and bottom", "frame alternate", "checkerboard",
    "side by side (quincunx subsampling)", "interleaved lines", "interleaved columns", "unspecified",
)  # fmt: skip
SPHERICAL: Final = (
    "equirectangular", "cubemap", "tiled equirectangular", "half equirectangular", "rectilinear", "fisheye",
    "parametric immersive",
)  # fmt: skip


def of_container(
    opened: InputContainer, size: int, layout: Layout | None, duration: float | None, video_tracks: int
) -> Container:
    """Facts about a file of `size` bytes."""
    brand = layout.brand if layout else None
    quicktime = layout and (layout.ftyp is None or brand == "qt")  # ftyp was introduced in 2001
    return Container(
        format="avi" if layout is None else "mov" if quicktime else "mp4",
        brand=brand,
        duration=duration and round(duration, 6),
        bit_rate=int(size * 8 / duration) if duration else None,
        creation_time=tags.text(opened.metadata.get("creation_time")),
        recorded_at=tags.recorded_at(opened.metadata, avi=layout is None),
        device_make=tags.first(opened.metadata, tags.MAKE),
        device_model=tags.first(opened.metadata, tags.MODEL),
        fast_start=layout.fast_start if layout else None,
        fragmented=bool(layout and layout.movie.fragmented),
        video_tracks=video_tracks,
        audio_tracks=len(opened.streams.audio),
        chapters=tuple(tags.chapters(opened)),
    )


def of_video(stream: VideoStream, frame: VideoFrame, shown: Display, extent: Extent) -> Video:
    """Facts about a track; the decoded `frame` has those that only the bit stream states."""
    context = stream.codec_context
    width, height = shown.shown(frame.width, frame.height)
    rate: Fraction | AVRational | None = extent.rate or stream.average_rate or stream.guessed_rate
    return Video(
        codec=context.codec.canonical_name,
        profile=context.profile,
        codec_tag=context.codec_tag.rstrip("\0"),
        width=frame.width,
        height=frame.height,
        display_width=height if shown.turned.swaps_sides else width,
        display_height=width if shown.turned.swaps_sides else height,
        sample_aspect_ratio=f"{shown.aspect.numerator}:{shown.aspect.denominator}",
        rotation=shown.turned.rotation,
        mirrored=shown.turned.mirrored,
        frame_rate=f"{rate.numerator}/{rate.denominator}" if rate and rate.denominator else None,
        frames=extent.frames or None,
        bit_rate=int(extent.bytes * 8 / extent.lasting) if extent.bytes and extent.lasting else None,
        field_order=_field_order(context.field_order, frame),
        pixel_format=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        color_range=RANGES.get(frame.color_range),
        color_primaries=_name(ColorPrimaries, frame.color_primaries),
        color_transfer=_name(ColorTrc, shown.transfer),
        color_matrix=MATRICES.get(frame.colorspace) if frame.colorspace or frame.format.is_rgb else None,
        hdr=shown.hdr,
        dolby_vision_profile=shown.dolby_vision,
        stereo=_listed(STEREO, context.coded_side_data.get("stereo_3d") or frame.side_data.get(Type.STEREO3D)),
        spherical=_listed(SPHERICAL, context.coded_side_data.get("spherical")),  # FFmpeg reads none from bit streams
    )


def of_audio(stream: AudioStream, rates: Mapping[int, int]) -> Audio:
    """Facts about a track, whose codec need not be supported.

    `rates` has the measured bits per second by track number.
    """
    context = stream.codec_context
    if context is None:
        return Audio("unknown", None, None, None, rates.get(stream.id), tags.language(stream.language))
    counted = None if context.codec.canonical_name.startswith("pcm") else rates.get(stream.id)
    return Audio(
        codec=context.codec.canonical_name,
        channels=context.channels or None,
        channel_layout=_layout(context.layout.name) if context.channels else None,
        sample_rate=context.sample_rate or None,
        bit_rate=counted or context.bit_rate or None,
        language=tags.language(stream.language),
    )


def _layout(name: str) -> str | None:
    """The name of a channel layout; None if it is unknown, which FFmpeg calls "2 channels"."""
    return None if name.endswith(" channels") else tags.text(name)


def _field_order(stated: int, frame: VideoFrame) -> str:
    """The field order from the container, or from the picture, whose flags only filters can read."""
    if not frame.interlaced_frame:
        return "progressive"
    if stated in FIELDS:
        return FIELDS[stated]
    return next(
        (name for kind, name in FIRST.items() if filters.passes(frame, f"eq(interlace_type,{kind})")), "interlaced"
    )


def _name(names: type[IntEnum], number: int) -> str | None:
    """ffprobe's name of a number in ITU-T H.273; None if it is reserved or unspecified."""
    try:
        name = names(number).name
    except ValueError:
        return None
    return None if name == "UNSPECIFIED" else RENAMED.get(name, name.lower().replace("_", "-"))


def _listed(names: Sequence[str | None], data: bytes | SideData | None) -> str | None:
    """The name for the first number in one of FFmpeg's structures."""
    number = int.from_bytes(bytes(data)[:4], sys.byteorder) if data else len(names)
    return names[number] if number < len(names) else None
