"""The contestants. Each function prepares an inspection, which returns the size of the poster, or None without one.

`python -m tools.benchmarks.contestants NAME ENDPOINT`, with two Targets as JSON on its input, is a warm Lambda in a
separate process: it imports what the contestant needs, inspects the first, small object, and measures the second.
Starting programs is part of the measured time, as it would be there.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from tools.benchmarks import own

POSTER_EDGE: Final = 1280
SCALE: Final = f"scale='min({POSTER_EDGE},iw)':-2"


def download(endpoint: str) -> own.Job:
    """P1: boto3's parallel download to disk, then ffprobe and ffmpeg."""
    client = own.client(endpoint)

    def job(target: own.Target) -> int:
        file = Path(target.folder, target.key)
        client.download_file(own.BUCKET, target.key, str(file))
        return _ffprobe_and_ffmpeg(str(file), target)

    return job


def url(endpoint: str) -> own.Job:
    """P2: ffprobe and ffmpeg on a presigned URL."""
    client = own.client(endpoint)
    return lambda target: _ffprobe_and_ffmpeg(_presigned(client, target), target)


def mediainfo(endpoint: str) -> own.Job:
    """P3: MediaInfo on a presigned URL. Facts only."""
    client, library = own.client(endpoint), importlib.import_module("pymediainfo").MediaInfo

    def job(target: own.Target) -> None:
        tracks = {track.track_type for track in library.parse(_presigned(client, target)).tracks}
        assert "Video" in tracks, f"MediaInfo found only {tracks}"

    return job


def s3fs(endpoint: str) -> own.Job:
    """P4: PyAV on s3fs, both with default settings."""
    library, av = importlib.import_module("s3fs"), importlib.import_module("av")
    files = library.S3FileSystem(client_kwargs={"endpoint_url": endpoint, "region_name": "us-east-1"})

    def job(target: own.Target) -> int:
        with files.open(f"{own.BUCKET}/{target.key}") as file:
            return _by_pyav(av, file)

    return job


CONTESTANTS: Final[dict[str, Callable[[str], own.Job]]] = {
    "ours": own.ours,
    "P1": download,
    "P2": url,
    "P3": mediainfo,
    "P4": s3fs,
    "floor": own.floor,
    "invocation": own.invocation,
}


def _presigned(client: Any, target: own.Target) -> str:
    return str(client.generate_presigned_url("get_object", Params={"Bucket": own.BUCKET, "Key": target.key}))


def _ffprobe_and_ffmpeg(source: str, target: own.Target) -> int:
    probe = ["ffprobe", "-v", "error", "-print_format", "json", "-show_format", "-show_streams", source]
    facts = json.loads(subprocess.run(probe, check=True, stdout=subprocess.PIPE).stdout)
    poster, at = Path(target.folder, "poster.jpg"), float(facts["format"]["duration"]) * 0.1
    picture = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-ss", f"{at:.3f}", "-i", source, "-frames:v", "1"]
    subprocess.run([*picture, "-vf", SCALE, "-q:v", "3", str(poster)], check=True)
    return poster.stat().st_size


def _by_pyav(av: Any, file: Any) -> int:
    with av.open(file) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        container.seek(container.duration // 10)
        frame = next(container.decode(stream))
    scale = min(1.0, POSTER_EDGE / max(frame.width, frame.height))
    size = round(frame.width * scale), round(frame.height * scale)
    small = frame.reformat(*size, "yuvj420p", interpolation="AREA", dst_colorspace="ITU601", dst_color_range="JPEG")
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = *size, "yuvj420p", Fraction(1, 25)
    encoder.qmin = encoder.qmax = 3
    small.pts = None
    return sum(packet.size for packet in (*encoder.encode(small), *encoder.encode(None)))


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    ours = sum(usage.ru_utime + usage.ru_stime for usage in used)
    spent = (file.read_text().split()[0] for child in _children() for file in child.glob("task/*/schedstat"))
    return ours + sum(map(int, spent)) / 1e9  # nanoseconds, of our decoder process, which has not ended


def _children() -> list[Path]:
    """Running child processes; none without /proc."""
    found = (file.read_text().split() for file in Path("/proc/self/task").glob("*/children"))
    return [Path("/proc", child) for children in found for child in children]


def _peak() -> float:
    """MB of this process and our decoder, or of the largest program it started."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if Path("/proc/self/status").exists():  # of this program alone: ru_maxrss begins at the parent's
        lines = (
            line
            for process in (Path("/proc/self"), *_children())
            for line in (process / "status").read_text().splitlines()
        )
        own = sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024 / 1e6


def main() -> None:
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true"}
    warm_up, target = (own.Target(**one) for one in json.load(sys.stdin))
    job = CONTESTANTS[sys.argv[1]](sys.argv[2])
    job(warm_up)
    if sys.argv[1] == "floor":
        job(warm_up)
        job(target)  # which records the ranges that are read
    urlopen(f"{sys.argv[2]}/__stats").close()  # resets the statistics
    cpu, started = _cpu(), time.perf_counter()
    poster = job(target)
    wall = time.perf_counter() - started
    print("\n" + json.dumps({"wall": wall, "cpu": _cpu() - cpu, "peak": _peak(), "poster": poster}))


if __name__ == "__main__":
    main()
