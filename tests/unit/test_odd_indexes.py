"""Unusual indexes that the standards allow, or nearly: in this process, so that coverage counts them."""

import io
import struct
from contextlib import nullcontext, suppress
from fractions import Fraction

import av
import pytest

from tests.fuzz.mutations import File as Parts
from tests.support.boxes import (
    FTYP,
    REST,
    box,
    compressed,
    full,
    index_of,
    movie,
    numbers,
    picture_entry,
    png,
    sound_entry,
    tables,
    track,
)
from tests.support.files import File, verdict
from tests.truth.far import far
from tools.videos import video
from video_intake.media import avi_streams, isobmff, moof, notes, totals
from video_intake.media.boxes import Box, unpack
from video_intake.media.inspector import Limits, inspect
from video_intake.media.movie import MAX_SAMPLES
from video_intake.media.range_reader import RangeReader
from video_intake.media.track import Defaults
from video_intake.media.verdicts import Rejected

SMALL = picture_entry(b"png ", 64, 48)


def inspected(content: bytes):
    return inspect(File(content).reader(), Limits())


@pytest.fixture(scope="module")
def plain():
    return video(seconds=0.4)  # the index last


def behind_a_compressed_index(plain: bytes) -> bytes:
    """The same video at the same offsets, with its index compressed like in QuickTime."""
    packed = compressed(index_of(plain))
    return plain[: plain.index(b"moov") - 4] + packed[packed.index(b"moov") - 4 :]


def test_a_compressed_index_gives_the_same_facts(plain):
    assert inspected(behind_a_compressed_index(plain)).video == inspected(plain).video


def test_what_follows_in_a_compressed_index_is_not_part_of_it(plain):
    index = index_of(plain)
    content = compressed(index + index[index.index(b"trak") - 4 :])
    assert len(isobmff.scan(File(content).reader()).movie.tracks) == 2


def test_a_compressed_index_that_is_damaged(plain):
    content = behind_a_compressed_index(plain)
    at = content.index(b"cmvd") + 8
    rejected = verdict(content[:at] + bytes(40) + content[at + 40 :])
    assert rejected.reason == "undecodable"
    assert "compressed index" in rejected.evidence["detail"]


def test_a_compressed_index_without_its_data(plain):
    assert verdict(behind_a_compressed_index(plain).replace(b"cmvd", b"cmvX")).reason in ("undecodable", "no-frames")


@pytest.mark.parametrize("distant", [False, True])
def test_media_data_with_a_64_bit_size(plain, distant):
    """Far from the end of the file, only that size leads to the index."""
    at = plain.index(b"mdat") - 4
    assert plain[at - 8 : at - 4] == numbers(8), "the muxer leaves a place for the long form"
    size = struct.unpack_from(">I", plain, at)[0]
    long = plain[: at - 8] + numbers(1) + b"mdat" + struct.pack(">Q", size + 8) + plain[at + 8 :]
    assert len(long) == len(plain)
    with far() if distant else nullcontext():
        assert inspected(long + box(b"free", bytes(5000))).video == inspected(plain).video


def test_media_data_up_to_the_end_of_the_file():
    content = video(seconds=0.4, options={"movflags": "faststart"})
    at = content.index(b"mdat") - 4
    assert inspected(content[:at] + bytes(4) + content[at + 4 :]).video == inspected(content).video


@pytest.mark.parametrize("brand", [b"avif", b"mif1", b"heic", b"crx "])
def test_a_still_picture_is_named(brand):
    rejected = verdict(box(b"ftyp", brand, bytes(4), brand) + box(b"meta", bytes(100)) + box(b"mdat", bytes(4000)))
    assert rejected.reason == "not-a-video"
    assert rejected.evidence["found"] == f"a still picture ({brand.decode().strip()})"


def test_media_data_that_are_cut_off_before_the_index():
    content = box(b"ftyp", FTYP) + numbers(5000) + b"mdat" + bytes(100)
    end = len(content) - 108 + 5000
    assert verdict(content).evidence == {"box": "mdat", "boxEnd": end, "fileEnd": len(content)}


def test_no_index_at_all():
    rejected = verdict(box(b"ftyp", FTYP) + box(b"mdat", bytes(4000)))
    assert rejected.reason == "truncated"
    assert "moov" in rejected.message


@pytest.mark.parametrize("header", [numbers(7) + b"free", numbers(1) + b"free" + numbers(0, 15)])
def test_a_box_that_claims_to_be_smaller_than_its_header(header):
    front = box(b"ftyp", FTYP)
    rejected = verdict(front + header + bytes(4000))
    assert rejected.reason == "truncated"
    assert rejected.evidence["understoodUntil"] == len(front)


@pytest.mark.parametrize("rest", [0, 7])
def test_a_long_size_that_the_end_of_the_index_cuts_off(rest):
    content = movie(SMALL, [png(64, 48)], in_moov=numbers(1) + b"free" + bytes(rest))
    assert inspected(content).poster


def test_the_last_box_may_be_empty():
    """That there is one marks a fragmented video."""
    scanned = isobmff.scan(File(movie(SMALL, [png(64, 48)], in_moov=box(b"mvex"))).reader())
    assert scanned.movie.fragmented


@pytest.mark.parametrize("last", [False, True])
def test_an_index_without_tracks_is_followed_by_another(last):
    """It precedes the media data only if the other one does."""
    front = box(b"ftyp", FTYP) + box(b"moov", full(b"mvhd", numbers(0, 0, 1000, 1000), REST))
    media = box(b"mdat", png(64, 48))

    def index(at: int) -> bytes:
        return index_of(movie(SMALL, [png(64, 48)], changed={b"stco": full(b"stco", numbers(1, at))}))

    at = len(front) + 8 + (0 if last else len(index(0)))
    found = inspected(front + (media + index(at) if last else index(at) + media))
    assert found.poster
    assert found.container.fast_start is not last


class Apart(File):
    """A file of five gigabytes: zeros between its two parts."""

    SIZE = 5 << 30

    def fetch(self, start: int, end: int) -> bytes:
        self.ranges.append((start, end))
        made = bytearray(end - start)
        for at, part in ((0, self.content), (self.SIZE - len(self.back), self.back)):
            first, last = max(start, at), min(end, at + len(part))
            if first < last:
                made[first - start : last - start] = part[first - at : last - at]
        return bytes(made)

    def __init__(self, front: bytes, back: bytes) -> None:
        super().__init__(front)
        self.back = back

    def reader(self, max_bytes: int = 8 << 20, **options) -> RangeReader:
        return RangeReader(lambda ranges: [self.fetch(*each) for each in ranges], self.SIZE, max_bytes, **options)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("pictures_last", [False, True])
def test_a_file_of_more_than_four_gigabytes(fast, pictures_last):
    """With sizes and offsets of 64 bits, where they are needed."""
    pictures = [png(64, 48)] * 3
    size = sum(map(len, pictures))

    def index(at: int) -> bytes:
        return index_of(
            movie(SMALL, pictures, changed={b"stco": b"", b"co64": full(b"co64", numbers(1, *divmod(at, 1 << 32)))})
        )

    front, header = box(b"ftyp", FTYP), 16
    before, after = (len(index(0)), 0) if fast else (0, len(index(0)))
    at = Apart.SIZE - after - size if pictures_last else len(front) + before + header
    media = numbers(1) + b"mdat" + numbers(*divmod(Apart.SIZE - len(front) - before - after, 1 << 32))
    begin = front + (index(at) if fast else b"") + media + (b"" if pictures_last else b"".join(pictures))
    end = (b"".join(pictures) if pictures_last else b"") + (b"" if fast else index(at))
    found = inspect(Apart(begin, end).reader(), Limits())
    assert found.poster
    assert (found.container.fast_start, found.video.frames, found.warnings) == (fast, 3, ())


@pytest.mark.parametrize("number", [0, 2, 3, 77])
def test_a_reserved_transfer_curve_has_no_name(number):
    """A file may have numbers that ITU-T H.273 reserves."""
    curve = box(b"colr", b"nclx", struct.pack(">HHHB", 1, number, 1, 0))
    assert inspected(movie(picture_entry(b"png ", 64, 48, curve), [png(64, 48)])).video.color_transfer is None


def test_an_invalid_index_of_a_fragmented_video():
    """Players find the table by its last 16 bytes; if these are wrong, the fragments are walked."""
    content = video(seconds=1, options={"movflags": "frag_keyframe+empty_moov"})
    assert content[-16:-12] == numbers(16), "the muxer writes mfra last"
    for size in (0, 17, len(content), 0xFFFFFFFF):
        assert inspected(content[:-4] + numbers(size)).video == inspected(content).video


def test_fragments_with_only_audio():
    """All of its video is in the index; found by fuzzing."""
    content = video(seconds=2, options={"movflags": "frag_keyframe+skip_trailer"})
    file = Parts.parse(content)
    pictures = [traf for node in file.nodes() if node.type == b"moof" for traf in node if traf.type == b"traf"][::2]
    for traf in pictures:
        traf.type = b"free"
    found = inspected(file.write())
    assert found.video.frames == 30  # of the first group, which is in the index
    assert found.poster


def test_a_copy_that_ends_between_reordered_frames():
    """`ffmpeg -t 1 -c copy`: the last frame to be decoded is shown after some that were left behind."""
    options = {"preset": "ultrafast", "x264-params": "keyint=60:bframes=3:b-adapt=0:scenecut=0"}
    plain = video(seconds=2, rate=10, audio=None, codec_options=options)
    shown = []
    with av.open(io.BytesIO(plain)) as source, av.open(target := io.BytesIO(), "w", format="mp4") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in list(source.demux())[:10]:
            shown.append(packet.pts * packet.time_base)
            if packet.pts > packet.dts and len(shown) > 5 and shown[-1] == max(shown):
                break
            packet.stream = stream
            output.mux(packet)
        else:
            raise AssertionError("no such frame")
        packet.stream = stream
        output.mux(packet)
    found = inspected(target.getvalue())
    assert not found.warnings
    assert found.container.duration == pytest.approx(float(max(shown) - min(shown)) + 0.1, abs=0.02)


@pytest.mark.parametrize("last", [0, 1, 1500])
@pytest.mark.parametrize("first", [[], [1, 900]])
def test_the_first_and_last_frames_of_any_duration_do_not_change_the_rate(first, last):
    """Writers know how long a frame is shown when the next one comes."""
    file = Parts.parse(video(seconds=4, rate=12, audio=None))
    (stts,) = (node for node in file.nodes() if node.type == b"stts")
    frames, delta = struct.unpack_from(">II", stts.lead, 8)
    rows = [*first, frames - 1 - len(first) // 2, delta, 1, last]
    stts.lead = numbers(0, len(rows) // 2, *rows)
    assert inspected(file.write()).video.frame_rate == "12/1"


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("kind", [b"mvhd", b"tkhd", b"mdhd"])
def test_a_duration_of_all_ones_is_unknown(plain, kind, wide):
    """ISO/IEC 14496-12, 8.2.2, 8.3.2 and 8.4.2; in version 1, times and durations have 64 bits."""
    file = Parts.parse(plain)
    for node in file.nodes():
        if node.type == kind:
            at = 20 if kind == b"tkhd" else 16  # of the duration
            times, front = (bytes(16), b"\1" + node.lead[1:4]) if wide else (bytes(8), node.lead[:4])
            node.lead = front + times + node.lead[12:at] + b"\xff" * (8 if wide else 4) + node.lead[at + 4 :]
    found, expected = inspected(file.write()), inspected(plain)
    assert found.warnings == ()
    assert found.container.duration == pytest.approx(expected.container.duration, abs=0.1)
    assert found.video.frames == expected.video.frames


@pytest.mark.parametrize("delta", [-1, -1000, -(1 << 31)])
def test_a_frame_of_negative_duration_does_not_count(delta):
    """Some writers correct delays that way; as an unsigned number, it would be weeks."""
    times = full(b"stts", numbers(2, 2, 1000, 1, delta & 0xFFFFFFFF))
    content = movie(picture_entry(b"png ", 64, 48), [png(64, 48)] * 3, changed={b"stts": times}, shown=2000)
    assert inspected(content).container.duration == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    ("claimed", "after"), [(40, b""), (40, numbers(9, 5000) * 3), (41, numbers(9)), (1 << 31, b"")]
)
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("place", [1, 2, 16, 17, 31, 32, 33])
def test_one_of_the_last_32_frames_may_be_shown_last(place, times, claimed, after):
    """It is in the row at that place from the end, each of which has one or two. What follows the rows is ignored."""
    durations = [10 + number % 7 for number in range(40)]
    shifts = [1000 * (number == 40 - place) - number % 2 for number in range(40)]
    stts, ctts = (
        memoryview(numbers(0, claimed, *(part & 0xFFFFFFFF for value in values for part in (times, value))) + after)
        for values in (durations, shifts)
    )
    ends = [
        sum(durations[:row] * times) + (again + 1) * durations[row] + shifts[row]
        for row in range(40)
        for again in range(times)
    ]
    assert totals.until(sum(durations) * times, stts, ctts) == max(ends[-32:])
    assert (max(ends[-32:]) == max(ends)) == (place * times - times < 32)


def test_an_edit_list_that_leaves_less_than_a_frame():
    """`ffmpeg -ss 1.95 -c copy` of a two-second video: the last frame exists, and is shown."""
    file = Parts.parse(video(seconds=2, rate=10, audio=None))
    (elst,) = (node for node in file.nodes() if node.type == b"elst")
    (mvhd,) = (node for node in file.nodes() if node.type == b"mvhd")
    (mdhd,) = (node for node in file.nodes() if node.type == b"mdhd")
    (movie_scale,), (scale,) = (struct.unpack_from(">I", node.lead, 12) for node in (mvhd, mdhd))
    elst.lead = numbers(0, 1, movie_scale // 20, int(1.95 * scale), 1 << 16)
    found = inspected(file.write())
    assert found.poster
    assert not any("key frame" in warning for warning in found.warnings)


@pytest.mark.parametrize("claim", [0x0100_0000, 0x1000_0000, 0x3000_0000])  # FFmpeg reads 30 bits, with a sign
def test_a_bit_rate_is_not_computed_from_sizes_that_exceed_the_file(claim):
    """In AVI. An MP4 file with such a size is truncated."""
    content = bytearray(video("avi", "mpeg4", seconds=0.4, audio=None))
    last = content.rindex(b"00dc")
    content[last + 12 : last + 16] = struct.pack("<I", claim)
    assert inspected(bytes(content)).video.bit_rate is None
    mp4 = bytearray(video("mp4", "mpeg4", seconds=0.4, audio=None))
    first = mp4.index(b"stsz") + 16
    mp4[first : first + 4] = struct.pack(">I", claim)
    assert verdict(bytes(mp4)).reason == "truncated"


@pytest.mark.parametrize("length", [4, 20, 36])
def test_an_avi_stream_header_that_is_too_short_counts_as_a_stream(length):
    short = b"strh" + struct.pack("<I", length) + bytes(length)
    whole = b"strh" + struct.pack("<I", 56) + b"vids" + bytes(52)
    assert [each.kind for each in avi_streams.read(short + whole)] == [bytes(4), b"vids"]


def test_the_file_is_not_kept_in_memory_after_its_inspection(plain):
    """An error's traceback refers to the reader."""
    for content in (plain, plain[:-1]):
        reader = File(content).reader()
        with suppress(Rejected):
            inspect(reader, Limits())
        assert reader.bytes_read
        assert list(reader.fetched) == []


@pytest.mark.parametrize("last", [False, True])
def test_the_second_handler_of_quicktime_is_not_the_kind_of_the_track(last):
    """Each track has another one for its data, which precedes its own if the boxes are in another order."""
    content = video("mov", seconds=0.4)
    file = Parts.parse(content)
    for node in file.nodes():
        if node.type == b"mdia" and last:
            node.children.sort(key=lambda child: child.type == b"hdlr")
    assert content.count(b"dhlr") == 2
    pictures, sound = isobmff.scan(File(file.write()).reader()).movie.tracks
    assert pictures.handler == b"vide"
    assert sound.handler == b"soun"
    assert inspected(file.write()).video == inspected(content).video


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("edits", "empty", "skipped", "seconds"),
    [
        ([(600, 500, 1)], 0, 500, 1),
        ([(0, 1000, 1)], 0, 1000, 2),  # up to the end
        ([(300, -1, 1), (1200, 0, 1)], 0.5, 0, 2.5),
        ([(300, -1, 1), (60, -1, 1), (600, 1000, 1)], 0.6, 1000, 1.6),
        ([(600, 1000, 1), (300, -1, 1), (600, 0, 1)], 0, 1000, 2.5),  # a pause
        ([(6000, 1000, 1)], 0, 1000, 2),  # more than there is
        ([(600, 0, 1), (600, 5000, 1)], 0, 0, 1),  # after the end
        ([(6000, 1000, 0)], 0, 1000, 10),  # one picture, held
        ([(300, -1, 1)], 0.5, 0, 3.5),  # nothing about the media
        ([], 0, 0, 3),
    ],
)
@pytest.mark.parametrize("more", [0, 1000])
def test_an_edit_list_states_what_is_shown(edits, version, empty, skipped, seconds, more):
    """Durations are in units of the movie, 600 a second; places in those of the track, 1000 (14496-12, 8.6.6).

    The list may claim to have more rows than it has.
    """
    rows = b"".join(struct.pack(">QqI" if version else ">IiI", *row[:2], row[2] << 16) for row in edits)
    edit_list = full(b"elst", numbers(len(edits) + more), rows, version=version)
    head = full(b"mvhd", numbers(0, 0, 600, 1800), REST)
    content = movie(picture_entry(b"png ", 64, 48), [png(64, 48)] * 3, head=head, edits=edit_list)
    [track] = isobmff.scan(File(content).reader()).movie.tracks
    assert (track.empty, track.skipped, track.seconds) == pytest.approx((empty, skipped, seconds))
    assert len(edits) <= track.edits <= 2 * len(edits) + 1, "a bound"


@pytest.mark.parametrize("kind", [b"mvhd", b"mdhd"])
def test_an_edit_list_without_units_is_ignored(kind):
    edit_list = full(b"elst", numbers(1, 500, 0, 1 << 16))
    file = Parts.parse(movie(picture_entry(b"png ", 64, 48), [png(64, 48)] * 3, edits=edit_list))
    for node in file.nodes():
        if node.type == kind:
            node.lead = node.lead[:12] + bytes(4) + node.lead[16:]
    [track] = isobmff.scan(File(file.write()).reader()).movie.tracks
    assert (track.empty, track.skipped) == (0, 0)
    assert inspected(file.write()).poster


@pytest.mark.parametrize(
    ("frames", "stated", "warned"),
    [
        *[(1, 1.09, False), (1, 1.11, True), (1, 0.91, False), (1, 0.89, True)],  # a tenth of a second
        *[(100, 104.9, False), (100, 105.1, True), (100, 95.3, False), (100, 95.1, True)],  # one part in twenty
    ],
)
def test_small_differences_of_durations_are_ignored(frames, stated, warned):
    """Each frame lasts a second. If the difference is larger, the frames decide."""
    content = movie(picture_entry(b"png ", 64, 48), [png(64, 48)] * frames, shown=round(1000 * stated))
    found = inspected(content)
    assert bool(found.warnings) == warned
    assert found.container.duration == (frames if warned else stated)


@pytest.mark.parametrize(("kind", "at"), [(b"mdhd", 16), (b"tkhd", 20)])
def test_another_duration_of_the_track_is_a_warning(kind, at):
    file = Parts.parse(movie(SMALL, [png(64, 48)] * 3))
    (node,) = (node for node in file.nodes() if node.type == kind)
    node.lead = node.lead[:at] + numbers(9000) + node.lead[at + 4 :]
    found = inspected(file.write())
    assert found.container.duration == 3
    assert found.warnings == (notes.durations_differ(9, 3, "video track"),)


def test_tracks_in_tracks_are_read_to_some_depth():
    inner = b""
    for _ in range(100):
        inner = box(b"trak", inner)
    found = isobmff.scan(File(movie(SMALL, [png(64, 48)], in_moov=inner)).reader()).movie
    assert 2 < len(found.tracks) < 20


@pytest.mark.parametrize(
    ("frame", "stated", "seconds", "warned"),
    [
        (1000, 3, 3, False),
        (1000, 6, 3, True),  # what was counted precedes what was not
        (1000, 10, 10, False),
        (0, 0, 10, False),
        (0, 6, 10, True),
        (0, 10, 10, False),
    ],
)
def test_a_track_without_sample_times_counts_if_the_header_agrees_or_nothing_else_is_known(
    frame, stated, seconds, warned
):
    """Three frames of `frame` milliseconds, and sound whose ten seconds are only a claim."""
    head = full(b"mvhd", numbers(0, 0, 1000, 1000 * stated), REST)
    times = full(b"stts", numbers(1, 3, frame))
    sound = track([], 2, b"soun", duration=10_000)
    pictures = [png(64, 48)] * 3
    content = movie(picture_entry(b"png ", 64, 48), pictures, head=head, changed={b"stts": times}, in_moov=sound)
    found = inspected(content)
    assert found.container.duration == seconds
    assert found.warnings == ((notes.durations_differ(stated, seconds),) if warned else ())


def test_a_file_without_its_last_byte_is_truncated():
    content = movie(picture_entry(b"png ", 64, 48), [png(64, 48)] * 3)
    expected = {"track": 1, "lastSampleEnd": len(content), "fileEnd": len(content) - 1}
    assert verdict(content[:-1]).evidence == expected


def test_sound_after_the_pictures_is_complete_or_the_file_is_truncated():
    def made(at: int) -> bytes:
        sound = track(tables(sound_entry(b"twos"), [200], at).values(), 2, b"soun")
        return movie(SMALL, [png(64, 48)], in_moov=sound) + box(b"mdat", b"\1" * 200)

    content = made(len(made(0)) - 200)
    assert inspected(content).poster
    expected = {"track": 2, "lastSampleEnd": len(content), "fileEnd": len(content) - 1}
    assert verdict(content[:-1]).evidence == expected


@pytest.mark.parametrize(("short", "samples"), [(0, 1), (1, 1), (0, 0)])
@pytest.mark.parametrize("others", [0, 2])
def test_a_chunk_that_begins_at_the_end_of_the_file_is_missing(short, samples, others):
    """In a track that FFmpeg does not index: without a table of which samples are in which chunk.

    Chunks may be in any order, and those of a track without samples do not matter.
    """

    def made(end: int) -> bytes:
        chunks = numbers(1 + others, max(end - short, 0), *[0] * others)
        tables = [full(b"stsz", numbers(4, samples)), full(b"stco", chunks)]
        return movie(picture_entry(b"png ", 64, 48), [png(64, 48)], in_moov=track(tables, 2, b"soun"))

    content = made(len(made(0)))
    if short or not samples:
        assert inspected(content).poster
    else:
        assert verdict(content).evidence == {"track": 2, "lastSampleEnd": len(content), "fileEnd": len(content)}


def test_a_chunk_may_be_missing_by_gigabytes():
    tables = [full(b"stsz", numbers(4, 1)), full(b"co64", numbers(1, 5, 0))]
    rejected = verdict(movie(SMALL, [png(64, 48)], in_moov=track(tables, 2, b"soun")))
    assert rejected.evidence["lastSampleEnd"] == 5 << 32


def test_numbers_after_the_end_of_a_box_are_zeros():
    assert unpack(">IHQ", b"\0\0\0\7\0") == (7, 0, 0)
    assert unpack(">H", b"\1") == (256,)


@pytest.mark.parametrize("layout", ["mov", "avi"])
def test_pictures_of_the_largest_size_are_decoded(layout):
    content = video(layout, "png", size=(256, 64), seconds=0.2, audio=None, pixel_format="rgb24")
    assert inspect(File(content).reader(), Limits(max_pixels=256 * 64)).poster
    rejected = verdict(content, Limits(max_pixels=256 * 64 - 1))
    assert (rejected.reason, rejected.evidence["width"]) == ("too-large-to-decode", 256)


@pytest.mark.parametrize(("flags", "last"), [("", b"moov"), ("faststart", b"mdat")])
def test_the_last_box_may_have_no_size(flags, last):
    """It extends to the end of the file (ISO/IEC 14496-12, 4.2)."""
    content = video(seconds=0.4, options={"movflags": flags} if flags else {})
    at = content.rindex(last) - 4
    found = inspected(content[:at] + bytes(4) + content[at + 4 :])
    assert found == inspected(content)


@pytest.mark.parametrize(
    ("kind", "claimed"), [(b"mdat", 4), (b"mdat", 16), (b"mdat", 1 << 30), (b"ftyp", 4), (b"ftyp", 1 << 30)]
)
@pytest.mark.parametrize(
    "after",
    [
        b"",
        b"moov",
        b"\0\0\0\x08moov",
        box(b"moov", box(b"free", bytes(20))),
        box(b"moov", box(b"mvhd", bytes(100)), b"\xff" * 20),
    ],
)
@pytest.mark.parametrize("distant", [False, True])
def test_an_index_at_the_end_is_found_if_the_size_of_another_box_is_wrong(plain, kind, claimed, after, distant):
    """By its name; what has that name after it is not an index."""
    at = plain.index(kind) - 4
    content = plain[:at] + numbers(claimed) + plain[at + 4 :] + after
    with far() if distant else nullcontext():
        found = inspected(content)
    assert found.video == inspected(plain).video


@pytest.mark.parametrize(
    ("version", "stated", "seconds"), [(0, 2500, 2.5), (1, 2500, 2.5), (1, 5 << 32, (5 << 32) / 1000), (0, 0, None)]
)
def test_the_duration_of_fragments_in_the_index(version, stated, seconds):
    """ISO/IEC 14496-12, 8.8.2: in version 1, it has 64 bits."""
    mehd = full(b"mehd", struct.pack(">Q" if version else ">I", stated), version=version)
    content = movie(SMALL, [png(64, 48)], in_moov=box(b"mvex", mehd, full(b"trex", numbers(1, 1, 0, 0, 0))))
    assert isobmff.scan(File(content).reader()).movie.duration == seconds


def test_the_sample_rate_of_sound_is_not_a_size():
    """Where a description of pictures has their size. Old Macintosh computers had a rate of 22,254.5454 Hz."""
    entry = sound_entry(b"raw ")[:-4] + numbers(0x56EE8BA3)
    stbl = [full(b"stsd", numbers(1), entry)]
    assert inspected(movie(SMALL, [png(64, 48)], in_moov=track(stbl, 2, b"soun"))).poster


def test_sizes_of_samples_may_be_packed():
    """In 16 bits (`stz2`, ISO/IEC 14496-12, 8.7.3.3)."""
    pictures = [png(64, 48)] * 3
    packed = full(b"stz2", numbers(16, 3), struct.pack(">3H", *map(len, pictures)))
    found = inspected(movie(SMALL, pictures, changed={b"stsz": b"", b"stz2": packed}))
    assert (found.video.frames, found.warnings) == (3, ())
    assert found.poster


def test_the_only_frame_may_last_a_unit_of_time():
    """As each sample of uncompressed audio does."""
    content = movie(SMALL, [png(64, 48)], changed={b"stts": full(b"stts", numbers(1, 1, 1))}, shown=1)
    assert inspected(content).video.frames == 1


@pytest.mark.parametrize("shift", [500, -500])
def test_the_first_frame_may_be_shown_before_it_is_decoded(shift):
    """In version 1 of the table, shifts have a sign (ISO/IEC 14496-12, 8.6.1.3)."""
    shifts = full(b"ctts", numbers(1, 3, shift & 0xFFFFFFFF), version=1)
    content = movie(SMALL, [png(64, 48)] * 3, changed={b"ctts": shifts})
    assert [each.shift for each in isobmff.scan(File(content).reader()).movie.tracks] == [shift]


@pytest.mark.parametrize(("last", "rate"), [(100, "10/1"), (9800, None)])
def test_a_last_frame_that_lasts_most_of_the_time_changes_the_rate(last, rate):
    times = full(b"stts", numbers(2, 9, 100, 1, last))
    found = inspected(movie(SMALL, [png(64, 48)] * 10, changed={b"stts": times}, shown=900 + last))
    assert Fraction(found.video.frame_rate) == pytest.approx(Fraction(rate or "10000/10700"), rel=0.001)


def second_video(entry: bytes, dref: bytes = b"") -> bytes:
    """Another video track, of one sample."""
    return track(tables(entry, [10], 40).values(), 2, dref=dref)


def test_only_the_first_video_track_must_not_be_encrypted():
    encrypted, pictures = picture_entry(b"encv", 64, 48), [png(64, 48)]
    assert inspected(movie(SMALL, pictures, in_moov=second_video(encrypted))).poster
    rejected = verdict(movie(encrypted, pictures, in_moov=second_video(SMALL)))
    assert (rejected.reason, rejected.evidence) == ("encrypted", {"codec": "encv"})


def test_a_second_video_track_may_be_in_another_file():
    another = full(b"dref", numbers(1), full(b"url ", b"file:///movie.mov\0"))
    free = box(b"free", bytes(5000))  # at the same offset as the samples in the other file
    for before in (b"", free):
        found = inspected(movie(SMALL, [png(64, 48)], before=before, in_moov=second_video(SMALL, another)))
        assert found.poster
        assert found.warnings == ()


def test_of_several_descriptions_none_states_the_size():
    """Each chunk has another one."""
    descriptions = full(b"stsd", numbers(2), picture_entry(b"png ", 320, 240), SMALL)
    chunks = full(b"stsc", numbers(1, 1, 1, 2))
    found = inspected(movie(SMALL, [png(64, 48)], changed={b"stsd": descriptions, b"stsc": chunks}))
    assert (found.video.width, found.video.height, found.warnings) == (64, 48, ())


def test_samples_of_uncompressed_audio_are_not_counted_as_an_index():
    """FFmpeg indexes their chunks: four minutes at 48 kHz have more samples than an index may have."""
    many = MAX_SAMPLES
    sound = tables(sound_entry(b"sowt"), [2], 0) | {
        b"stts": full(b"stts", numbers(1, many, 1)),
        b"stsz": full(b"stsz", numbers(2, many)),
        b"stsc": full(b"stsc", numbers(1, 1, many, 1)),
    }

    def scanned(samples):
        spoken = track((sound | {b"stts": full(b"stts", samples)}).values(), 2, b"soun")
        return isobmff.scan(File(movie(picture_entry(b"png ", 64, 48), [b"picture"], in_moov=spoken)).reader())

    assert scanned(numbers(1, many, 1)).movie.tracks[1].lasting == many
    for compressed_audio in (numbers(1, many, 2), numbers(2, many - 1, 1, 1, 2)):
        with pytest.raises(Rejected, match="frames and audio samples"):
            scanned(compressed_audio)


def test_what_looks_like_a_box_in_other_data_is_not_one(plain):
    """Only containers have boxes: what is in free space or in users' data was left there by some program."""
    false = full(b"stts", numbers(1, 10, 900_000)) + full(b"elst", numbers(1, 77, 0, 1 << 16))
    nodes = Parts.parse(plain)
    stbl = next(node for node in nodes.nodes() if node.type == b"stbl")
    expected = inspected(plain)
    stbl.children = [*Parts.parse(box(b"free", false)).children, *(stbl.children or [])]
    found = inspected(nodes.write())
    assert (found.video, found.container.duration) == (expected.video, expected.container.duration)
    assert found.warnings == ()


def test_pictures_of_the_same_size_have_a_bit_rate():
    """Their size is stated once, not for each (`stsz`)."""
    content = video("mov", "rawvideo", size=(64, 48), rate=10, seconds=1, audio=None, pixel_format="uyvy422")
    stsz = content.index(b"stsz") + 8
    assert struct.unpack_from(">II", content, stsz) == (64 * 48 * 2, 10)
    assert inspected(content).video.bit_rate == 64 * 48 * 2 * 8 * 10


def test_a_fragment_has_only_the_samples_that_are_in_its_index():
    """Any number may be claimed."""
    flags = moof.OFFSET | moof.FIRST_FLAGS | moof.DURATIONS | moof.SIZES
    trun = full(b"trun", numbers(1000, 8, 0, *[40, 7] * 3), flags=flags)
    tfhd = full(b"tfhd", numbers(1), flags=0x020000)
    content = memoryview(box(b"traf", tfhd, trun))
    whole = Box(b"moof", 0, 0, len(content))
    [run] = moof.runs(content, whole, {1: Defaults(1, 1, 0)}, 10_000, lambda: None)
    assert [*run.sizes] == [7, 7, 7]
    assert [*run.durations] == [40, 40, 40]
    assert len(run.shifts) == len(run.sync) == 3


def test_the_samples_of_all_runs_of_a_fragment_are_limited():
    trun = full(b"trun", numbers(2, 7, 7), flags=moof.SIZES)
    content = memoryview(box(b"traf", full(b"tfhd", numbers(1)), trun, trun))
    arguments = content, Box(b"moof", 0, 0, len(content)), {1: Defaults(1, 1, 0)}
    assert [len(run.sizes) for run in moof.runs(*arguments, 4, lambda: None)] == [2, 2]
    with pytest.raises(Rejected, match="samples in fragments"):
        list(moof.runs(*arguments, 3, lambda: None))


def test_defaults_of_fragments_are_those_of_their_track():
    """ISO/IEC 14496-12, 8.8.3: track, sample description, duration, size, flags."""
    extends = box(b"mvex", full(b"trex", numbers(1, 1, 512, 4711, 0x01010000)))
    content = movie(picture_entry(b"png ", 64, 48), [b"picture"], in_moov=extends)
    [found] = isobmff.scan(File(content).reader()).movie.tracks
    assert found.defaults == Defaults(duration=512, size=4711, flags=0x01010000)
