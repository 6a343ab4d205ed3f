"""Generates the eight kinds of file: a few seconds are encoded once, and their packets repeated up to the size.

Every byte is a sample or an index, groups of pictures last a second or two, and H.264 and HEVC have B-frames, as in
files from cameras and editors. `python -m tools.benchmarks.files FOLDER` makes them.
"""

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import av

from tools import videos as samples

MB: Final = 1_000_000
NOISE: Final = "noise=alls=6:allf=t"  # like a sensor; without it, key frames would be too small


def _h264(keyint: int, megabits: float) -> dict[str, str]:
    kilobits = round(megabits * 1000)
    rate = f"bitrate={kilobits}:vbv-maxrate={kilobits * 3 // 2}:vbv-bufsize={kilobits // 2}"
    return {"preset": "veryfast", "x264-params": f"keyint={keyint}:scenecut=0:bframes=2:sliced-threads=0:{rate}"}


HEVC: Final = "log-level=none:wpp=0:keyint=30:open-gop=0:bframes=3:bitrate=50000:vbv-maxrate=75000:vbv-bufsize=25000"
CLIPS: Final[dict[str, dict[str, Any]]] = {
    "phone.mp4": {"size": (1920, 1080), "seconds": 8, "codec_options": _h264(30, 20)},
    "film.mp4": {"size": (1920, 1080), "seconds": 8, "rate": 24, "codec_options": _h264(48, 1.1)},
    "stream.mp4": {"size": (1280, 720), "seconds": 8, "codec_options": _h264(30, 2.85)},
    "camcorder.avi": {
        "container": "avi",
        "codec": "mpeg4",
        "audio": "mp3",
        "size": (1280, 720),
        "seconds": 12,
        "rate": 25,
        "codec_options": {"b": "8000000", "g": "25"},
    },
    "drone.mp4": {
        "codec": "libx265",
        "size": (3840, 2160),
        "seconds": 2,
        "codec_options": {"preset": "ultrafast", "x265-params": HEVC},
    },
}


@dataclass(frozen=True)
class Kind:
    """One kind of file: `clip` is repeated until `size` bytes or `seconds` are full."""

    name: str
    key: str
    clip: str
    what: str
    label: str = ""  # in the picture
    size: float = float("inf")
    seconds: float = float("inf")
    sounds: int = 1  # tracks
    options: dict[str, str] = field(default_factory=dict)


FAST_START: Final = {"movflags": "faststart"}
KINDS: Final = (
    Kind(
        "20s-720p",
        "20s-720p.mp4",
        "stream.mp4",
        "20 s of 720p H.264, fast start",
        "20 s, 720p",
        seconds=20,
        options=FAST_START,
    ),
    Kind(
        "1gb-mov",
        "1gb.mov",
        "phone.mp4",
        "1 GB .mov as from a phone: 1080p H.264, `moov` last",
        "1 GB .mov, index last",
        1000 * MB,
    ),
    Kind(
        "1gb-mp4",
        "1gb.mp4",
        "phone.mp4",
        "1 GB .mp4, 1080p H.264, fast start",
        "1 GB .mp4, index first",
        1000 * MB,
        options=FAST_START,
    ),
    Kind(
        "500mb-avi",
        "500mb.avi",
        "camcorder.avi",
        "500 MB .avi, 720p MPEG-4 and MP3, index last",
        "500 MB .avi, index last",
        500 * MB,
    ),
    Kind(
        "2h-film",
        "2h-film.mp4",
        "film.mp4",
        "2 h, 1080p H.264, two audio tracks, fast start: `moov` of 7.7 MB",
        "2 h film, index of 7.7 MB",
        seconds=7200,
        sounds=2,
        options=FAST_START,
    ),
    Kind(
        "200mb-5-fragments",
        "5-fragments.mp4",
        "phone.mp4",
        "200 MB in 5 fragments, no `mfra`",
        "200 MB in 5 fragments",
        200 * MB,
        options={
            "movflags": "empty_moov+default_base_moof+frag_keyframe+skip_trailer",
            "min_frag_duration": "15500000",
        },
    ),
    Kind(
        "290mb-860-fragments",
        "860-fragments.mp4",
        "stream.mp4",
        "290 MB in 861 fragments, `mfra` last",
        "290 MB in 861 fragments",
        seconds=860,
        options={"movflags": "empty_moov+default_base_moof+frag_keyframe"},
    ),
    Kind(
        "260mb-4k-hevc",
        "4k-hevc.mov",
        "drone.mp4",
        "260 MB .mov, 4K HEVC of 10 bits, `moov` last",
        "260 MB, 4K HEVC, 10 bits",
        260 * MB,
    ),
)

WARM_UP: Final = Kind(
    "warm-up", ".warm-up.mp4", "stream.mp4", "4 s of 720p H.264, which nobody is measured on", seconds=4
)


def make(kind: Kind, folder: Path) -> Path:
    """The file in `folder`, made if it is not there."""
    file = folder / kind.key
    if file.exists():
        return file
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    print(f"  making {kind.name} ...", end=" ", flush=True)
    _repeat(_clip(kind.clip, folder.parent / "clips"), kind, unfinished := file.with_name(f".{file.name}"))
    unfinished.rename(file)
    print(f"{file.stat().st_size / MB:,.0f} MB in {time.monotonic() - started:.0f} s", flush=True)
    return file


def _clip(name: str, folder: Path) -> Path:
    file = folder / name
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(samples.video(picture=f"mandelbrot=start_scale=0.4,{NOISE}", **CLIPS[name]))
    return file


def _repeat(clip: Path, kind: Kind, target: Path) -> None:
    container = {"mp4": "mp4", "mov": "mov", "avi": "avi"}[target.suffix[1:]]
    period = CLIPS[clip.name]["seconds"]
    nearest = kind.size - clip.stat().st_size / 2  # to a whole number of rounds
    written, rounds, latest = 0, 0, {True: -math.inf, False: -math.inf}
    with av.open(str(clip)) as model, av.open(str(target), "w", format=container, options=kind.options) as output:
        picture = output.add_stream_from_template(model.streams.video[0])
        sounds = [output.add_stream_from_template(model.streams.audio[0]) for _ in range(kind.sounds)]
        while written < nearest and rounds * period < kind.seconds:
            for packet, is_picture in _packets(clip, rounds * period, kind.seconds):
                if packet.dts <= latest[is_picture]:
                    continue  # sound in the encoder's lead-in, which overlaps the round before
                latest[is_picture] = packet.dts
                for stream in [picture] if is_picture else sounds:
                    copy = av.Packet(bytes(packet)) if stream is not picture else packet
                    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                    copy.duration, copy.is_keyframe, copy.stream = packet.duration, packet.is_keyframe, stream
                    written += packet.size
                    output.mux(copy)
            rounds += 1


def _packets(clip: Path, shift: float, end: float) -> Iterator[tuple[Any, bool]]:
    """The packets of the clip and whether each is picture, `shift` seconds later, none from `end` on."""
    with av.open(str(clip)) as source:
        for packet in source.demux():
            if not packet.size or packet.dts is None:
                continue
            offset = round(shift / packet.time_base)
            packet.dts += offset
            if packet.pts is not None:
                packet.pts += offset
            if packet.dts * packet.time_base < end:
                yield packet, packet.stream.type == "video"


if __name__ == "__main__":
    for each in (*KINDS, WARM_UP):
        make(each, Path(sys.argv[1]))
