"""The writers: every FFmpeg muxer and flag that produces a different layout of an MP4, MOV or AVI."""

import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Final

import av

from tests.support.remux import copy
from tests.truth.films import Film, encode

type Writer = Callable[[Film], bytes]

NO_TEMPLATE: Final = ("libsvtav1",)  # PyAV needs an encoder with the decoder's name, and libdav1d has none


@cache
def packets(wanted: Film) -> bytes:
    """The video in a plain file, for remuxing."""
    kind = "mov" if wanted.codec == "prores_ks" else "mp4"  # each supports codecs that the other does not
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film")
        with av.open(str(path), "w", format=kind) as output:
            encode(output, wanted)
        return path.read_bytes()


def remuxed(wanted: Film, container: str, name: str = "film", **options: str) -> dict[str, bytes]:
    """The muxer's output files, by name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        options = {key: value.replace("@", f"{folder}/") for key, value in options.items()}
        with av.open(str(path), "w", format=container, options=options) as output:
            if wanted.codec in NO_TEMPLATE:
                encode(output, wanted)
            else:
                copy(packets(wanted), output)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


@cache
def muxed(wanted: Film, container: str, flags: str = "", **options: str) -> bytes:
    """The video from the muxer with these movflags and options."""
    more = {"movflags": flags} if flags else {}
    return remuxed(wanted, container, **more, **options)["film"]


@cache
def hls(wanted: Film, flags: str = "") -> bytes:
    """HLS segments, joined as with `cat`, or the muxer's single file."""
    files = remuxed(
        wanted, "hls", "list.m3u8", hls_segment_type="fmp4", hls_time="2", hls_playlist_type="vod",
        hls_segment_filename="@one.mp4" if flags else "@part%03d.m4s", hls_flags=flags or "independent_segments",
    )  # fmt: skip
    if flags:
        return files["one.mp4"]
    return files["init.mp4"] + b"".join(files[name] for name in sorted(files) if name.endswith(".m4s"))


@cache
def dash(wanted: Film, single: bool = False) -> bytes:
    """The video in a DASH manifest: its segments joined, or the muxer's single file."""
    names = {"single_file": "1", "single_file_name": "one-$RepresentationID$.mp4"}
    if not single:
        names = {"init_seg_name": "init-$RepresentationID$.mp4"}
        names["media_seg_name"] = "part-$RepresentationID$-$Number%05d$.m4s"
    files = remuxed(wanted, "dash", "manifest.mpd", seg_duration="2", dash_segment_type="mp4", **names)
    if single:
        return files["one-0.mp4"]
    return files["init-0.mp4"] + b"".join(files[name] for name in sorted(files) if name.startswith("part-0"))


@cache
def avi(wanted: Film, **options: str) -> bytes:
    """The video in AVI, whose packets differ from MP4's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film")
        with av.open(str(path), "w", format="avi", options=options) as output:
            encode(output, wanted)
        return path.read_bytes()


def _mp4(container: str, flags: str = "", **options: str) -> Writer:
    return partial(muxed, container=container, flags=flags, **options)


INDEXED: Final[dict[str, Writer]] = {
    "mp4": _mp4("mp4"),
    "faststart": _mp4("mp4", "faststart"),
    "mov": _mp4("mov"),
    "mov faststart": _mp4("mov", "faststart+write_colr+prefer_icc"),
    "3gp": _mp4("3gp"),
    "ipod": _mp4("ipod"),
    "f4v": _mp4("f4v"),
    "no edit list": _mp4("mp4", use_editlist="0"),
    "negative cts": _mp4("mp4", "negative_cts_offsets"),
    "hybrid": _mp4("mp4", "hybrid_fragmented+frag_keyframe"),
    "interleaved in one second": _mp4("mov", max_interleave_delta="1000000"),
}
FRAGMENTED: Final[dict[str, Writer]] = {
    "frag_keyframe": _mp4("mp4", "frag_keyframe"),
    "frag_keyframe negative cts": _mp4("mp4", "frag_keyframe+negative_cts_offsets"),
    "frag_keyframe empty": _mp4("mp4", "frag_keyframe+empty_moov"),
    "frag_keyframe empty base": _mp4("mp4", "frag_keyframe+empty_moov+default_base_moof"),
    "frag_keyframe empty no mfra": _mp4("mp4", "frag_keyframe+empty_moov+skip_trailer"),
    "frag_every_frame": _mp4("mp4", "frag_every_frame+empty_moov"),
    "frag_every_frame base": _mp4("mp4", "frag_every_frame+empty_moov+default_base_moof+skip_trailer"),
    "frag_duration": _mp4("mp4", "skip_trailer", frag_duration="700000"),
    "frag_duration empty": _mp4("mp4", "empty_moov+skip_trailer", frag_duration="700000"),
    "frag_duration base": _mp4("mp4", "empty_moov+default_base_moof", frag_duration="700000"),
    "frag_duration base no mfra": _mp4("mp4", "empty_moov+default_base_moof+skip_trailer", frag_duration="700000"),
    "frag_size": _mp4("mp4", "empty_moov", frag_size="4000"),
    "dash flag": _mp4("mp4", "dash+frag_keyframe+empty_moov"),
    "dash sidx": _mp4("mp4", "dash+frag_keyframe+empty_moov+global_sidx+skip_trailer"),
    "skip_sidx": _mp4("mp4", "dash+frag_keyframe+empty_moov+skip_sidx+skip_trailer"),
    "cmaf": _mp4("mp4", "cmaf+frag_keyframe+empty_moov"),
    "cmaf no cts": _mp4("mp4", "cmaf+frag_keyframe+empty_moov+negative_cts_offsets+skip_trailer"),
    "delay_moov": _mp4("mp4", "frag_keyframe+delay_moov"),
    "delay_moov sidx": _mp4("mp4", "frag_keyframe+delay_moov+global_sidx+dash+skip_trailer"),
    "separate_moof": _mp4("mp4", "frag_keyframe+empty_moov+separate_moof"),
    "omit tfhd": _mp4("mp4", "frag_keyframe+empty_moov+omit_tfhd_offset+skip_trailer"),
    "no edit list": _mp4("mp4", "frag_keyframe+empty_moov", use_editlist="0"),
    "mov": _mp4("mov", "frag_keyframe+empty_moov"),
    "ismv": _mp4("ismv", "frag_keyframe+empty_moov"),
    "3gp": _mp4("3gp", "frag_keyframe+empty_moov+skip_trailer"),
    "hls": hls,
    "hls single": partial(hls, flags="single_file"),
    "dash": dash,
    "dash single": partial(dash, single=True),
}
AVI: Final[dict[str, Writer]] = {
    "avi": avi,
    "avi with room for OpenDML": partial(avi, reserve_index_space="4000"),
}
