"""Generates sample videos, good and bad, like those from a camera, a phone and a careless user."""

import functools
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av.filter import Graph
from av.video.frame import PictureType

FORMATS: Final = {"h264": "yuv420p", "libx265": "yuv420p10le", "mpeg4": "yuv420p", "mjpeg": "yuvj420p"}
OPTIONS: Final = {
    "h264": {"preset": "ultrafast", "x264-params": "keyint=30:bframes=0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:keyint=30"},
}
FILM: Final[dict[str, Any]] = {"size": (1280, 720), "seconds": 12}
FRAGMENTED: Final = {"movflags": "frag_keyframe+empty_moov"}

# The samples' pictures, from FFmpeg's video sources (https://ffmpeg.org/ffmpeg-filters.html#Video-Sources)
_BLENDED: Final = "gradients=size=320x180:n=4:speed=0.003"  # four colors, small because it is slow, and then scaled
_GRAIN: Final = (
    ",scale=1280:720,format=yuv420p,noise=alls=6:allf=t"  # without grain, the file would be unrealistically small
)
BEACH: Final = f"{_BLENDED}:seed=3:c0=0xf6d365:c1=0xfda085:c2=0x4facfe:c3=0x00c6fb{_GRAIN}"
SUNSET: Final = f"{_BLENDED}:seed=5:type=radial:c0=0x0f0c29:c1=0xff512f:c2=0xf09819:c3=0x302b63{_GRAIN}"
UMBRELLA: Final = f"{_BLENDED}:seed=9:type=spiral:c0=0x00c9ff:c1=0x92fe9d:c2=0xf857a6:c3=0xff5858{_GRAIN}"
POND: Final = (
    "life=size=180x144:seed=4:ratio=0.12:mold=10:life_color=0x00ff88:death_color=0xc83232:mold_color=0x16213e,"
    "scale=720:576:flags=neighbor"
)
SEA: Final = "perlin=size=240x135:octaves=5:xscale=4:yscale=4:tscale=0.3,lutrgb=r=val*0.4:g=val*0.8:b=255-val/3"
FRACTAL: Final = "mandelbrot=maxiter=300:start_scale=0.9:end_scale=0.02:end_pts=60"
RIPPLES: Final = "zoneplate=ku=512:kv=128:kt2=10:kx2=300:ky2=300"


shelf: Path | None = None  # a folder that caches generated videos; None for no cache


def kept[**P](make: Callable[P, bytes]) -> Callable[P, bytes]:
    """Caches the results of `make` by its arguments on the shelf, if there is one."""

    @functools.wraps(make)
    def made(*arguments: P.args, **named: P.kwargs) -> bytes:
        if shelf is None:
            return make(*arguments, **named)
        wanted = repr((make.__module__, make.__qualname__, arguments, sorted(named.items())))
        file = shelf / hashlib.sha256(wanted.encode()).hexdigest()
        try:
            return file.read_bytes()
        except FileNotFoundError:
            content = make(*arguments, **named)
        shelf.mkdir(parents=True, exist_ok=True)
        unfinished = shelf / f"{file.name}-{os.getpid()}-{threading.get_ident()}"
        unfinished.write_bytes(content)
        unfinished.replace(file)  # atomically: another process may be reading it
        return content

    return made


@dataclass(frozen=True)
class Sample:
    """An object to upload, and its expected verdict: "success", or the reason for its rejection."""

    key: str
    content: Callable[[], bytes]
    verdict: str


@kept
def video(
    container: str = "mp4",
    codec: str | None = "h264",
    *,
    size: tuple[int, int] = (640, 360),
    seconds: float = 2,
    rate: Fraction | int = 30,
    rotation: int = 0,
    audio: str | None = "aac",
    pixel_format: str | None = None,
    picture: str = "testsrc2",
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    chapters: list[Any] | None = None,
) -> bytes:
    """A video with a moving test pattern and a tone.

    `rotation` is in degrees counter-clockwise, in the display matrix; `picture` is one of FFmpeg's video sources, with
    filters after commas (a source with another size is scaled); `options` are for the muxer
    ({"movflags": "faststart"}).
    """
    with tempfile.TemporaryDirectory() as folder:  # FFmpeg rereads its file to put the index first
        file = Path(folder, "video")
        with av.open(str(file), "w", format=container, options=options or {}) as output:
            packets: list[Iterator[Any]] = []
            if codec:
                packets.append(
                    _pictures(output, codec, size, seconds, rate, rotation, pixel_format, picture, codec_options)
                )
            if audio:
                packets.append(_tone(output, audio, seconds))
            if chapters:
                output.set_chapters(chapters)
            output.start_encoding()
            # Interleaved by time, as in a camera's files
            for packet in sorted((packet for source in packets for packet in source), key=_decoding_time):
                output.mux(packet)
        return file.read_bytes()


def samples() -> list[Sample]:
    """The videos that `make demo` uploads by default."""
    film = functools.partial(video, **FILM)
    return [
        Sample("holiday/beach.mp4", lambda: film(picture=BEACH, options={"movflags": "faststart"}), "success"),
        Sample("holiday/sunset.mp4", lambda: film(picture=SUNSET), "success"),
        Sample("DCIM/100APPLE/IMG_0042.MOV", lambda: film(container="mov", picture=UMBRELLA, rotation=-90), "success"),
        Sample(
            "archive/old camcorder.avi",
            lambda: video("avi", "mpeg4", size=(720, 576), seconds=6, audio="mp3", picture=POND),
            "success",
        ),
        Sample(
            "drone/DJI_0007.MP4",
            lambda: video(codec="libx265", size=(1920, 1080), seconds=1, picture=SEA),
            "success",
        ),
        Sample("Été 2026 (1) 🎬.mp4", lambda: video(picture=FRACTAL), "success"),
        Sample("live/stream.mp4", lambda: video(picture=RIPPLES, options=FRAGMENTED), "success"),
        Sample("bad/empty.mp4", lambda: b"", "empty"),
        Sample("bad/meeting notes.mp4", lambda: b"Dear all,\nplease find the video attached.\n" * 40, "not-a-video"),
        Sample("bad/cut off.mov", lambda: cut(video("mov", options={"movflags": "faststart"})), "truncated"),
        Sample("bad/song.mp4", lambda: video(codec=None), "audio-only"),
    ]


def cut(content: bytes, keep: float = 0.7) -> bytes:
    """The first part of a file, like an interrupted upload."""
    return content[: int(len(content) * keep)]


def _pictures(
    output: Any,
    codec: str,
    size: tuple[int, int],
    seconds: float,
    rate: Fraction | int,
    rotation: int,
    pixel_format: str | None,
    picture: str,
    codec_options: dict[str, str] | None,
) -> Iterator[Any]:
    stream = output.add_stream(codec, rate=rate, options=codec_options or OPTIONS.get(codec, {}))
    stream.width, stream.height = size
    stream.pix_fmt = pixel_format or FORMATS.get(codec, "yuv420p")
    if rotation:
        stream.set_display_rotation(rotation)
    source, *filters = picture.split(",")
    source += (":" if "=" in source else "=") + f"rate={rate}"
    source, filters = (source, [*filters, f"scale={size[0]}:{size[1]}:flags=bicubic"]) if "size=" in source else (
        f"{source}:size={size[0]}x{size[1]}", filters)  # fmt: skip
    chain = [source, *filters, "buffersink"]

    def frames() -> Iterator[Any]:
        for number, frame in enumerate(_frames(chain, round(seconds * rate))):
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, 1 / Fraction(rate)
            frame.pict_type = PictureType.NONE  # otherwise every picture is a key frame, as in the source
            yield frame

    return _encoded(stream, frames())


def _tone(output: Any, codec: str, seconds: float) -> Iterator[Any]:
    stream = output.add_stream(codec, rate=48000)
    samples = 1024 if codec == "aac" else 1152
    source = f"sine=frequency=440:sample_rate=48000:samples_per_frame={samples}"
    return _encoded(stream, _frames([source, "abuffersink"], round(seconds * 48000 / samples)))


def _encoded(stream: Any, frames: Iterator[Any]) -> Iterator[Any]:
    for frame in frames:
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _frames(chain: list[str], count: int) -> Iterator[Any]:
    graph = Graph()
    parts = [step.partition("=") for step in chain]
    graph.link_nodes(*(graph.add(name, arguments) for name, _, arguments in parts)).configure()
    for _ in range(count):
        yield graph.pull()


def _decoding_time(packet: Any) -> float:
    return float((packet.dts or 0) * packet.time_base)
