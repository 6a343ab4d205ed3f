"""Durations, rates and times of AVI files, whose empty chunks repeat the previous picture."""

import io
import struct
from collections.abc import Iterator
from contextlib import nullcontext
from fractions import Fraction
from functools import cache
from random import Random

import av
import pytest

from tests.fuzz.mutations import File as Parts
from tests.support import numbered
from tests.support.files import File, verdict
from tests.support.riff import KEY, opendml, parts, sized
from tests.truth import writers
from tests.truth.avi_lies import AVI_LIES
from tests.truth.far import far
from tests.truth.films import BY_NAME
from tests.truth.films import film as film_of
from tools.videos import video
from video_intake.media import avi_index, avi_streams, notes, riff
from video_intake.media.inspector import Limits, inspect
from video_intake.media.unwritten import SECTOR

FILM = BY_NAME["mpeg4"]
SMALL = {"size": (64, 48), "rate": 10}
ZEROS = bytes(1000)


@cache
def film() -> bytes:
    return next(iter(writers.AVI.values()))(FILM)


def repeating(content: bytes, repeats: dict[int, int]) -> bytes:
    """The video with that many repetitions after each of the numbered pictures."""
    movi, _, end, entries = parts(content)
    media, index = b"movi", b""
    for number, (kind, flags, at, size) in enumerate(entries):
        begin = movi + 8 + at
        for flag, chunk in [(flags, content[begin : begin + 8 + size + size % 2])] + [
            (0, struct.pack("<4sI", kind, 0))
        ] * repeats.get(number, 0):
            index += struct.pack("<4sIII", kind, flag, len(media), struct.unpack_from("<I", chunk, 4)[0])
            media += chunk
    steps = struct.pack("<I", len(index) // 16)
    head = content[:movi]
    for box, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        at = head.index(box) + offset
        head = head[:at] + steps + head[at + 4 :]
    lists = struct.pack("<4sI", b"LIST", len(media)) + media + struct.pack("<4sI", b"idx1", len(index)) + index
    return sized(head + lists + content[end:])


@pytest.mark.parametrize(
    "repeats",
    [
        {},
        {0: 30},
        {5: 7, 6: 1, 40: 20},
        {FILM.count - 2: 12},  # before the last picture
        {5: 7, FILM.count - 1: 3},  # and after it
        {1: 1},
    ],
)
def test_repeated_pictures_last_longer_and_are_not_counted(repeats):
    content = repeating(film(), repeats)
    found = inspect(File(content).reader(), Limits())
    steps = FILM.count + sum(repeats.values())
    seconds = steps / FILM.rate
    assert found.warnings == ()
    assert found.video.frames == FILM.count
    assert found.container.duration == pytest.approx(seconds, abs=0.001)
    rate = Fraction(FILM.rate * FILM.count, steps) if steps > 1.05 * FILM.count else Fraction(FILM.rate)
    assert Fraction(found.video.frame_rate) == rate
    assert found.video.bit_rate == pytest.approx(sum(size for *_, size in parts(content)[3]) * 8 / seconds, rel=0.001)
    number = numbered.in_jpeg(found.poster.jpeg)
    before = sum(count for place, count in repeats.items() if place < number)
    assert found.poster.time == pytest.approx((number + before) / FILM.rate, abs=0.001)


@pytest.mark.parametrize("repeats", [{}, {5: 7}, {5: 7, 19: 30}, {30: 20}])
def test_the_first_picture_that_is_not_black_has_its_time(repeats):
    """It is found by decoding all before it, some of which are repeated."""
    dark = film_of("mpeg4", "mpeg4", options={"g": "300", "sc_threshold": "1000000000"}, dark=20)
    found = inspect(File(repeating(writers.avi(dark), repeats)).reader(), Limits())
    number = numbered.in_jpeg(found.poster.jpeg)
    before = sum(count for place, count in repeats.items() if place < number)
    assert number >= 20
    assert found.poster.time == pytest.approx((number + before) / dark.rate, abs=0.001)


def test_pictures_before_the_first_key_frame_do_not_change_its_time():
    """Without an index, every one may be a key frame, and those at the usual places are not."""
    wanted = film_of("mpeg4", "mpeg4", options={"g": "20", "sc_threshold": "1000000000"})
    found = inspect(File(AVI_LIES["no idx1"](writers.avi(wanted), Random(0)).content).reader(), Limits())
    assert numbered.in_jpeg(found.poster.jpeg) == 20
    assert found.poster.time == pytest.approx(20 / wanted.rate, abs=0.001)


@pytest.mark.parametrize(("damaged", "unlisted"), [((), ()), ((5,), ()), ((5, 9), ()), ((), (19, 20))])
def test_a_picture_has_its_time_although_others_are_lost_or_not_in_the_index(damaged, unlisted):
    """In a large file, whose chunks are not counted. The first picture that is not black is decoded from the first."""
    dark = film_of("mpeg4", "mpeg4", options={"g": "300", "sc_threshold": "1000000000"}, dark=20)
    content = writers.avi(dark)
    movi, idx1, end, entries = parts(content)
    index = b"".join(struct.pack("<4sIII", *row) for number, row in enumerate(entries) if number not in unlisted)
    made = bytearray(content[:idx1] + struct.pack("<4sI", b"idx1", len(index)) + index + content[end:])
    for number in damaged:
        at = movi + 8 + entries[number][2]
        made[at : at + 4] = b"lost"
    with far():
        found = inspect(File(sized(bytes(made))).reader(), Limits())
    assert numbered.in_jpeg(found.poster.jpeg) == 20
    assert found.poster.time == pytest.approx(20 / dark.rate, abs=0.001)


@cache
def film_with(sound: str) -> bytes:
    return writers.avi(film_of("mpeg4", "mpeg4", options={"g": "300", "bf": "2"}, sound=sound))


@pytest.mark.parametrize(
    ("of_stream", "of_file", "sound", "right"),
    [
        (1, 1, "mp3", 1),
        (2, 1, "mp3", 1),  # two against one
        (2, 1, "pcm_s16le", 1),
        (1, 2, "mp3", 1),
        (1, 2, "pcm_s16le", 1),
        (1, 1, "", 1),
        (2, 1, "", 2),  # one against another: that of the stream
        (1, 2, "", 1),
    ],
)
def test_of_two_rates_the_one_that_fits_the_audio_counts(of_stream, of_file, sound, right):
    content = film_with(sound) if sound else film()
    at, main = content.index(b"vids") + 20, content.index(b"avih") + 8
    scale, rate = struct.unpack_from("<II", content, at)
    (microseconds,) = struct.unpack_from("<I", content, main)
    content = content[:at] + struct.pack("<II", scale, rate * of_stream) + content[at + 8 :]
    content = content[:main] + struct.pack("<I", microseconds // of_file) + content[main + 4 :]
    found = inspect(File(content).reader(), Limits())
    assert Fraction(found.video.frame_rate) == right * Fraction(rate, scale)
    two = f"{rate * of_stream / scale:.5g} in the video stream and {rate * of_file / scale:.5g} in the main header."
    assert [warning.endswith(two) for warning in found.warnings] == [True] * (of_stream != of_file)
    assert found.poster.time == pytest.approx(numbered.in_jpeg(found.poster.jpeg) / rate * scale / right, abs=0.17)
    if sound:
        assert found.container.duration == pytest.approx(10, abs=0.1)


def silence(seconds: int, kind: str, size: int) -> Iterator[av.AudioFrame]:
    for number in range(seconds * 48_000 // size):
        frame = av.AudioFrame(format=kind, layout="mono", samples=size)
        frame.planes[0].update(bytes(2 * size))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * size, Fraction(1, 48_000)
        yield frame


@pytest.mark.parametrize(
    ("codec", "kind", "size"), [("mp3", "s16p", 1200), ("pcm_s16le", "s16", 1200), ("pcm_s16le", "s16", 48_000)]
)
@pytest.mark.parametrize(("pictures", "sounds"), [(1, (3,)), (3, (1,)), (1, (1, 3)), (1, (3, 1))])
def test_the_duration_is_that_of_the_longest_track(pictures, sounds, codec, kind, size):
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as output:
        stream = output.add_stream("mpeg4", rate=10)
        tones = [output.add_stream(codec, rate=48_000, layout="mono") for _ in sounds]
        stream.width, stream.height = numbered.SIZE
        for number in range(10 * pictures):
            frame = numbered.drawn(number).reformat(format="yuv444p").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            output.mux(stream.encode(frame))
        for tone, seconds in zip(tones, sounds, strict=True):
            for frame in silence(seconds, kind, size):
                output.mux(tone.encode(frame))
        for each in (stream, *tones):
            output.mux(each.encode(None))
    found = inspect(File(file.getvalue()).reader(), Limits())
    assert found.container.duration == pytest.approx(3, abs=0.15)
    assert found.video.frames == 10 * pictures
    assert found.warnings == ()
    assert [each.channels for each in found.audio] == [1] * len(sounds)
    assert found.audio[0].channel_layout == ("mono" if codec == "mp3" else None)


@pytest.mark.parametrize(("at", "damage"), [(28, b"\x55" * 16), (16, b"\2")])  # entries, and what they are relative to
def test_damaged_indexes_of_opendml_are_replaced(at, damage):
    file = Parts.parse(film())
    (whole,) = file.children
    whole.children = [node for node in whole.children if node.type != b"JUNK" and node.lead != b"INFO"]
    front, *others = opendml(file.write()).split(b"ix00")  # nothing before the media data that could be left out
    assert len(others) == 3
    content = b"ix00".join([front, *(other[:at] + damage + other[at + len(damage) :] for other in others)])
    found = inspect(File(content).reader(), Limits())
    assert found.video.frames == FILM.count
    assert found.container.duration == pytest.approx(FILM.seconds, abs=0.001)
    assert found.poster.time == pytest.approx(numbered.in_jpeg(found.poster.jpeg) / FILM.rate, abs=0.001)


@pytest.mark.parametrize("missing", [1, 8, 40])
@pytest.mark.parametrize("distant", [False, True])
def test_an_index_of_opendml_that_is_cut_off_is_named(distant, missing):
    """The last one ends the file."""
    content = opendml(film())
    assert len(content) - content.rindex(b"ix00") < 1000
    with far() if distant else nullcontext():
        rejected = verdict(content[:-missing])
    assert rejected.reason == "truncated"
    assert rejected.evidence == {"box": "ix", "boxEnd": len(content), "fileEnd": len(content) - missing}


def odd() -> bytes:
    """The video with media data of odd size, which are padded, too."""
    movi, _, _, entries = parts(film())
    _, _, offset, size = entries[-1]
    content, odd = bytearray(film()), 1 - size % 2
    struct.pack_into("<I", content, movi + 8 + offset + 4, size - odd)
    struct.pack_into("<I", content, movi + 4, struct.unpack_from("<I", film(), movi + 4)[0] - 1)
    entry = parts(bytes(content))[1] + 8 + 16 * (len(entries) - 1) + 12
    struct.pack_into("<I", content, entry, size - odd)
    return bytes(content)


@pytest.mark.parametrize("lie", ["no lie", "absolute idx1", "no idx1"])
@pytest.mark.parametrize("made", [film, odd])
@pytest.mark.parametrize("more", [b"", b"\0"])
def test_an_index_that_is_built_has_the_entries_of_the_original(lie, made, more):
    """Without one, every frame may be a key frame."""
    reader = File(AVI_LIES[lie](made(), Random(0)).content + more).reader()
    reader.load_ends()
    scanned = riff.scan(reader)
    built = avi_index.rebuilt(reader, scanned, avi_index.scan(reader, scanned))
    content = b"".join(iter(lambda: built.read(4096), b""))
    expected = parts(made())[3]
    if lie == "no idx1":
        expected = [(kind, KEY, *rest) for kind, _, *rest in expected]
    _, idx1, _, entries = parts(content)
    assert entries == expected
    assert idx1 % 2 == 0


def test_in_a_large_file_an_index_outside_its_place_corrects_the_headers():
    """A list of media data that ends too early is followed by another chunk, not by the index."""
    content, (movi, *_, entries) = bytearray(film()), parts(film())
    struct.pack_into("<I", content, movi + 4, entries[-1][2])
    struct.pack_into("<I", content, content.index(b"vids") + 32, 7)
    struct.pack_into("<I", content, content.index(b"avih") + 24, 7)
    with far():
        found = inspect(File(bytes(content)).reader(), Limits())
    assert found.video.frames == FILM.count
    assert found.container.duration == pytest.approx(FILM.seconds, abs=0.001)


@pytest.mark.parametrize("more", [-1, 1, 5, 200])
def test_the_number_of_pictures_is_that_of_the_index(more):
    """If none is repeated, a header that claims more does not make the pictures last longer."""
    at = film().index(b"vids") + 32
    found = inspect(File(film()[:at] + struct.pack("<I", FILM.count + more) + film()[at + 4 :]).reader(), Limits())
    assert found.video.frames == FILM.count
    size = sum(size for *_, size in parts(film())[3])
    assert found.video.bit_rate == pytest.approx(size * 8 / FILM.seconds, rel=0.001)
    assert len(found.warnings) == (more == 200)


def test_an_index_that_is_right_only_at_its_ends_is_replaced():
    wanted = BY_NAME["mjpeg"]
    content, (_, idx1, _, entries) = bytearray(writers.avi(wanted)), parts(writers.avi(wanted))
    for number in range(2, len(entries) - 2):
        struct.pack_into("<I", content, idx1 + 8 + 16 * number + 8, entries[number ^ 1][2])
    found = inspect(File(bytes(content)).reader(), Limits())
    assert found.video.frames == wanted.count
    assert found.poster.time == pytest.approx(numbered.in_jpeg(found.poster.jpeg) / wanted.rate, abs=0.001)


def test_a_chunk_that_claims_too_much_before_an_index_is_damage():
    """Where the list has no size, so that nothing was cut off."""
    content, (movi, _, _, entries) = bytearray(film()), parts(film())
    struct.pack_into("<I", content, movi + 4, 0)
    struct.pack_into("<I", content, movi + 8 + entries[100][2] + 4, 1 << 30)
    found = inspect(File(bytes(content)).reader(), Limits())
    assert found.video.frames == 100


def test_a_list_of_headers_that_claims_more_than_the_file_is_ignored():
    content = bytearray(film())
    struct.pack_into("<I", content, content.index(b"hdrl") - 4, 1 << 30)
    found = inspect(File(bytes(content)).reader(), Limits())
    assert (found.video.frames, found.warnings) == (FILM.count, ())


@pytest.mark.parametrize("distant", [False, True])
def test_entries_of_an_index_that_are_beyond_the_file_are_dropped(distant):
    _, idx1, _, entries = parts(short("mpeg4"))
    rows = [*entries, (b"00dc", 0, idx1, 1 << 20), (b"00dc", 0, 1 << 20, 1)]
    index = struct.pack("<4sI", b"idx1", 16 * len(rows)) + b"".join(struct.pack("<4sIII", *row) for row in rows)
    with far() if distant else nullcontext():
        found = inspect(File(ended(short("mpeg4"), b"", index, claimed=30, size=1 << 20)).reader(), Limits())
    assert found.video.frames == 30


def test_an_index_that_is_cut_off_after_media_data_of_odd_size():
    movi, index, *_ = parts(odd())
    assert struct.unpack_from("<I", odd(), movi + 4)[0] % 2
    assert inspect(File(odd()).reader(), Limits()).poster
    rejected = verdict(odd()[: index + 100])
    assert (rejected.reason, rejected.evidence["box"]) == ("truncated", "idx1")


@pytest.mark.parametrize("kind", [b"RIFF", b"LIST"])
def test_another_part_that_is_cut_off_after_the_index_is_named(kind):
    content = film() + struct.pack("<4sI4s", kind, 5000, b"AVIX") + bytes(100)
    rejected = verdict(content)
    assert rejected.reason == "truncated"
    assert rejected.evidence == {"box": kind.decode(), "boxEnd": len(film()) + 5008, "fileEnd": len(content)}


def test_media_data_that_are_cut_off_before_the_index_are_named():
    """Their list, or if that has no size, the chunk."""
    _, idx1, *_ = parts(film())
    rejected = verdict(film()[: idx1 - 10])
    assert rejected.evidence == {"box": "movi", "boxEnd": idx1, "fileEnd": idx1 - 10}
    content = bytearray(film()[: parts(film())[1] - 10])
    struct.pack_into("<I", content, 4, len(content) - 8)
    struct.pack_into("<I", content, content.index(b"movi") - 4, 0)
    rejected = verdict(bytes(content))
    assert (rejected.reason, rejected.evidence["box"]) == ("truncated", "00dc")
    assert rejected.evidence["boxEnd"] > len(content)


def ended(content: bytes, inside: bytes, after: bytes, claimed: int = 60, size: int | None = None) -> bytes:
    """The video with `inside` at the end of its list of media data, and `after` instead of its index.

    Its header claims that many pictures, and the list may claim another size.
    """
    movi, idx1, *_ = parts(content)
    media = content[movi + 8 : idx1] + inside
    front = content[:movi] + struct.pack("<4sI", b"LIST", len(media) if size is None else size)
    at = front.index(b"vids") + 32
    return sized(front[:at] + struct.pack("<I", claimed) + front[at + 4 :] + media + after)


@cache
def short(codec: str) -> bytes:
    """A video of thirty pictures; the uncompressed ones are black."""
    more = {"audio": None, "pixel_format": "bgr24"} if codec == "rawvideo" else {"audio": None}
    return video("avi", codec, **SMALL, seconds=3, **more)


INDEX = short("mpeg4")[parts(short("mpeg4"))[1] :]
JUNK = struct.pack("<4sI", b"JUNK", 600) + b"Text" * 150


@pytest.mark.parametrize("first", [b"", b"\0", b"00d", b"\x0000d", b"\0JUNK\0\2\0\0"])  # padding, part of a header
@pytest.mark.parametrize("distant", [False, True])
def test_zeros_up_to_the_end_of_the_media_data_are_missing_pictures(first, distant):
    """The header of the next chunk may have been written."""
    with far() if distant else nullcontext():
        rejected = verdict(ended(short("mpeg4"), first + ZEROS, b""))
    assert (rejected.reason, "never written" in rejected.message) == ("truncated", True)


def test_zeros_in_place_of_all_media_data_are_missing_pictures():
    movi, *_ = parts(short("mpeg4"))
    rejected = verdict(short("mpeg4")[: movi + 12] + bytes(len(short("mpeg4")) - movi - 12))
    assert (rejected.reason, "never written" in rejected.message) == ("truncated", True)


@pytest.mark.parametrize(
    ("content", "distant"),
    [
        (ended(short("mpeg4"), ZEROS, b"", claimed=30), False),  # all pictures exist
        (ended(short("mpeg4"), bytes(SECTOR - 2), ZEROS), False),
        (ended(short("rawvideo"), b"", ZEROS), False),  # nothing is missing in the list
        (ended(short("mpeg4"), JUNK, ZEROS), False),
        (ended(short("mpeg4"), ZEROS, INDEX), False),  # written after the media data
        (ended(short("mpeg4"), b"", INDEX + ZEROS, size=1 << 20), True),
        (ended(short("mpeg4"), b"", INDEX + bytes(1500), size=1 << 20), True),
        (ended(short("mpeg4"), b"", ZEROS, size=0xFFFFFFFF), True),  # unfinished
    ],
)
def test_zeros_that_were_reserved_are_not_missing_pictures(content, distant):
    """Although the header claims more pictures than there are."""
    with far() if distant else nullcontext():
        found = inspect(File(content).reader(), Limits())
    assert found.poster
    unfinished = b"\xff\xff\xff\xffmovi" in content
    assert found.video.frames == (60 if unfinished else 30), "then, the claim counts"


def test_reserved_space_that_is_cut_off_is_not_missed():
    _, idx1, *_ = parts(film())
    content = sized(film()[:idx1] + struct.pack("<4sI", b"JUNK", 5000) + bytes(100))
    found = inspect(File(content).reader(), Limits())
    assert found.video.frames == FILM.count
    assert found.container.duration == pytest.approx(FILM.seconds, abs=0.001)


def sound_first(content: bytes) -> bytes:
    """The video, with its two streams in the other order."""
    file = Parts.parse(content)
    headers = next(node for node in file.nodes() if node.lead == b"hdrl").children
    headers.sort(key=lambda node: node.lead == b"strl" and any(each.lead[:4] == b"vids" for each in node))
    return file.write().replace(b"00dc", b"01dc").replace(b"01wb", b"00wb")


@pytest.mark.parametrize(("stated", "warned"), [((0, 0), False), ((320, 240), True), (None, False)])
@pytest.mark.parametrize("last", [False, True])
def test_another_size_than_that_of_the_pictures_is_a_warning(stated, warned, last):
    """A program that did not know it wrote zeros."""
    plain = video("avi", "mpeg4", **SMALL, seconds=0.5, audio="mp3")
    plain = sound_first(plain) if last else plain
    at = plain.index(b"strf", plain.index(b"vids")) + 12
    found = inspect(
        File(plain[:at] + struct.pack("<II", *(stated or SMALL["size"])) + plain[at + 8 :]).reader(), Limits()
    )
    assert (found.video.width, found.video.height) == SMALL["size"]
    assert found.warnings == ((notes.sizes_differ(stated, SMALL["size"]),) if warned else ())
    assert not warned or "320 x 240, but its pictures are 64 x 48" in found.warnings[0]


@pytest.mark.parametrize("microseconds", [0, 1, 1000, 10_000_000, 0xFFFFFFFF])
def test_an_absurd_rate_of_the_file_is_ignored(microseconds):
    content = bytearray(film())
    struct.pack_into("<I", content, content.index(b"avih") + 8, microseconds)
    found = inspect(File(bytes(content)).reader(), Limits())
    assert (Fraction(found.video.frame_rate), found.warnings) == (FILM.rate, ())


def test_without_an_index_the_header_of_a_large_file_counts_with_a_warning():
    with far():
        found = inspect(File(AVI_LIES["no idx1"](film(), Random(0)).content).reader(), Limits())
    assert (found.video.frames, found.warnings) == (FILM.count, (notes.no_index(),))


def test_the_first_media_data_of_opendml_are_found_after_zeros():
    found = inspect(File(AVI_LIES["zeros before"](opendml(film()), Random(0)).content).reader(), Limits())
    assert found.video.frames == FILM.count
    assert found.poster.time == pytest.approx(numbered.in_jpeg(found.poster.jpeg) / FILM.rate, abs=0.001)


@pytest.mark.parametrize(("scale", "rate"), [(0, 25), (1, 0), (0, 0)])
@pytest.mark.parametrize(
    ("microseconds", "right"), [(83_333, Fraction(12)), (133_333, Fraction(15, 2)), (33_367, Fraction(30_000, 1001))]
)
def test_an_incomplete_frame_rate_is_not_used(scale, rate, microseconds, right):
    """The header of the file has another one."""
    content, at = bytearray(film()), film().index(b"vids") + 20
    struct.pack_into("<II", content, at, scale, rate)
    struct.pack_into("<I", content, content.index(b"avih") + 8, microseconds)
    found = inspect(File(bytes(content)).reader(), Limits())
    assert Fraction(found.video.frame_rate) == right
    assert found.container.duration == pytest.approx(FILM.count / right, abs=0.001)


def test_pictures_that_are_stored_from_top_to_bottom_have_a_negative_height():
    """In the headers of uncompressed video (Microsoft, BITMAPINFOHEADER, `biHeight`)."""
    plain = video("avi", "rawvideo", **SMALL, seconds=0.2, audio=None, pixel_format="bgr24")
    at = plain.index(b"strf") + 16
    (height,) = struct.unpack_from("<i", plain, at)
    other = plain[:at] + struct.pack("<i", -height) + plain[at + 4 :]
    for content in (other, plain):
        found = inspect(File(content).reader(), Limits())
        assert found.video.height == SMALL["size"][1] == abs(height)
        assert found.warnings == ()


@pytest.mark.parametrize(("code", "codec"), [(b"CODE", b"CODE"), (bytes(4), b"hand"), (b"\x18\0\0\0", b"hand")])
@pytest.mark.parametrize("missing", [0, 1])
def test_a_description_of_pictures_may_end_after_its_code(missing, code, codec):
    """The first twenty of its forty bytes (Microsoft, BITMAPINFOHEADER) have all that is read."""
    strh = struct.pack("<4sI4s4s", b"strh", 56, b"vids", b"hand") + bytes(48)
    strf = struct.pack("<4sIIiiHH4s", b"strf", 20, 40, 64, 48, 1, 24, code)
    [stream] = avi_streams.read(strh + strf[: len(strf) - missing])
    assert (stream.width, stream.height, stream.codec) == ((0, 0, b"hand") if missing else (64, 48, codec))


@pytest.mark.parametrize(("width", "kind", "found"), [(4, 0, 2), (4, 1, 0), (2, 0, 0), (2, 1, 0)])
def test_only_an_index_of_indexes_refers_to_others(width, kind, found):
    """An `indx` may also have chunks (OpenDML AVI File Format Extensions, `bIndexType`)."""
    rows = b"".join(struct.pack("<QII", 1000 * number, 24, 1) for number in (1, 2))
    body = struct.pack("<HBBI4s12x", width, 0, kind, 2, b"00dc") + rows
    strh = struct.pack("<4sI4s4s", b"strh", 56, b"vids", b"FMP4") + bytes(48)
    [stream] = avi_streams.read(strh + struct.pack("<4sI", b"indx", len(body)) + body)
    assert stream.parts == ((1000, 24), (2000, 24))[:found]
    for end in range(len(body)):  # the list of headers may end anywhere
        [stream] = avi_streams.read(strh + struct.pack("<4sI", b"indx", len(body)) + body[:end])
        assert stream.parts == ((1000, 24), (2000, 24))[: found and max(end - 24, 0) // 16]
