"""The facts about a playable video. Names and values are ffprobe's, if it has them.

Text and lists from the file are limited where they are read (tags.py, probe.py), because the result document must fit
into a message of 256 KB. This module does not need FFmpeg.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chapter:
    """A named part of the video."""

    start: float  # seconds
    end: float
    title: str | None


@dataclass(frozen=True)
class Container:
    """Facts about the whole file."""

    format: str  # "mp4", "mov" or "avi"
    brand: str | None  # the major brand of an MP4 or MOV
    duration: float | None  # seconds, see extent.py
    bit_rate: int | None  # bits per second, of the whole file
    creation_time: str | None  # ISO 8601, from the file: usually when it was written, in UTC
    recorded_at: str | None  # ISO 8601, from the camera, with its time zone if stated
    device_make: str | None
    device_model: str | None
    fast_start: bool | None  # whether the index precedes the media data; None for AVI
    fragmented: bool
    video_tracks: int
    audio_tracks: int
    chapters: tuple[Chapter, ...]


@dataclass(frozen=True)
class Video:
    """Facts about the video track that is shown."""

    codec: str
    profile: str | None
    codec_tag: str
    width: int  # stored pixels
    height: int
    display_width: int  # square pixels, upright
    display_height: int
    sample_aspect_ratio: str  # "1:1"
    rotation: int  # degrees counter-clockwise, as in the display matrix: portrait phones have -90
    mirrored: bool
    frame_rate: str | None  # frames per second as a fraction: "30000/1001"; the mean if it varies
    frames: int | None
    bit_rate: int | None  # bits per second
    field_order: str  # "progressive", ffprobe's "tt", "bb", "tb" or "bt", or "interlaced"
    pixel_format: str
    bit_depth: int  # bits per component
    color_range: str | None  # "tv" or "pc"
    color_primaries: str | None
    color_transfer: str | None
    color_matrix: str | None
    hdr: str | None  # "PQ" or "HLG"
    dolby_vision_profile: int | None
    stereo: str | None  # how two views share a picture: "side by side"
    spherical: str | None  # the projection of a 360-degree video: "equirectangular"


@dataclass(frozen=True)
class Audio:
    """Facts about an audio track."""

    codec: str
    channels: int | None
    channel_layout: str | None
    sample_rate: int | None  # hertz
    bit_rate: int | None  # bits per second
    language: str | None  # ISO 639-2; None if undetermined


@dataclass(frozen=True)
class Poster:
    """A JPEG picture."""

    jpeg: bytes
    width: int  # pixels
    height: int
    time: float | None  # seconds into the video


@dataclass(frozen=True)
class Storyboard:
    """A sheet of pictures, row by row, and the cues that point into it."""

    jpeg: bytes
    vtt: str
    columns: int
    rows: int
    tile_width: int  # pixels
    tile_height: int
    frames: int


@dataclass(frozen=True)
class Inspection:
    """Everything known about a playable video."""

    container: Container
    video: Video
    audio: tuple[Audio, ...]
    poster: Poster | None
    storyboard: Storyboard | None = None
    warnings: tuple[str, ...] = ()
