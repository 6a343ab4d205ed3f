"""Videos that begin in the middle of a group of pictures: their posters are whole pictures, with the right time."""

import io
import struct
from functools import cache

import av
import pytest

from tests.support import numbered
from tests.support.files import File
from tests.truth import writers
from tests.truth.films import BY_NAME
from video_intake.media.inspector import Inspection, Limits, inspect


def inspected(content: bytes) -> Inspection:
    return inspect(File(content).reader(), Limits())


@cache
def film(name: str) -> bytes:
    return next(iter(writers.INDEXED.values()))(BY_NAME[name])


def without_first(content: bytes, count: int) -> bytes:
    """The video without its first samples."""
    file = io.BytesIO()
    with av.open(io.BytesIO(content)) as source, av.open(file, "w", format="mp4") as output:
        copy = output.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        for packet in packets[count:]:
            packet.stream = copy
            output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("dropped", [1, 5])
def test_pictures_before_the_first_key_frame_are_not_shown(dropped):
    found = inspected(without_first(film("h264"), dropped))
    number = numbered.in_jpeg(found.poster.jpeg)
    assert number is not None
    assert number >= 12, "the next key frame"
    assert found.poster.time == pytest.approx(number / 12, abs=0.001), "an empty edit precedes the first one"


def test_the_poster_is_at_a_tenth_of_a_track_that_begins_later():
    """Not of the time until it ends."""
    found = inspected(without_first(film("h264"), 60))
    assert (numbered.in_jpeg(found.poster.jpeg), found.poster.time) == (60, pytest.approx(5))


def test_a_video_that_is_refreshed_gradually_has_a_warning():
    found = inspected(without_first(film("h264 refresh"), 1))
    assert found.poster
    assert [warning for warning in found.warnings if "no complete key frame" in warning]
    assert inspected(film("h264 refresh")).warnings == ()


@pytest.mark.parametrize("name", ["h264", "h264 one group", "h264 intra", "mpeg4", "av1", "vp9"])
@pytest.mark.parametrize("seconds", [0.5, 1.1, 4])
def test_pictures_before_the_edit_list_begins_are_not_shown(name, seconds):
    content = film(name)
    at = content.index(b"elst") + 8
    version, count, duration, begin = content[at - 4], *struct.unpack_from(">IIi", content, at)
    assert (version, count) == (0, 1)
    at_scale = content.index(b"mdhd") + 4 + 12
    skipped = round(seconds * struct.unpack_from(">I", content, at_scale)[0])
    at_movie = content.index(b"mvhd") + 4 + 12
    shorter = duration - round(seconds * struct.unpack_from(">I", content, at_movie)[0])
    found = inspected(content[: at + 4] + struct.pack(">Ii", shorter, begin + skipped) + content[at + 12 :])
    number = numbered.in_jpeg(found.poster.jpeg)
    assert number is not None
    assert number >= int(12 * seconds)
    assert found.poster.time == pytest.approx(number / 12 - seconds, abs=1 / 12)
