"""Which picture becomes the poster: the key frame at a tenth of the video, unless it is damaged or blank."""

import io
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random

import av
import pytest

from tests.fuzz.mutations import File as Parts
from tests.support import numbered
from tests.support.boxes import numbers
from tests.support.files import File
from tests.truth import writers
from tests.truth.far import far
from tests.truth.films import BY_NAME, Film, encode, film, x264, x265
from tools.videos import video
from video_intake.media import fragments, notes, poster
from video_intake.media.inspector import Inspection, Limits, inspect

MORE = (
    film("cfhd", "cfhd", pixel_format="yuv422p10le", count=40),
    film("mpeg2 intra", "mpeg2video", rate=25, options={"g": "0"}, count=60),
    film("hevc dark", "libx265", options=x265("keyint=24:bframes=0:open-gop=0:scenecut=0"), dark=48),
    film("mpeg4 dark", "mpeg4", options={"g": "300", "bf": "2", "sc_threshold": "1000000000"}, dark=20),
)
FILMS = BY_NAME | {each.name: each for each in MORE}


@cache
def written(name: str, container: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film")
        with av.open(str(path), "w", format=container) as output:
            encode(output, FILMS[name])
        return path.read_bytes()


def inspected(content: bytes) -> Inspection:
    return inspect(File(content).reader(), Limits())


def shown(wanted: Film, content: bytes) -> int:
    """The number of the picture in the poster, which has the time of that picture."""
    made = inspected(content).poster
    number = numbered.in_jpeg(made.jpeg)
    assert number is not None, "it is damaged"
    assert made.time == pytest.approx(float(wanted.times[number]), abs=0.001)
    return number


@pytest.mark.parametrize(
    ("name", "container", "group"),
    [
        ("h264", "mp4", 12),
        ("h264", "avi", 12),
        ("h264 b-frames", "mov", 24),
        ("h264 intra", "mp4", 1),
        ("mpeg4", "avi", 12),
        ("mjpeg", "avi", 1),
        ("prores", "mov", 1),
        ("cfhd", "mov", 1),  # its decoder does not mark pictures as key frames
        ("av1", "mp4", 24),
    ],
)
def test_it_is_the_key_frame_at_a_tenth(name, container, group):
    wanted = FILMS[name]
    tenth = round(0.1 * (wanted.count - 1))
    assert shown(wanted, written(name, container)) == tenth // group * group


@pytest.mark.parametrize(("count", "number"), [(9, 0), (15, 1)])
def test_it_is_from_the_first_fragment_if_that_has_a_tenth_of_the_video(monkeypatch, count, number):
    """If fragments are so large that all are visited, the first is decoded meanwhile. Here, each has one picture."""
    monkeypatch.setattr(fragments, "VISIT", 1)
    wanted = film("few", "prores_ks", pixel_format="yuv422p10le", count=count, sound="pcm_s16le")
    content = writers.muxed(wanted, "mov", "frag_keyframe+empty_moov+skip_trailer")
    with far():
        assert shown(wanted, content) == number


def test_a_visit_of_all_fragments_that_lacks_memory_is_repeated(monkeypatch):
    """The picture that is decoded meanwhile needs it."""
    monkeypatch.setattr(fragments, "VISIT", 1)
    visit, failures = fragments.Fragments.visit_all, iter([MemoryError])

    def failing(each: fragments.Fragments) -> None:
        if failure := next(failures, None):
            raise failure
        visit(each)

    monkeypatch.setattr(fragments.Fragments, "visit_all", failing)
    wanted = film("few", "prores_ks", pixel_format="yuv422p10le", count=15)
    content = writers.muxed(wanted, "mov", "frag_keyframe+empty_moov+skip_trailer")
    with far():
        assert inspected(content).video.frames == wanted.count
    assert next(failures, None) is None


FILLINGS = {"noise": Random.randbytes, "zeros": lambda _, count: bytes(count)}


def damaged(content: bytes, begin: float, end: float, filling: str = "noise") -> bytes:
    """The video with noise or zeros in the second half of each key frame between two places (0 to 1).

    The zeros continue after it, as where a part of a file was never written.
    """
    changed, chance = bytearray(content), Random(1)
    with av.open(io.BytesIO(content)) as container:
        entries = list(container.streams.video[0].index_entries)
    for entry in entries[int(begin * len(entries)) : int(end * len(entries))]:
        if entry.is_keyframe:
            half = entry.size // 2
            more = 8 if filling == "zeros" and entry is not entries[-1] else 0
            count = entry.size - half + more
            changed[entry.pos + half : entry.pos + half + count] = FILLINGS[filling](chance, count)
    return bytes(changed)


@pytest.mark.parametrize(
    ("name", "filling"),
    [(name, "noise") for name in ("h264", "h264 b-frames", "mpeg4", "mpeg2", "av1")]
    + [(name, "zeros") for name in ("h264", "h264 b-frames", "hevc", "mpeg4", "mpeg2")],
)
def test_if_key_frames_are_damaged_it_is_a_later_one(name, filling):
    wanted = FILMS[name]
    assert shown(wanted, damaged(written(name, "mp4"), 0, 0.35, filling)) == 0.4 * wanted.count


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("name", ["h264 intra", "mpeg2 intra", "mjpeg"])
@pytest.mark.parametrize(("until", "place"), [(0.2, 0.25), (0.35, 0.4), (1, 0.02)])
def test_if_the_picture_at_a_tenth_is_damaged_it_is_another_one(name, filling, until, place):
    wanted = FILMS[name]
    number = shown(wanted, damaged(written(name, "mp4"), 0.05, until, filling))
    assert number == pytest.approx(place * (wanted.count - 1), abs=2)


@pytest.mark.parametrize("name", ["h264 intra", "mpeg2 intra", "mjpeg"])
def test_if_most_pictures_are_damaged_it_is_a_whole_one(name):
    wanted = FILMS[name]
    assert 0.6 * wanted.count <= shown(wanted, damaged(written(name, "mp4"), 0, 0.6)) < wanted.count


def test_frames_after_a_damaged_key_frame_are_not_used():
    assert shown(FILMS["hevc dark"], damaged(written("hevc dark", "mp4"), 0.39, 0.41, "zeros")) == 72


def padded(sample: bytes) -> bytes:
    """The sample with zeros at the end of its last unit."""
    at = 0
    while (end := at + 4 + int.from_bytes(sample[at : at + 4])) < len(sample):
        at = end
    return sample[:at] + numbers(end - at - 4 + 600) + sample[at + 4 :] + bytes(600)


def test_zeros_at_the_end_of_samples_are_padding():
    file = io.BytesIO()
    with av.open(io.BytesIO(written("hevc", "mp4"))) as container, av.open(file, "w", format="mp4") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                copy = av.Packet(padded(bytes(packet)))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                output.mux(copy)
    assert shown(FILMS["hevc"], file.getvalue()) == 0
    assert not inspected(file.getvalue()).warnings


def jpegs(container: str, fields: int) -> bytes:
    """Two seconds of Motion JPEG, whose pictures may consist of two fields as with old cameras."""
    drawn = video("avi", codec="mjpeg", size=(320, 180 // fields), audio=None, pixel_format="yuvj420p")
    pictures = [bytes(packet) for packet in av.open(io.BytesIO(drawn)).demux(video=0) if packet.size]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("mjpeg", rate=30 // fields)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuvj420p"
        for number in range(len(pictures) // fields):
            packet = av.Packet(b"".join(pictures[number * fields : (number + 1) * fields]))
            packet.pts, packet.time_base, packet.stream = number, Fraction(fields, 30), stream
            packet.is_keyframe = True
            output.mux(packet)
    return file.getvalue()


def torn(content: bytes, where: float, filling: str, count: int) -> bytes:
    """The video with noise or zeros in each sample of its first fifth."""
    changed, chance = bytearray(content), Random(1)
    with av.open(io.BytesIO(content)) as opened:
        entries = list(opened.streams.video[0].index_entries)
    for entry in entries[: len(entries) // 5]:
        begin = entry.pos + int(where * entry.size)
        changed[begin : begin + count] = FILLINGS[filling](chance, count)
    return bytes(changed)


@pytest.mark.parametrize("container", ["avi", "mov"])
@pytest.mark.parametrize("fields", [1, 2])
@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("where", [0.3, 0.8])
def test_damage_within_a_jpeg_is_noticed(container, fields, filling, where):
    """FFmpeg's decoder returns the picture without an error, if there are data after the damage."""
    content = jpegs(container, fields)
    assert inspected(content).poster.time == pytest.approx(0.2, abs=0.05)
    assert inspected(torn(content, where, filling, 256)).poster.time == pytest.approx(0.5, abs=0.05)


def test_an_unwritten_sector_within_an_hevc_picture_is_noticed():
    intra = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=1"}
    content = video("mp4", codec="libx265", codec_options=intra, audio=None)
    assert inspected(content).poster.time == pytest.approx(0.2, abs=0.05)
    assert inspected(torn(content, 0.5, "zeros", 512)).poster.time == pytest.approx(0.5, abs=0.05)


def test_if_no_picture_is_whole_there_is_a_damaged_one_and_a_warning():
    made = inspected(damaged(written("hevc", "mp4"), 0, 1, "zeros"))
    assert made.poster.time == pytest.approx(FILMS["hevc"].seconds - 1 / 12, abs=0.001), "the last"
    assert made.warnings == (notes.refreshed(),)


@pytest.mark.parametrize(("name", "container"), [("h264 dark one group", "mp4"), ("mpeg4 dark", "avi")])
def test_if_the_beginning_is_black_it_is_a_picture_after_it(name, container):
    """Without another key frame, and with pictures that are decoded before others that are shown first."""
    wanted = FILMS[name]
    assert shown(wanted, written(name, container)) >= wanted.dark


def test_pictures_that_are_wrongly_marked_are_not_in_the_storyboard():
    """Only the first marked one is a key frame. It is black, so the poster is found by decoding those after it."""
    wanted = film("mpeg4", "mpeg4", options={"g": "24", "sc_threshold": "1000000000"}, dark=20)
    file = Parts.parse(writers.muxed(wanted, "mp4"))
    (stss,) = (node for node in file.nodes() if node.type == b"stss")
    stss.lead = numbers(0, 4, 1, 31, 61, 91) + stss.lead[24:]
    content = file.write()
    assert shown(wanted, content) == wanted.dark
    sheet = inspect(File(content).reader(), Limits(storyboard=True)).storyboard
    assert sheet.frames == 1


def test_if_none_is_marked_up_to_a_tenth_it_is_the_first_marked_one():
    file = Parts.parse(written("h264", "mp4"))
    (stss,) = (node for node in file.nodes() if node.type == b"stss")
    stss.lead = numbers(0, 1, 61) + stss.lead[12:]
    assert shown(FILMS["h264"], file.write()) == 60


def striped(contrasts: list[int], group: int = 500, flags: str = "") -> bytes:
    """A video of groups of pictures, which are two halves that are twice as many levels apart."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"movflags": flags} if flags else {}) as output:
        stream = output.add_stream("libx264", rate=10, options=x264(f"keyint={group}:bframes=0:qp=4"))
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"  # all 256 levels
        for contrast in contrasts:
            frame = av.VideoFrame(64, 64, "yuvj420p")
            luma, *chroma = frame.planes
            levels = [bytes([level]) * 32 * luma.line_size for level in (100 - contrast, 100 + contrast)]
            luma.update(b"".join(levels))
            for plane in chroma:
                plane.update(b"\x80" * plane.buffer_size)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("contrasts", "number"),
    [
        (range(60), 2 * poster.BLANK_SPREAD),  # a fade-in: twice as much as a blank picture has
        ([*range(9), *range(9, 0, -1)], 9),  # it never gets as clear
        ([3, 2, 1, 0, 1, 2, 4, 3], 6),  # it stays blank
    ],
)
def test_if_the_key_frame_is_blank_it_is_a_clearer_one_after_it(contrasts, number):
    assert inspected(striped(list(contrasts))).poster.time == pytest.approx(Fraction(int(number), 10), abs=0.001)


def test_if_all_selected_fragments_are_blank_it_is_from_another_one():
    """Of a large file, only a few are read at first."""
    contrasts = [0] * 120 + [40] * 20 + [0] * 60
    content = striped(contrasts, 10, "frag_keyframe+empty_moov+default_base_moof")
    with far():
        assert 12 <= inspected(content).poster.time < 14
