"""Interrupted downloads and copies with reserved space: the file has its full size, but part of it is zeros."""

import io
import re
import struct

import av
import pytest

from tests.fuzz.mutations import File as Parts
from tests.support.boxes import box, movie, picture_entry, png, sound_entry, tables, track
from tests.support.files import File, verdict
from tools.videos import video
from video_intake.media import notes
from video_intake.media.inspector import inspect
from video_intake.media.limits import Limits

FILM = {"size": (320, 180), "seconds": 4, "rate": 12}


def zeroed(content: bytes, begin: float, end: float = 1.0) -> bytes:
    """The content with zeros between two places (0 to 1)."""
    first, last = (int(len(content) * place) for place in (begin, end))
    return content[:first] + bytes(last - first) + content[last:]


@pytest.fixture(scope="module")
def film() -> bytes:
    return video(**FILM, options={"movflags": "faststart"})


@pytest.fixture(scope="module")
def layouts(film) -> dict[str, bytes]:
    fragments = video(**FILM, options={"movflags": "frag_keyframe+empty_moov+skip_trailer"})
    return {"indexed": film, "fragments": fragments, "avi": video("avi", "mpeg4", **FILM, audio=None)}


@pytest.mark.parametrize("begin", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("layout", ["indexed", "fragments", "avi"])
def test_an_interrupted_download_is_truncated(layouts, layout, begin):
    rejected = verdict(zeroed(layouts[layout], begin))
    assert rejected.reason == "truncated"
    assert "never written" in rejected.message
    assert rejected.evidence["zerosUntil"] <= len(layouts[layout])


@pytest.mark.parametrize("kind", [b"styp", b"sidx", b"prft", b"emsg", b"free", b"uuid", b"mfra"])
@pytest.mark.parametrize("ending", [0, 8])
def test_a_download_interrupted_before_a_fragment_is_truncated(kind, ending):
    """Only what precedes another fragment shows it. The last sample of the previous one may end in some zeros."""
    flags = "frag_keyframe+empty_moov+default_base_moof+skip_trailer"
    file = Parts.parse(video(**FILM, audio=None, options={"movflags": flags}))
    trun, media = [node for node in file.nodes() if node.type in (b"trun", b"mdat")][-2:]
    assert trun.lead[2:4] == b"\2\5", "where they begin, flags of the first, and the size of each"
    (size,) = struct.unpack(">I", trun.lead[-4:])
    trun.lead = trun.lead[:-4] + struct.pack(">I", size + ending)
    media.lead += bytes(ending)
    begun = file.write() + box(kind, b"\xff" * 16)
    content = begun + bytes(5000)
    if kind in (b"free", b"uuid", b"mfra"):
        assert inspect(File(content).reader(), Limits()).poster
    else:
        assert verdict(content).evidence == {"zerosFrom": len(begun), "zerosUntil": len(content)}


def test_a_large_file_costs_one_more_request_at_most():
    """The end is fetched anyway, and the beginning of one sample in the zeros is examined."""
    large = video(size=(640, 360), seconds=8, codec="mjpeg", pixel_format="yuvj420p", options={"movflags": "faststart"})
    assert len(large) > 2 << 20
    file = File(zeroed(large, 0.5))
    with pytest.raises(Exception, match="never written"):
        inspect(file.reader(), Limits())
    assert len(file.ranges) <= 4


def test_a_hole_in_the_middle_is_a_warning(film):
    found = inspect(File(zeroed(film, 0.5, 0.7)).reader(), Limits())
    assert found.poster
    (warning,) = found.warnings
    (count,) = re.findall(r"never written: ([\d,]+) bytes", warning)
    assert int(count.replace(",", "")) == pytest.approx(0.2 * len(film), abs=8)


def test_the_longest_hole_is_noticed_after_many_others():
    free = box(b"free", (bytes(600) + b"\1") * 200)
    content = movie(picture_entry(b"png ", 64, 48), [png(64, 48), bytes(2000), png(64, 48)], before=free)
    assert inspect(File(content).reader(), Limits()).warnings == (notes.unwritten(2000),)


def test_sound_may_end_in_a_few_zeros():
    """Some encoders write a blank frame, which cannot be told from an unwritten one."""
    stbl = tables(sound_entry(b"mp4a"), [20], 32)
    content = movie(
        picture_entry(b"png ", 64, 48),
        [png(64, 48)],
        before=box(b"free", bytes(24)),
        in_moov=track(stbl.values(), 2, b"soun"),
    )
    assert inspect(File(content).reader(), Limits()).warnings == ()


def test_room_that_was_reserved_is_not_missing(film):
    """Cameras leave zeros after the video, and muxers before its index."""
    for content in (film + bytes(5000), film + box(b"free", bytes(5000)), film):
        assert not inspect(File(content).reader(), Limits()).warnings


def test_silence_is_not_missing():
    """Uncompressed silence is zeros, and may fill the fetched end of the file."""
    content = video("mov", **FILM, audio="pcm_s16le", options={"movflags": "faststart"})
    with av.open(io.BytesIO(content)) as container:
        pictures, sound = container.streams.video[0].index_entries, container.streams.audio[0].index_entries
        end = max(entry.pos + entry.size for entry in pictures)
        assert max(entry.pos for entry in sound) >= end, "it comes last"
    silent = content[:end] + bytes(len(content) - end)
    assert not inspect(File(silent).reader(), Limits()).warnings


@pytest.mark.parametrize(("zeros", "missing"), [(0, False), (4, False), (7, False), (8, True), (50, True)])
@pytest.mark.parametrize("more", [[], [bytes(4)], [bytes(7), bytes(7)]])
def test_a_last_sample_of_a_few_zeros_may_be_a_picture(zeros, missing, more):
    content = movie(picture_entry(b"png ", 64, 48), [png(64, 48), png(64, 48), bytes(zeros), *more])
    if missing:
        assert "never written" in verdict(movie(picture_entry(b"png ", 64, 48), [bytes(zeros), *more])).message
        rejected = verdict(content)
        end = len(content) - sum(map(len, more))
        assert "never written" in rejected.message
        assert rejected.evidence == {"zerosFrom": end - zeros, "zerosUntil": end}
    else:
        found = inspect(File(content).reader(), Limits())
        assert found.poster
        assert found.warnings == ()


@pytest.mark.parametrize("unwritten", [520, 2000])
def test_a_sector_of_zeros_is_noticed(film, unwritten):
    """At the end, where the sound is, and before it."""
    assert "never written" in verdict(film[:-unwritten] + bytes(unwritten)).message
    with av.open(io.BytesIO(film)) as container:
        small = [entry.pos for entry in container.streams.audio[0].index_entries if 8 <= entry.size <= 500]
    at = small[len(small) // 2]
    found = inspect(File(film[:at] + bytes(unwritten) + film[at + unwritten :]).reader(), Limits())
    assert ["never written" in warning for warning in found.warnings] == [True]
