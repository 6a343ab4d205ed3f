"""The videos: their content and packets, encoded once and muxed by many writers."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from av.audio.frame import AudioFrame
from av.video.frame import PictureType, VideoFrame

from tests.support import numbered

os.environ.setdefault("SVT_LOG", "1")  # or the AV1 encoder logs its settings

X264: Final = {"preset": "ultrafast", "tune": "zerolatency"}
TICK: Final = Fraction(1, 90_000)


@dataclass(frozen=True)
class Film:
    """A video of `count` numbered pictures."""

    name: str
    codec: str
    options: tuple[tuple[str, str], ...] = ()
    count: int = 120
    rate: int = 12
    pixel_format: str = "yuv420p"
    sound: str | None = None
    dark: int = 0  # the number of black pictures at the beginning
    uneven: bool = False  # frames of very different lengths
    early: int = 0  # frames by which an open key frame's time may be too early: with FFmpeg's muxers, and in AVI
    refreshed: bool = False  # after a seek, pictures are correct only after some frames

    @property
    def times(self) -> list[Fraction]:
        """Seconds at which each picture is shown."""
        if not self.uneven:
            return [Fraction(number, self.rate) for number in range(self.count)]
        steps = [Fraction((1, 1, 2, 1, 30)[number % 5], 4 * self.rate) for number in range(self.count)]
        return [sum(steps[:number], Fraction(0)) for number in range(self.count)]

    @property
    def seconds(self) -> float:
        """The duration; the last frame of an uneven video is as long as the one before it."""
        times = self.times
        return float(times[-1] + (times[-1] - times[-2]))

    @property
    def frame_rate(self) -> float:
        """The mean."""
        return self.count / self.seconds


def film(name: str, codec: str, **more: Any) -> Film:
    """A Film; `options` as a dictionary."""
    options = more.pop("options", {})
    return Film(name, codec, tuple(options.items()), **more)


def x264(params: str, **more: str) -> dict[str, str]:
    """Options of libx264."""
    return {"preset": "ultrafast", "x264-params": f"scenecut=0:{params}"} | more


def x265(params: str) -> dict[str, str]:
    """Options of libx265."""
    return {"preset": "ultrafast", "x265-params": f"log-level=none:{params}"}


FILMS: Final = [
    film("h264", "libx264", options=x264("keyint=12:min-keyint=12:bframes=0")),
    film("h264 b-frames", "libx264", options=x264("keyint=24:min-keyint=24:bframes=3:open-gop=0")),
    film("h264 open", "libx264", options=x264("keyint=24:min-keyint=24:bframes=3:open-gop=1", preset="fast")),
    film("h264 one group", "libx264", options=x264("keyint=500:bframes=2")),
    film("h264 dark one group", "libx264", options=x264("keyint=500:bframes=2"), dark=20),
    film("h264 intra", "libx264", options=x264("keyint=1")),
    film("h264 refresh", "libx264", options=x264("keyint=24:intra-refresh=1:bframes=0"), refreshed=True),
    film("h264 sound", "libx264", options=x264("keyint=12:min-keyint=12:bframes=2"), sound="aac"),
    film("h264 uneven", "libx264", options=x264("keyint=12:min-keyint=12:bframes=0"), uneven=True),
    film("hevc", "libx265", options=x265("keyint=24:bframes=3:open-gop=0")),
    film("hevc open", "libx265", options=x265("keyint=24:bframes=3:open-gop=1"), early=3),
    film("mpeg4", "mpeg4", options={"g": "12"}),
    film("mpeg4 one group", "mpeg4", options={"g": "300", "bf": "2"}, sound="mp3"),
    film("mpeg2", "mpeg2video", rate=25, options={"g": "12", "bf": "2"}, early=2),
    film("mjpeg", "mjpeg", pixel_format="yuvj420p", options={"qscale": "4", "flags": "+qscale"}, count=40),
    film("prores", "prores_ks", pixel_format="yuv422p10le", count=24, sound="pcm_s16le"),
    film("av1", "libsvtav1", options={"preset": "12", "svtav1-params": "keyint=24:lp=1"}, count=60),
    film("vp9", "libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "g": "24"}, count=60),
]
BY_NAME: Final = {each.name: each for each in FILMS}


def encode(output: Any, wanted: Film) -> None:
    """Encodes the video into an open container."""
    stream = output.add_stream(wanted.codec, rate=wanted.rate, options=dict(wanted.options))
    stream.width, stream.height = numbered.SIZE
    stream.pix_fmt = wanted.pixel_format
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = TICK if wanted.uneven else Fraction(1, wanted.rate)
    sources = [_packets(stream, _pictures(wanted))]
    if wanted.sound:
        tone = output.add_stream(wanted.sound, rate=48_000)
        sources.append(_packets(tone, _tone(wanted)))
    output.start_encoding()
    for packet in sorted((packet for source in sources for packet in source), key=_decoded):
        output.mux(packet)


def _decoded(packet: Any) -> float:
    return float((packet.dts or 0) * packet.time_base)


def _packets(stream: Any, frames: Iterator[Any]) -> Iterator[Any]:
    for frame in frames:
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _pictures(wanted: Film) -> Iterator[VideoFrame]:
    base = TICK if wanted.uneven else Fraction(1, wanted.rate)
    for number, time in enumerate(wanted.times):
        frame = numbered.drawn(number if number >= wanted.dark else None)
        # A copy, because encoders may keep frames, and the drawn ones are shared
        frame = frame.reformat(format="yuv444p").reformat(format=wanted.pixel_format)
        frame.pts, frame.time_base, frame.pict_type = int(time / base), base, PictureType.NONE
        yield frame


def _tone(wanted: Film) -> Iterator[AudioFrame]:
    size = 1152 if wanted.sound == "mp3" else 1024
    layout, kind = "mono", {"aac": "fltp", "mp3": "s16p"}.get(wanted.sound or "", "s16")
    for number in range(int(wanted.seconds * 48_000) // size):
        frame = AudioFrame(format=kind, layout=layout, samples=size)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * size, Fraction(1, 48_000)
        yield frame
