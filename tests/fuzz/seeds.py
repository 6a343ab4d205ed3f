"""The videos to break: a small one for each path through the inspector."""

import os
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, Final

from tests.fuzz.mutations import File
from tests.support.riff import opendml
from tools.videos import video

os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder logs too much

SMALL: Final[dict[str, Any]] = {"size": (96, 64), "seconds": 0.6, "rate": 20}
GROUPS: Final = {"preset": "ultrafast", "x264-params": "keyint=4:min-keyint=4:bframes=1"}
CHAPTERS: Final = [
    {
        "id": number,
        "start": number * 200,
        "end": number * 200 + 200,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": "x" * 9},
    }
    for number in range(3)
]


def _mp4(flags: str = "", **more: Any) -> Callable[[], bytes]:
    return lambda: video(**SMALL, codec_options=GROUPS, options={"movflags": flags} if flags else None, **more)


def _joined() -> bytes:
    """Segments as in HLS and DASH, with a sidx before each, joined as with `cat`."""
    film = video(**SMALL, codec_options=GROUPS, options={"movflags": "frag_keyframe+empty_moov+dash+skip_trailer"})
    parts = File.parse(film)
    index = next(node for node in parts.children if node.type == b"sidx")
    parts.children = [each for node in parts.children for each in ([index, node] if node.type == b"moof" else [node])]
    return parts.write() * 2  # and timestamps restart


def _opendml() -> bytes:
    """An AVI with several RIFFs and an index of indexes."""
    return opendml(video("avi", "mpeg4", **SMALL, audio="mp3"))


def _other(container: str, codec: str, pixel_format: str, **more: Any) -> Callable[[], bytes]:
    return lambda: video(
        container, codec, **({**SMALL, "seconds": 0.2, "pixel_format": pixel_format, "codec_options": {}} | more)
    )


SEEDS: Final[dict[str, Callable[[], bytes]]] = {
    "faststart": _mp4("faststart"),
    "moov last": _mp4(),
    "mfra": _mp4("frag_keyframe+empty_moov"),
    "sidx": _mp4("frag_keyframe+empty_moov+dash+global_sidx+skip_trailer"),
    "fragments": _mp4("frag_every_frame+empty_moov+skip_trailer", audio=None),
    "joined segments": _joined,
    "hybrid": _mp4("frag_keyframe+skip_trailer"),  # samples in moov, then fragments
    "chapters": _mp4("faststart", chapters=CHAPTERS),
    "rotated": lambda: video("mov", **SMALL, rotation=-90, codec_options=GROUPS),
    "hevc": lambda: video(codec="libx265", **SMALL),
    "hdr": lambda: video(
        codec="libx265",
        **SMALL,
        codec_options={
            "preset": "ultrafast",
            "x265-params": "log-level=none:transfer=arib-std-b67:colorprim=bt2020:colormatrix=bt2020nc",
        },
    ),
    "av1": _other("mp4", "libsvtav1", "yuv420p10le", codec_options={"preset": "12"}),
    "vp9": _other("mp4", "libvpx-vp9", "yuv444p", codec_options={"deadline": "realtime", "cpu-used": "8"}),
    "prores": _other("mov", "prores_ks", "yuva444p10le", audio="pcm_s16le"),
    "png": _other("mov", "png", "rgba"),
    "palette": _other("mov", "qtrle", "argb"),
    "mjpeg": _other("mov", "mjpeg", "yuvj422p", audio="pcm_s16le"),
    "jpeg2000": _other("mov", "jpeg2000", "yuv444p"),
    "avi": _other("avi", "mpeg4", "yuv420p", audio="mp3", seconds=0.6),
    "avi opendml": _opendml,
    "avi mjpeg": _other("avi", "mjpeg", "yuvj422p", audio="pcm_s16le"),
    "avi huffyuv": _other("avi", "huffyuv", "yuv422p", audio=None),
    "avi ffv1": _other("avi", "ffv1", "gbrp10le", audio=None),
    "avi msmpeg4": _other("avi", "msmpeg4v2", "yuv420p", audio="mp3"),
    "avi raw": _other("avi", "rawvideo", "yuv420p", audio=None),
    "avi h264": lambda: video("avi", **SMALL, codec_options=GROUPS, audio="mp3"),
}


@cache
def seed(name: str) -> bytes:
    """The video with that name, encoded on first use."""
    return SEEDS[name]()
