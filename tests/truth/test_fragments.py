"""The index that is made of all fragments has the samples that FFmpeg finds by visiting each fragment."""

import io

import av
import pytest

from tests.support.files import File
from tests.truth import writers
from tests.truth.films import BY_NAME
from video_intake.media import fragmented, isobmff, signatures
from video_intake.media.fragments import Fragments


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


@pytest.mark.parametrize("name", ["h264 b-frames", "h264 uneven"])
@pytest.mark.parametrize("writer", writers.FRAGMENTED)
def test_all_samples_are_in_one_index(name, writer):
    content = writers.FRAGMENTED[writer](BY_NAME[name])
    reader = File(content).reader()
    reader.load_ends()
    layout = isobmff.scan(reader)
    film = fragmented.chosen(reader, layout, Fragments(reader, layout), [0.1])
    assert film.whole
    made, _ = fragmented.shown(reader, layout, film)
    assert samples(made) == samples(io.BytesIO(content))
