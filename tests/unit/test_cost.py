"""The exact requests for inspecting ordinary large files: verifying a correct file must not cost a round trip.

Files with false metadata may cost more (tests/truth checks only the answers).
"""

import io
import struct
from functools import cache

import av
import pytest

from tests.support.files import File
from tests.support.remux import remuxed
from tools.videos import video
from video_intake.media import fragments
from video_intake.media.inspector import Limits, inspect
from video_intake.media.range_reader import SMALL_FILE

HEAD = 128 * 1024  # of a file over 8 MB, at both ends
NOISY = "testsrc2,noise=alls=30:allf=t"  # so that ten seconds are large


FILM, MANY, FEW = 30, 6, 60  # frames of a group of pictures


@cache
def encoded(group: int) -> bytes:
    """Ten seconds, over 20 MB."""
    params = {"preset": "ultrafast", "x264-params": f"keyint={group}:min-keyint={group}:bframes=2"}
    return video("mov", size=(640, 360), seconds=10, picture=NOISY, codec_options=params)


@cache
def film(kind: str) -> bytes:
    container, _, flags = kind.partition(" ")
    if container == "avi" and flags:
        codec, audio = flags.split()
        params = {"b": "20M"}
        return video("avi", codec, size=(640, 360), seconds=5, picture=NOISY, audio=audio, codec_options=params)
    if container == "avi":
        return video("avi", "mpeg4", size=(1280, 720), seconds=8, audio="mp3", codec_options={"b": "20M"})
    group = MANY if flags.startswith("many") else FEW if flags.startswith("few") else FILM
    return remuxed(encoded(group), container, flags.removeprefix("many ").removeprefix("few "))


def cost(kind: str, storyboard: bool = False) -> tuple[File, int, int]:
    """The file with the requested ranges, and the number of requests and round trips."""
    file = File(film(kind))
    reader = file.reader()
    assert inspect(reader, Limits(storyboard=storyboard)).poster
    assert reader.bytes_read == sum(end - start for start, end in file.ranges)
    return file, reader.requests, reader.round_trips


def key_frame(content: bytes, place: float) -> tuple[int, int]:
    """The range of the key frame nearest to that place, and the header after it."""
    with av.open(io.BytesIO(content)) as container:
        entries = list(container.streams.video[0].index_entries)
        target = entries[0].timestamp + (entries[-1].timestamp - entries[0].timestamp) * place
        nearest = min((entry for entry in entries if entry.is_keyframe), key=lambda key: abs(key.timestamp - target))
        return nearest.pos, nearest.pos + nearest.size + 8


def test_a_small_file_is_one_request():
    content = video(size=(640, 360))
    assert len(content) < SMALL_FILE
    file = File(content)
    assert inspect(file.reader(), Limits()).poster
    assert file.ranges == [(0, len(content))]


@pytest.mark.parametrize("kind", ["mp4 faststart", "mov ", "avi "])
def test_an_indexed_file_costs_its_ends_and_one_key_frame(kind):
    file, requests, round_trips = cost(kind)
    size = len(file.content)
    assert size > 8 << 20
    assert file.ranges == [(0, HEAD), (size - HEAD, size), key_frame(file.content, 0.1)]
    assert (requests, round_trips) == (3, 2)


@pytest.mark.parametrize(
    ("kind", "requests", "round_trips"),
    [
        ("avi mjpeg pcm_s16le", 3, 2),
        ("avi mjpeg ac3", 3, 2),
        ("avi mpeg4 ac3", 4, 3),  # the first picture is larger than the head that was fetched
    ],
)
def test_of_an_avi_file_the_sound_before_the_key_frame_is_fetched_with_it(kind, requests, round_trips):
    """FFmpeg begins to read there."""
    file, *costs = cost(kind)
    assert costs == [requests, round_trips]
    start, end = key_frame(file.content, 0.1)
    assert file.ranges[-1][0] <= start
    assert file.ranges[-1][1] == end
    assert cost(kind, storyboard=True)[2] == round_trips + 1


def test_an_avi_file_whose_index_is_not_where_its_list_ends_costs_one_round_trip_more():
    """FFmpeg gets other headers and another index, so its offsets are not those of the file."""
    content = bytearray(film("avi "))
    at = content.index(b"movi") - 4
    struct.pack_into("<I", content, at, struct.unpack_from("<I", content, at)[0] // 2)
    file = File(bytes(content))
    reader = file.reader()
    assert inspect(reader, Limits()).poster
    assert (file.ranges[-1], reader.round_trips) == (key_frame(film("avi "), 0.1), 3)


@pytest.mark.parametrize(
    ("kind", "requests", "round_trips", "kilobytes"),
    [
        # with its own index at the end (mfra): two fragments are looked at, near the wanted place and the last
        ("mp4 many frag_keyframe+empty_moov", 5, 3, 449),
        # with a segment index in front (sidx)
        ("mp4 many frag_keyframe+empty_moov+dash+global_sidx+skip_trailer", 5, 3, 449),
        # with none: a window is looked through near the wanted place, another at the end
        ("mp4 many frag_keyframe+empty_moov+skip_trailer", 4, 2, 1798),
        # with none, sound and pictures in separate fragments
        ("mp4 many frag_every_frame+empty_moov+skip_trailer", 4, 3, 576),
        # a few large ones, with and without mfra
        ("mp4 few frag_keyframe+empty_moov", 4, 3, 381),
        ("mp4 few frag_keyframe+empty_moov+skip_trailer", 7, 6, 578),
    ],
)
def test_only_some_fragments_are_read(kind, requests, round_trips, kilobytes):
    file, asked, waited = cost(kind)
    assert (asked, waited) == (requests, round_trips)
    assert sum(end - start for start, end in file.ranges) <= kilobytes * 1000


def test_large_fragments_are_visited_where_looking_for_them_takes_longer(monkeypatch):
    """The ends in one round trip, then nine visits; the first has the key frame. Limits are scaled down to the file."""
    monkeypatch.setattr(fragments, "VISIT", fragments.VISIT // 4)
    file, requests, round_trips = cost("mp4 frag_keyframe+empty_moov+skip_trailer")
    assert file.content.count(b"mfhd") == 10
    assert (requests, round_trips) == (12, 11)
    assert sum(end - start for start, end in file.ranges) < 1_000_000


@pytest.mark.parametrize(
    ("kind", "requests", "round_trips"),
    [("mp4 faststart", 12, 3), ("mov ", 12, 3), ("avi ", 21, 3), ("mp4 many frag_keyframe+empty_moov", 53, 4)],
)
def test_a_storyboard_costs_one_round_trip_more(kind, requests, round_trips):
    assert cost(kind, storyboard=True)[1:] == (requests, round_trips)
