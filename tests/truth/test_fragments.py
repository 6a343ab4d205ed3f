"""The index that is made of all fragments has the samples that FFmpeg finds by visiting each fragment."""

import io
from random import Random

import av
import pytest

from tests.support import numbered
from tests.support.files import File
from tests.truth import writers
from tests.truth.films import BY_NAME
from tests.truth.lies import none_sync
from video_intake.media import fragmented, isobmff, signatures, splice
from video_intake.media.fragments import Fragments
from video_intake.media.inspector import Limits, inspect


def samples(file) -> list[tuple]:
    """Position, size, key-frame mark and times of each sample of the video; times since the first one, in seconds."""
    with av.open(file, "r", format=signatures.ISOBMFF) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        found = []
        for entry, packet in zip(stream.index_entries, packets, strict=True):
            times = (float((time - packets[0].dts) * stream.time_base) for time in (packet.dts, packet.pts))
            found.append((entry.pos, entry.size, entry.is_keyframe, *(round(time, 4) for time in times)))
        return found


def in_one_index(content: bytes) -> list[tuple]:
    """The samples in the file for FFmpeg."""
    reader = File(content).reader()
    reader.load_ends()
    layout = isobmff.scan(reader)
    film = fragmented.chosen(reader, layout, Fragments(reader, layout), [0.1])
    assert film.whole
    return samples(fragmented.shown(reader, layout, film)[0])


FILES = [(name, writer) for name in ("h264 b-frames", "h264 uneven") for writer in writers.FRAGMENTED]
WITH_CHUNKS = [("h264 sound", "frag_keyframe"), ("h264 sound", "frag_duration")]  # in moov, of different lengths


@pytest.mark.parametrize(("name", "writer"), FILES + WITH_CHUNKS)
def test_all_samples_are_in_one_index(name, writer):
    content = writers.FRAGMENTED[writer](BY_NAME[name])
    assert in_one_index(content) == samples(io.BytesIO(content))


@pytest.mark.parametrize("most", [20_000, 100_000])
@pytest.mark.parametrize("writer", ["frag_keyframe", "ismv"])
def test_times_of_long_videos_are_rounded(monkeypatch, writer, most):
    """FFmpeg limits the time units between two samples: here, to fewer than the ten seconds of this video have."""
    content = writers.FRAGMENTED[writer](BY_NAME["h264 b-frames"])
    monkeypatch.setattr(splice, "MOST", most)
    rounded, exact = in_one_index(content), samples(io.BytesIO(content))
    assert [row[:3] for row in rounded] == [row[:3] for row in exact]
    times, true = ([time for row in rows for time in row[3:]] for rows in (rounded, exact))
    assert times != true
    assert times == pytest.approx(true, abs=20 / most + 0.0001), "two units"


@pytest.mark.parametrize("writer", ["frag_keyframe empty", "hls"])
def test_if_no_sample_is_marked_the_first_of_each_fragment_may_be_a_key_frame(writer):
    content = writers.FRAGMENTED[writer](BY_NAME["h264 b-frames"])
    told = none_sync(content, Random(0))
    assert told
    assert in_one_index(told.content) == samples(io.BytesIO(content))


@pytest.mark.parametrize("writer", writers.FRAGMENTED)
def test_times_begin_at_the_first_picture_that_is_shown(writer):
    """Which is not the first that is decoded."""
    film = BY_NAME["h264 b-frames"]
    made = inspect(File(writers.FRAGMENTED[writer](film)).reader(), Limits()).poster
    assert made.time == pytest.approx(numbered.in_jpeg(made.jpeg) / film.rate, abs=0.001)
