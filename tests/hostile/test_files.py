"""Hostile files: each gets the right verdict in seconds, within the memory of the function.

They are generated in code, and inspected in a monitored child process (`tests.support.watched`), which fails the test
if it crashes, or takes 700 MB or 30 seconds.
"""

import re
import struct
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache, partial

import pytest

from tests.support.boxes import (
    FTYP,
    box,
    chunk,
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
from tests.support.files import File
from tests.support.riff import sized
from tests.support.watched import Watched
from tests.truth.far import far
from tools.videos import video
from video_intake.media.inspector import MAX_MEMORY, Limits, inspect
from video_intake.media.verdicts import Rejected

MB = 1 << 20
MANY = 80_000_000  # samples: FFmpeg's index of them would be 2 GB, the most that it allocates at once
SMALL = picture_entry(b"png ", 64, 48)


def still(**changes) -> bytes:
    """A video with one small picture, and other metadata."""
    return movie(SMALL, [png(64, 48)], **changes)


def many(samples: int, **more: bytes) -> dict[bytes, bytes]:
    """A few bytes of sample tables that claim `samples` samples of one byte."""
    return {
        b"stsz": full(b"stsz", numbers(1, samples)),
        b"stsc": full(b"stsc", numbers(1, 1, samples, 1)),
        b"stts": full(b"stts", numbers(1, samples, 10)),
    } | {name.encode(): content for name, content in more.items()}


def hidden_track() -> bytes:
    return track((tables(SMALL, [1], 100) | many(MANY)).values(), 2)


def nested(kind: bytes, depth: int) -> bytes:
    return b"".join(struct.pack(">I4s", 8 * (depth - level), kind) for level in range(depth))


def overstated(table: bytes) -> bytes:
    """A table that claims more entries than FFmpeg could hold, followed by 9 MB in which it may search for them."""
    claim = numbers(0, MANY, 1, 1) if table == b"stsz" else numbers(MANY, 1, 1, 1)
    return still(changed={table: full(table, claim)}) + bytes(9 * MB)


def repeated() -> bytes:
    """5,000 frames, and an edit list that shows all of them 10,000 times, which FFmpeg would index each time."""
    frames, edits = 5000, numbers(5_000_000, 0, 1 << 16) * 10_000
    one_place = {
        b"stsz": full(b"stsz", numbers(len(png(64, 48)), frames)),
        b"stts": full(b"stts", numbers(1, frames, 1000)),
        b"stsc": full(b"stsc", numbers(1, 1, 1, 1)),
        b"stco": full(b"stco", numbers(frames), numbers(0xABCDEF) * frames),
    }
    content = still(changed=one_place, edits=full(b"elst", numbers(10_000), edits))
    return content.replace(numbers(0xABCDEF), numbers(content.index(b"mdat") + 4))


def sound_in_chunks() -> bytes:
    """Uncompressed audio, of which FFmpeg indexes parts of chunks instead of samples."""
    tables_of_sound = tables(sound_entry(b"sowt"), [2], 0) | {
        b"stts": full(b"stts", numbers(1, 2, 1)),
        b"stsc": full(b"stsc", numbers(1, 1, 0x7FFF, 1)),
        b"stco": full(b"stco", numbers(1_000_000), numbers(100) * 1_000_000),
    }
    return still(in_moov=track(tables_of_sound.values(), 2, b"soun"))


def chapters(samples: int) -> bytes:
    """A video whose chapters are a track with many samples, each read separately."""
    names = tables(full(b"text", bytes(60)), [1], 100) | many(samples)
    described = picture_entry(b"png ", 64, 48)
    content = movie(described, [png(64, 48)], in_moov=track(names.values(), 2, b"text"))
    reference = box(b"tref", box(b"chap", numbers(2)))
    for kind in (b"moov", b"trak"):
        at = content.index(kind) - 4
        content = content[:at] + numbers(struct.unpack_from(">I", content, at)[0] + len(reference)) + content[at + 4 :]
    at = content.index(b"trak") - 4
    end = at + struct.unpack_from(">I", content, at)[0] - len(reference)
    return content[:end] + reference + content[end:]


def fragment(*truns: bytes, media: bytes = b"") -> bytes:
    """A video with one fragment of such runs of samples."""
    header = full(b"tfhd", numbers(1), flags=0x020000)
    moof = box(b"moof", full(b"mfhd", numbers(1)), box(b"traf", header, *truns))
    return still(in_moov=box(b"mvex", full(b"trex", numbers(1, 1, 10, 10, 0)))) + moof + box(b"mdat", media)


@cache
def avi() -> bytes:
    return video("avi", "mjpeg", size=(64, 48), seconds=0.4, rate=10, audio="pcm_s16le", codec_options={})


def patched(content: bytes, mark: bytes, offset: int, patch: bytes) -> bytes:
    at = content.index(mark) + offset
    return content[:at] + patch + content[at + len(patch) :]


def with_super_index(entries: int) -> bytes:
    """An AVI whose OpenDML index of indexes refers to itself many times."""
    content = avi()
    stream = content.index(b"strh") - 12
    size = struct.unpack_from("<I", content, stream + 4)[0]
    end = stream + 8 + size
    header = struct.pack("<HBBI4s12x", 4, 0, 0, entries, b"00dc")
    index = chunk(b"indx", header, struct.pack("<QII", end, 100, 1) * entries)
    content = (
        content[:stream]
        + patched(content[stream:end], b"LIST", 4, struct.pack("<I", size + len(index)))
        + index
        + content[end:]
    )
    headers = content.index(b"hdrl") - 4
    return patched(content, b"hdrl", -4, struct.pack("<I", struct.unpack_from("<I", content, headers)[0] + len(index)))


SOUND = full(b"hdlr", bytes(4), b"soun", bytes(13))
OK = {"success"}
TOO_LARGE = {"too-large-to-decode"}
BROKEN = {"undecodable", "no-frames", "truncated"}

# (what is wrong, the file, the verdicts that are right)
HOSTILE: list[tuple[str, Callable[[], bytes], set[str]]] = [
    ("nothing: a plain file", still, OK),
    # Pictures
    ("65535x65535", lambda: movie(picture_entry(b"mp4v", 65535, 65535), [bytes(9)]), TOO_LARGE),
    ("PNG of 16384x16384", lambda: movie(picture_entry(b"png ", 16384, 16384), [png(16384, 16384)]), TOO_LARGE),
    ("PNG of 16384x16384 that the index calls small", lambda: movie(SMALL, [png(16384, 16384)]), BROKEN),
    ("PNG of 8K in 16 bits", lambda: movie(picture_entry(b"png ", 8192, 4320), [png(8192, 4320)]), OK),
    ("a sample of 250 MB", lambda: movie(picture_entry(b"raw ", 8192, 4320), [bytes(250 * MB)]), TOO_LARGE),
    # Counts, which take eight bytes to claim
    ("samples without end", lambda: still(changed=many(0xFFFFFFFF)), TOO_LARGE),
    ("as many samples as are allowed", lambda: still(changed=many(9_999_999)), BROKEN),
    (
        "edits without end",
        lambda: still(edits=full(b"elst", numbers(500_000), numbers(10, 0, 1 << 16) * 500_000)),
        OK,
    ),
    (
        "an edit list that claims more than it has",
        lambda: still(edits=full(b"elst", numbers(0xFFFFFF, 1000, 0, 1 << 16))),
        OK,
    ),
    *[
        (f"{kind} that claims more than it has", partial(overstated, kind.encode()), OK | BROKEN | TOO_LARGE)
        for kind in ("stts", "ctts", "stsc", "stco", "co64", "stss", "stsz")
    ],
    ("sound in chunks without end", sound_in_chunks, OK | TOO_LARGE),
    (
        "media data outside of the file",
        lambda: still(changed={b"stco": full(b"stco", numbers(1, 0x7FFFFFFF))}),
        {"truncated"},
    ),
    (
        "media data far outside",
        lambda: still(changed={b"stco": full(b"co64", numbers(1, 0x7FFFFFFF, 0xFFFFFFFF))}),
        BROKEN,
    ),
    (
        "media data before the file",
        lambda: still(changed={b"stco": full(b"co64", numbers(1, 0xFFFFFFFF, 0xFFFFFFFF))}),
        BROKEN,
    ),
    ("chapters without end", lambda: chapters(9_000_000), BROKEN),
    (
        "samples of a fragment without end",
        lambda: fragment(full(b"trun", numbers(MANY)), media=bytes(300 * MB)),
        TOO_LARGE,
    ),
    (
        "many runs of samples",
        lambda: fragment(*[full(b"trun", numbers(0xFFFF))] * 2000, media=bytes(300 * MB)),
        TOO_LARGE,
    ),
    # Boxes where they have no place: FFmpeg looks for them nearly everywhere
    (
        "a track that claims more than the index has",
        lambda: still(in_moov=numbers(10_000) + hidden_track()[4:]),
        TOO_LARGE,
    ),
    ("an index in the user's data", lambda: still(in_moov=box(b"udta", box(b"moov", hidden_track()))), OK | TOO_LARGE),
    (
        "sample sizes in the user's data",
        lambda: still(changed={b"udta": box(b"udta", *many(MANY).values())}),
        BROKEN | TOO_LARGE,
    ),
    (
        "sample sizes in the description of a codec",
        lambda: movie(
            picture_entry(b"png ", 64, 48, *many(MANY).values()), [bytes(9)], changed={b"stsz": b"", b"stsc": b""}
        ),
        BROKEN | TOO_LARGE,
    ),
    ("boxes in boxes in boxes", lambda: still(in_moov=nested(b"udta", 100_000)), BROKEN),
    ("tracks in tracks in tracks", lambda: still(in_moov=nested(b"trak", 10_000)), OK | BROKEN),
    ("thousands of tracks", lambda: still(in_moov=track(tables(SMALL, [5], 0).values()) * 2500), TOO_LARGE),
    ("tracks with little in them", lambda: still(in_moov=box(b"trak", box(b"mdia", SOUND)) * 16_000), TOO_LARGE),
    ("more than thousands of tracks", lambda: still(in_moov=track(tables(SMALL, [5], 0).values()) * 5000), TOO_LARGE),
    ("a million empty tracks", lambda: still(in_moov=box(b"trak") * 1_000_000), TOO_LARGE),
    ("four million empty boxes", lambda: still(in_moov=box(b"free") * 4_000_000), TOO_LARGE),
    (
        "descriptions of samples without end",
        lambda: still(changed={b"stsd": full(b"stsd", numbers(100_000), SMALL * 100_000)}),
        BROKEN | TOO_LARGE,
    ),
    # The compressed index
    ("a compressed index", lambda: compressed(index_of(still())), BROKEN),
    ("a compressed index that is a bomb", lambda: compressed(bytes(200 * MB), claimed=90 * MB), BROKEN | TOO_LARGE),
    ("a compressed index that claims 4 GB", lambda: compressed(index_of(still()), claimed=0xFFFFFFFF), TOO_LARGE),
    ("a compressed index of too many samples", lambda: compressed(index_of(still(changed=many(MANY)))), TOO_LARGE),
    (
        "a compressed index in a compressed index",
        lambda: compressed(compressed(index_of(still(changed=many(MANY))))[8 + len(FTYP) :]),
        BROKEN | TOO_LARGE,
    ),
    # AVI
    ("AVI of 65535x65535", lambda: patched(avi(), b"strf", 12, struct.pack("<ii", 65535, 65535)), TOO_LARGE),
    (
        "AVI of negative size",
        lambda: patched(avi(), b"strf", 12, struct.pack("<ii", -(1 << 31), -(1 << 31))),
        TOO_LARGE,
    ),
    ("AVI whose media list is of size 0", lambda: patched(avi(), b"movi", -4, bytes(4)), OK),
    ("AVI written to a pipe", lambda: patched(avi(), b"movi", -4, b"\xff" * 4), OK),
    (
        "AVI whose index points far away",
        lambda: patched(avi(), b"idx1", 8, (b"00dc" + numbers(16, 0x7FFFFFFF, 0x7FFFFFFF)) * 4),
        OK | BROKEN,
    ),
    (
        "AVI with an index of 12 million",
        lambda: (
            avi()[: avi().index(b"idx1")] + chunk(b"idx1", (b"00dc" + struct.pack("<III", 16, 4, 100)) * 12_000_000)
        ),
        BROKEN | TOO_LARGE,
    ),
    (
        "AVI of two million empty chunks",
        lambda: avi()[: avi().index(b"movi") - 8] + chunk(b"LIST", b"movi", chunk(b"01wb") * 2_000_000),
        BROKEN,
    ),
    ("AVI of zeros", lambda: avi()[: avi().index(b"movi") + 4] + bytes(10 * MB), BROKEN),
    ("AVI with an index of indexes that names itself", lambda: with_super_index(100_000), OK | BROKEN),
    (
        "AVI of thousands of streams",
        lambda: avi().replace(b"LIST", index_of_stream() * 3000 + b"LIST", 1),
        BROKEN | OK | TOO_LARGE,
    ),
]


def index_of_stream() -> bytes:
    at = avi().index(b"strh") - 12
    return avi()[at : at + 8 + struct.unpack_from("<I", avi(), at + 4)[0]]


@pytest.fixture(scope="module")
def watched():
    with Watched() as child:
        yield child


@pytest.mark.parametrize(("make", "verdicts"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_file_gets_a_verdict(watched, make, verdicts):
    assert watched.inspect(make()).verdict in verdicts


@pytest.mark.parametrize(
    "make",
    [lambda: still(in_moov=box(b"free", bytes(50 * MB))), lambda: still(before=box(b"free", bytes(40 * MB)))],
    ids=["an index of 50 MB", "40 MB before the index"],
)
def test_an_inefficient_file_needs_few_requests(watched, make):
    answer = watched.inspect(make())
    assert answer.result["poster"]
    assert answer.result["inspection"]["requests"] <= 12


def test_edits_that_repeat_the_whole_video_are_ignored(watched):
    answer = watched.inspect(repeated())
    assert answer.verdict == "success"
    assert answer.peak < watched.inspect(still()).peak + 100


def test_memory_is_released_after_each_file(watched):
    """The next video in the same environment has all of the memory."""
    large = movie(picture_entry(b"raw ", 8192, 4320), [bytes(250 * MB)])
    peaks = [(watched.inspect(large).peak, watched.inspect(still()).peak) for _ in range(3)]
    assert all(small < most - 200 for most, small in peaks), peaks
    assert peaks[-1][0] < peaks[0][0] + 50, peaks


def test_a_decoder_cannot_exceed_its_memory(watched):
    """JPEG 2000 needs five times the size of its picture, which only the kernel's limit stops."""
    content = video(
        "mov", "jpeg2000", size=(8192, 4320), seconds=0.1, rate=10, audio=None, pixel_format="rgb24", picture="color"
    )
    answer = watched.inspect(content)
    assert answer.verdict == "too-large-to-decode"
    assert str(MAX_MEMORY >> 20) in answer.result["failure"]["message"]
    assert watched.inspect(still()).verdict == "success", "the ceiling is lifted again"


@pytest.mark.parametrize("code", [b"encv", b"drmi"])
@pytest.mark.parametrize("first", [b"", SMALL])
def test_an_encrypted_track_of_quicktime(code, first):
    """QuickTime has a second handler, for the data; and the first seconds may be unencrypted."""
    entry = picture_entry(code, 64, 48)
    second_handler = {b"hdlr": full(b"hdlr", b"dhlralis", bytes(13)), b"stsd": full(b"stsd", numbers(2), first + entry)}
    with pytest.raises(Rejected, match="encrypted"):
        inspect(File(movie(entry, [png(64, 48)], changed=second_handler)).reader(), Limits())


def test_a_picture_that_is_larger_than_stated():
    """Pictures state their own size, so the decoder must refuse them."""
    limits = Limits(max_pixels=256 * 100)  # FFmpeg counts lines in their alignment, up to 64 pixels
    assert inspect(File(movie(SMALL, [png(256, 100)])).reader(), limits)
    with pytest.raises(Rejected):
        inspect(File(movie(SMALL, [png(256, 101)])).reader(), limits)


def test_a_decoder_that_cannot_be_opened():
    """Ut Video requires a header. After opening failed once, PyAV has no codec."""
    with pytest.raises(Rejected, match="undecodable"):
        inspect(File(movie(picture_entry(b"ULRG", 64, 48), [bytes(50)] * 30)).reader(), Limits())


def test_many_small_fragments_in_a_small_file():
    """The windows for finding fragments used to be larger than the file."""
    flags = {"movflags": "frag_every_frame+empty_moov+skip_trailer"}
    content = video(codec="mjpeg", size=(96, 64), seconds=0.6, audio=None, options=flags)
    assert len(content) < 256 << 10
    assert content.count(b"mfhd") > 8
    answer = inspect(File(content).reader(), Limits())
    assert answer.poster
    assert answer.container.duration == pytest.approx(0.6, abs=0.05), "the last fragment was found"


def test_an_index_that_points_into_the_media_data():
    """The index's target is verified by the boxes from there to the end."""
    content = video(
        codec="mjpeg", size=(96, 64), seconds=0.6, audio=None, options={"movflags": "frag_keyframe+empty_moov"}
    )
    at = content.index(b"tfra") + 24
    for place in (0, 1000, content.index(b"mdat") + 100, len(content), 0xFFFFFFFF):
        found = inspect(File(content[:at] + struct.pack(">Q", place) + content[at + 8 :]).reader(), Limits())
        assert found.container.duration == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("length", [0, 9, 17, 24, 30, 40, 60])
@pytest.mark.parametrize("version", [b"\0", b"\1"])
def test_a_segment_index_cut_off(version, length):
    """It claims a thousand segments, and ends before the first."""
    flags = {"movflags": "frag_every_frame+empty_moov+default_base_moof+skip_trailer"}
    content = video(codec="mjpeg", size=(96, 64), seconds=0.6, audio=None, options=flags)
    at = content.index(b"moof") - 4
    index = box(b"sidx", (version + bytes(3) + b"\0\0\3\xe8" * 20)[:length])
    assert inspect(File(content[:at] + index + content[at:]).reader(), Limits()).poster


class Clock:
    """A second passes with each look at it."""

    looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.looks


def looks(content: bytes, *, is_far: bool) -> int:
    """How often the inspection looks at the clock."""
    clock = Clock()
    with far() if is_far else nullcontext(), suppress(Rejected):
        inspect(File(content).reader(clock=clock), Limits())
    return clock.looks


def live(between: bytes = b"") -> bytes:
    """A live recording with something before each fragment except the first."""
    flags = {"movflags": "frag_keyframe+empty_moov+skip_trailer"}
    content = video(codec="mjpeg", size=(96, 64), seconds=1, audio=None, options=flags)
    front, first, *others = re.split(rb"(?=....moof)", content, flags=re.DOTALL)
    return front + first + b"".join(between + other for other in others)


def nested_indexes(count: int) -> bytes:
    """A live recording with a segment index that consists of others."""
    own = box(b"sidx", numbers(0, 1, 1000, 0, 0, 1, 44, 10, 0))
    index = box(b"sidx", numbers(0, 1, 1000, 0, 0, count), numbers(1 << 31 | len(own), 10, 0) * count)
    at = live().index(b"moof") - 4
    return live()[:at] + index + own * count + live()[at:]


def with_fragment(*children: bytes) -> bytes:
    """A video whose last fragment has these boxes."""
    return fragment() + box(b"moof", full(b"mfhd", numbers(1)), *children)


def index_at_end(*children: bytes) -> bytes:
    """An index to which the sizes of the boxes before it do not lead."""
    return box(b"ftyp", FTYP) + numbers(1 << 30) + b"mdat" + bytes(8) + box(b"moov", *children)


def with_chunks(mark: bytes, chunks: bytes) -> bytes:
    """The AVI with these chunks before the one that is marked."""
    at = avi().index(mark) - (8 if mark == b"movi" else 0)
    return sized(avi()[:at] + chunks + avi()[at:])


def without_size(entries: bytes = b"") -> bytes:
    """The AVI with media data of unknown size, and other entries in its index."""
    content = patched(avi(), b"movi", -4, bytes(4))
    return content[: content.index(b"idx1")] + chunk(b"idx1", entries) if entries else content


ENTRY = b"00dc" + struct.pack("<III", 16, 4, 100)
RUNS = full(b"tfhd", numbers(1)), full(b"trun", numbers(0))

# (what there are that many of, the file, whether it is treated as a large one, how often the time is checked for each)
REPEATED: list[tuple[str, Callable[[int], bytes], bool, float]] = [
    ("boxes before the index", lambda count: still(before=box(b"free") * count), False, 1),
    ("signatures of an index", lambda count: box(b"ftyp", FTYP) + box(b"mdat", b"moov" * count), False, 1),
    ("boxes in an index at the end", lambda count: index_at_end(box(b"free") * count), False, 1),
    ("nested segment indexes", nested_indexes, False, 2),
    ("boxes in a fragment", lambda count: with_fragment(box(b"free") * count), False, 1),
    ("runs in a fragment", lambda count: with_fragment(box(b"traf", RUNS[0], RUNS[1] * count)), False, 1),
    ("boxes after fragments", lambda count: live() + box(b"free") * count, False, 1),
    ("signatures of fragments after others", lambda count: live() + b"\xff" * 8 + b"moof" * count, False, 1),
    ("signatures of fragments between others", lambda count: live(box(b"free", b"moof" * count)), True, 1),
    ("runs of zeros", lambda count: still(before=box(b"free", (bytes(512) + b"1") * count)), False, 2),
    ("chunks before AVI media data", lambda count: with_chunks(b"movi", chunk(b"JUNK") * count), False, 1),
    ("chunks of AVI media data", lambda count: with_chunks(b"idx1", chunk(b"01wb") * count), False, 2),
    ("chunks after AVI media data", lambda count: avi() + chunk(b"JUNK", bytes(4)) * count, False, 2),
    ("signatures of an AVI index", lambda count: without_size() + b"idx1" * count, True, 1),
    ("thousands of entries of an AVI index", lambda count: without_size(ENTRY * 50 * count), False, 0.05),
]


@pytest.mark.parametrize(("make", "is_far", "each"), [row[1:] for row in REPEATED], ids=[row[0] for row in REPEATED])
def test_the_time_is_checked_for_each_part_of_a_file(make, is_far, each):
    few, many = (looks(make(count), is_far=is_far) for count in (30, 90))
    assert many - few >= 60 * each
