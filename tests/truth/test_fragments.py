"""The index that is made of all fragments has the samples that FFmpeg finds by visiting each fragment."""

import io
import struct
import time
from collections.abc import Callable
from contextlib import nullcontext
from fractions import Fraction
from itertools import accumulate, pairwise, product

import av
import pytest

from tests.fuzz.mutations import File as Parts
from tests.fuzz.mutations import Node
from tests.support import numbered
from tests.support.boxes import box
from tests.support.files import File, verdict
from tests.truth import writers
from tests.truth.far import far
from tests.truth.films import BY_NAME
from tests.truth.lies import with_flags
from tools.videos import video
from video_intake.media import fragmented, fragments, isobmff, notes, random_access, signatures, splice
from video_intake.media.boxes import Box
from video_intake.media.fragments import Fragments
from video_intake.media.inspector import Limits, inspect
from video_intake.media.verdicts import Rejected


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


DELAYED = "frag_keyframe negative cts"  # by FFmpeg, which delays fragments, but not the samples in moov
FILES = [
    (name, writer) for name in ("h264 b-frames", "h264 uneven") for writer in writers.FRAGMENTED if writer != DELAYED
]
# In moov, of different lengths; or without a list of key frames
WITH_CHUNKS = [("h264 sound", "frag_keyframe"), ("h264 sound", "frag_duration"), ("h264 intra", "frag_duration")]


@pytest.mark.parametrize(("name", "writer"), FILES + WITH_CHUNKS)
def test_all_samples_are_in_one_index(name, writer):
    content = writers.FRAGMENTED[writer](BY_NAME[name])
    assert in_one_index(content) == samples(io.BytesIO(content))


def of_type(parent: Node, kind: bytes) -> list[Node]:
    return [node for node in parent if node.type == kind]


def moved(trun: Node, by: int) -> None:
    """Its samples begin elsewhere."""
    offset = struct.unpack_from(">i", trun.lead, 8)[0] + by
    trun.lead = trun.lead[:8] + struct.pack(">i", offset) + trun.lead[12:]


def described(moof: Node, _: int) -> None:
    """The number of the sample description, too."""
    for tfhd in of_type(moof, b"tfhd"):
        assert tfhd.lead[1:4] == b"\2\0\x38", "relative to moof, with defaults for duration, size and flags"
        tfhd.lead = b"\0\2\0\x3a" + tfhd.lead[4:8] + struct.pack(">I", 1) + tfhd.lead[8:]


def short(moof: Node, _: int) -> None:
    """A time of 32 bits; what follows it is ignored."""
    for tfdt in of_type(moof, b"tfdt"):
        assert tfdt.lead[:8] == b"\1" + bytes(7)
        tfdt.lead = bytes(4) + tfdt.lead[8:] + b"\xff" * 4


def relative_to_the_previous_track(moof: Node, media: int) -> None:
    """Without a base, data begin at the moof, or after those of the previous track (ISO/IEC 14496-12, 8.8.7)."""
    for tfhd in of_type(moof, b"tfhd"):
        tfhd.lead = b"\0\0" + tfhd.lead[2:]
    pictures, sound = of_type(moof, b"traf")
    assert moof.children
    moof.children[1:] = [sound, pictures]
    moved(of_type(pictures, b"trun")[0], -written(moof) - media)  # the sound is the last of the data


def in_two_runs(moof: Node, _: int, place: int = 1) -> None:
    """The samples of the pictures in two runs, of which the second has its own place."""
    pictures = of_type(moof, b"traf")[0]
    (trun,) = of_type(pictures, b"trun")
    flags, count, at = struct.unpack_from(">IIi", trun.lead)
    assert flags & 0xFFFFFF == 0xA05, "where they begin, flags of the first, and the size and time of each"
    rows = trun.lead[16:]
    first = struct.unpack_from(">I", rows)[0]
    trun.lead = struct.pack(">II", flags, 1) + trun.lead[8:16] + rows[:8]
    head = struct.pack(">II", flags & ~4 & ~(1 - place), count - 1) + struct.pack(">i", at + first) * place
    assert pictures.children
    pictures.children.append(Node(b"trun", head + rows[8:]))


def in_two_consecutive_runs(moof: Node, media: int) -> None:
    """The second begins where the first one ends (8.8.8), which FFmpeg gets wrong."""
    in_two_runs(moof, media, 0)


@pytest.mark.parametrize(
    "rewrite", [described, short, relative_to_the_previous_track, in_two_runs, in_two_consecutive_runs]
)
def test_all_forms_of_headers_are_read(rewrite):
    content = writers.FRAGMENTED["frag_keyframe empty base"](BY_NAME["h264 sound"])
    made = rewritten(content, rewrite)
    assert with_data(made, in_one_index(made)) == with_data(content, samples(io.BytesIO(content)))


def rewritten(content: bytes, rewrite: Callable[[Node, int], None]) -> bytes:
    """The recording with other headers of its fragments."""
    file = Parts.parse(content)
    for moof, mdat in pairwise(file.children):
        if moof.type == b"moof":
            size = written(moof)
            rewrite(moof, 8 + len(mdat.lead))
            for trun in of_type(moof, b"trun"):
                if trun.lead[3] & 1:
                    moved(trun, written(moof) - size)
    return file.write()


def test_only_the_first_run_of_a_fragment_states_a_time(monkeypatch):
    """Those without one do not cause a visit of all fragments."""
    content = rewritten(writers.FRAGMENTED["frag_keyframe empty base"](BY_NAME["h264 sound"]), in_two_runs)
    monkeypatch.setattr(fragments, "SECONDS", -1)
    with far():
        found = inspect(File(content[: moofs(content)[-1]]).reader(deadline=time.monotonic() + 600), Limits())
    assert found.warnings == ()
    assert found.container.duration == pytest.approx(9, abs=0.2)


def test_media_data_of_fragments_may_have_a_64_bit_size():
    file = Parts.parse(writers.FRAGMENTED["frag_keyframe empty base"](BY_NAME["h264"]))
    for node in file.nodes():
        if node.type == b"mdat":
            node.lead, node.claimed = struct.pack(">Q", 16 + len(node.lead)) + node.lead, 1
        if node.type == b"trun":
            moved(node, 8)
    (mfra,) = (node for node in file.children if node.type == b"mfra")
    file.children.remove(mfra)
    made = file.write()
    assert in_one_index(made) == samples(io.BytesIO(made))
    assert inspect(File(made).reader(), Limits()).warnings == ()


def with_data(content: bytes, found: list[tuple]) -> list[tuple]:
    """The samples with their data instead of where these are."""
    return [(content[at : at + size], *rest) for at, size, *rest in found]


def written(node: Node) -> int:
    """Its size in the file."""
    return sum(8 + len(each.lead) for each in node)


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


@pytest.mark.parametrize("flags", [0x01010000, 0x01000000, 0x00010000])  # depends on others, or not a sync sample
@pytest.mark.parametrize("writer", ["frag_keyframe empty", "hls"])
def test_if_no_sample_is_marked_the_first_of_each_fragment_may_be_a_key_frame(writer, flags):
    content = writers.FRAGMENTED[writer](BY_NAME["h264 b-frames"])
    unmarked = with_flags(content, flags)
    assert unmarked
    assert in_one_index(unmarked) == samples(io.BytesIO(content))


@pytest.mark.parametrize("writer", writers.FRAGMENTED)
def test_times_begin_at_the_first_picture_that_is_shown(writer):
    """Which is not the first that is decoded."""
    film = BY_NAME["h264 b-frames"]
    made = inspect(File(writers.FRAGMENTED[writer](film)).reader(), Limits()).poster
    assert made.time == pytest.approx(numbered.in_jpeg(made.jpeg) / film.rate, abs=0.001)


@pytest.mark.parametrize(
    "writer", ["frag_keyframe", "frag_every_frame", "frag_size", "dash sidx", "cmaf", "ismv", "separate_moof"]
)
def test_the_index_of_a_large_file_leads_to_the_picture_at_a_tenth(writer):
    film = BY_NAME["h264 sound"]
    with far():
        found = inspect(File(writers.FRAGMENTED[writer](film)).reader(), Limits())
    assert numbered.in_jpeg(found.poster.jpeg) == film.count // 10
    assert found.poster.time == pytest.approx(1, abs=2.1 / film.rate), (
        "later if no edit list subtracts what encoders reorder"
    )


def guessed(content: bytes, factor: float, gap: float) -> bytes:
    """The recording with durations of samples that are wrong by `factor`, and a gap of some seconds in the middle."""
    file = Parts.parse(content)
    scale = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)[0]
    headers, times = ([node for node in file.nodes() if node.type == kind] for kind in (b"tfhd", b"tfdt"))
    for header in headers:
        flags, _, _, duration = struct.unpack_from(">IIQI", header.lead)
        assert flags & 0xFFFFFF == 0x39, "a base, and the duration, size and flags of all samples"
        header.lead = header.lead[:16] + struct.pack(">I", round(duration * factor)) + header.lead[20:]
    postpone(times[len(times) // 2 :], round(gap * scale))
    return file.write()


def postpone(times: list[Node], units: int) -> None:
    """Changes the times of fragments (tfdt)."""
    for each in times:
        (now,) = struct.unpack_from(">Q", each.lead, 4)
        each.lead = each.lead[:4] + struct.pack(">Q", now + units)


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("factor", [1, 1.25])
def test_times_of_fragments_count_and_not_the_durations_in_them(factor, gap):
    """Live encoders state when a frame begins, but may only guess how long it lasts."""
    film = BY_NAME["h264"]
    found = inspect(File(guessed(writers.FRAGMENTED["frag_every_frame"](film), factor, gap)).reader(), Limits())
    assert found.container.duration == pytest.approx(film.seconds + gap, abs=0.1)
    assert Fraction(found.video.frame_rate) == pytest.approx(film.rate, rel=0.005)
    assert len(found.warnings) == bool(gap)
    assert all("Parts of the recording are missing" in warning for warning in found.warnings)


@pytest.mark.parametrize("begins", [(0, 0, 0, 0), (900, 500, 100, 30)])
@pytest.mark.parametrize("pause", [0, 2])
def test_the_times_of_joined_recordings_add_up(begins, pause):
    """Each begins at another time on its own clock, and was interrupted in the middle."""
    film = BY_NAME["h264"]
    content = writers.FRAGMENTED["frag_keyframe empty base"](film)
    scale = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)[0]
    made = b""
    for begin in begins:
        file = Parts.parse(content)
        times = [node for node in file.nodes() if node.type == b"tfdt"]
        postpone(times, begin * scale)
        postpone(times[len(times) // 2 :], pause * scale)
        made += file.write()
    found = inspect(File(made).reader(), Limits())
    assert found.container.duration == pytest.approx(len(begins) * (film.seconds + pause), abs=0.01)
    assert found.video.frames == len(begins) * film.count
    assert found.warnings == (notes.joined(), *([notes.gaps(len(begins) * pause)] if pause else []))


def test_the_samples_of_all_fragments_are_limited(monkeypatch):
    content = writers.FRAGMENTED["frag_keyframe empty base"](BY_NAME["h264"])
    for most in (BY_NAME["h264"].count, BY_NAME["h264"].count - 1):
        monkeypatch.setattr("video_intake.media.moof.MAX_SAMPLES", most)
        with nullcontext() if most == BY_NAME["h264"].count else pytest.raises(Rejected, match="samples in fragments"):
            inspect(File(content).reader(), Limits())


@pytest.mark.parametrize("distant", [False, True])
def test_fragments_of_an_unknown_track_are_ignored(distant):
    film = BY_NAME["h264 sound"]
    file = Parts.parse(writers.FRAGMENTED["frag_every_frame base"](film))
    for node in file.nodes():
        if node.type == b"tfhd" and node.lead[7] == 2:
            node.lead = node.lead[:7] + b"\x4d" + node.lead[8:]
    with far() if distant else nullcontext():
        found = inspect(File(file.write()).reader(), Limits())
    assert found.warnings == ()
    assert found.container.duration == pytest.approx(film.seconds, abs=0.2)


def test_a_recording_after_another_may_have_no_sound():
    film = BY_NAME["h264 sound"]
    content = writers.FRAGMENTED["frag_keyframe empty base"](film)
    file = Parts.parse(content)
    for node in file.nodes():
        if node.type == b"moof":
            _, sound = of_type(node, b"traf")
            sound.type = b"free"
    found = inspect(File(content + file.write()).reader(), Limits())
    assert found.warnings == (notes.joined(),)
    assert found.container.duration == pytest.approx(2 * film.seconds, abs=0.2)
    assert found.video.frames == 2 * film.count


@pytest.mark.parametrize(
    ("writer", "mehd", "seconds", "reserved"),
    [
        ("dash sidx", 0, 10, 0),
        ("dash sidx", 20, 10, 0),
        ("skip_sidx", 20, 20, 0),
        ("skip_sidx", 0, None, 0),
        ("skip_sidx", 20, 20, 5000),
        ("dash sidx", 20, 20, 5000),  # the index does not reach the end
    ],
)
def test_without_time_to_visit_all_fragments_the_duration_is_a_claim(monkeypatch, writer, mehd, seconds, reserved):
    """That of a segment index, which has one for each segment, or else that of the header.

    Bytes may be reserved at the end, so that the last fragment is not fetched.
    """
    file = Parts.parse(writers.FRAGMENTED[writer](BY_NAME["h264 intra"]))
    (mvhd,), (mvex,) = ([node for node in file.nodes() if node.type == kind] for kind in (b"mvhd", b"mvex"))
    scale = struct.unpack_from(">I", mvhd.lead, 12)[0]
    assert mvex.children
    mvex.children.insert(0, Node(b"mehd", struct.pack(">II", 0, mehd * scale)))
    for node in file.nodes():
        if node.type == b"tfdt":
            node.type = b"free"
    monkeypatch.setattr(fragments, "SECONDS", -1)
    with far():
        found = inspect(File(file.write() + bytes(reserved)).reader(deadline=time.monotonic() + 600), Limits())
    assert found.container.duration == (seconds and pytest.approx(seconds, abs=0.01))
    assert notes.duration_unchecked(found.container.duration) in found.warnings


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff",
        b"Text",  # a name, and a size beyond the end of the file
        b"\0\0\0\4",  # a size that no box has
        b"\0\0\0\x10\1\2\3\4",  # a name that no box has
    ],
)
def test_bytes_that_are_not_boxes_are_counted(junk):
    content = writers.FRAGMENTED["frag_keyframe empty base"](BY_NAME["h264"])
    first, second, *_ = moofs(content)[1:]
    one, other = (junk * 1111)[:1111], (junk * 222)[:222]
    made = b"".join([content[:first], one, content[first:second], other, content[second:]])
    for end in (b"", junk * 9, b"\r\n"):
        found = inspect(File(made + end).reader(), Limits())
        assert found.warnings == (notes.junk(1333, at_end=False), *([notes.junk(len(end), at_end=True)] if end else []))
        assert ["end of the file" in warning for warning in found.warnings] == ([False, True] if end else [False])


@pytest.mark.parametrize("kind", [b"abcd", b"A1 ~", b"\xa9day", b"moov", b"mdat"])
def test_other_boxes_between_fragments_are_not_junk(kind):
    content = writers.FRAGMENTED["frag_keyframe empty base"](BY_NAME["h264"])
    _, middle, *_ = moofs(content)
    for at in (middle, content.rindex(b"mfra") - 4):
        found = inspect(File(content[:at] + box(kind, bytes(20)) + content[at:]).reader(), Limits())
        assert (found.warnings, found.video.frames) == ((), BY_NAME["h264"].count)


@pytest.mark.parametrize("begun", range(1, 8))
def test_a_recording_that_ends_in_the_header_of_a_box_is_truncated(begun):
    content = writers.FRAGMENTED["frag_keyframe empty no mfra"](BY_NAME["h264"])
    last = moofs(content)[-1]
    assert verdict(content[: last + begun]).reason == "truncated"
    assert inspect(File(content[:last]).reader(), Limits()).warnings == ()


def test_a_fragment_before_another_index_is_complete_if_its_media_data_precede_it():
    """The rest is another recording, which was cut off."""
    film = BY_NAME["h264"]
    file = Parts.parse(writers.FRAGMENTED["frag_keyframe empty base"](film))
    moof, mdat, _ = file.children[-3:]
    moved(of_type(of_type(moof, b"traf")[0], b"trun")[0], -written(moof) - 8 - len(mdat.lead))
    (moov,) = (node for node in file.children if node.type == b"moov")
    file.children[-3:] = [mdat, moof, moov.copy()]
    rejected = verdict(file.write() + struct.pack(">I4s", 1000, b"mdat") + bytes(500))
    assert (rejected.reason, rejected.evidence["secondsComplete"]) == ("truncated", film.seconds)


def test_zeros_at_the_end_of_the_last_fragment_are_not_media_data():
    """Those precede it, and it ends in free space."""
    film = BY_NAME["h264"]
    file = Parts.parse(writers.FRAGMENTED["frag_keyframe empty base"](film))
    moof, mdat, _ = file.children[-3:]
    (traf,) = of_type(moof, b"traf")
    moved(of_type(traf, b"trun")[0], -written(moof) - 8 - len(mdat.lead))
    moof.children.append(Node(b"free", bytes(16)))
    file.children[-3:] = [mdat, moof]
    found = inspect(File(file.write()).reader(), Limits())
    assert (found.video.frames, found.warnings) == (film.count, ())


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), 25, 30])
def test_rates_are_exact_although_times_are_rounded_to_milliseconds(rate):
    options = {"movflags": "frag_keyframe+empty_moov", "video_track_timescale": "1000"}
    content = video(size=(64, 36), rate=rate, audio=None, options=options)
    assert Fraction(inspect(File(content).reader(), Limits()).video.frame_rate) == rate


@pytest.mark.parametrize("rate", [Fraction(59, 2), Fraction(119, 4)])
def test_other_rates_are_not_changed(rate):
    """Although they are near usual ones."""
    options = {"movflags": "frag_keyframe+empty_moov", "video_track_timescale": "1000"}
    content = video(size=(64, 36), rate=rate, seconds=4, audio=None, options=options)
    assert Fraction(inspect(File(content).reader(), Limits()).video.frame_rate) == pytest.approx(rate, rel=0.002)


def moofs(content: bytes) -> tuple[int, ...]:
    """Where the fragments begin."""
    at, found = 0, []
    for node in Parts.parse(content).children:
        found += [at] * (node.type == b"moof")
        at += written(node)
    return tuple(found)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("lengths", [0b000000, 0b110000, 0b001100, 0b000011, 0b011011])
def test_all_forms_of_the_index_at_the_end_are_read(version, lengths):
    """Places of 32 or 64 bits, and numbers of 1 to 4 bytes (ISO/IEC 14496-12, 8.8.10).

    A fragment may be listed for each of its key frames, and the longest table counts.
    """
    content = writers.FRAGMENTED["frag_keyframe empty"](BY_NAME["h264"])
    places = moofs(content)
    numbered = b"".join((1).to_bytes((lengths >> shift & 3) + 1) for shift in (4, 2, 0))
    rows = [struct.pack(">QQ" if version else ">II", 0, place) + numbered for place in places for _ in range(2)]
    tables = [
        Node(b"tfra", struct.pack(">BxxxIII", version, track, lengths, len(listed)) + b"".join(listed))
        for track, listed in ((1, rows), (2, rows[-1:]), (3, [*rows, *rows]))
    ]
    file = Parts.parse(content)
    size = 8 + sum(map(written, tables)) + 16
    file.children[-1] = Node(b"mfra", b"", [*tables, Node(b"mfro", bytes(4) + struct.pack(">I", size))])
    assert random_access.from_mfra(File(file.write()).reader(), [1, 2]) == random_access.Claim(
        places, len(content) - written(Parts.parse(content).children[-1])
    )


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("gap", [0, 16])
def test_all_forms_of_a_segment_index_are_read(version, gap):
    """The first segment may begin some bytes after the index (ISO/IEC 14496-12, 8.16.3)."""
    content = writers.FRAGMENTED["frag_keyframe empty no mfra"](BY_NAME["h264"])
    places = moofs(content)
    sizes = [after - place for place, after in pairwise((*places, len(content)))]
    rows = b"".join(struct.pack(">III", size, 1000, 1 << 31) for size in sizes)
    head = struct.pack(">BxxxIIQQxxH" if version else ">BxxxIIIIxxH", version, 1, 600, 0, gap, len(sizes))
    sidx = struct.pack(">I4s", 8 + len(head) + len(rows), b"sidx") + head + rows
    made = sidx + bytes(gap) + content[places[0] :]
    claim = random_access.from_sidx(File(made).reader(), Box(b"sidx", 0, 8, len(sidx)))
    moved = len(sidx) + gap - places[0]
    assert claim == random_access.Claim(
        tuple(place + moved for place in places), len(made), pytest.approx(len(sizes) / 0.6)
    )


@pytest.mark.parametrize("more", [0, 1, 3])
def test_a_segment_index_has_no_more_entries_than_fit(more):
    """What follows it is not part of it."""
    sidx = segment_index([100, 200])
    sidx = sidx[:30] + struct.pack(">H", 2 + more) + sidx[32:]
    claim = random_access.from_sidx(File(sidx + bytes(1000)).reader(), Box(b"sidx", 0, 8, len(sidx)))
    assert (claim and claim.starts) == (None if more else (len(sidx), len(sidx) + 100))


@pytest.mark.parametrize(("kind", "distant"), [(b"sidx", False), (b"sidx", True), (b"free", False)])
def test_nested_segment_indexes_are_read_if_they_were_fetched(kind, distant):
    """Each is before its own segment of two fragments (ISO/IEC 14496-12, 8.16.3), unless a program removed it."""
    content = writers.FRAGMENTED["frag_keyframe empty no mfra"](BY_NAME["h264"])
    places = (*moofs(content), len(content))
    segments = []
    for first, middle, end in zip(places[::2], places[1::2], places[2::2], strict=False):
        inner = segment_index([middle - first, end - middle]).replace(b"sidx", kind)
        segments.append(inner + content[first:end])
    outer = segment_index([1 << 31 | len(segment) for segment in segments])
    made = outer + b"".join(segments)
    reader = File(made).reader()
    with far() if distant else nullcontext():
        reader.load_ends()
    fetched = reader.bytes_read
    claim = random_access.from_sidx(reader, Box(b"sidx", 0, 8, len(outer)))
    assert claim is not None
    assert reader.bytes_read == fetched
    begins = [*accumulate(map(len, segments[:-1]), initial=len(outer))]
    starts = [moofs(made)[2 * at :][:2] if reader.cached(begin, 16) else (begin,) for at, begin in enumerate(begins)]
    assert (claim.starts, claim.end) == (tuple(sum(starts, ())) if kind == b"sidx" else tuple(begins), len(made))
    assert distant == (len(claim.starts) < len(moofs(made)) and kind == b"sidx")


def test_indexes_that_refer_to_each_other_are_read_once():
    """Otherwise, twenty entries of each would become 20³."""
    several = segment_index([1 << 31] * 20)
    made = several * 3
    reader = File(made).reader()
    reader.load_ends()
    claim = random_access.from_sidx(reader, Box(b"sidx", 0, 8, len(several)))
    assert claim
    assert claim.starts == (len(several),) * 20


def test_an_index_without_units_states_no_duration():
    index = segment_index([100])
    index = index[:16] + bytes(4) + index[20:]
    claim = random_access.from_sidx(File(index + bytes(100)).reader(), Box(b"sidx", 0, 8, len(index)))
    assert claim == random_access.Claim((len(index),), len(index) + 100, None)


def test_a_track_without_fragments_does_not_hide_the_duration():
    film = BY_NAME["h264"]
    file = Parts.parse(writers.FRAGMENTED["frag_keyframe empty base"](film))
    moov = next(node for node in file.children if node.type == b"moov")
    mvex, trak = (next(node for node in moov if node.type == kind) for kind in (b"mvex", b"trak"))
    trex, other = mvex.children[-1].copy(), trak.copy()
    for node, at in ((trex, 4), (other.children[0], 12)):
        assert node.type in (b"trex", b"tkhd")
        node.lead = node.lead[:at] + struct.pack(">I", 9) + node.lead[at + 4 :]
    mvex.children.append(trex)
    moov.children.append(other)
    file.children.pop()  # the index
    found = inspect(File(file.write()).reader(), Limits())
    assert found.container.video_tracks == 2
    assert found.container.duration == pytest.approx(film.seconds, abs=0.01)


@pytest.mark.parametrize(("late", "skipped", "shown"), [(0, 0.5, 9.5), (600, 600.5, 9.5), (0, 500, 10), (600, 700, 10)])
def test_what_an_edit_list_skips_is_on_the_clock_of_the_fragments(late, skipped, shown):
    """If it leaves nothing, it is wrong."""
    film = BY_NAME["h264"]
    file = Parts.parse(writers.FRAGMENTED["frag_keyframe empty base"](film))
    moov = next(node for node in file.children if node.type == b"moov")
    trak = next(node for node in moov if node.type == b"trak")
    (mdhd,) = of_type(trak, b"mdhd")
    scale = struct.unpack_from(">I", mdhd.lead, 12)[0]
    trak.children.insert(1, Node(b"edts", box(b"elst", struct.pack(">5I", 0, 1, 0, int(skipped * scale), 1 << 16))))
    postpone([node for node in file.nodes() if node.type == b"tfdt"], late * scale)
    file.children.pop()
    found = inspect(File(file.write()).reader(), Limits())
    assert found.container.duration == pytest.approx(shown, abs=0.01)
    number = numbered.in_jpeg(found.poster.jpeg)
    assert found.poster.time == pytest.approx(number / film.rate - film.seconds + shown, abs=0.001)


def test_other_bytes_between_fragments_do_not_cost_all_of_them():
    """They could be another recording, but fragments on both sides show that they are not."""
    content = writers.FRAGMENTED["frag_duration base no mfra"](BY_NAME["h264"])
    place = moofs(content)[3]
    content = content[:place] + box(b"free", bytes(len(content))) + content[place:]
    with far():
        found = inspect(File(content).reader(), Limits())
    assert (found.container.duration, found.video.frames, found.warnings) == (BY_NAME["h264"].seconds, None, ())


def test_other_bytes_between_fragments_cost_nothing_if_an_index_leads_to_the_end():
    """Without one, they could be another recording, so more fragments are read."""
    content = writers.FRAGMENTED["frag_every_frame base"](BY_NAME["h264"])
    first, *others = moofs(content)
    middle = others[len(others) // 2]
    content = content[:middle] + box(b"free", bytes(len(content))) + content[middle:]
    places = (*moofs(content), len(content))
    index = segment_index([after - place for place, after in pairwise(places)])
    reader = File(content[:first] + index + content[first:]).reader()
    with far():
        found = inspect(reader, Limits())
    assert found.poster
    assert reader.round_trips == 2, "the ends, and the fragment at a tenth"
    stated = (len(places) - 1) * 1000 / 600
    assert found.warnings == (notes.durations_differ(stated, BY_NAME["h264"].seconds, "segment index"),)


def test_segment_indexes_in_each_other_are_read_to_some_depth():
    one = len(segment_index([0]))
    made = b"".join(segment_index([1 << 31 | one * inner]) for inner in reversed(range(20_000)))
    reader = File(made).reader()
    reader.load_ends()
    claim = random_access.from_sidx(reader, Box(b"sidx", 0, 8, one))
    assert claim
    assert claim.end == len(made)


def test_the_last_media_data_may_have_no_size_and_are_cut_off():
    """They extend to the end of the file (ISO/IEC 14496-12, 4.2), which shows nothing: the samples do."""
    film = BY_NAME["h264"]
    content = writers.FRAGMENTED["frag_every_frame base"](film)
    at = content.rindex(b"mdat") - 4
    unsized = content[:at] + bytes(4) + content[at + 4 :]
    assert inspect(File(unsized).reader(), Limits()).warnings == ()
    rejected = verdict(unsized[:-10])
    assert (rejected.reason, rejected.evidence["box"]) == ("truncated", "moof")
    assert rejected.evidence["boxEnd"] == len(content)
    assert rejected.evidence["secondsComplete"] == pytest.approx((film.count - 1) / film.rate, abs=0.01)


@pytest.mark.parametrize("distant", [False, True])
def test_samples_after_the_end_of_the_file_are_missing_in_any_fragment(distant):
    """If fragments do not state when they begin, all of them are visited."""
    file = Parts.parse(writers.FRAGMENTED["frag_every_frame base"](BY_NAME["h264"]))
    for node in file.nodes():
        if node.type == b"tfdt":
            node.type = b"free"
    truns = [node for node in file.nodes() if node.type == b"trun"]
    moved(truns[len(truns) // 2], 1 << 20)
    with far() if distant else nullcontext():
        rejected = verdict(file.write())
    assert (rejected.reason, rejected.evidence["box"]) == ("truncated", "moof")
    assert rejected.evidence["boxEnd"] > 1 << 20


def with_index(content: bytes, several: int, change: Callable[[list[int]], list[int]] = list) -> bytes:
    """The recording with an index of segments of that many fragments, whose sizes may be changed."""
    first, *others = moofs(content)
    places = [first, *others[several - 1 :: several]]
    sizes = [after - place for place, after in pairwise(dict.fromkeys([*places, len(content)]))]
    return content[:first] + segment_index(change(sizes)) + content[first:]


@pytest.mark.parametrize(
    ("several", "count", "distant"),
    [*product([1, 3], [6, 60, 61, 62, 117], [False]), *product([1], [2, 60, 119], [True]), (3, 61, True)],
)
def test_a_recording_that_was_cut_off_between_fragments_is_truncated_if_its_index_has_more(several, count, distant):
    """In segments of one or more fragments. Far from the beginning, it is not known how many a segment has."""
    film = BY_NAME["h264"]
    content = with_index(writers.FRAGMENTED["frag_every_frame base"](film), several)
    with far() if distant else nullcontext():
        rejected = verdict(content[: moofs(content)[count]])
    assert (rejected.reason, rejected.evidence["box"]) == ("truncated", "sidx")
    assert rejected.evidence["boxEnd"] == len(content)
    assert rejected.evidence["secondsComplete"] == pytest.approx(count / film.rate, abs=0.01)


@pytest.mark.parametrize("distant", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda sizes: [*sizes[:-1], sizes[-1] + 1000],  # as if something followed
        lambda sizes: [size + 8 for size in sizes],
        lambda sizes: [*sizes[:5], 1_000_000, 1000],  # the sixth segment has more fragments than the others
        lambda sizes: [1_000_000, 1000],
    ],
)
def test_a_wrong_index_does_not_prove_that_a_recording_was_cut_off(change, distant):
    content = with_index(writers.FRAGMENTED["frag_every_frame base"](BY_NAME["h264"]), 1, change)
    with far() if distant else nullcontext():
        found = inspect(File(content).reader(), Limits())
    assert found.container.duration == pytest.approx(BY_NAME["h264"].seconds, abs=0.01)


def segment_index(sizes: list[int]) -> bytes:
    rows = b"".join(struct.pack(">III", size, 1000, 1 << 31) for size in sizes)
    head = struct.pack(">IIIIIxxH", 0, 1, 600, 0, 0, len(sizes))
    return struct.pack(">I4s", 8 + len(head) + len(rows), b"sidx") + head + rows
