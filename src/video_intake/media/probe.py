"""Facts of an opened file, read through PyAV."""

from fractions import Fraction
from typing import Final

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.rational import AVRational
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc
from av.video.stream import VideoStream

from video_intake.media.display import Display
from video_intake.media.extent import Extent
from video_intake.media.facts import Audio, Chapter, Container, Video
from video_intake.media.isobmff import Layout

MAX_CHAPTERS: Final = 100  # a film has thirty; the result document also travels as a message of 256 KB
MAX_TITLE: Final = 200  # characters


def of_container(
    opened: InputContainer, size: int, layout: Layout | None, duration: float | None, video_tracks: int
) -> Container:
    """Facts of the file of `size` bytes."""
    brand = layout.brand if layout else None
    quicktime = layout and (layout.ftyp is None or brand == "qt")  # before 2001 there was no ftyp
    return Container(
        format="avi" if layout is None else "mov" if quicktime else "mp4",
        brand=brand,
        duration=duration and round(duration, 6),
        bit_rate=int(size * 8 / duration) if duration else None,
        creation_time=_text(opened.metadata.get("creation_time")),
        fast_start=layout.fast_start if layout else None,
        fragmented=bool(layout and layout.movie.fragmented),
        video_tracks=video_tracks,
        chapters=tuple(
            Chapter(
                round(float(chapter["start"] * chapter["time_base"]), 3),
                round(float(chapter["end"] * chapter["time_base"]), 3),
                _text(chapter["metadata"].get("title", "")[:MAX_TITLE]),
            )
            for chapter in opened.chapters()[:MAX_CHAPTERS]
        ),
    )


def of_video(stream: VideoStream, frame: VideoFrame, shown: Display, extent: Extent) -> Video:
    """Facts of a track; `frame` is a decoded one, which knows what only the bit stream says."""
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
        pixel_format=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        color_transfer=_transfer_name(shown.transfer),
        hdr=shown.hdr,
        dolby_vision_profile=shown.dolby_vision,
    )


def of_audio(stream: AudioStream) -> Audio:
    """Facts of a track, which may be in a codec that cannot be decoded: it needs not be."""
    context = stream.codec_context
    if context is None:
        return Audio("unknown", None, None, None, _language(stream.language))
    return Audio(
        codec=context.codec.canonical_name,
        channels=context.channels or None,
        channel_layout=context.layout.name if context.channels else None,
        sample_rate=context.sample_rate or None,
        language=_language(stream.language),
    )


def _transfer_name(transfer: int) -> str | None:
    if transfer in (0, ColorTrc.UNSPECIFIED):
        return None
    try:
        return ColorTrc(transfer).name.lower().replace("_", "-")
    except ValueError:
        return None  # a reserved value of the standard (ITU-T H.273)


def _language(code: str | None) -> str | None:
    return None if code in (None, "", "und") else _text(code)


def _text(value: str | None) -> str | None:
    """Text of the file, which may be in any encoding: PyAV marks what is no UTF-8 by surrogates."""
    return value.encode("utf-8", "replace").decode().strip() if value else None
